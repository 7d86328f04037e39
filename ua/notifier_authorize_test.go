package ua_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// What a SUBSCRIBE is refused for, and with what (RFC 6665 section 4.2.1.1).
func TestNotifierRefuses(t *testing.T) {
	m := &mood{says: "x", types: []string{"text/plain", "text/html"}, authorize: func(w *ua.Watcher, req *sip.Request) error {
		switch subject, _ := req.Value("Subject"); subject {
		case "404":
			return fmt.Errorf("gone: %w", sip.StatusNotFound)
		case "200":
			return sip.StatusOK
		case "err":
			return errors.New("x")
		case "panic":
			panic("bug")
		}
		return nil
	}}
	filter := sip.Body{Type: "application/simple-filter+xml", Content: "<f/>"}
	watching(t, m, &ua.NotifierOptions{Filters: []string{"application/simple-filter+xml"}}, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		for _, test := range []struct {
			name   string
			edits  []sip.Edit
			want   sip.Status
			fields map[string]string
		}{
			{"another package", []sip.Edit{sip.Event{Package: "presence"}}, 489, map[string]string{"Allow-Events": "mood"}},
			{"a template of ours", []sip.Edit{sip.Event{Package: "mood.winfo"}}, 489, nil},
			{"too brief", []sip.Edit{sip.Expires(59)}, 423, map[string]string{"Min-Expires": "60"}},
			{"a type that there is not", []sip.Edit{sip.Accept{Type: "image/png"}}, 406, nil},
			{"a type that is not wanted", []sip.Edit{sip.Accept{Type: "text/*", Params: ";q=0"}}, 406, nil},
			{"a body that is not read", []sip.Edit{sip.Body{Type: "text/x", Content: "x"}}, 415, map[string]string{"Accept": "application/simple-filter+xml"}},
			{"an extension", []sip.Edit{sip.Require{"recipient-list-subscribe"}}, 420, map[string]string{"Unsupported": "recipient-list-subscribe"}},
			{"Authorize with a status", []sip.Edit{sip.Subject("404")}, 404, nil},
			{"Authorize with an error", []sip.Edit{sip.Subject("err")}, 403, nil},
			{"Authorize with no refusal", []sip.Edit{sip.Subject("200")}, 403, nil},
			{"Authorize that panics", []sip.Edit{sip.Subject("panic")}, 500, nil},
		} {
			resp := alice.subscribe(test.edits...)
			if resp.Status() != test.want {
				t.Errorf("%s: %v, want %v", test.name, resp.Status(), test.want)
			}
			for name, want := range test.fields {
				if got, _ := resp.Value(name); got != want {
					t.Errorf("%s: %s: %q, want %q", test.name, name, got, want)
				}
			}
		}
		resp, err := alice.l.Do(t.Context(), request(sip.SUBSCRIBE, bobURI, contactAt("192.0.2.1")))
		if err != nil || resp.Status() != sip.StatusBadEvent {
			t.Errorf("no Event: %v, %v, want 489", resp, err)
		}
		alice.none(time.Minute)
		if got := count(bob); got != 0 {
			t.Errorf("%d watchers", got)
		}
		for _, test := range []struct {
			edits   []sip.Edit
			expires string
		}{
			{nil, "3600"},
			{[]sip.Edit{sip.Expires(600), filter}, "600"},
			{[]sip.Edit{sip.Expires(1 << 31), sip.List(sip.Accept{Type: "image/png"}, sip.Accept{Type: "text/*"})}, "7200"},
		} {
			resp := alice.subscribe(test.edits...)
			if got, _ := resp.Value("Expires"); resp.Status() != sip.StatusOK || got != test.expires {
				t.Errorf("accepted with %v and Expires: %s, want %s", resp.Status(), got, test.expires)
			}
			alice.want(0, "active;expires="+test.expires, "x 0 true")
		}
		if got := count(bob); got != 3 {
			t.Errorf("%d watchers, want 3", got)
		}
	})
}

// A watcher that is pending sees nothing until it is let in (RFC 6665 section
// 4.2.1.3).
func TestPending(t *testing.T) {
	m := &mood{says: "fine", authorize: func(*ua.Watcher, *sip.Request) error { return ua.ErrPending }}
	var told []string
	opts := &ua.NotifierOptions{OnWatcher: func(w *ua.Watcher, event string) { told = append(told, event) }}
	watching(t, m, opts, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		alice.subscribe()
		d := alice.want(0, "pending;expires=3600", "").Dialog()
		bob.Changed(bobAOR)
		alice.none(time.Minute)
		var w *ua.Watcher
		for w = range bob.Watchers(bobAOR) {
		}
		w.Activate()
		w.Activate()
		alice.want(0, "active;expires=3540", "fine 0 true")
		// It stays, though Authorize has nothing new.
		if _, err := d.Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "mood"}, sip.Expires(600)); err != nil {
			t.Error(err)
		}
		alice.want(0, "active;expires=600", "fine 1 true")
		w.Terminate("rejected", 0)
		w.Terminate("noresource", 0)
		alice.want(0, "terminated;reason=rejected", "")

		alice.subscribe()
		alice.want(0, "pending;expires=3600", "")
		for w = range bob.Watchers(bobAOR) {
		}
		w.Terminate("giveup", 90*time.Second)
		alice.want(0, "terminated;reason=giveup;retry-after=90", "")
		alice.subscribe(sip.Expires(0))
		alice.want(0, "terminated;reason=timeout", "")
		synctest.Wait()
		if got := count(bob); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
		want := []string{"subscribe", "approved", "rejected", "subscribe", "giveup", "subscribe"}
		if !slices.Equal(told, want) {
			t.Errorf("OnWatcher was told %q, want %q", told, want)
		}
	})
}

