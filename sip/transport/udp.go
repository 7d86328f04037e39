package transport

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"time"
	"unsafe"
)

// udpSocket is one bound UDP socket. It keeps nothing about peers.
type udpSocket struct {
	e     *Endpoint
	conn  packetConn
	local netip.AddrPort
}

func newUDPSocket(e *Endpoint, pc net.PacketConn) *udpSocket {
	conn, ok := pc.(packetConn)
	if !ok {
		conn = plainPacketConn{pc}
	}
	return &udpSocket{e: e, conn: conn, local: addrPort(pc.LocalAddr())}
}

func (s *udpSocket) transport() string { return "UDP" }

func (s *udpSocket) localAddr() netip.AddrPort { return s.local }

func (s *udpSocket) sendable(int) error { return nil }

func (s *udpSocket) send(text string, to netip.AddrPort) error {
	// The bytes are only read: a write does not keep or change them.
	_, err := s.conn.WriteToUDPAddrPort(unsafe.Slice(unsafe.StringData(text), len(text)), to)
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
		s.e.datagram(Flow{s, unmap(from)}, buf[:n])
	}
}
