package ua_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Alice watches Bob from the other end of this package: she is told at once, when
// something has changed, when she asks, and when she goes.
func TestNotifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		m := &mood{says: "fine"}
		var told []string
		notifier := ua.NewNotifier(m, &ua.NotifierOptions{OnWatcher: func(w *ua.Watcher, event string) {
			told = append(told, fmt.Sprint(w.From().URI.User, " ", w.Resource(), " ", event, " ", w.State()))
		}})
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s, err := alice.Subscribe(t.Context(), bobURI, "mood;id=5", nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := next(t, s); n.State != "active" || n.Body.Content != "fine 0 true" || !n.First {
			t.Errorf("told %+v", n)
		}
		time.Sleep(time.Minute)
		m.say("tired")
		notifier.Changed(sip.URI{Scheme: "sips", User: "bob", Host: "B.example", Port: 5061})
		if n := next(t, s); n.Body.Content != "tired 1 false" {
			t.Errorf("told %+v", n)
		}
		notifier.Changed(sip.URI{Scheme: "sip", User: "carol", Host: "b.example"}) // nobody watches her
		time.Sleep(time.Minute)
		s.Refresh()
		if n := next(t, s); n.Body.Content != "tired 2 true" {
			t.Errorf("told %+v", n)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		time.Sleep(time.Second)
		if got := count(notifier); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
		if want := []string{"alice sip:bob@b.example subscribe active", "alice sip:bob@b.example timeout terminated"}; !slices.Equal(told, want) {
			t.Errorf("OnWatcher was told %q, want %q", told, want)
		}
		f, err := alice.Fetch(t.Context(), bobURI, "mood", nil)
		if err != nil || f.State != "terminated" || f.Body.Content != "tired 0 true" {
			t.Errorf("Fetch() = %+v, %v", f, err)
		}
		resp, err := alice.Options(t.Context(), bobURI)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := resp.Value("Allow-Events"); got != "mood" {
			t.Errorf("Allow-Events: %q", got)
		}
	})
}

// What a watcher takes is what it gets, the best first.
func TestWatcherTypes(t *testing.T) {
	m := &mood{types: []string{"text/plain", "text/html"}, state: func(w *ua.Watcher) (sip.Body, error) {
		return sip.Body{Type: w.Types()[0], Content: strings.Join(w.Types(), ",")}, nil
	}}
	watching(t, m, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		for accept, want := range map[string]string{
			"": "text/plain", "text/html": "text/html", "*/*": "text/plain,text/html",
			"text/html, text/plain;q=0.5": "text/html,text/plain",
		} {
			var edits []sip.Edit
			if accept != "" {
				edits = append(edits, sip.Field{Name: "Accept", Value: accept})
			}
			alice.subscribe(edits...)
			alice.want(0, "active;expires=3600", want)
		}
		// A refresh may want it otherwise.
		alice.subscribe()
		d := alice.want(0, "active;expires=3600", "text/plain").Dialog()
		resp, err := d.Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "mood"}, sip.Field{Name: "Accept", Value: "text/html"})
		if err != nil || resp.Status() != sip.StatusOK {
			t.Fatal(resp, err)
		}
		alice.want(0, "active;expires=3600", "text/html")
	})
}

// Each watcher has a view of its own.
func TestWatcherViews(t *testing.T) {
	m := &mood{
		authorize: func(w *ua.Watcher, req *sip.Request) error {
			subject, _ := req.Value("Subject")
			w.SetValue(strings.Clone(subject))
			return nil
		},
		state: func(w *ua.Watcher) (sip.Body, error) {
			switch view := w.Value(); view {
			case "nothing":
				return sip.Body{}, nil
			case "error":
				return sip.Body{}, errors.New("x")
			case "panic":
				panic("bug")
			default:
				return sip.Body{Type: "text/plain", Content: fmt.Sprint(view)}, nil
			}
		},
	}
	watching(t, m, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		for view, want := range map[string]string{"friend": "friend", "stranger": "stranger", "nothing": "", "error": "", "panic": ""} {
			alice.subscribe(sip.Subject(view))
			alice.want(0, "active;expires=3600", want)
		}
	})
}

// A refresh comes when the program has ended the subscription, and the NOTIFY that tells
// it waits for the one before: the watcher learns it from the 481.
func TestRefreshAfterTerminate(t *testing.T) {
	m := &mood{says: "x"}
	watching(t, m, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		alice.subscribe()
		first := alice.next(0)
		for w := range bob.Watchers(bobAOR) {
			w.Terminate("noresource", 0)
		}
		resp, err := first.Dialog().Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "mood"}, sip.Expires(600))
		if err != nil || resp.Status() != sip.StatusCallDoesNotExist {
			t.Errorf("a refresh after the end got %v, %v, want 481", resp, err)
		}
		first.Reply(sip.StatusOK)
		synctest.Wait()
		if got := count(bob); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
	})
}

