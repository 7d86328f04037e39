package siptest

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDatagramIsDeliveredAtOnce(t *testing.T) {
	play(t, nil, func(s *scene) {
		a, b := s.socket(s.alice, "192.0.2.1:5060"), s.socket(s.bob, "0.0.0.0:5060")
		s.send(a, "OPTIONS", bobAddr)
		if got, want := s.receive(b, "OPTIONS"), netip.MustParseAddrPort(aliceAddr); got != want {
			t.Errorf("from %v, want %v", got, want)
		}
		s.send(b, "200", aliceAddr)
		if got, want := s.receive(a, "200"), netip.MustParseAddrPort(bobAddr); got != want {
			t.Errorf("from a socket bound to all: %v, want %v", got, want)
		}
		s.at(0)
	})
}

func TestDatagramsThroughNetInterfaces(t *testing.T) {
	play(t, &NetworkConfig{Delay: 5 * time.Millisecond}, func(s *scene) {
		var a, b net.PacketConn = s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		if n, err := a.WriteTo([]byte("ping"), b.LocalAddr()); n != 4 || err != nil {
			t.Fatalf("WriteTo = %d, %v", n, err)
		}
		buf := make([]byte, 10)
		n, from, err := b.ReadFrom(buf)
		if err != nil || string(buf[:n]) != "ping" || from.String() != aliceAddr {
			t.Errorf("ReadFrom = %q, %v, %v, want ping from %v", buf[:n], from, err, aliceAddr)
		}
		s.at(5 * time.Millisecond)
		_, err = a.WriteTo(nil, &net.TCPAddr{})
		s.opError(err, syscall.EINVAL)
	})
}

func TestDatagramSizes(t *testing.T) {
	play(t, nil, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)

		s.send(a, "", bobAddr)
		s.receive(b, "")

		s.send(a, "INVITE", bobAddr)
		s.send(a, "next", bobAddr)
		short := make([]byte, 3)
		if n, _, err := b.ReadFromUDPAddrPort(short); string(short[:n]) != "INV" || err != nil {
			t.Errorf("short read = %q, %v, want INV", short[:n], err)
		}
		s.receive(b, "next") // the rest of the first is gone

		large := strings.Repeat("x", 65507)
		s.send(a, large, bobAddr)
		buf := make([]byte, 1<<16)
		if n, _, err := b.ReadFromUDPAddrPort(buf); n != len(large) || err != nil {
			t.Errorf("largest read = %d, %v, want %d", n, err, len(large))
		}
		_, err := a.WriteToUDPAddrPort(make([]byte, 65508), netip.MustParseAddrPort(bobAddr))
		s.opError(err, syscall.EMSGSIZE)
	})
}

func TestDatagramNobodyTakes(t *testing.T) {
	play(t, nil, func(s *scene) {
		a := s.socket(s.alice, aliceAddr)
		s.send(a, "nobody listens", bobAddr)
		s.send(a, "no such host", "203.0.113.9:5060")
		if got, want := s.n.Stats(), (Stats{Sent: 2, Unclaimed: 2}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
		_, err := a.WriteToUDPAddrPort(nil, netip.MustParseAddrPort("[2001:db8::2]:5060"))
		s.opError(err, syscall.ENETUNREACH)
		_, err = a.WriteToUDPAddrPort(nil, netip.MustParseAddrPort("192.0.2.2:0"))
		s.opError(err, syscall.EINVAL)
		_, err = a.WriteToUDPAddrPort(nil, netip.AddrPort{})
		s.opError(err, syscall.EINVAL)
	})
}

func TestFullQueueDrops(t *testing.T) {
	play(t, &NetworkConfig{Queue: 2}, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		for _, text := range []string{"1", "2", "3", "4"} {
			s.send(a, text, bobAddr)
		}
		s.receive(b, "1")
		s.receive(b, "2")
		s.silence(b, time.Second)
		if got, want := s.n.Stats(), (Stats{Sent: 4, Delivered: 2, Overflowed: 2}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
	})
}

func TestReadDeadline(t *testing.T) {
	play(t, &NetworkConfig{Delay: time.Second}, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		b.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		s.send(a, "late", bobAddr)
		_, _, err := b.ReadFromUDPAddrPort(nil)
		s.opError(err, os.ErrDeadlineExceeded)
		if !isTimeout(err) {
			t.Errorf("%v is no timeout", err)
		}
		s.at(500 * time.Millisecond)

		// A deadline moved while a reader waits holds for that reader.
		b.SetDeadline(time.Time{})
		time.AfterFunc(100*time.Millisecond, func() { b.SetReadDeadline(time.Now()) })
		_, _, err = b.ReadFromUDPAddrPort(nil)
		s.opError(err, os.ErrDeadlineExceeded)
		s.at(600 * time.Millisecond)

		b.SetReadDeadline(time.Now().Add(time.Minute))
		s.receive(b, "late")
		s.at(time.Second)

		a.SetWriteDeadline(time.Now())
		_, err = a.WriteToUDPAddrPort(nil, netip.MustParseAddrPort(bobAddr))
		s.opError(err, os.ErrDeadlineExceeded)
	})
}

