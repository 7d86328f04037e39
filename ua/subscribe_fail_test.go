package ua_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// What refuses a SUBSCRIBE is the error of Subscribe.
func TestSubscribeRefused(t *testing.T) {
	for _, status := range []sip.Status{sip.StatusBadEvent, sip.StatusForbidden, sip.StatusServiceUnavailable, sip.StatusDecline} {
		events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
			result := subscribing(t.Context(), alice, "presence", nil)
			bob.next().Reply(status)
			r := <-result
			var refused *ua.StatusError
			if !errors.As(r.err, &refused) || refused.Status != status || r.s != nil {
				t.Errorf("Subscribe() = %v, %v, want %v", r.s, r.err, status)
			}
			time.Sleep(time.Hour)
			select {
			case <-bob.asks:
				t.Errorf("subscribed again after %v", status)
			default:
			}
		})
	}
}

// The notifier wants it for longer, and gets it, once (RFC 6665 section 4.2.1.1).
func TestSubscribeTooBrief(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		result := subscribing(t.Context(), alice, "presence", &ua.SubscribeOptions{Expires: time.Minute})
		bob.next().Reply(sip.StatusIntervalTooBrief, sip.MinExpires(300))
		tx := bob.next()
		if expires(tx) != 300 {
			t.Errorf("asked for %d s", expires(tx))
		}
		tx.Reply(sip.StatusIntervalTooBrief, sip.MinExpires(3000))
		if r := <-result; !errors.Is(r.err, sip.StatusIntervalTooBrief) {
			t.Errorf("Subscribe() = %v, want 423", r.err)
		}
	})
}

func TestSubscribeBadly(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		for _, c := range []struct {
			target, event string
			opts          *ua.SubscribeOptions
		}{
			{"bob", "presence", nil},
			{"mailto:bob@b.example", "presence", nil},
			{bobURI, "", nil},
			{bobURI, "presence, dialog", nil},
			{bobURI, "presence\r\nX: y", nil},
			{bobURI, "presence", &ua.SubscribeOptions{Accept: []string{"text"}}},
			{bobURI, "presence", &ua.SubscribeOptions{Header: []sip.Edit{sip.Subject("a\r\nb")}}},
		} {
			if s, err := alice.Subscribe(t.Context(), c.target, c.event, c.opts); err == nil {
				t.Errorf("Subscribe(%q, %q) = %v", c.target, c.event, s)
			}
		}
	})
}

// Alice gives up while Bob thinks. Bob accepts all the same, and learns from his
// NOTIFY that there is no subscription.
func TestSubscribeGivenUp(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		result := subscribing(ctx, alice, "presence", nil)
		tx := bob.next()
		if r := <-result; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("Subscribe() = %v", r.err)
		}
		d := bob.accept(tx)
		if got := bob.notify(d, "presence", "active;expires=3600", "here"); got != sip.StatusCallDoesNotExist {
			t.Errorf("the NOTIFY got %v, want 481", got)
		}
	})
}

// Bob answers 200 and never notifies. That is no subscription: it is tried again and
// again, less and less often (RFC 6665 section 4.1.2.4, timer N).
func TestSubscribeNeverNotified(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		failed := make(chan error, 100)
		began := time.Now()
		result := subscribing(t.Context(), alice, "presence", &ua.SubscribeOptions{OnError: func(err error) { failed <- err }})
		tx := bob.next()
		first := bob.accept(tx)
		r := <-result
		if r.err != nil {
			t.Fatal(r.err)
		}
		if err := <-failed; !errors.Is(err, ua.ErrNoNotify) || time.Since(began).Round(time.Second) != 32*time.Second {
			t.Errorf("OnError(%v) after %v", err, time.Since(began))
		}
		again := bob.next()
		if again.Request().CallID() == tx.Request().CallID() {
			t.Error("subscribed again with the same Call-ID")
		}
		if got := bob.notify(first, "presence", "active;expires=3600", ""); got != sip.StatusCallDoesNotExist {
			t.Errorf("a NOTIFY that comes too late got %v, want 481", got)
		}
		d := bob.accept(again)
		bob.notify(d, "presence", "active;expires=3600", "here")
		if n := next(t, r.s); n.Body.Content != "here" || !n.First {
			t.Errorf("told %+v", n)
		}
		var last sync.WaitGroup
		defer last.Wait()
		last.Go(func() {
			bob.accept(bob.next())
			bob.notify(d, "presence", "terminated;reason=timeout", "")
		})
		if err := r.s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
}

// Bob notifies, and never answers a SUBSCRIBE.
func TestSubscribeNeverAnswered(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		result := subscribing(t.Context(), alice, "presence", nil)
		f := newFork(t, bob, bob.next().Request(), "tag")
		f.notify("active;expires=600", "here")
		r := <-result
		if r.err != nil {
			t.Fatal(r.err)
		}
		next(t, r.s)
		time.Sleep(100 * time.Second) // no error, though the SUBSCRIBE has timed out
		if got := f.notify("active;expires=500", "there"); got != sip.StatusOK {
			t.Errorf("the NOTIFY got %v", got)
		}
		if n := next(t, r.s); n.Body.Content != "there" {
			t.Errorf("told %+v", n)
		}
		select {
		case tx := <-bob.asks:
			t.Errorf("asked again, by\n%s", tx.Request())
		default:
		}
	})
}