// SUBSCRIBE with Expires: 0, as soon as the first one is answered.
func TestUnsubscribeAtOnce(t *testing.T) {
	m := &mood{says: "x"}
	watching(t, m, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		alice.subscribe()
		first := alice.next(0)
		resp, err := first.Dialog().Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "mood"}, sip.Expires(0))
		if err != nil || resp.Status() != sip.StatusOK {
			t.Fatalf("unsubscribed with %v, %v", resp, err)
		}
		first.Reply(sip.StatusOK)
		alice.want(0, "terminated;reason=timeout", "x 1 true")
		synctest.Wait()
		if got := count(bob); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
	})
}

// Nobody refreshes.
func TestWatcherExpires(t *testing.T) {
	m := &mood{says: "x"}
	watching(t, m, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		alice.subscribe(sip.Expires(600))
		d := alice.want(0, "active;expires=600", "x 0 true").Dialog()
		time.Sleep(500 * time.Second)
		resp, err := d.Do(t.Context(), sip.SUBSCRIBE, sip.Event{Package: "mood"}, sip.Expires(900))
		if err != nil || resp.Status() != sip.StatusOK {
			t.Fatal(resp, err)
		}
		alice.want(0, "active;expires=900", "x 1 true")
		alice.want(900*time.Second, "terminated;reason=timeout", "x 2 false")
		synctest.Wait()
		if got := count(bob); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
	})
}

// How a NOTIFY that fails is taken (RFC 6665 section 4.2.2).
func TestNotifyFails(t *testing.T) {
	for status, gone := range map[sip.Status]bool{
		0: true, 404: true, 405: true, 410: true, 416: true, 480: true, 481: true, 485: true, 489: true, 501: true, 604: true,
		400: false, 486: false, 500: false, 503: false, 600: false,
	} {
		m := &mood{says: "x"}
		var told []string
		opts := &ua.NotifierOptions{OnWatcher: func(_ *ua.Watcher, event string) { told = append(told, event) }}
		watching(t, m, opts, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
			alice.subscribe()
			tx := alice.next(0)
			if status != 0 {
				tx.Reply(status, sip.RetryAfter{Seconds: 100})
				if !gone {
					synctest.Wait()
					bob.Changed(bobAOR)
					alice.want(100*time.Second, "active;expires=3500", "x 1 true")
					return
				}
			}
			time.Sleep(time.Minute)
			if got := count(bob); got != 0 {
				t.Errorf("%v: %d watchers are left", status, got)
			}
			bob.Changed(bobAOR)
			alice.none(time.Hour)
			synctest.Wait()
			if want := []string{"subscribe", "timeout"}; !slices.Equal(told, want) {
				t.Errorf("%v: OnWatcher was told %q, want %q", status, told, want)
			}
		})
	}
}

// A NOTIFY is refused, and the next is to come later; the one that says that the subscription is over
// does not wait for that.
func TestTerminateAfterRefusal(t *testing.T) {
	watching(t, &mood{says: "x"}, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		alice.subscribe()
		alice.next(0).Reply(sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: 100})
		time.Sleep(10 * time.Second)
		for w := range bob.Watchers(bobAOR) {
			w.Terminate("noresource", 0)
		}
		alice.want(0, "terminated;reason=noresource", "x 1 true")
	})
}

// More than there is room for.
func TestWatcherFlood(t *testing.T) {
	m := &mood{says: "x"}
	watching(t, m, &ua.NotifierOptions{MaxWatchers: 30, MaxPerResource: 20}, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		got := map[sip.Status]int{}
		for range 25 {
			got[alice.subscribe().Status()]++
		}
		for i := range 15 {
			req := request(sip.SUBSCRIBE, fmt.Sprintf("sip:user%d@192.0.2.2", i), sip.Event{Package: "mood"}, sip.CallID(rand.Text()), contactAt("192.0.2.1"))
			resp, err := alice.l.Subscribe(t.Context(), req, nil)
			if err != nil {
				t.Fatal(err)
			}
			got[resp.Status()]++
		}
		synctest.Wait()
		if got[200] != 30 || got[503] != 10 || count(bob) != 30 {
			t.Errorf("answered with %v, and there are %d watchers, want 30", got, count(bob))
		}
		for range 30 {
			alice.next(0).Reply(sip.StatusCallDoesNotExist)
		}
		synctest.Wait()
		if got := count(bob); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
		if got := alice.subscribe().Status(); got != sip.StatusOK {
			t.Errorf("there is room again, and the SUBSCRIBE got %v", got)
		}
	})
}

// An idle subscription has no goroutine, at either end.
func TestIdleSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		notifier := ua.NewNotifier(&mood{says: "x"}, nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		synctest.Wait()
		before := goroutine.Count()
		for range 200 {
			if _, err := alice.Subscribe(t.Context(), bobURI, "mood", nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := goroutine.Count(); got > before+2 { // none of ours: the runtime may begin one for finalizers
			t.Errorf("%d goroutines, and %d before", got, before)
		}
		if got := count(notifier); got != 200 {
			t.Errorf("%d watchers, want 200", got)
		}
		shutDown(t, alice)
		synctest.Wait()
		if got := count(notifier); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
	})
}

