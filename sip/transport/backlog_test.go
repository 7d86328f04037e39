package transport

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
)

// What waits for a peer that reads nothing is bounded by 1 MiB for its
// connection; a message that does not fit is refused with ErrBacklog.
func TestBacklogLimit(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		s.dial(s.alice, bobAddr).send(message(options, tcpVia))
		flow := s.one(e).Flow
		big := outgoing(t).With(sip.Body{Type: "text/plain", Content: strings.Repeat("x", 60000)})
		var err error
		for n := 0; err == nil && n < 200; n++ {
			err = e.Send(flow, big)
			synctest.Wait() // the writer takes what it can
		}
		if !errors.Is(err, ErrBacklog) {
			t.Errorf("Send = %v, want ErrBacklog", err)
		}
		c := flow.via.(*conn)
		c.mu.Lock()
		defer c.mu.Unlock()
		size := len(big.String())
		if got := c.size; got > 1<<20 || got+size <= 1<<20 {
			t.Errorf("%d bytes wait when %d more are refused, want 1 MiB to be the limit", got, size)
		}
	})
}
