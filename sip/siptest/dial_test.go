package siptest

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDialRefused(t *testing.T) {
	play(t, &NetworkConfig{Delay: 20 * time.Millisecond}, func(s *scene) {
		_, err := s.alice.DialContext(s.Context(), "tcp", bobAddr)
		s.opError(err, syscall.ECONNREFUSED)
		s.at(40 * time.Millisecond)
	})
}

func TestDialIntoSilence(t *testing.T) {
	play(t, &NetworkConfig{Delay: 20 * time.Millisecond}, func(s *scene) {
		const nobody = "203.0.113.9:5060"
		_, err := s.alice.DialContext(s.Context(), "tcp", nobody)
		s.opError(err, syscall.ETIMEDOUT)
		if !isTimeout(err) {
			t.Errorf("%v is no timeout", err)
		}
		s.at(dialTimeout)

		ctx, cancel := context.WithTimeout(s.Context(), time.Second)
		defer cancel()
		_, err = s.alice.DialContext(ctx, "tcp", nobody)
		s.opError(err, context.DeadlineExceeded)
		if !isTimeout(err) {
			t.Errorf("%v is no timeout", err)
		}
		s.at(dialTimeout + time.Second)

		_, err = s.alice.DialContext(ctx, "tcp", nobody) // ended before it began
		s.opError(err, context.DeadlineExceeded)

		ctx, cancel = context.WithCancel(s.Context())
		time.AfterFunc(time.Second, cancel)
		s.bob.Down()
		_, err = s.alice.DialContext(ctx, "tcp", bobAddr)
		s.opError(err, context.Canceled)
		if got := len(s.alice.ports); got != 0 {
			t.Errorf("%d ports in use after failed dials, want 0", got)
		}
	})
}

// A SYN is retransmitted: a dial across a cut path succeeds when that is mended
// in time, and a dialer who has left is not called back.
func TestDialAcrossACut(t *testing.T) {
	play(t, &NetworkConfig{Delay: time.Second}, func(s *scene) {
		l := s.listen(s.bob, bobAddr)
		s.n.Cut(s.alice, s.bob)
		time.AfterFunc(10*time.Second, func() { s.n.Mend(s.alice, s.bob) })
		ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
		defer cancel()
		_, err := s.alice.DialContext(ctx, "tcp", bobAddr)
		s.opError(err, context.DeadlineExceeded)
		if _, err := s.alice.DialContext(s.Context(), "tcp", bobAddr); err != nil {
			t.Errorf("dial: %v", err)
		}
		s.at(11 * time.Second) // SYN at the mending, SYN-ACK
		s.wait(time.Minute)
		if got := len(l.waiting); got != 1 {
			t.Errorf("%d connections wait for Accept, want 1", got)
		}
	})
}

func TestDialAddresses(t *testing.T) {
	play(t, nil, func(s *scene) {
		s.listen(s.alice, ":5060")
		var (
			addr    *net.AddrError
			dns     *net.DNSError
			unknown net.UnknownNetworkError
		)
		_, err := s.alice.DialContext(s.Context(), "tcp", "[2001:db8::2]:5060")
		s.opError(err, syscall.ENETUNREACH)
		if _, err = s.alice.DialContext(s.Context(), "tcp", "bob.example.com:5060"); !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("a name: %v, want a DNSError", err)
		}
		if _, err = s.alice.DialContext(s.Context(), "tcp", "192.0.2.2"); !errors.As(err, &addr) {
			t.Errorf("no port: %v, want an AddrError", err)
		}
		if _, err = s.alice.DialContext(s.Context(), "unix", bobAddr); !errors.As(err, &unknown) {
			t.Errorf("unix: %v, want an UnknownNetworkError", err)
		}
		c, err := s.alice.DialContext(s.Context(), "tcp", ":5060")
		if err != nil || c.RemoteAddr().String() != aliceAddr {
			t.Errorf("dial to itself = %v, %v", c, err)
		}
	})
}

func TestListen(t *testing.T) {
	play(t, nil, func(s *scene) {
		l := s.listen(s.bob, ":5061")
		if got, want := l.Addr().(*net.TCPAddr).String(), "[::]:5061"; got != want {
			t.Errorf("Addr() = %v, want %v", got, want)
		}
		_, err := s.bob.Listen(s.Context(), "tcp", "192.0.2.2:5061")
		s.opError(err, syscall.EADDRINUSE)
		_, err = s.bob.Listen(s.Context(), "tcp", aliceAddr)
		s.opError(err, syscall.EADDRNOTAVAIL)
		var unknown net.UnknownNetworkError
		if _, err = s.bob.Listen(s.Context(), "udp", bobAddr); !errors.As(err, &unknown) {
			t.Errorf("udp: %v, want an UnknownNetworkError", err)
		}
		s.socket(s.bob, ":5061") // the ports of UDP are others

		// A listener for both families shows IPv4 as IPv4-mapped.
		if _, err := s.alice.DialContext(s.Context(), "tcp", "192.0.2.2:5061"); err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := c.RemoteAddr().(*net.TCPAddr).AddrPort().String(), "[::ffff:192.0.2.1]:49152"; got != want {
			t.Errorf("accepted from %v, want %v", got, want)
		}
	})
}

func TestListenerClose(t *testing.T) {
	play(t, nil, func(s *scene) {
		l := s.listen(s.bob, bobAddr)
		accepted, err := s.alice.DialContext(s.Context(), "tcp", bobAddr)
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		errs := make(chan error)
		go func() { // ends when l is closed
			_, err := l.Accept()
			errs <- err
		}()
		synctest.Wait()
		l.Close()
		s.opError(<-errs, net.ErrClosed)
		s.opError(l.Close(), net.ErrClosed)

		_, err = s.alice.DialContext(s.Context(), "tcp", bobAddr)
		s.opError(err, syscall.ECONNREFUSED)
		s.write(accepted.(*conn), "still there")
		s.read(far.(*conn), "still there")
		s.listen(s.bob, bobAddr) // as the port is free
	})
}

// Connections that nobody accepts are reset: those beyond the backlog, and
// those that wait when the listener is closed, or closes while they open.
func TestConnectionsNobodyAccepts(t *testing.T) {
	play(t, nil, func(s *scene) {
		l := s.listen(s.bob, bobAddr)
		var conns []*conn
		for range backlog + 1 {
			c, err := s.alice.DialContext(s.Context(), "tcp", bobAddr)
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c.(*conn))
		}
		s.ends(conns[backlog], syscall.ECONNRESET)
		s.write(conns[0], "waiting")
		l.Close()
		s.ends(conns[0], syscall.ECONNRESET)
		if got := len(s.bob.conns); got != 0 {
			t.Errorf("the listener's host has %d connections, want 0", got)
		}
	})
	play(t, &NetworkConfig{Delay: time.Second}, func(s *scene) {
		l := s.listen(s.bob, bobAddr)
		time.AfterFunc(1500*time.Millisecond, func() { l.Close() })
		c, err := s.alice.DialContext(s.Context(), "tcp", bobAddr)
		if err != nil {
			t.Fatal(err)
		}
		s.ends(c.(*conn), syscall.ECONNRESET)
		s.at(4 * time.Second)
		if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
			t.Errorf("write: %v, want ECONNRESET", err)
		}
	})
}
