package transport

import (
	"context"
	"net"
	"net/netip"
)

// Network opens sockets. The methods are those of *net.ListenConfig and
// *net.Dialer. DialContext is asked for "tcp" connections, and for "udp" ones
// only to learn the local address that leads to a remote one.
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