// The notifier's agent is closed: its watchers are told to come again later.
func TestNotifierShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		notifier := ua.NewNotifier(&mood{says: "x"}, nil)
		bob := newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s, err := alice.Subscribe(t.Context(), bobURI, "mood", nil)
		if err != nil {
			t.Fatal(err)
		}
		next(t, s)
		shutDown(t, bob)
		if n := next(t, s); n.State != "terminated" || n.Body.Content != "x 1 false" {
			t.Errorf("told %+v", n)
		}
		if got := count(notifier); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
	})
}

// On a network that loses a fifth of all datagrams, everything is told in the end.
func TestEventsLossy(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Seed: seed, Loss: 0.2, Duplicate: 0.1, Delay: 20 * time.Millisecond, Jitter: 50 * time.Millisecond})
			m := &mood{says: "0"}
			notifier := ua.NewNotifier(m, nil)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			s, err := alice.Subscribe(t.Context(), bobURI, "mood", &ua.SubscribeOptions{Expires: 2 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 50 {
				m.say(fmt.Sprint(i))
				notifier.Changed(bobAOR)
				for n := next(t, s); !strings.HasPrefix(n.Body.Content, fmt.Sprint(i, " ")); n = next(t, s) {
				}
				time.Sleep(30 * time.Second)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := alice.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
			if got := count(notifier); got != 0 {
				t.Errorf("%d watchers are left", got)
			}
		})
	}
}

// A peer of RFC 3265 watches Bob in the dialog of a call with him, and goes on when he
// has hung up (RFC 6665 section 4.5.2, RFC 5057).
func TestSubscribeWithinCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		notifier := ua.NewNotifier(&mood{says: "x"}, &ua.NotifierOptions{MinInterval: -1})
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			Notifiers: []*ua.Notifier{notifier}, OnInvite: answerWith(calls, newStream(t)),
		})
		alice := newWatcherPeer(t, n, "192.0.2.1")
		invite := request(sip.INVITE, bobURI, contactAt("192.0.2.1"), describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"))
		s, resp, err := alice.l.Invite(t.Context(), invite, nil)
		if err != nil || s == nil {
			t.Fatal(resp, err)
		}
		if err := s.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		call := <-calls
		for i, id := range []string{"", ";id=2"} {
			event, expires := sip.Event{Package: "mood", Params: sip.Params(id)}, sip.Expires(600*(i+1))
			if resp, err := s.Do(t.Context(), sip.SUBSCRIBE, event, expires); err != nil || resp.Status() != sip.StatusOK {
				t.Fatal(resp, err)
			}
			alice.want(0, fmt.Sprintf("active;expires=%d", expires), "x 0 true")
		}
		if err := s.Bye(t.Context()); err != nil {
			t.Error(err)
		}
		<-call.Done()
		for w := range notifier.Watchers(bobAOR) {
			if w.Event().ID() == "2" {
				w.Notify()
			}
		}
		tx := alice.want(0, "active;expires=1200", "x 1 false")
		if event, _ := tx.Request().Value("Event"); event != "mood;id=2" {
			t.Errorf("notified of %s", event)
		}
		for _, body := range []string{"x 1 false", "x 2 false"} {
			alice.want(600*time.Second, "terminated;reason=timeout", body)
		}
		synctest.Wait()
		if got := count(notifier); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
	})
}

// A SUBSCRIBE of which a lot would have to be kept, for as long as it lasts, is refused;
// what is not kept may be large.
func TestWatcherTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		notifier := ua.NewNotifier(&mood{}, nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
		alice := newWatcherPeer(t, n, "192.0.2.1")
		long := strings.Repeat("x", 5000)
		me := sip.URI{Scheme: "sip", User: "alice", Host: "a.example"}
		route := sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: "192.0.2.1", Params: sip.Params(";lr;x=" + long[:2500])}}
		for name, edit := range map[string]sip.Edit{
			"From": sip.From{Display: long, URI: me, Params: ";tag=x"}, "Event": sip.Event{Package: "mood", Params: sip.Params(";x=" + long)},
			"Call-ID": sip.CallID(long), "Record-Route": sip.List(route, route),
		} {
			if got := alice.subscribe(edit); got.Status() != sip.StatusMessageTooLarge {
				t.Errorf("long %s: got %v, want 513", name, got.Status())
			}
		}
		if got := count(notifier); got != 0 {
			t.Errorf("%d watchers", got)
		}
		if got := alice.subscribe(sip.Subject(long)); got.Status() != sip.StatusOK {
			t.Errorf("long Subject: got %v, want 200", got.Status())
		}
		alice.next(0).Reply(sip.StatusOK)
	})
}
