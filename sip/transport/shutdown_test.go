package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Shutdown takes no new connections, and leave of those that are there, each as
// its transport does: that is not the end of a stream cut off.
func TestShutdown(t *testing.T) {
	for kind, want := range map[string]string{
		"TCP": "EOF", "TLS": "EOF", "WS": "1001", "WSS": "1001",
	} {
		t.Run(kind, func(t *testing.T) {
			play(t, &siptest.NetworkConfig{Delay: 10 * time.Millisecond}, func(s *scene) {
				server, client := s.secure()
				ended, gone := &deaths{s: s}, &deaths{s: s}
				e := s.listen(&Config{Listen: []string{strings.ToLower(kind) + ":" + bobAddr, "udp:" + bobAddr}, TLS: server, Closed: ended.closed})
				phone := s.listen(&Config{Listen: []string{}, Network: s.alice, TLS: client, Closed: gone.closed})
				if _, _, err := phone.SendRequest(background, outgoing(t), aliceAt(kind, bobAddr), "z9hG4bK1"); err != nil {
					t.Fatal(err)
				}
				s.wait(time.Second)
				s.one(e)
				before := time.Now()
				if err := e.Shutdown(background); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				if took := time.Since(before); took > 100*time.Millisecond {
					t.Errorf("Shutdown took %v", took)
				}
				s.wait(time.Second)
				ended.want(ErrClosed)
				if got := gone.all(); len(got) != 1 || errors.Is(got[0], io.ErrUnexpectedEOF) || !strings.Contains(got[0].Error(), want) {
					t.Errorf("the peer was told %v, want %s", got, want)
				}
				if _, _, err := phone.SendRequest(background, outgoing(t), aliceAt(kind, bobAddr), "z9hG4bK2"); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("a connection after Shutdown: %v, want ECONNREFUSED", err)
				}
			})
		})
	}
}

// What is queued is written out before the connection ends, also to a peer that
// is slow to read it.
func TestShutdownWritesOut(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		flow := s.one(e).Flow
		var sent strings.Builder
		for range 10 {
			m := outgoing(t).With(sip.Body{Type: "text/plain", Content: strings.Repeat("x", 60000)})
			sent.WriteString(m.String())
			if err := e.Send(flow, m); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error)
		go func() { done <- e.Shutdown(background) }() // ends when all is read
		var got strings.Builder
		for got.Len() < sent.Len() {
			s.wait(5 * time.Second)
			text := phone.receive()
			if text == "" {
				break
			}
			got.WriteString(text)
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if got.String() != sent.String() {
			t.Errorf("%d bytes arrived, want all %d", got.Len(), sent.Len())
		}
		if !phone.isClosed() {
			t.Error("the connection is open after Shutdown")
		}
	})
}

// A peer that does not read is given up when ctx ends. Others have got
// everything by then.
func TestShutdownGivesUp(t *testing.T) {
	for _, kind := range []string{"TCP", "TLS", "WS", "WSS"} {
		t.Run(kind, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				server, client := s.secure()
				e := s.listen(&Config{Listen: []string{strings.ToLower(kind) + ":" + bobAddr, "tcp:192.0.2.2:5070"}, TLS: server})
				wait := make(chan struct{})
				deaf := s.listen(&Config{Listen: []string{}, Network: s.alice, TLS: client, Handle: func(*Inbound) { <-wait }})
				if _, _, err := deaf.SendRequest(background, outgoing(t), aliceAt(kind, bobAddr), "z9hG4bK1"); err != nil {
					t.Fatal(err)
				}
				flow := s.one(e).Flow
				phone := s.dial(s.alice, "192.0.2.2:5070")
				phone.send(message(options, tcpVia))
				to := s.one(e).Flow
				big := outgoing(t).With(sip.Body{Type: "text/plain", Content: strings.Repeat("x", 60000)})
				for range 10 {
					out, err := e.PrepareOn(background, big, flow, "z9hG4bK1")
					if err == nil {
						err = e.Send(flow, out)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				e.Send(to, outgoing(t))
				s.began = time.Now()
				ctx, cancel := context.WithTimeout(background, 3*time.Second)
				defer cancel()
				if err := e.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Shutdown = %v, want DeadlineExceeded", err)
				}
				s.at(3 * time.Second)
				s.contains(phone.receive(), options)
				close(wait)
			})
		})
	}
	// With a ctx that has ended it is Close, and a peer that is not there any
	// more takes no time.
	play(t, nil, func(s *scene) {
		server, client := s.secure()
		e := s.listen(&Config{Listen: []string{"wss:" + bobAddr}, TLS: server})
		phone := s.listen(&Config{Listen: []string{}, Network: s.alice, TLS: client})
		if _, _, err := phone.SendRequest(background, outgoing(t), aliceAt("WSS", bobAddr), "z9hG4bK1"); err != nil {
			t.Fatal(err)
		}
		s.one(e)
		s.alice.Down()
		ctx, cancel := context.WithCancel(background)
		cancel()
		e.Shutdown(ctx)
		s.at(0)
	})
}

