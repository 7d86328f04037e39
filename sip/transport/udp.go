package transport

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/nat/stun"
)

// udpSocket is one bound UDP socket. It keeps nothing about peers.
type udpSocket struct {
	e     *Endpoint
	conn  packetConn
	local netip.AddrPort

	// public is the address that a STUN server has seen us at; nil: not asked.
	public atomic.Pointer[netip.AddrPort]

	stamped []byte // room for a datagram that is stamped; the reading goroutine's
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
	return &udpSocket{e: e, conn: conn, local: addrPort(pc.LocalAddr())}
}

func (s *udpSocket) endpoint() *Endpoint { return s.e }

func (s *udpSocket) transport() string { return "UDP" }

func (s *udpSocket) localAddr() netip.AddrPort { return s.local }

func (s *udpSocket) sendable(int) error { return nil }

func (s *udpSocket) send(text string, to netip.AddrPort) error {
	_, err := s.conn.WriteToUDPAddrPort(bytesOf(text), to)
	return err
}

// read takes datagrams off the socket until it is closed.
func (s *udpSocket) read() {
	buf := make([]byte, 65536)
	for failures := 0; ; {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// An error of one datagram, such as an ICMP message that some
			// systems report here. Should it stay, it must not spin.
			if failures++; failures > 10 {
				select {
				case <-s.e.ctx.Done():
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
			continue
		}
		failures = 0
		// An empty datagram, or line ends alone, keeps a binding of a NAT
		// alive and asks for nothing.
		if len(bytes.Trim(buf[:n], "\r\n\x00")) == 0 {
			continue
		}
		from, now := unmap(from), time.Now()
		switch {
		case !s.e.rate.allow(from.Addr(), now.Sub(s.e.began)):
			s.e.count.limited.Add(1)
		case stun.IsMessage(buf[:n]):
			s.stun(buf[:n], from)
		default:
			s.datagram(buf[:n], from, now)
		}
	}
}
