package ua_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Alice subscribes, is told, refreshes in time, is told again, and unsubscribes.
func TestSubscribe(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		result := subscribing(t.Context(), alice, "presence;id=7", &ua.SubscribeOptions{
			Expires: 10 * time.Minute, Accept: []string{"text/plain", "text/html"},
			Body: sip.Body{Type: "application/simple-filter+xml", Content: "<f/>"}, Lists: true,
			Header: []sip.Edit{sip.Subject("x")},
		})
		tx := bob.next()
		req := tx.Request()
		for name, want := range map[string]string{"Event": "presence;id=7", "Accept": "text/plain, text/html",
			"Content-Type": "application/simple-filter+xml", "Supported": "eventlist", "Subject": "x", "Expires": "600"} {
			if got, _ := req.Value(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		d := bob.accept(tx)
		r := <-result
		if r.err != nil {
			t.Fatal(r.err)
		}
		if got := bob.notify(d, "presence;id=7", "active;expires=600", "here"); got != sip.StatusOK {
			t.Errorf("the NOTIFY got %v", got)
		}
		n := next(t, r.s)
		if n.State != "active" || n.Body != (sip.Body{Type: "text/plain", Content: "here"}) || !n.First || n.Missed != 0 {
			t.Errorf("told %+v", n)
		}

		// It is refreshed in the same dialog, in the last fifth of its time.
		before := time.Now()
		tx = bob.next()
		if in := time.Since(before); in < 480*time.Second || in > 596*time.Second {
			t.Errorf("refreshed after %v", in)
		}
		if tx.Dialog() != d || tx.Request().Body() != "" || expires(tx) != 600 {
			t.Errorf("refreshed by\n%s", tx.Request())
		}
		bob.accept(tx)
		bob.notify(d, "presence;id=7", "active;expires=600", "there")
		if n := next(t, r.s); n.Body.Content != "there" || n.First {
			t.Errorf("told %+v", n)
		}

		closed := make(chan error, 1)
		go func() { closed <- r.s.Close() }()
		tx = bob.next()
		if expires(tx) != 0 {
			t.Errorf("unsubscribed with Expires: %d", expires(tx))
		}
		bob.accept(tx)
		synctest.Wait()
		select {
		case err := <-closed:
			t.Errorf("Close() = %v, before the last NOTIFY", err)
		default:
		}
		if got := bob.notify(d, "presence;id=7", "terminated;reason=timeout", ""); got != sip.StatusOK {
			t.Errorf("the last NOTIFY got %v", got)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close() = %v", err)
		}
		for n, err := range r.s.Notifies(t.Context()) {
			t.Errorf("Notifies() of a closed subscription: %v, %v", n, err)
		}
		if err := r.s.Close(); err != nil {
			t.Errorf("Close() again = %v", err)
		}
	})
}

// The NOTIFY overtakes the 200, and that is when Alice is subscribed (RFC 6665
// section 4.1.2.4).
func TestNotifyBefore200(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		result := subscribing(t.Context(), alice, "presence", nil)
		tx := bob.next()
		fork := newFork(t, bob, tx.Request(), "early")
		if got := fork.notify("active;expires=3600", "here"); got != sip.StatusOK {
			t.Errorf("the NOTIFY got %v", got)
		}
		r := <-result
		if r.err != nil {
			t.Fatal(r.err)
		}
		if n := next(t, r.s); n.Body.Content != "here" || !n.First {
			t.Errorf("told %+v", n)
		}
		tx.Server.Respond(tx.Request().Reply(sip.StatusOK, sip.Expires(3600), contactAt("192.0.2.2")).With(sip.To(tx.Request().To().WithTag("early"))))
		if got := fork.notify("active;expires=3500", "there"); got != sip.StatusOK {
			t.Errorf("the second NOTIFY got %v", got)
		}
		if n := next(t, r.s); n.Body.Content != "there" || n.First {
			t.Errorf("told %+v", n)
		}
	})
}

