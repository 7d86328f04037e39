package ua_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// What follows from the reason of the end (RFC 6665 section 4.1.3).
func TestTerminated(t *testing.T) {
	for state, want := range map[string]struct {
		anew     bool
		from, to time.Duration
	}{
		"deactivated":                {true, 0, time.Second},
		"deactivated;retry-after=60": {true, 0, time.Second},
		"timeout":                    {true, 0, time.Second},
		"":                           {true, 0, time.Second},
		"whatever":                   {true, 0, time.Second},
		"whatever;retry-after=60":    {true, 60 * time.Second, 61 * time.Second},
		"probation":                  {true, 15 * time.Second, 31 * time.Second},
		"probation;retry-after=60":   {true, 60 * time.Second, 61 * time.Second},
		"giveup;retry-after=70":      {true, 70 * time.Second, 71 * time.Second},
		"giveup":                     {true, 15 * time.Second, 31 * time.Second},
		"rejected":                   {},
		"REJECTED":                   {},
		"noresource":                 {},
		"invariant;retry-after=9999": {},
	} {
		events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
			s, d := bob.subscribed(alice, nil)
			time.Sleep(5 * time.Minute)
			ended := "terminated"
			if state != "" {
				ended += ";reason=" + state
			}
			if got := bob.notify(d, "presence", ended, "last"); got != sip.StatusOK {
				t.Errorf("%s got %v", state, got)
			}
			if n := next(t, s); n.State != "terminated" || n.Body.Content != "last" {
				t.Errorf("%s: told %+v", state, n)
			}
			before := time.Now()
			if !want.anew {
				var end *ua.TerminatedError
				for n, err := range s.Notifies(t.Context()) {
					if !errors.As(err, &end) || n != nil || !strings.EqualFold(end.Reason, strings.Split(state, ";")[0]) {
						t.Errorf("%s: Notifies() = %v, %v", state, n, err)
					}
				}
				if end == nil || s.Close() != nil {
					t.Errorf("%s: no error", state)
				}
				return
			}
			tx := bob.next()
			if in := time.Since(before); in < want.from || in > want.to {
				t.Errorf("%s: subscribed again after %v", state, in)
			}
			if tx.Dialog() != nil {
				t.Errorf("%s: subscribed again in the same dialog", state)
			}
			d = bob.accept(tx)
			bob.notify(d, "presence", "active;expires=3600", "again")
			if n := next(t, s); n.Body.Content != "again" || !n.First {
				t.Errorf("%s: told %+v", state, n)
			}
		})
	}
}

// A notifier that wants to be left alone for years is so for a day, and the program is told.
func TestTerminatedForYears(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		failed := make(chan error, 9)
		_, d := bob.subscribed(alice, &ua.SubscribeOptions{OnError: func(err error) { failed <- err }})
		bob.notify(d, "presence", "terminated;reason=giveup;retry-after=4294967295", "")
		before := time.Now()
		var terminated *ua.TerminatedError
		if err := <-failed; !errors.As(err, &terminated) || terminated.Reason != "giveup" {
			t.Errorf("OnError(%v)", err)
		}
		tx := <-bob.asks
		if in := time.Since(before).Round(time.Second); in != 24*time.Hour {
			t.Errorf("subscribed again after %v, want a day", in)
		}
		bob.accept(tx)
	})
}

// Two machines that subscribe and terminate as fast as they can: Alice does not.
func TestTerminatedAgainAndAgain(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		result := subscribing(t.Context(), alice, "presence", nil)
		began, times := time.Now(), 0
		for time.Since(began) < 4*time.Hour {
			d := bob.accept(bob.next())
			if got := bob.notify(d, "presence", "terminated;reason=deactivated", ""); got != sip.StatusOK {
				t.Errorf("the NOTIFY got %v", got)
			}
			times++
		}
		if r := <-result; r.err != nil {
			t.Error(r.err)
		}
		if times > 25 {
			t.Errorf("subscribed %d times in 4 hours", times)
		}
	})
}

// A refresh crosses the NOTIFY that ends the subscription, and gets 481. There is one
// subscription afterwards, and not two.
func TestRefreshCrossesTerminated(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		s, d := bob.subscribed(alice, nil)
		refresh := bob.next()
		if got := bob.notify(d, "presence", "terminated;reason=timeout", ""); got != sip.StatusOK {
			t.Errorf("the last NOTIFY got %v", got)
		}
		refresh.Reply(sip.StatusCallDoesNotExist)
		next(t, s)
		d = bob.accept(bob.next())
		bob.notify(d, "presence", "active;expires=3600", "again")
		if n := next(t, s); n.Body.Content != "again" {
			t.Errorf("told %+v", n)
		}
		time.Sleep(40 * time.Minute)
		select {
		case tx := <-bob.asks:
			t.Errorf("another SUBSCRIBE came:\n%s", tx.Request())
		default:
		}
	})
}

