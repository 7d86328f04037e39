package ua_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// What an agent knows when it is closed goes with the last NOTIFYs: the context of State has
// not ended.
func TestStateAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		m := &contextual{}
		bob := newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{ua.NewNotifier(m, nil)}})
		p := newWatcherPeer(t, n, "192.0.2.1")
		p.subscribe()
		p.want(0, "active;expires=3600", "open")
		go shutDown(t, bob)
		p.want(0, "terminated;reason=probation", "open")
		synctest.Wait()
		if m.last.Err() == nil {
			t.Error("the context of State outlives Shutdown")
		}
	})
}

// contextual is an event package that asks somebody else what there is to be seen.
type contextual struct {
	mood
	last context.Context
}

func (c *contextual) State(ctx context.Context, _ *ua.Watcher) (sip.Body, error) {
	c.last = ctx
	return sip.Body{Type: "text/plain", Content: "open"}, ctx.Err()
}

// Subscriptions that end for no reason, or for one that cannot be written, end with a NOTIFY
// without one.
func TestTerminateWithoutReason(t *testing.T) {
	watching(t, &mood{}, &ua.NotifierOptions{MinInterval: -1}, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		for _, reason := range []string{"", "no\r\nsuch: thing", "a b", "a;b"} {
			alice.subscribe()
			alice.next(0).Reply(sip.StatusOK)
			for w := range bob.Watchers(bobAOR) {
				w.Terminate(reason, 0)
			}
			tx := alice.next(0)
			if got, _ := tx.Request().Value("Subscription-State"); got != "terminated" {
				t.Errorf("Terminate(%q): told %q, want terminated", reason, got)
			}
			tx.Reply(sip.StatusOK)
		}
	})
}
