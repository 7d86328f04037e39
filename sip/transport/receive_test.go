package transport

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
)

// receiver is an endpoint without a Handle.
func (s *scene) receiver() *Endpoint {
	s.Helper()
	e, err := Listen(&Config{Listen: []string{"udp:" + bobAddr, "tcp:" + bobAddr}, Network: s.bob})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { e.Close() })
	return e
}

// Receive runs on several goroutines; each message goes to one of them.
func TestReceive(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.receiver()
		var mu sync.Mutex
		seen := map[string]int{}
		errs := make(chan error, 4)
		for range 4 {
			go func() { // ends when the endpoint is closed
				for in, err := range e.Receive(background) {
					if err != nil {
						errs <- err
						continue
					}
					mu.Lock()
					seen[in.Message.CallID()]++
					mu.Unlock()
					e.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK))
				}
			}()
		}
		alice := s.peerSocket(s.alice, aliceAddr)
		for i := range 100 {
			alice.send(message(options, "Call-ID: "+strings.Repeat("x", i+1)), bobAddr)
			if text, _ := alice.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
				t.Fatalf("answered %q", text)
			}
		}
		e.Close()
		for range 4 {
			if err := <-errs; !errors.Is(err, ErrClosed) {
				t.Errorf("Receive ended with %v, want ErrClosed", err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s was received %d times", id, n)
			}
		}
		if len(seen) != 100 {
			t.Errorf("%d messages were received, want 100", len(seen))
		}
	})
}

func TestReceiveEnds(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.receiver()
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		n := 0
		for in, err := range e.Receive(ctx) {
			if n++; in != nil || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Receive yielded %v, %v, want DeadlineExceeded", in, err)
			}
		}
		if n != 1 {
			t.Errorf("Receive yielded %d times, want once", n)
		}
		alice := s.peerSocket(s.alice, aliceAddr)
		alice.send(message(options), bobAddr)
		alice.send(message(options), bobAddr)
		for range e.Receive(background) {
			break // the next one stays for the next to ask
		}
		for in, err := range e.Receive(background) {
			if in == nil || err != nil {
				t.Errorf("Receive yielded %v, %v, want a message", in, err)
			}
			break
		}
	})
}

// While nobody receives, the endpoint holds a few messages. A connection is
// read no further; Close does not mind.
func TestNobodyReceives(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.receiver()
		alice, phone := s.peerSocket(s.alice, aliceAddr), s.dial(s.alice, bobAddr)
		for range 150 {
			alice.send(message(options), bobAddr)
			phone.send(message(options, tcpVia))
		}
		synctest.Wait()
		if got, want := e.Stats().Received, uint64(66); got != want {
			t.Errorf("%d messages were taken, want %d: 64 that wait, and one from each socket", got, want)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A panic in Handle costs the message that caused it, and is logged with it.
func TestPanicInHandle(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Handle: func(in *Inbound) {
			if in.Message.CallID() == "bad" {
				panic("a bug")
			}
			ok(&e)(in)
		}})
		alice, phone := s.peerSocket(s.alice, aliceAddr), s.dial(s.alice, bobAddr)
		alice.send(message(options, "Call-ID: bad"), bobAddr)
		alice.send(message(options), bobAddr)
		if text, _ := alice.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
			t.Errorf("after a panic, a request by UDP is answered with %q", text)
		}
		phone.send(message(options, tcpVia, "Call-ID: bad") + message(options, tcpVia))
		if text := phone.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
			t.Errorf("after a panic, a request by TCP is answered with %q", text)
		}
		if got := s.log.String(); strings.Count(got, "a bug") != 2 || !strings.Contains(got, "Call-ID: bad") {
			t.Errorf("logged %q, want two panics with their messages", got)
		}
	})
}
