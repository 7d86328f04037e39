package siptest

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// connected is a datagram socket that talks to one address only.
type connected struct {
	*packetConn
	remote netip.AddrPort
}

func isDatagram(network string) bool {
	return network == "udp" || network == "udp4" || network == "udp6"
}

// dialPacket opens a connected socket. It sends nothing, so that it cannot fail
// for want of a peer.
func (h *Host) dialPacket(ctx context.Context, network string, remote netip.AddrPort) (net.Conn, error) {
	fail := func(err error) error {
		return &net.OpError{Op: "dial", Net: network, Addr: net.UDPAddrFromAddrPort(remote), Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, fail(err)
	}
	if remote.Addr().Is4() != h.addr.Is4() {
		return nil, fail(os.NewSyscallError("connect", syscall.ENETUNREACH))
	}
	pc, err := h.ListenPacket(ctx, network, netip.AddrPortFrom(h.addr, 0).String())
	if err != nil {
		return nil, err
	}
	return &connected{pc.(*packetConn), remote}, nil
}

// Read is that of [net.Conn]. Datagrams from others are dropped.
func (c *connected) Read(b []byte) (int, error) {
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil || from == c.remote {
			return n, err
		}
	}
}

// Write is that of [net.Conn].
func (c *connected) Write(b []byte) (int, error) { return c.WriteToUDPAddrPort(b, c.remote) }

// RemoteAddr returns a *net.UDPAddr.
func (c *connected) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.remote) }
