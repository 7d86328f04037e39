package stun_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/nat/stun"
	"github.com/goparley/parley/sip/siptest"
)

var serverAddr = netip.MustParseAddrPort("192.0.2.10:3478")

// play runs a story with a phone's socket and a server's.
func play(t *testing.T, config *siptest.NetworkConfig, story func(t *testing.T, n *siptest.Network, phone, server net.PacketConn)) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(config)
		open := func(host, address string) net.PacketConn {
			pc, err := n.Host(host).ListenPacket(t.Context(), "udp", address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { pc.Close() })
			return pc
		}
		story(t, n, open("192.0.2.1", "192.0.2.1:5060"), open("192.0.2.10", ":3478"))
	})
}

// serve answers until the socket is closed.
func serve(pc net.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := pc.ReadFrom(b)
		if err != nil {
			return
		}
		if answer := stun.Respond(b[:n], from.(*net.UDPAddr).AddrPort()); answer != nil {
			pc.WriteTo(answer, from)
		}
	}
}

// The first two requests are lost, and strangers talk in between.
func TestDiscover(t *testing.T) {
	play(t, &siptest.NetworkConfig{Delay: 20 * time.Millisecond}, func(t *testing.T, n *siptest.Network, phone, server net.PacketConn) {
		go serve(server) // ends when the socket is closed
		stranger, err := n.Host("198.51.100.1").ListenPacket(t.Context(), "udp", ":3478")
		if err != nil {
			t.Fatal(err)
		}
		requests := 0
		n.SetFilter(func(p siptest.Packet) siptest.Verdict {
			if p.To != serverAddr {
				return siptest.Verdict{}
			}
			requests++
			return siptest.Verdict{Drop: requests <= 2}
		})
		stranger.WriteTo(stun.Respond(stun.NewBinding(serverAddr).Request(), serverAddr), phone.LocalAddr())
		stranger.WriteTo([]byte("OPTIONS sip:phone SIP/2.0\r\n\r\n"), phone.LocalAddr())

		began := time.Now()
		mapped, err := stun.Discover(t.Context(), phone, serverAddr)
		if mapped.String() != "192.0.2.1:5060" || err != nil {
			t.Errorf("Discover() = %v, %v, want 192.0.2.1:5060", mapped, err)
		}
		if got, want := time.Since(began), 1540*time.Millisecond; got != want || requests != 3 {
			t.Errorf("took %v and %d requests, want %v and 3", got, requests, want)
		}

		// The socket has no deadline left.
		time.AfterFunc(time.Hour, func() { server.WriteTo([]byte("hello"), phone.LocalAddr()) })
		if _, _, err := phone.ReadFrom(make([]byte, 10)); err != nil {
			t.Errorf("the next read: %v", err)
		}
	})
}

func TestDiscoverGivesUp(t *testing.T) {
	play(t, nil, func(t *testing.T, n *siptest.Network, phone, server net.PacketConn) {
		began := time.Now()
		if _, err := stun.Discover(t.Context(), phone, serverAddr); !errors.Is(err, stun.ErrTimeout) {
			t.Errorf("Discover() = %v, want ErrTimeout", err)
		}
		if got, want := time.Since(began), 39500*time.Millisecond; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
	})
}

func TestDiscoverEndsWithItsContext(t *testing.T) {
	play(t, nil, func(t *testing.T, n *siptest.Network, phone, server net.PacketConn) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		for _, want := range []time.Duration{2 * time.Second, 0} { // the second has ended before it begins
			_, err := stun.Discover(ctx, phone, serverAddr)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Discover() = %v, want the context's error", err)
			}
			if got := time.Since(began); got != want {
				t.Errorf("took %v, want %v", got, want)
			}
			began = time.Now()
		}
		time.AfterFunc(time.Second, func() { server.WriteTo([]byte("hello"), phone.LocalAddr()) })
		if _, _, err := phone.ReadFrom(make([]byte, 10)); err != nil {
			t.Errorf("the next read: %v", err)
		}
	})
}

func TestDiscoverOnAClosedSocket(t *testing.T) {
	play(t, nil, func(t *testing.T, n *siptest.Network, phone, server net.PacketConn) {
		time.AfterFunc(time.Second, func() { phone.Close() })
		if _, err := stun.Discover(t.Context(), phone, serverAddr); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Discover() = %v, want net.ErrClosed", err)
		}
	})
	play(t, nil, func(t *testing.T, n *siptest.Network, phone, server net.PacketConn) {
		if _, err := stun.Discover(t.Context(), phone, netip.MustParseAddrPort("[2001:db8::1]:3478")); err == nil {
			t.Error("Discover() of another family succeeds")
		}
	})
}

// The same over the sockets of this machine, in both families.
func TestDiscoverOnRealSockets(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		server, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Logf("no sockets at %s: %v", address, err)
			continue
		}
		defer server.Close()
		phone, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer phone.Close()
		go serve(server) // ends when the socket is closed
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		mapped, err := stun.Discover(ctx, phone, server.LocalAddr().(*net.UDPAddr).AddrPort())
		if want := phone.LocalAddr().String(); mapped.String() != want || err != nil {
			t.Errorf("Discover() = %v, %v, want %v", mapped, err, want)
		}
	}
}
