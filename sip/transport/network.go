package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Network opens sockets. The methods are those of *net.ListenConfig and
// *net.Dialer, and so is what they are given: "udp", "udp4", "tcp" or "tcp4",
// and an address such as "192.0.2.1:5060", in ListenPacket and Listen also one
// with a name or without a host.
//
// DialContext is asked for "tcp" connections to peers; for "udp" ones to learn
// the local address that leads to a remote one, over which nothing is sent; and
// for both to put questions to name servers, unless there is a Config.Resolver.
// STUN goes by the sockets of ListenPacket.
//
// Addresses are a *net.UDPAddr and a *net.TCPAddr; Listen fails with others.
// What is done depends on errors that wrap syscall.EADDRINUSE (another free port
// is tried), syscall.ECONNREFUSED (a request that is too large for UDP leaves by
// UDP after all), net.ErrClosed (a socket is at its end) and
// os.ErrDeadlineExceeded.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// system is the network of the operating system.
type system struct {
	net.ListenConfig
	net.Dialer
}

// packetConn is what *net.UDPConn offers beyond net.PacketConn: addresses
// without an allocation each.
type packetConn interface {
	net.PacketConn
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

// plainPacketConn gives any net.PacketConn with UDP addresses these methods.
type plainPacketConn struct{ net.PacketConn }

func (c plainPacketConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, addr, err := c.ReadFrom(b)
	return n, addrPort(addr), err
}

func (c plainPacketConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	return c.WriteTo(b, net.UDPAddrFromAddrPort(addr))
}

// wildcardConn is a UDP socket that is bound to all of our addresses, and knows
// which of them a datagram came to, or is to come from.
type wildcardConn interface {
	// readTo reads a datagram as ReadFromUDPAddrPort does, and returns the address
	// that it came to: none if that is no address of ours alone. One goroutine
	// reads.
	readTo(b []byte) (n int, to netip.Addr, from netip.AddrPort, err error)

	// writeFrom writes a datagram that comes from an address. isNotOurs holds for
	// the error if that is not ours.
	writeFrom(b []byte, from netip.Addr, to netip.AddrPort) error
}

// boundTo returns the address that a socket is bound to, and an error if it is
// none that a Via could name.
func boundTo(a net.Addr) (netip.AddrPort, error) {
	bound := addrPort(a)
	if !bound.IsValid() {
		return bound, fmt.Errorf("the Network has bound %v, a %T: want a *net.UDPAddr or a *net.TCPAddr with an IP address", a, a)
	}
	return bound, nil
}

// addrPort returns the address of a socket; IPv4 is IPv4 however it is stored.
func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	}
	return netip.AddrPort{}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// reusingPorts returns the same network, where several UDP sockets may share a
// port.
func (s *system) reusingPorts() *system {
	sharing := *s
	if canReusePorts {
		sharing.ListenConfig.Control = reusePort
	}
	return &sharing
}