// Who is asked by Authorize decides before it has returned.
func TestWatcherDecidedAtOnce(t *testing.T) {
	for _, c := range []struct {
		decide func(w *ua.Watcher)
		state  string // of the first NOTIFY
		body   string
		events []string
	}{
		{(*ua.Watcher).Activate, "active;expires=3600", "x 0 true", []string{"subscribe active"}},
		{
			func(w *ua.Watcher) { w.Terminate("rejected", 0); w.Activate() },
			"terminated;reason=rejected", "", []string{"subscribe terminated", "rejected terminated"},
		},
		{
			func(w *ua.Watcher) { w.Terminate("probation", time.Hour); w.Terminate("rejected", 0) },
			"terminated;reason=probation;retry-after=3600", "", []string{"subscribe terminated", "probation terminated"},
		},
	} {
		var events []string
		opts := &ua.NotifierOptions{OnWatcher: func(w *ua.Watcher, event string) {
			events = append(events, event+" "+w.State())
		}}
		m := &mood{says: "x", authorize: func(w *ua.Watcher, _ *sip.Request) error {
			c.decide(w)
			return ua.ErrPending
		}}
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{ua.NewNotifier(m, opts)}})
			alice := newWatcherPeer(t, n, "192.0.2.1")
			if got := alice.subscribe(sip.Expires(3600)); got.Status() != sip.StatusOK {
				t.Errorf("SUBSCRIBE got %v", got.Status())
			}
			alice.want(0, c.state, c.body)
			alice.none(time.Minute)
			if !slices.Equal(events, c.events) {
				t.Errorf("OnWatcher was told %q, want %q", events, c.events)
			}
		})
	}
}

// What says who may watch is away for a while: refreshes are refused, and what was
// granted before lasts (RFC 6665 section 4.1.2.2).
func TestWatcherNotAuthorizedNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		var answer atomic.Int32 // of Authorize; 0: nil
		m := &mood{says: "x", authorize: func(*ua.Watcher, *sip.Request) error {
			if status := sip.Status(answer.Load()); status != 0 {
				return status
			}
			return nil
		}}
		notifier := ua.NewNotifier(m, nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		failed := make(chan error, 10)
		s, err := alice.Subscribe(t.Context(), bobURI, "mood", &ua.SubscribeOptions{OnError: func(err error) { failed <- err }})
		if err != nil {
			t.Fatal(err)
		}
		next(t, s)
		answer.Store(int32(sip.StatusServiceUnavailable))
		err = <-failed
		var refused *ua.StatusError
		if !errors.As(err, &refused) || refused.Status != sip.StatusServiceUnavailable {
			t.Fatalf("OnError was told %v, want 503", err)
		}
		if after, err := sip.Get[sip.RetryAfter](refused.Response); err != nil || after.Seconds != 15 {
			t.Errorf("Retry-After: %v, %v", after, err)
		}
		m.say("y")
		notifier.Changed(bobAOR)
		if n := next(t, s); n.State != "active" || n.Body.Content != "y 1 false" {
			t.Errorf("told %+v meanwhile", n)
		}
		answer.Store(0)
		if n := next(t, s); n.First || n.Body.Content != "y 2 true" {
			t.Errorf("told %+v by the next refresh", n)
		}
		answer.Store(int32(sip.StatusForbidden))
		for n, err := range s.Notifies(t.Context()) {
			if err == nil && n.State != "terminated" {
				t.Errorf("told %+v", n)
			}
			if err != nil && !errors.Is(err, sip.StatusForbidden) && !errors.As(err, new(*ua.TerminatedError)) {
				t.Errorf("Notifies() = %v", err)
			}
		}
		time.Sleep(time.Second)
		if got := count(notifier); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
	})
}