// NOTIFYs that are of no subscription, and such as old peers send.
func TestNotifyTolerance(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		result := subscribing(t.Context(), alice, "presence;id=1", nil)
		tx := bob.next()
		for _, event := range []string{"presence", "presence;id=2", "Presence;id=1", "dialog;id=1"} {
			f := newFork(t, bob, tx.Request(), "wrong")
			f.event = event
			if got := f.notify("active", ""); got != sip.StatusCallDoesNotExist {
				t.Errorf("a first NOTIFY of %s got %v, want 481", event, got)
			}
		}
		d := bob.accept(tx)
		// A peer of RFC 3265 may leave it out (and then it is active), or say nothing of
		// the time.
		if got := bob.notify(d, "presence;x=y;id=1", "", "first"); got != sip.StatusOK {
			t.Errorf("the NOTIFY without a Subscription-State got %v", got)
		}
		r := <-result
		if r.err != nil {
			t.Fatal(r.err)
		}
		if n := next(t, r.s); n.State != "active" {
			t.Errorf("told %+v", n)
		}
		for event, want := range map[string]sip.Status{"presence": 481, "dialog;id=1": 481, "presence;id=2": 481, "presence;id=1": 200} {
			if got := bob.notify(d, event, "pending", ""); got != want {
				t.Errorf("a NOTIFY of %s got %v, want %v", event, got, want)
			}
		}
		if n := next(t, r.s); n.State != "pending" || n.Body != (sip.Body{}) {
			t.Errorf("told %+v", n)
		}
		for what, edits := range map[string][]sip.Edit{
			"415": {sip.Field{Name: "Subscription-State", Value: "active"}, sip.Body{Type: "text/plain", Content: "x"}, sip.Field{Name: "Content-Encoding", Value: "gzip"}},
			"420": {sip.Field{Name: "Subscription-State", Value: "active"}, sip.Require{"x"}},
			"200": {sip.Field{Name: "Subscription-State", Value: "active"}, sip.Require{sip.OptionEventList}},
		} {
			resp, err := d.Do(t.Context(), sip.NOTIFY, append(edits, sip.Field{Name: "Event", Value: "presence;id=1"})...)
			if err != nil || fmt.Sprint(int(resp.Status())) != what {
				t.Errorf("want %s: %v, %v", what, resp, err)
			}
		}
		resp, err := bob.l.Do(t.Context(), request(sip.NOTIFY, "sip:alice@192.0.2.1", sip.Event{Package: "message-summary"}, contactAt("192.0.2.2"),
			sip.Field{Name: "Subscription-State", Value: "active"}))
		if err != nil || resp.Status() != sip.StatusCallDoesNotExist {
			t.Errorf("an unsolicited NOTIFY got %v, %v, want 481", resp, err)
		}
	})
}

// Nobody reads: the oldest go, which is told, and the network goes on.
func TestSlowReader(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		s, d := bob.subscribed(alice, nil)
		for i := range 100 {
			if got := bob.notify(d, "presence", "active;expires=3000", fmt.Sprint(i)); got != sip.StatusOK {
				t.Fatalf("NOTIFY %d got %v", i, got)
			}
		}
		n := next(t, s)
		if n.Body.Content != "84" || n.Missed != 84 {
			t.Errorf("the first that is read is %s, after %d that were missed", n.Body.Content, n.Missed)
		}
		for i := 85; i < 100; i++ {
			if n := next(t, s); n.Body.Content != fmt.Sprint(i) || n.Missed != 0 {
				t.Errorf("told %+v, want %d", n, i)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for n, err := range s.Notifies(ctx) {
			if n != nil || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Notifies() = %v, %v", n, err)
			}
		}
		var later sync.WaitGroup
		defer later.Wait()
		later.Go(func() { bob.notify(d, "presence", "active;expires=3000", "later") })
		if n := next(t, s); n.Body.Content != "later" {
			t.Errorf("told %+v", n)
		}
	})
}

