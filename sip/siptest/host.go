package siptest

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// A Host is a machine on a [Network], with one address. Its ListenPacket,
// Listen and DialContext are those of [net.ListenConfig] and [net.Dialer].
//
// Addresses are written with an IP address and a port number, or without the
// address (":5060") for all addresses of the host. Port 0 asks for a free one.
// A name is a *net.DNSError: there is no resolver.
type Host struct {
	n    *Network
	addr netip.Addr // that of a NAT's own host can change, with Network.mu held
	nat  *NAT       // which it is behind; nil: none
	box  *NAT       // which it is the face of; nil: it is a machine

	// Network.mu guards what follows.
	down  bool
	ports map[port]any // *packetConn, *listener, a *dialing that holds the port; a *binding of a NAT
	conns map[*conn]bool
	next  uint16 // the free port to try next
}

// port is a port of a host. Having one address, a host can have it bound once,
// whether to that address or to all.
type port struct {
	network string // "udp" or "tcp"
	number  uint16
}

// firstFree begins the dynamic ports (RFC 6335 section 6).
const firstFree = 49152

func newHost(n *Network, addr netip.Addr) *Host {
	return &Host{n: n, addr: addr, ports: make(map[port]any), conns: make(map[*conn]bool), next: firstFree}
}

// Addr returns the address of the host.
func (h *Host) Addr() netip.Addr { return h.addr }

// Down takes the host off the network in silence, as a pulled cable does:
// datagrams to it and from it are lost, those in flight too, and streams stand
// still.
func (h *Host) Down() {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	h.n.run() // what has arrived by now has arrived
	h.down = true
}

// Up ends a [Host.Down]. Streams go on where they stood.
func (h *Host) Up() {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	h.n.run() // still down
	h.down = false
	h.n.release()
}

// Reset breaks every stream of the host at once and at both ends, as a firewall
// that lost its state does: what had arrived can still be read, then calls fail
// with ECONNRESET. Listeners and datagram sockets stay.
func (h *Host) Reset() {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	h.n.run()
	for c := range h.conns {
		c.reset()
	}
}

// bind gives a port to its owner, a free one if number is 0. n.mu is held.
func (h *Host) bind(network string, number uint16, owner any) (uint16, error) {
	if number != 0 {
		if h.ports[port{network, number}] != nil {
			return 0, os.NewSyscallError("bind", syscall.EADDRINUSE)
		}
		h.ports[port{network, number}] = owner
		return number, nil
	}
	for range 1<<16 - firstFree {
		try := port{network, h.next}
		h.next++
		if h.next == 0 {
			h.next = firstFree
		}
		if h.ports[try] == nil {
			h.ports[try] = owner
			return try.number, nil
		}
	}
	return 0, os.NewSyscallError("bind", syscall.EADDRINUSE)
}

// unbind frees a port. n.mu is held.
func (h *Host) unbind(network string, number uint16) {
	delete(h.ports, port{network, number})
}

// localAddr reads the address to listen on. It returns the host's own address
// or an unspecified one.
func (h *Host) localAddr(network, address string) (netip.AddrPort, error) {
	ap, err := h.parse(network, address)
	switch {
	case err != nil:
		return ap, err
	case ap.Addr() == h.addr, ap.Addr() == netip.IPv6Unspecified():
		return ap, nil
	case ap.Addr() == netip.IPv4Unspecified() && h.addr.Is4():
		return ap, nil
	}
	return ap, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
}

// parse reads address for network: "udp" or "tcp", with a 4 or a 6 behind it
// or without. No host is the unspecified address.
func (h *Host) parse(network, address string) (netip.AddrPort, error) {
	name, number, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return netip.AddrPort{}, &net.AddrError{Err: "invalid port", Addr: address}
	}
	four, six := strings.HasSuffix(network, "4"), strings.HasSuffix(network, "6")
	ip := netip.IPv6Unspecified()
	if name == "" && four {
		ip = netip.IPv4Unspecified()
	} else if name != "" {
		if ip, err = netip.ParseAddr(name); err != nil {
			return netip.AddrPort{}, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		}
		ip = ip.Unmap().WithZone("")
	}
	if four && !ip.Is4() || six && !ip.Is6() || h.addr.Is4() && six || h.addr.Is6() && four {
		return netip.AddrPort{}, &net.AddrError{Err: "no suitable address", Addr: address}
	}
	return netip.AddrPortFrom(ip, uint16(p)), nil
}

// ListenPacket opens a datagram socket, as [net.ListenConfig.ListenPacket]
// does. The network is "udp", "udp4" or "udp6". Errors are *net.OpError, for
// EADDRINUSE and EADDRNOTAVAIL among others. The context is not looked at.
//
// The result also has ReadFromUDPAddrPort and WriteToUDPAddrPort, as
// [net.UDPConn] has; with these, delivery does not allocate. A socket on ":5060"
// of an IPv4 host reads its peers as IPv4-mapped IPv6 addresses, again as a
// [net.UDPConn] does where sockets are dual-stack.
func (h *Host) ListenPacket(_ context.Context, network, address string) (net.PacketConn, error) {
	if !isDatagram(network) {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	local, err := h.localAddr(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	c := newPacketConn(h, network)
	number, err := h.bind("udp", local.Port(), c)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Source: net.UDPAddrFromAddrPort(local), Err: err}
	}
	c.bound(netip.AddrPortFrom(local.Addr(), number))
	return c, nil
}