// The agent is shut down while Authorize still thinks about a watcher, and another one
// that is gone holds Shutdown up. The new one is told to come again.
func TestNotifierShutdownWhileAuthorizing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		m := &mood{authorize: func(w *ua.Watcher, _ *sip.Request) error {
			if w.Event().ID() == "slow" {
				time.Sleep(2 * time.Second)
			}
			return nil
		}}
		notifier := ua.NewNotifier(m, nil)
		bob := newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
		gone := newWatcherPeer(t, n, "192.0.2.8")
		gone.subscribe()
		time.Sleep(time.Second)
		alice := newWatcherPeer(t, n, "192.0.2.9")
		time.AfterFunc(time.Second, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			bob.Shutdown(ctx)
		})
		resp := alice.subscribe(sip.Event{Package: "mood", Params: ";id=slow"})
		if after, err := sip.Get[sip.RetryAfter](resp); resp.Status() != sip.StatusServiceUnavailable || err != nil || after.Seconds != 60 {
			t.Errorf("SUBSCRIBE got %v with Retry-After %v, %v, want 503", resp.Status(), after, err)
		}
		time.Sleep(time.Minute)
		if got := count(notifier); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
	})
}

// A Request-URI that is of no resource is not there, also at an agent whose own address has no
// user.
func TestSubscribeToNoResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		notifier := ua.NewNotifier(&mood{}, nil)
		newAgent(t, n, "192.0.2.2", "sip:b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
		p := newWatcherPeer(t, n, "192.0.2.1")
		gateway := sip.Route{URI: sip.URI{Scheme: "sip", Host: "192.0.2.2", Params: ";lr"}}
		resp, err := p.l.Do(t.Context(), request(sip.SUBSCRIBE, "tel:+15551234", gateway, sip.Event{Package: "mood"}, contactAt("192.0.2.1")))
		if err != nil || resp.Status() != sip.StatusNotFound {
			t.Errorf("SUBSCRIBE of tel:+15551234: %v, %v, want 404", resp, err)
		}
	})
}

// A watcher refreshes while its state is asked for, and while the refresh is decided on the
// state changes: the Package is asked one thing after the other.
func TestPackageInTurn(t *testing.T) {
	var asked []string // without a lock, as the Package has none for one Watcher
	ask := func(what string) {
		asked = append(asked, "("+what)
		time.Sleep(2 * time.Second)
		asked = append(asked, what+")")
	}
	m := &mood{
		authorize: func(w *ua.Watcher, _ *sip.Request) error {
			ask("Authorize")
			w.Notify() // which waits for nothing
			return nil
		},
		state: func(w *ua.Watcher) (sip.Body, error) {
			ask("State")
			return sip.Body{Type: "text/plain", Content: "x"}, nil
		},
	}
	watching(t, m, &ua.NotifierOptions{MinInterval: -1}, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		alice.subscribe()
		tx := alice.next(2 * time.Second)
		tx.Reply(sip.StatusOK)
		go func() { // ends with the test
			for {
				select {
				case tx := <-alice.notifies:
					tx.Reply(sip.StatusOK)
				case <-t.Context().Done():
					return
				}
			}
		}()
		for range 10 {
			bob.Changed(bobAOR)
			time.Sleep(700 * time.Millisecond)
			if resp, err := tx.Dialog().Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "mood"}, sip.Expires(600)); err != nil || !resp.Status().Success() {
				t.Errorf("the refresh got %v, %v", resp, err)
			}
		}
	})
	for i := 0; i+1 < len(asked); i += 2 {
		if "("+strings.TrimSuffix(asked[i+1], ")") != asked[i] {
			t.Fatalf("asked %q, want one after the other", asked)
		}
	}
	if len(asked) < 40 {
		t.Errorf("asked %q, want more", asked)
	}
}

// Nobody has more than two watchers of one resource: Authorize counts them. Their refreshes
// are let in, and another one when one of them is gone.
func TestAuthorizeCounts(t *testing.T) {
	var notifier *ua.Notifier
	m := &mood{says: "x", authorize: func(w *ua.Watcher, _ *sip.Request) error {
		same := 0
		for other := range notifier.Watchers(w.Resource()) {
			if other != w && other.From().URI == w.From().URI {
				same++
			}
		}
		if same >= 2 {
			return sip.StatusForbidden
		}
		return nil
	}}
	watching(t, m, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		notifier = bob
		var last *dialog.Server
		for i, want := range []sip.Status{200, 200, 403} {
			if got := alice.subscribe().Status(); got != want {
				t.Errorf("SUBSCRIBE %d of Alice's got %v, want %v", i, got, want)
			}
			if want == sip.StatusOK {
				last = alice.next(0)
				last.Reply(sip.StatusOK)
			}
		}
		carol := sip.From{URI: sip.URI{Scheme: "sip", User: "carol", Host: "c.example"}, Params: ";tag=c"}
		if got := alice.subscribe(carol).Status(); got != sip.StatusOK {
			t.Errorf("the SUBSCRIBE of Carol's got %v", got)
		}
		alice.next(0).Reply(sip.StatusOK)
		for _, expires := range []sip.Expires{600, 0} {
			resp, err := last.Dialog().Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "mood"}, expires)
			if err != nil || !resp.Status().Success() {
				t.Errorf("the refresh for %d s got %v, %v", expires, resp, err)
			}
			alice.next(0).Reply(sip.StatusOK)
			time.Sleep(time.Minute)
		}
		if got := alice.subscribe().Status(); got != sip.StatusOK {
			t.Errorf("the SUBSCRIBE after the end of another one got %v", got)
		}
	})
}
