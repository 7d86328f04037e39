package transport

import (
	"testing"
	"time"
)

// Stop leaves nothing behind: no timer, which would keep the flow in memory for
// as long as it was to run, whatever the flow is.
func TestStopEndsTheTimer(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, tcp, _, _ := s.client(Config{})
		udp := Flow{via: e.udp[0], remote: tcp.remote}
		for _, flow := range []Flow{tcp, udp} {
			stop := e.KeepAlive(flow, &KeepAlive{Interval: 24 * time.Hour})
			k := e.keeper(flow)
			stop()
			if k.timer.Stop() {
				t.Errorf("%s: the timer runs after stop", flow.Transport())
			}
		}
	})
}

// keeper returns what keeps a flow alive.
func (in *inbox) keeper(flow Flow) (k *keepAlive) {
	if c, ok := flow.via.(*conn); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		for k = range c.watchers {
		}
		return k
	}
	in.Endpoint.mu.Lock()
	defer in.Endpoint.mu.Unlock()
	for k = range in.watchers {
	}
	return k
}

// Stop ends a Binding request that is under way: it is not sent again, and no
// answer to it is waited for.
func TestStopEndsTheQuery(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, _, alice, dead, stop := s.onUDP(&KeepAlive{Answered: true})
		alice.answers(silence)
		s.wait(29 * time.Second) // the first is out, and is sent again by and by
		stop()
		s.quiet(e)
		n := len(alice.times())
		if n == 0 {
			t.Fatal("no request within 29 seconds")
		}
		s.wait(time.Hour)
		if got := len(alice.times()); got != n {
			t.Errorf("%d more requests after stop", got-n)
		}
		dead.want(nil)
	})
}
