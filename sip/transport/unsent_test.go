package transport

import (
	"strings"
	"testing"
	"testing/synctest"
)

// A queue of many small texts takes more memory than their bytes. A peer that
// pings and reads no pong fills it no further than one with large messages does.
func TestBacklogOfSmallTexts(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{MaxRate: -1})
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		c := s.one(e).Flow.via.(*conn)
		for range 40 {
			phone.send(strings.Repeat("\r\n\r\n", 10_000))
			synctest.Wait()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		const header = 16 // bytes of a string without its text
		if got := len(c.unsent); got < 10_000 || got*(header+2) > maxUnsent {
			t.Errorf("%d pongs wait in %d bytes, want as many as fit into 1 MiB", got, got*(header+2))
		}
	})
}