func TestCloseWakesReaders(t *testing.T) {
	play(t, nil, func(s *scene) {
		b := s.socket(s.bob, bobAddr)
		errs := make(chan error)
		for range 2 {
			go func() { // ends when b is closed
				_, _, err := b.ReadFromUDPAddrPort(nil)
				errs <- err
			}()
		}
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		s.opError(<-errs, net.ErrClosed)
		s.opError(<-errs, net.ErrClosed)
		s.opError(b.Close(), net.ErrClosed)
		_, err := b.WriteToUDPAddrPort(nil, netip.MustParseAddrPort(aliceAddr))
		s.opError(err, net.ErrClosed)
		s.opError(b.SetDeadline(time.Time{}), net.ErrClosed)

		s.socket(s.bob, bobAddr) // the port is free again
	})
}

func TestLocalAddresses(t *testing.T) {
	n := NewNetwork(nil)
	four, six := n.Host("192.0.2.1"), n.Host("2001:db8::1")
	for _, tt := range []struct {
		host             *Host
		network, address string
		want             string
		err              error
	}{
		{four, "udp", "192.0.2.1:5060", "192.0.2.1:5060", nil},
		{four, "udp", "0.0.0.0:5061", "0.0.0.0:5061", nil},
		{four, "udp", ":5062", "[::]:5062", nil},
		{four, "udp4", ":5063", "0.0.0.0:5063", nil},
		{four, "udp", "192.0.2.1:0", "192.0.2.1:49152", nil},
		{four, "udp", ":0", "[::]:49153", nil},
		{four, "udp", ":5060", "", syscall.EADDRINUSE},
		{four, "udp", "192.0.2.1:5061", "", syscall.EADDRINUSE},
		{four, "udp", "192.0.2.2:5070", "", syscall.EADDRNOTAVAIL},
		{six, "udp", "[2001:db8::1]:5060", "[2001:db8::1]:5060", nil},
		{six, "udp6", "[::]:5061", "[::]:5061", nil},
		{six, "udp", "0.0.0.0:5070", "", syscall.EADDRNOTAVAIL},
	} {
		pc, err := tt.host.ListenPacket(t.Context(), tt.network, tt.address)
		if tt.err != nil {
			if !errors.Is(err, tt.err) {
				t.Errorf("ListenPacket(%s, %s) = %v, want %v", tt.network, tt.address, err, tt.err)
			}
			continue
		}
		if err != nil || pc.LocalAddr().String() != tt.want {
			t.Errorf("ListenPacket(%s, %s) = %v, %v, want %v", tt.network, tt.address, pc, err, tt.want)
		}
	}

	var (
		addr *net.AddrError
		dns  *net.DNSError
		op   *net.OpError
	)
	if _, err := four.ListenPacket(t.Context(), "udp", "alice.example.com:5060"); !errors.As(err, &dns) || !errors.As(err, &op) {
		t.Errorf("a name: %v, want a DNSError in an OpError", err)
	}
	for _, address := range []string{"192.0.2.1", "192.0.2.1:sip", "192.0.2.1:65536", "192.0.2.1:-1"} {
		if _, err := four.ListenPacket(t.Context(), "udp", address); !errors.As(err, &addr) || !errors.As(err, &op) {
			t.Errorf("ListenPacket(%s) = %v, want an AddrError in an OpError", address, err)
		}
	}
	if _, err := four.ListenPacket(t.Context(), "udp6", ":5080"); !errors.As(err, &addr) {
		t.Errorf("udp6 on an IPv4 host: %v, want an AddrError", err)
	}
	var unknown net.UnknownNetworkError
	if _, err := four.ListenPacket(t.Context(), "unixgram", "x"); !errors.As(err, &unknown) {
		t.Errorf("unixgram: %v, want an UnknownNetworkError", err)
	}
}

func TestFreePortsRunOut(t *testing.T) {
	h := NewNetwork(nil).Host("192.0.2.1")
	for range 1<<16 - firstFree {
		if _, err := h.ListenPacket(t.Context(), "udp", ":0"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.ListenPacket(t.Context(), "udp", ":0"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("one port too many: %v, want EADDRINUSE", err)
	}
}

// A socket that takes both families shows IPv4 peers as IPv4-mapped, and takes
// such an address to write to.
func TestDualStackSocket(t *testing.T) {
	play(t, nil, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, ":5060")
		s.send(a, "OPTIONS", bobAddr)
		from := s.receive(b, "OPTIONS")
		if want := netip.MustParseAddrPort("[::ffff:192.0.2.1]:5060"); from != want {
			t.Errorf("from %v, want %v", from, want)
		}
		s.send(b, "200", from.String())
		s.receive(a, "200")
	})
}

func TestIPv6(t *testing.T) {
	play(t, nil, func(s *scene) {
		a, b := s.socket(s.n.Host("2001:db8::1"), ":5060"), s.socket(s.n.Host("2001:db8::2"), ":5060")
		s.send(a, "OPTIONS", "[2001:db8::2]:5060")
		if got, want := s.receive(b, "OPTIONS"), netip.MustParseAddrPort("[2001:db8::1]:5060"); got != want {
			t.Errorf("from %v, want %v", got, want)
		}
	})
}

// The writer may use its buffer again at once, and large datagrams do not
// disturb small ones that use their memory.
func TestDatagramsAreCopies(t *testing.T) {
	play(t, &NetworkConfig{Delay: time.Millisecond}, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		buf := []byte("first")
		a.WriteTo(buf, b.LocalAddr())
		copy(buf, "later")
		s.receive(b, "first")
		for i := range 3 {
			want := bytes.Repeat([]byte{byte('a' + i)}, 1000-i*400)
			s.send(a, string(want), bobAddr)
			s.receive(b, string(want))
		}
	})
}