// While Shutdown waits, messages are handed over and can be answered: a request
// that comes now gets what the program says, such as the 503 of package
// transaction. After it Receive ends.
func TestReceiveDuringShutdown(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.receiver()
		var got []string
		ended := make(chan error)
		go func() { // ends when the endpoint is closed
			for in, err := range e.Receive(background) {
				if err != nil {
					ended <- err
					return
				}
				if r, ok := in.Message.(*sip.Request); ok {
					got = append(got, in.Flow.Transport())
					e.Respond(in, r.Reply(sip.StatusServiceUnavailable))
				}
			}
		}()
		slow, phone, alice := s.dial(s.alice, bobAddr), s.dial(s.alice, bobAddr), s.peerSocket(s.alice, aliceAddr)
		slow.send(message(options, tcpVia))
		synctest.Wait()
		e.mu.Lock()
		var flow Flow
		for c := range e.live {
			if c.remote == addrPort(slow.LocalAddr()) {
				flow = c.flow()
			}
		}
		e.mu.Unlock()
		for range 5 {
			e.Send(flow, outgoing(t).With(sip.Body{Type: "text/plain", Content: strings.Repeat("x", 60000)}))
		}
		done := make(chan error)
		go func() { done <- e.Shutdown(background) }() // ends when slow has read
		s.wait(time.Second)
		alice.send(message(options), bobAddr)
		text, _ := alice.receive()
		s.contains(text, "SIP/2.0 503 ")
		phone.send(message(options, tcpVia))
		s.contains(phone.receive(), "SIP/2.0 503 ")
		if c, err := s.alice.DialContext(background, "tcp", bobAddr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a new connection: %v, %v, want ECONNREFUSED", c, err)
		}
		for !slow.isClosed() {
			slow.receive()
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("Receive ended with %v, want ErrClosed", err)
		}
		if len(got) != 3 {
			t.Errorf("requests came by %v, want TCP, UDP and TCP", got)
		}
	})
}

// Shutdown and Close may be called by anybody at any time, and again.
func TestShutdownByMany(t *testing.T) {
	play(t, nil, func(s *scene) {
		server, client := s.secure()
		closed := &deaths{s: s}
		e := s.listen(&Config{Listen: []string{"udp:" + bobAddr, "tcp:" + bobAddr, "wss:192.0.2.2:443"}, TLS: server, Closed: closed.closed})
		phone := s.listen(&Config{Listen: []string{}, Network: s.alice, TLS: client})
		for kind, addr := range map[string]string{"TCP": bobAddr, "WSS": "192.0.2.2:443"} {
			if _, _, err := phone.SendRequest(background, outgoing(t), aliceAt(kind, addr), "z9hG4bK1"); err != nil {
				t.Fatal(err)
			}
		}
		e.take()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				end := e.Close
				if i < 8 {
					end = func() error { return e.Shutdown(background) }
				}
				if err := end(); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Errorf("%d: %v", i, err)
				} else if err != nil {
					t.Errorf("%d: %v, want nothing of what another has closed", i, err)
				}
			})
		}
		all.Wait()
		if got := closed.all(); len(got) != 2 {
			t.Errorf("Closed was called %d times, want twice", len(got))
		}
		for range 2 {
			if err := errors.Join(e.Shutdown(background), e.Close()); err != nil {
				t.Errorf("again: %v", err)
			}
		}
		if err := e.Send(Flow{via: e.udp[0], remote: target("UDP", aliceAddr).Addr}, outgoing(t)); !errors.Is(err, ErrClosed) {
			t.Errorf("Send = %v, want ErrClosed", err)
		}
	})
}

// A handshake that goes on when Shutdown begins is cut off, and nobody waits.
func TestShutdownWithHandshakes(t *testing.T) {
	play(t, nil, func(s *scene) {
		server, _ := s.secure()
		e := s.listen(&Config{Listen: []string{"tls:" + bobAddr, "wss:192.0.2.2:443", "ws:192.0.2.2:80"}, TLS: server})
		var half []*peerStream
		for _, addr := range []string{bobAddr, "192.0.2.2:443", "192.0.2.2:80"} {
			half = append(half, s.dial(s.alice, addr))
			s.dial(s.alice, addr).send("\x16\x03")
		}
		s.wait(time.Second)
		before := time.Now()
		if err := e.Shutdown(background); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(before); took != 0 {
			t.Errorf("Shutdown took %v", took)
		}
		for i, c := range half {
			if !c.isClosed() {
				t.Errorf("connection %d is open after Shutdown", i+1)
			}
		}
		if e.caused != 0 {
			t.Errorf("%d connections are counted when there are none", e.caused)
		}
	})
}
