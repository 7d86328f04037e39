package transport

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever detaches a message may keep its goroutine: the socket is read by
// another one, in the order of arrival, and Close does not wait for the first.
// What ends its goroutine instead ends nothing else.
func TestDetach(t *testing.T) {
	play(t, nil, func(s *scene) {
		var order []string
		release, left := make(chan struct{}), make(chan struct{})
		e := s.listen(&Config{Handle: func(in *Inbound) {
			id := in.Message.CallID()
			order = append(order, id)
			switch id {
			case "stays":
				in.Detach()
				in.Detach() // once is enough
				<-release
				in.Detach()
				close(left)
			case "exits":
				runtime.Goexit()
			case "returns":
				defer in.Detach() // too early to matter
			}
		}})
		phone := s.peerSocket(s.alice, aliceAddr)
		for _, id := range []string{"exits", "stays", "returns", "exits", "last"} {
			phone.send(message(options, "Call-ID: "+id), bobAddr)
		}
		synctest.Wait()
		if got, want := len(order), 5; got != want || order[1] != "stays" || order[4] != "last" {
			t.Errorf("handled %q, want all five in order", order)
		}
		if err := e.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		close(release)
		<-left
	})
}

// A call of Handle that ends its goroutine ends nothing else on a connection
// either: what stands behind the message there is read on.
func TestHandleEndsItsGoroutine(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Listen: []string{"tcp:" + bobAddr, "ws:192.0.2.2:80"}, Handle: func(in *Inbound) {
			defer ok(&e)(in)
			runtime.Goexit()
		}})
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia) + message(options, tcpVia) + message(options, tcpVia)[:50])
		s.wait(time.Second)
		if text := phone.receive(); strings.Count(text, "SIP/2.0 200 ") != 2 {
			t.Errorf("two requests are answered with %q", text)
		}
		phone.send(message(options, tcpVia)[50:])
		if text := phone.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
			t.Errorf("the last request is answered with %q", text)
		}
		browser := s.listen(&Config{Listen: []string{}, Network: s.alice})
		for range 2 {
			if _, _, err := browser.SendRequest(background, outgoing(t), aliceAt("WS", "192.0.2.2:80"), "z9hG4bK1"); err != nil {
				t.Fatal(err)
			}
			s.wait(time.Second)
			s.one(browser)
		}
		if err := e.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
}