// A NOTIFY crosses the SUBSCRIBE that ends the subscription. It gets 200, and Close
// waits for the last one.
func TestUnsubscribeCrossesNotify(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		s, d := bob.subscribed(alice, nil)
		closed := make(chan error, 2)
		for range 2 { // by two goroutines at once
			go func() { closed <- s.Close() }()
		}
		tx := bob.next()
		if got := bob.notify(d, "presence", "active;expires=3000", "crossing"); got != sip.StatusOK {
			t.Errorf("the NOTIFY that crosses got %v", got)
		}
		bob.accept(tx)
		if got := bob.notify(d, "presence", "active;expires=0", "late"); got != sip.StatusOK {
			t.Errorf("the NOTIFY that is late got %v", got)
		}
		if len(closed) > 0 {
			t.Error("Close has not waited")
		}
		if got := bob.notify(d, "presence", "terminated;reason=timeout", ""); got != sip.StatusOK {
			t.Errorf("the last NOTIFY got %v", got)
		}
		for range 2 {
			if err := <-closed; err != nil {
				t.Errorf("Close() = %v", err)
			}
		}
	})
}

// Close while a refresh is not answered: the last SUBSCRIBE goes out when it is.
func TestCloseDuringRefresh(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		s, d := bob.subscribed(alice, nil)
		refresh := bob.next()
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		time.Sleep(100 * time.Millisecond)
		if len(bob.asks) > 0 {
			t.Error("two SUBSCRIBEs at once")
		}
		refresh.Reply(sip.StatusServerInternalError)
		tx := bob.next()
		if expires(tx) != 0 {
			t.Errorf("the last SUBSCRIBE has Expires: %d", expires(tx))
		}
		bob.accept(tx)
		bob.notify(d, "presence", "terminated;reason=timeout", "")
		if err := <-closed; err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
}

// Close in other states: a notifier that does not answer, one that has not notified
// yet, and while a subscription is to be made anew.
func TestCloseAnytime(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		s, d := bob.subscribed(alice, nil)
		before := time.Now()
		if err := s.Close(); !errors.Is(err, transaction.ErrTimeout) || time.Since(before) != 2*time.Second {
			t.Errorf("Close() = %v after %v", err, time.Since(before))
		}
		bob.next()
		if got := bob.notify(d, "presence", "active", ""); got != sip.StatusCallDoesNotExist {
			t.Errorf("a NOTIFY after the end got %v", got)
		}

		result := subscribing(t.Context(), alice, "presence", nil)
		d = bob.accept(bob.next())
		r := <-result
		closed := make(chan error, 1)
		go func() { closed <- r.s.Close() }()
		time.Sleep(time.Second)
		if got := bob.notify(d, "presence", "active;expires=100", ""); got != sip.StatusCallDoesNotExist {
			t.Errorf("the first NOTIFY got %v, want 481", got)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close() = %v", err)
		}

		s, d = bob.subscribed(alice, nil)
		bob.notify(d, "presence", "terminated;reason=probation;retry-after=600", "")
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		time.Sleep(time.Hour)
		if len(bob.asks) > 0 {
			t.Error("subscribed again after Close")
		}
	})
}

// Shutdown ends what there is, what is under way, and what waits.
func TestShutdownUnsubscribes(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		s, d := bob.subscribed(alice, nil)
		under := subscribing(t.Context(), alice, "presence", nil)
		bob.next()
		waiting := make(chan error, 1)
		go func() {
			for _, err := range s.Notifies(t.Context()) {
				waiting <- err
			}
		}()
		var last sync.WaitGroup
		defer last.Wait()
		last.Go(func() {
			tx := bob.next()
			if expires(tx) != 0 || tx.Dialog() != d {
				t.Errorf("not unsubscribed, but\n%s", tx.Request())
			}
			bob.accept(tx)
			bob.notify(d, "presence", "terminated;reason=timeout", "")
		})
		shutDown(t, alice)
		if err := <-waiting; !errors.Is(err, ua.ErrClosed) {
			t.Errorf("Notifies() = %v, want ErrClosed", err)
		}
		if r := <-under; !errors.Is(r.err, ua.ErrClosed) {
			t.Errorf("Subscribe() = %v, %v, want ErrClosed", r.s, r.err)
		}
		if _, err := alice.Subscribe(t.Context(), bobURI, "presence", nil); !errors.Is(err, ua.ErrClosed) {
			t.Errorf("Subscribe() of a closed agent = %v", err)
		}
	})
}

// A 204 says that no NOTIFY follows (RFC 5839 section 6). Who unsubscribes does not wait for
// one, and who has had none, because the notifier says it out of place, does not for ever.
func TestNoNotification(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		s, _ := bob.subscribed(alice, nil)
		go func() { bob.next().Reply(sip.StatusNoNotification, sip.Expires(0)) }()
		began := time.Now()
		if err := s.Close(); err != nil || time.Since(began) > time.Second {
			t.Errorf("Close() = %v after %v, want nil at once", err, time.Since(began))
		}
		go func() { bob.next().Accept(sip.StatusNoNotification, sip.Expires(0)) }()
		began = time.Now()
		_, err := alice.Fetch(t.Context(), bobURI, "presence", nil)
		if !errors.Is(err, ua.ErrNoNotify) || time.Since(began) > time.Minute {
			t.Errorf("Fetch() = %v after %v, want ErrNoNotify after 32 s", err, time.Since(began))
		}
	})
}
