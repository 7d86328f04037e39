package media

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
)

// A Network opens the sockets. [*net.ListenConfig] is one, and the zero
// ListenConfig is what is used if there is none.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
}

// A socket reads and writes datagrams with addresses that cost no allocation
// where the connection has them.
type socket struct {
	conn net.PacketConn
	fast addrPortConn // nil: conn has only net.Addr
}

type addrPortConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

func newSocket(c net.PacketConn) *socket {
	fast, _ := c.(addrPortConn)
	return &socket{c, fast}
}

func (s *socket) read(b []byte) (n int, from netip.AddrPort, err error) {
	if s.fast != nil {
		n, from, err = s.fast.ReadFromUDPAddrPort(b)
	} else {
		var addr net.Addr
		if n, addr, err = s.conn.ReadFrom(b); err == nil {
			from = addrPort(addr)
		}
	}
	return n, unmap(from), err
}

func (s *socket) write(b []byte, to netip.AddrPort) error {
	var err error
	if s.fast != nil {
		_, err = s.fast.WriteToUDPAddrPort(b, to)
	} else {
		_, err = s.conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
	}
	return err
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// addrPort returns the address and port of a, or the zero value.
func addrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return unmap(u.AddrPort())
	}
	if a == nil {
		return netip.AddrPort{}
	}
	p, _ := netip.ParseAddrPort(a.String())
	return unmap(p)
}

// A socketPair is RTP on an even port and RTCP on the next (RFC 3550 section 11).
type socketPair struct {
	rtp, rtcp *socket
	local     netip.AddrPort // of rtp, as bound
}

func (p *socketPair) close() error {
	return errors.Join(p.rtp.conn.Close(), p.rtcp.conn.Close())
}

// pairTries is how often a pair is looked for when the system chooses ports.
const pairTries = 50

// openPair opens a pair on addr with ports from low to high; both zero leave
// the choice to the system.
func openPair(ctx context.Context, n Network, addr netip.Addr, low, high int) (*socketPair, error) {
	if low == 0 && high == 0 {
		var last error
		for range pairTries {
			c, err := listen(ctx, n, addr, 0)
			if err != nil {
				return nil, fmt.Errorf("media: open a socket: %w", err)
			}
			// The other half of the pair is above an even port and below an odd one.
			local := addrPort(c.LocalAddr())
			if local.Port() == 0 {
				c.Close()
				return nil, fmt.Errorf("media: open a socket: %s is no address and port", c.LocalAddr())
			}
			other, err := listen(ctx, n, addr, int(local.Port()^1))
			if err != nil {
				c.Close()
				last = err
				continue
			}
			if local.Port()%2 == 1 {
				c, other = other, c
			}
			return &socketPair{newSocket(c), newSocket(other), addrPort(c.LocalAddr())}, nil
		}
		return nil, fmt.Errorf("media: no pair of free ports: %w", last)
	}
	low += low % 2
	pairs := (high - low + 1) / 2
	if low <= 0 || high > 65535 || pairs < 1 {
		return nil, fmt.Errorf("media: ports %d to %d hold no pair", low, high)
	}
	// A random start makes the ports hard to guess from outside.
	var last error
	start := rand.IntN(pairs)
	for i := range pairs {
		port := low + 2*((start+i)%pairs)
		c, err := listen(ctx, n, addr, port)
		if err == nil {
			var other net.PacketConn
			if other, err = listen(ctx, n, addr, port+1); err == nil {
				return &socketPair{newSocket(c), newSocket(other), addrPort(c.LocalAddr())}, nil
			}
			c.Close()
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		last = err
	}
	return nil, fmt.Errorf("media: no pair of free ports in %d to %d: %w", low, high, last)
}

func listen(ctx context.Context, n Network, addr netip.Addr, port int) (net.PacketConn, error) {
	network := "udp4"
	if addr.Is6() {
		network = "udp6"
	}
	return n.ListenPacket(ctx, network, net.JoinHostPort(addr.String(), strconv.Itoa(port)))
}

// routeTo returns the local address from which the system would send to addr.
// It sends nothing. With no route it is the zero Addr.
func routeTo(addr netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 9)))
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	local := addrPort(c.LocalAddr()).Addr()
	if local.IsUnspecified() {
		return netip.Addr{}
	}
	return local
}
