package transport

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Close may be called by what is called with a message, on the very goroutine
// that reads: it does not wait for itself, nor does anybody else who closes. What
// stands behind the message is not handed over any more.
func TestCloseFromHandle(t *testing.T) {
	for _, kind := range []string{"UDP", "TCP", "WS"} {
		t.Run(kind, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				var e *inbox
				var handled, closed atomic.Int32
				e = s.listen(&Config{Listen: []string{strings.ToLower(kind) + ":" + bobAddr},
					Handle: func(*Inbound) {
						handled.Add(1)
						if err := e.Close(); err != nil {
							t.Errorf("Close = %v", err)
						}
						<-time.After(time.Minute)
					},
					Closed: func(Flow, error) { closed.Add(1) }})
				switch kind {
				case "UDP":
					phone := s.peerSocket(s.alice, aliceAddr)
					phone.send(message(options), bobAddr)
					phone.send(message(options), bobAddr)
				case "TCP":
					s.dial(s.alice, bobAddr).send(message(options, tcpVia) + message(options, tcpVia))
				case "WS":
					browser := s.listen(&Config{Listen: []string{}, Network: s.alice})
					for range 2 {
						browser.SendRequest(background, outgoing(t), aliceAt(kind, bobAddr), "z9hG4bK1")
					}
				}
				s.wait(time.Second)
				if err := e.Close(); err != nil {
					t.Errorf("Close by another = %v", err)
				}
				s.at(time.Second)
				s.wait(time.Hour)
				if got := handled.Load(); got != 1 {
					t.Errorf("%d messages were handed over, want 1", got)
				}
				if got := closed.Load(); kind != "UDP" && got != 1 {
					t.Errorf("Closed was called %d times, want 1", got)
				}
			})
		})
	}
}

// The same for the end of a connection, be it the one that Close brings.
func TestCloseFromClosed(t *testing.T) {
	for _, how := range []string{"the peer", "Close"} {
		t.Run(how, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				var e *inbox
				var closed atomic.Int32
				e = s.listen(&Config{Closed: func(Flow, error) {
					e.Close()
					closed.Add(1)
				}})
				first, second := s.dial(s.alice, bobAddr), s.dial(s.alice, bobAddr)
				first.send(message(options, tcpVia))
				second.send(message(options, tcpVia))
				s.wait(time.Second)
				if how == "the peer" {
					first.Close()
				} else if err := e.Close(); err != nil {
					t.Errorf("Close = %v", err)
				}
				s.wait(time.Second)
				if got := closed.Load(); got != 2 {
					t.Errorf("Closed was called %d times, want twice", got)
				}
			})
		})
	}
}

// Close waits for what is read from but not with the program, and who reads on in
// the place of another is waited for.
func TestCloseWaitsForReaders(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Handle: func(in *Inbound) {
			in.Detach()
			<-time.After(time.Second)
		}})
		phone, stream := s.peerSocket(s.alice, aliceAddr), s.dial(s.alice, bobAddr)
		for range 3 {
			phone.send(message(options), bobAddr)
			stream.send(message(options, tcpVia))
		}
		s.wait(time.Minute)
		if err := e.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if got := len(e.shifts); got != 0 {
			t.Errorf("%d goroutines read after Close", got)
		}
	})
}

// A program holds a lock while it closes, and takes the same one when it is told of
// the end of a connection.
func TestCloseWithLockOfClosed(t *testing.T) {
	play(t, nil, func(s *scene) {
		lock := make(chan struct{}, 1)
		var closed atomic.Int32
		e := s.listen(&Config{Closed: func(Flow, error) {
			lock <- struct{}{}
			closed.Add(1)
			<-lock
		}})
		for range 2 {
			s.dial(s.alice, bobAddr).send(message(options, tcpVia))
		}
		s.wait(time.Second)
		lock <- struct{}{}
		if err := e.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		<-lock
		s.wait(time.Second)
		if got := closed.Load(); got != 2 {
			t.Errorf("Closed was called %d times, want twice", got)
		}
	})
}
