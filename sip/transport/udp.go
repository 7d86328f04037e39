package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// udpSocket is one bound UDP socket. It keeps nothing about peers.
type udpSocket struct {
	e     *Endpoint
	conn  packetConn
	local netip.AddrPort

	// wildcard is conn if it is bound to all of our addresses and knows which of
	// them a datagram has to do with; else nil.
	wildcard wildcardConn

	// public is the address that a STUN server has seen us at; nil: not asked.
	public atomic.Pointer[netip.AddrPort]
}

func newUDPSocket(e *Endpoint, pc net.PacketConn) *udpSocket {
	conn, ok := pc.(packetConn)
	if !ok {
		conn = plainPacketConn{pc}
	}
	// What a burst brings has to wait for the reader. The system caps it.
	if sized, ok := pc.(interface{ SetReadBuffer(int) error }); ok {
		sized.SetReadBuffer(1 << 20)
	}
	s := &udpSocket{e: e, conn: conn, local: addrPort(pc.LocalAddr())}
	if c, ok := pc.(*net.UDPConn); ok && s.local.Addr().IsUnspecified() {
		s.wildcard = newWildcardConn(c)
	}
	return s
}

func (s *udpSocket) endpoint() *Endpoint { return s.e }

func (s *udpSocket) transport() string { return "UDP" }

func (s *udpSocket) localAddr() netip.AddrPort { return s.local }

func (s *udpSocket) sendable(int) error { return nil }

func (s *udpSocket) send(text string, f Flow) error { return s.write(bytesOf(text), f) }

// write sends a datagram on a flow by this socket. From a wildcard it leaves
// from the address that the peer has sent to (RFC 3581 section 4, RFC 5626
// sections 2 and 8): a NAT lets nothing else through. Should that not be ours
// any more, another is better than none.
func (s *udpSocket) write(b []byte, f Flow) error {
	if s.wildcard != nil && f.local.IsValid() {
		err := s.wildcard.writeFrom(b, f.local, f.remote)
		if !isNotOurs(err) {
			return err
		}
		s.e.forgetRoute(f.remote.Addr())
	}
	_, err := s.conn.WriteToUDPAddrPort(b, f.remote)
	return err
}

// isNotOurs reports whether an error of writeFrom may come of the address that
// it was to leave from: Linux has EINVAL for those of IPv6, and for those of IPv4
// that there is no route.
func isNotOurs(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENETUNREACH)
}

// receive takes a datagram off the socket and returns the flow that it came by.
func (s *udpSocket) receive(b []byte) (n int, f Flow, err error) {
	f.via = s
	if s.wildcard != nil {
		n, f.local, f.remote, err = s.wildcard.readTo(b)
	} else {
		n, f.remote, err = s.conn.ReadFromUDPAddrPort(b)
	}
	f.remote = unmap(f.remote)
	return n, f, err
}

// flowTo returns the flow by which we send to a peer. For a request from a
// wildcard it has the address that leads there: it goes into the Via, and the
// responses and the requests that the peer sends there come by the same flow.
func (s *udpSocket) flowTo(ctx context.Context, peer netip.AddrPort, why purpose) (Flow, error) {
	f := Flow{via: s, remote: peer}
	if s.wildcard == nil || why != forRequest || peer.Addr().IsMulticast() {
		return f, nil
	}
	local, err := s.e.route(ctx, peer)
	if err == nil && !local.IsUnspecified() {
		f.local = local
	}
	return f, err
}

// isAt reports whether the socket is bound to an address, or to all of them and
// knows this one from the others.
func (s *udpSocket) isAt(local netip.AddrPort) bool {
	return s.local == local ||
		s.wildcard != nil && s.local.Port() == local.Port() && reaches(s.local.Addr(), local.Addr())
}