// Fetch asks with Expires: 0 and takes the one NOTIFY that comes.
func TestFetch(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		type fetched struct {
			n   *ua.Notify
			err error
		}
		result := make(chan fetched, 1)
		fetch := func(ctx context.Context) {
			n, err := alice.Fetch(ctx, bobURI, "presence", &ua.SubscribeOptions{Expires: time.Hour, OnFork: func(*ua.Subscription) { t.Error("a fork") }})
			result <- fetched{n, err}
		}
		go fetch(t.Context())
		tx := bob.next()
		if expires(tx) != 0 {
			t.Errorf("fetched with Expires: %d", expires(tx))
		}
		d := bob.accept(tx)
		if got := bob.notify(d, "presence", "terminated;reason=timeout", "here"); got != sip.StatusOK {
			t.Errorf("the NOTIFY got %v", got)
		}
		if r := <-result; r.err != nil || r.n.Body.Content != "here" {
			t.Errorf("Fetch() = %+v, %v", r.n, r.err)
		}
		go fetch(t.Context())
		bob.next().Reply(sip.StatusForbidden)
		if r := <-result; !errors.Is(r.err, sip.StatusForbidden) {
			t.Errorf("Fetch() = %+v, %v, want 403", r.n, r.err)
		}
		go fetch(t.Context())
		bob.accept(bob.next())
		if r := <-result; !errors.Is(r.err, ua.ErrNoNotify) {
			t.Errorf("Fetch() = %+v, %v, want ErrNoNotify", r.n, r.err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go fetch(ctx)
		d = bob.accept(bob.next())
		if r := <-result; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("Fetch() = %+v, %v", r.n, r.err)
		}
		if got := bob.notify(d, "presence", "terminated;reason=timeout", "here"); got != sip.StatusCallDoesNotExist {
			t.Errorf("the NOTIFY that is too late got %v", got)
		}
	})
}

// OnError and OnFork panic, which is logged.
func TestSubscribePanics(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		result := subscribing(t.Context(), alice, "presence", &ua.SubscribeOptions{
			OnError: func(error) { panic("bug") }, OnFork: func(*ua.Subscription) { panic("bug") },
		})
		tx := bob.next()
		d := bob.accept(tx)
		bob.notify(d, "presence", "active;expires=3600", "")
		if got := newFork(t, bob, tx.Request(), "fork").notify("active;expires=10", ""); got != sip.StatusOK {
			t.Errorf("the NOTIFY of the fork got %v", got)
		}
		if r := <-result; r.err != nil {
			t.Error(r.err)
		}
		for tx = bob.next(); tx.Dialog() != d; tx = bob.next() { // of the fork
		}
		tx.Reply(sip.StatusServerInternalError)
		bob.next()
	})
}

// The notifier asks for a password. What follows in the dialog counts on from the
// SUBSCRIBE that had it.
func TestSubscribeWithPassword(t *testing.T) {
	events(t, ua.Config{Password: "secret", Realm: "a", Proxy: "sip:192.0.2.2"}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		result := subscribing(t.Context(), alice, "presence", nil)
		bob.next().Reply(sip.StatusUnauthorized, challenge("WWW-Authenticate", "1"))
		tx := bob.next()
		if _, has := tx.Request().Value("Authorization"); !has {
			t.Error("no credentials")
		}
		asked := tx.Request().CSeq().Seq
		d := bob.accept(tx)
		bob.notify(d, "presence", "active;expires=3600", "first")
		r := <-result
		if r.err != nil {
			t.Fatal(r.err)
		}
		next(t, r.s)
		tx = bob.next()
		if got := tx.Request().CSeq().Seq; tx.Dialog() != d || got <= asked {
			t.Errorf("the refresh has number %d, and the SUBSCRIBE had %d", got, asked)
		}
	})
}

// What becomes of a REFER is told to who has sent it (RFC 3515 section 2.4.4).
func TestSubscribeToRefer(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		if _, err := alice.Subscribe(t.Context(), bobURI, "refer;id=7", nil); err == nil {
			t.Error("Subscribe to refer is no error")
		}
		if _, err := alice.Fetch(t.Context(), bobURI, "refer", nil); err == nil {
			t.Error("Fetch of refer is no error")
		}
		if len(bob.asks) > 0 {
			t.Error("a SUBSCRIBE was sent")
		}
	})
}
