package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
)

// These stories have the limits in numbers, as the documentation promises them
// or as a peer meets them: whoever changes one changes what is said of it.

// closings notes when connections end, from when the story began.
func (s *scene) closings(at *[]time.Duration) func(Flow, error) {
	return func(Flow, error) { *at = append(*at, time.Since(s.began)) }
}

// A connection without traffic is kept for 10 minutes if the Config says
// nothing.
func TestIdleLimit(t *testing.T) {
	play(t, nil, func(s *scene) {
		var closed []time.Duration
		s.listen(&Config{Closed: s.closings(&closed)})
		s.dial(s.alice, bobAddr).send(message(options, tcpVia))
		s.wait(time.Hour)
		if len(closed) != 1 || closed[0] != 10*time.Minute {
			t.Errorf("closed at %v, want 10m0s", closed)
		}
	})
}

// A peer has 32 seconds to complete its first message, and each further one.
func TestMessageTimeLimit(t *testing.T) {
	play(t, nil, func(s *scene) {
		var closed []time.Duration
		e := s.listen(&Config{Closed: s.closings(&closed)})
		mute, phone := s.dial(s.alice, bobAddr), s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		s.wait(32*time.Second - time.Millisecond)
		s.tables(e, 2, 0)
		s.wait(time.Millisecond)
		s.tables(e, 1, 0)
		if !mute.isClosed() {
			t.Error("a connection without a message is open after 32 s")
		}
		s.wait(28 * time.Second)
		phone.send(options)
		s.wait(time.Hour)
		if len(closed) != 1 || closed[0] != 92*time.Second {
			t.Errorf("closed at %v, want 32 s after half a message at 60 s", closed)
		}
	})
}

// A peer that reads nothing has 10 seconds until its connection is closed.
func TestWriteTimeLimit(t *testing.T) {
	play(t, nil, func(s *scene) {
		var closed []time.Duration
		e := s.listen(&Config{Closed: s.closings(&closed)})
		s.dial(s.alice, bobAddr).send(message(options, tcpVia))
		flow := s.one(e).Flow
		big := outgoing(t).With(sip.Body{Type: "text/plain", Content: strings.Repeat("x", 60000)})
		var err error
		for err == nil {
			err = e.Send(flow, big)
		}
		if !errors.Is(err, ErrBacklog) {
			t.Fatalf("Send = %v, want ErrBacklog", err)
		}
		s.wait(time.Hour)
		if len(closed) != 1 || closed[0] != 10*time.Second {
			t.Errorf("closed at %v, want 10s", closed)
		}
	})
}

// Peers may hold 10,000 connections if the Config says nothing.
func TestConnsLimit(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{MaxConnsPerSource: 20_000}) // these are all of one
		for range 10_000 {
			take(e.Endpoint, silentConn{make(chan struct{})})
		}
		s.stats(e, Stats{})
		for range 5 {
			take(e.Endpoint, silentConn{make(chan struct{})})
		}
		s.stats(e, Stats{RefusedConns: 5})
		if got := len(e.live); got != 10_000 {
			t.Errorf("%d connections are open, want 10000", got)
		}
	})
}

// take hands a connection to an endpoint as its TCP listener does.
func take(e *Endpoint, nc net.Conn) {
	if sock := e.enter(nc); sock != nil {
		c := newConn(e, viaTCP, sock)
		c.wire = &stream{nc: sock}
		e.takeConn(c)
	}
}

// silentConn is a connection on which nothing comes until it is closed.
type silentConn struct{ closed chan struct{} }

func (c silentConn) Read([]byte) (int, error) {
	<-c.closed
	return 0, io.EOF
}

func (c silentConn) Write(b []byte) (int, error) { return len(b), nil }

func (c silentConn) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

func (c silentConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c silentConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c silentConn) SetDeadline(time.Time) error      { return nil }
func (c silentConn) SetReadDeadline(time.Time) error  { return nil }
func (c silentConn) SetWriteDeadline(time.Time) error { return nil }

// A hundred responses at a time wait for connections to peers that are gone.
func TestAnewLimit(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		in := s.one(e)
		phone.Close()
		synctest.Wait()
		s.alice.Down()
		resp := in.Message.(*sip.Request).Reply(sip.StatusOK)
		for i := range 120 {
			if err := e.Respond(in, resp); (err == nil) != (i < 100) {
				t.Fatalf("response %d: %v, want 100 to wait and no more", i+1, err)
			}
		}
	})
}

// The hosts that Vias have named are remembered up to 1024 of them, and those
// of the Config among them whatever happens.
func TestHostsLimit(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Advertise: "bob.example.com"})
		public := netip.MustParseAddrPort("203.0.113.1:5060")
		e.udp[0].public.Store(&public) // as Discover does
		e.noteHost("203.0.113.1")
		most := 0
		for i := range 5000 {
			e.noteHost(fmt.Sprintf("10.0.%d.%d", i/250, i%250))
			most = max(most, len(e.hosts))
			if !e.isSentBy(sip.Via{Host: "bob.example.com"}, Flow{}) || !e.isSentBy(sip.Via{Host: "192.0.2.2"}, Flow{}) ||
				!e.isSentBy(sip.Via{Host: "203.0.113.1"}, Flow{}) {
				t.Fatalf("after %d hosts we no longer know our own", i+1)
			}
		}
		if most != 1024 {
			t.Errorf("up to %d hosts are remembered, want 1024", most)
		}
	})
}

// Which local address leads to a peer is asked again after 30 seconds, as a
// laptop moves from one network to another.
func TestRouteAge(t *testing.T) {
	play(t, nil, func(s *scene) {
		network := &countingRoutes{Network: s.bob}
		e := s.listen(&Config{Network: network, Listen: []string{"udp:0.0.0.0:5060"}})
		for _, c := range []struct {
			after time.Duration
			asked int
		}{{0, 1}, {29 * time.Second, 1}, {2 * time.Second, 2}, {29 * time.Second, 2}} {
			s.wait(c.after)
			if _, _, err := e.Prepare(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1"); err != nil {
				t.Fatal(err)
			}
			if network.asked != c.asked {
				t.Errorf("after %v the route was asked for %d times, want %d", time.Since(s.began), network.asked, c.asked)
			}
		}
	})
}

// countingRoutes counts how often the way to a peer is asked for.
type countingRoutes struct {
	Network
	asked int
}

func (n *countingRoutes) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "udp" {
		n.asked++
	}
	return n.Network.DialContext(ctx, network, address)
}
