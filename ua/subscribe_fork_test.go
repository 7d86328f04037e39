package ua_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Three notifiers accept. Without OnFork the first has it alone (RFC 6665 section
// 5.4.9).
func TestSubscribeForks(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		result := subscribing(t.Context(), alice, "presence", nil)
		req := bob.next().Request()
		for i, tag := range []string{"one", "two", "three"} {
			want := sip.StatusOK
			if i > 0 {
				want = sip.StatusCallDoesNotExist
			}
			f := newFork(t, bob, req, tag)
			for range 2 {
				if got := f.notify("active;expires=600", tag); got != want {
					t.Errorf("the NOTIFY of %s got %v, want %v", tag, got, want)
				}
			}
		}
		r := <-result
		if r.err != nil {
			t.Fatal(r.err)
		}
		if n := next(t, r.s); n.Body.Content != "one" {
			t.Errorf("told %+v", n)
		}
	})
}

// With OnFork each of them has a subscription, with refreshes and an end of its own.
func TestSubscribeForksKept(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		forks := make(chan *ua.Subscription, 3)
		result := subscribing(t.Context(), alice, "presence", &ua.SubscribeOptions{OnFork: func(s *ua.Subscription) { forks <- s }})
		tx := bob.next()
		d := bob.accept(tx)
		bob.notify(d, "presence", "active;expires=3600", "one")
		r := <-result
		if r.err != nil {
			t.Fatal(r.err)
		}
		two := newFork(t, bob, tx.Request(), "two")
		if got := two.notify("active;expires=600", "two"); got != sip.StatusOK {
			t.Errorf("the NOTIFY of a fork got %v", got)
		}
		s := <-forks
		if n := next(t, s); n.Body.Content != "two" || !n.First {
			t.Errorf("the fork told %+v", n)
		}
		if n := next(t, r.s); n.Body.Content != "one" {
			t.Errorf("told %+v", n)
		}
		// Its end is its own, and it is not made anew.
		two.notify("terminated;reason=deactivated", "")
		next(t, s)
		var ended *ua.TerminatedError
		for _, err := range s.Notifies(t.Context()) {
			if !errors.As(err, &ended) || ended.Reason != "deactivated" {
				t.Errorf("the fork ended with %v", err)
			}
		}
		if got := bob.notify(d, "presence", "active;expires=3000", "one"); got != sip.StatusOK {
			t.Errorf("the NOTIFY of the first got %v", got)
		}
	})
}

// A notifier that has its subscriptions made anew again and again, of which each forks: no
// more are kept than those of one SUBSCRIBE, and the others end.
func TestForksAnew(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		var count, over atomic.Int32
		result := subscribing(t.Context(), alice, "presence", &ua.SubscribeOptions{
			OnError: func(error) {},
			OnFork: func(s *ua.Subscription) {
				count.Add(1)
				for _, err := range s.Notifies(t.Context()) {
					if err != nil {
						t.Errorf("a fork ended with %v", err)
					}
				}
				over.Add(1)
			},
		})
		const rounds, forks = 5, 10
		var old []*fork
		for range rounds {
			req := bob.next().Request()
			for _, f := range old {
				if got := f.notify("active;expires=3600", "still"); got != sip.StatusCallDoesNotExist {
					t.Errorf("the NOTIFY of a fork of before got %v", got)
				}
			}
			old = nil
			first := newFork(t, bob, req, "first")
			first.notify("active;expires=3600", "first")
			for i := range forks {
				f := newFork(t, bob, req, fmt.Sprint("tag", i))
				if got := f.notify("active;expires=3600", "fork"); got != sip.StatusOK {
					t.Errorf("the NOTIFY of a fork got %v", got)
				}
				old = append(old, f)
			}
			time.Sleep(2 * time.Minute)
			first.notify("terminated;reason=deactivated", "")
		}
		if r := <-result; r.err != nil {
			t.Fatal(r.err)
		}
		synctest.Wait()
		if c, o := count.Load(), over.Load(); c != rounds*forks || o != rounds*forks {
			t.Errorf("%d forks, of which %d have ended, want %d of each", c, o, rounds*forks)
		}
	})
}

// A thousand notifiers answer one SUBSCRIBE: no more are taken than the layer below
// keeps, and the rest gets 481.
func TestThousandForks(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		forks := make(chan *ua.Subscription, 1000)
		result := subscribing(t.Context(), alice, "presence", &ua.SubscribeOptions{OnFork: func(s *ua.Subscription) { forks <- s }})
		req := bob.next().Request()
		taken := 0
		for i := range 1000 {
			if newFork(t, bob, req, fmt.Sprint("tag", i)).notify("active;expires=600", "x") == sip.StatusOK {
				taken++
			}
		}
		synctest.Wait()
		if r := <-result; r.err != nil {
			t.Error(r.err)
		}
		if taken < 2 || taken > 64 || len(forks) != taken-1 {
			t.Errorf("%d of 1000 were taken, and %d given to OnFork", taken, len(forks))
		}
	})
}
