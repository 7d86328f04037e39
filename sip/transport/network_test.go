package transport

import (
	"context"
	"net"
	"strings"
	"testing"
)

// A Network whose addresses are none of IP cannot stand in a Via. Listen says
// so, and gives the socket back.
func TestNetworkWithOtherAddresses(t *testing.T) {
	play(t, nil, func(s *scene) {
		for _, l := range []string{"udp:" + bobAddr, "tcp:" + bobAddr} {
			_, err := Listen(&Config{Network: pipes{s.bob}, Listen: []string{l}})
			if err == nil || !strings.Contains(err.Error(), "transport: listen on "+l) ||
				!strings.Contains(err.Error(), "has bound pipe 1, a transport.pipeAddr: want a *net.UDPAddr or a *net.TCPAddr") {
				t.Errorf("Listen on %s: %v, want what is wrong with the address", l, err)
			}
		}
		s.listen(nil) // the addresses are free

		// Nor can that of a connection.
		s.accept(s.alice, aliceAddr)
		e := s.listen(&Config{Network: pipes{s.bob}, Listen: []string{}})
		if _, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1"); err == nil || !strings.Contains(err.Error(), "no local IP address towards 192.0.2.1") {
			t.Errorf("SendRequest = %v, want what is wrong with the connection", err)
		}
	})
}

// pipes is a network with addresses of its own kind.
type pipes struct{ Network }

type pipeAddr int

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe 1" }

func (n pipes) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	pc, err := n.Network.ListenPacket(ctx, network, address)
	return pipeSocket{pc}, err
}

func (n pipes) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	ln, err := n.Network.Listen(ctx, network, address)
	return pipeListener{ln}, err
}

func (n pipes) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := n.Network.DialContext(ctx, network, address)
	return pipeConn{nc}, err
}

type pipeSocket struct{ net.PacketConn }

func (pipeSocket) LocalAddr() net.Addr { return pipeAddr(1) }

type pipeListener struct{ net.Listener }

func (pipeListener) Addr() net.Addr { return pipeAddr(1) }

type pipeConn struct{ net.Conn }

func (pipeConn) LocalAddr() net.Addr { return pipeAddr(1) }
