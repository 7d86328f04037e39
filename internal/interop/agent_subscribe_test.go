package interop_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// told reads NOTIFYs until one has that in its body, and returns it.
func told(t *testing.T, sub *ua.Subscription, part string) *ua.Notify {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for n, err := range sub.Notifies(ctx) {
		if err != nil {
			t.Fatalf("not told of %q: %v", part, err)
		}
		if strings.Contains(n.Body.Content, part) {
			return n
		}
		t.Logf("told of %s, %q", n.State, n.Body.Content)
	}
	t.Fatal("the subscription has ended")
	return nil
}

// Carol watches Alice at Kamailio, which asks for her password: what is published is
// told, before and after the subscription was refreshed, until it is closed.
func TestSubscribeAtKamailio(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(transport, func(t *testing.T) {
				t.Parallel()
				server := interop.StartPresence(t)
				proxy := "sip:" + server.Addr + ";transport=" + transport
				alice := newAgent(t, "sip:alice@sip.test", &ua.Config{Password: "alicepw", Proxy: proxy})
				carol := newAgent(t, "sip:carol@sip.test", &ua.Config{Password: "carolpw", Proxy: proxy})
				pub, err := alice.Publish(t.Context(), "presence", pidf("open"), nil)
				if err != nil {
					t.Fatal(err)
				}
				wantPublished(t, server, pidf("open"))
				sub, err := carol.Subscribe(t.Context(), "sip:alice@sip.test", "presence", &ua.SubscribeOptions{
					Expires: 4 * time.Second, Accept: []string{"application/pidf+xml"},
					OnError: func(err error) { t.Error(err) },
				})
				if err != nil {
					t.Fatal(err)
				}
				if n := told(t, sub, "<basic>open<"); n.State != "active" {
					t.Errorf("told %+v", n)
				}
				time.Sleep(10 * time.Second) // in which it was refreshed
				if err := pub.Update(t.Context(), pidf("closed")); err != nil {
					t.Fatal(err)
				}
				if n := told(t, sub, "<basic>closed<"); n.First {
					t.Error("the subscription was made anew, and not refreshed")
				}
				if err := sub.Close(); err != nil {
					t.Error(err)
				}
				n, err := carol.Fetch(t.Context(), "sip:alice@sip.test", "presence", nil)
				if err != nil || n.State != "terminated" || !strings.Contains(n.Body.Content, "<basic>closed<") {
					t.Errorf("Fetch() = %+v, %v", n, err)
				}
				dialogs, err := carol.Subscribe(t.Context(), "sip:alice@sip.test", "dialog", nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := dialogs.Close(); err != nil {
					t.Error(err)
				}
				_, err = carol.Subscribe(t.Context(), "sip:alice@sip.test", "chess", nil)
				wantError(t, err, sip.StatusBadEvent)
				guess := newAgent(t, "sip:carol@sip.test", &ua.Config{Password: "guess", Proxy: proxy})
				_, err = guess.Subscribe(t.Context(), "sip:alice@sip.test", "presence", nil)
				wantError(t, err, ua.ErrPassword)
			})
		}
	})
}

// here is presence that does not change.
type here struct{}

func (here) Name() string                                               { return "presence" }
func (here) Types() []string                                            { return []string{"text/plain"} }
func (here) Authorize(context.Context, *ua.Watcher, *sip.Request) error { return nil }
func (here) State(context.Context, *ua.Watcher) (sip.Body, error) {
	return sip.Body{Type: "text/plain", Content: "here"}, nil
}

// SIPp watches us, and we watch SIPp: subscribed, refreshed, ended.
func TestSubscribeWithSIPp(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			for _, transport := range []string{"udp", "tcp"} {
				t.Run("we are watched over "+transport, func(t *testing.T) {
					t.Parallel()
					notifier := ua.NewNotifier(here{}, nil)
					bob, target := w.agent(t, &ua.Config{Notifiers: []*ua.Notifier{notifier}})
					if w.proxy == nil {
						target = "sip:bob@" + bob.Addr(transport).String()
					}
					wantCalls(t, w.calls(t, target, "uac_subscribe", &interop.SIPpOptions{Transport: transport, Calls: 50}), 50)
					for w := range notifier.Watchers(sip.URI{}) {
						t.Errorf("%v is still there", w.From())
					}
				})
			}
			t.Run("we watch", func(t *testing.T) {
				t.Parallel()
				script, target := w.called(t, "uas_subscribe", nil)
				alice, _ := w.agent(t, nil)
				sub, err := alice.Subscribe(t.Context(), target, "presence", nil)
				if err != nil {
					t.Fatal(err)
				}
				told(t, sub, "one")
				told(t, sub, "two") // after a refresh
				must(t, sub.Close())
				wantCalls(t, script, 1)
			})
		})
	})
}

// toldTwice waits for a peer to subscribe and to be told, and wants it to be told again
// when there is news, which is 5 s later, and not to make a subscription anew.
func toldTwice(t *testing.T, notifier *ua.Notifier, events chan string, told *atomic.Int32) {
	t.Helper()
	if !interop.Eventually(10*time.Second, func() bool { return told.Load() >= 1 }) {
		t.Fatal("nobody was told after 10 s")
	}
	notifier.Changed(sip.URI{}) // not earlier: that would be told at once, and once
	if !interop.Eventually(10*time.Second, func() bool { return told.Load() >= 2 }) {
		t.Errorf("told %d times, want twice", told.Load())
	}
	time.Sleep(time.Second)
	var got []string
	for len(events) > 0 {
		got = append(got, <-events)
	}
	if !slices.Equal(got, []string{"subscribe"}) {
		t.Errorf("the watcher's events are %q", got)
	}
}

// baresip watches us, and we watch baresip.
func TestSubscribeWithBaresip(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			events := make(chan string, 9)
			state := &published{}
			notifier := ua.NewNotifier(state, &ua.NotifierOptions{OnWatcher: func(_ *ua.Watcher, event string) { events <- event }})
			alice, uri := w.agent(t, &ua.Config{Notifiers: []*ua.Notifier{notifier}})
			bob := interop.StartBaresip(t, &interop.BaresipOptions{User: w.user(), Proxy: w.registrar(), Watch: uri})
			toldTwice(t, notifier, events, &state.told)

			sub, err := alice.Subscribe(t.Context(), bob.URI, "presence", nil)
			if err != nil {
				t.Fatal(err)
			}
			if n := told(t, sub, "<presence"); n.State != "active" {
				t.Errorf("told %+v", n)
			}
			sub.Refresh()
			told(t, sub, "<presence")
			must(t, sub.Close())
		})
	})
}

// published is the presence of somebody who is there.
type published struct {
	here
	told atomic.Int32
}

func (*published) Types() []string { return []string{"application/pidf+xml"} }
func (p *published) State(context.Context, *ua.Watcher) (sip.Body, error) {
	p.told.Add(1)
	return pidf("open"), nil
}

// Linphone watches us. It has to be registered for that.
func TestLinphoneSubscribes(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		w := way{proxy: interop.StartKamailio(t, &interop.KamailioOptions{Ordered: true})}
		events := make(chan string, 9)
		state := &published{}
		notifier := ua.NewNotifier(state, &ua.NotifierOptions{OnWatcher: func(_ *ua.Watcher, event string) { events <- event }})
		_, uri := w.agent(t, &ua.Config{Notifiers: []*ua.Notifier{notifier}})
		w.linphone(t, &interop.LinphoneOptions{Watch: uri})
		toldTwice(t, notifier, events, &state.told)
	})
}

// mailbox is the package message-summary (RFC 3842) of somebody who has messages.
type mailbox struct {
	here
	told atomic.Int32
}

func (*mailbox) Name() string    { return "message-summary" }
func (*mailbox) Types() []string { return []string{"application/simple-message-summary"} }
func (m *mailbox) State(context.Context, *ua.Watcher) (sip.Body, error) {
	m.told.Add(1)
	return sip.Body{Type: "application/simple-message-summary", Content: "Messages-Waiting: yes\r\nVoice-Message: 2/1\r\n"}, nil
}

// Twinkle asks us for messages that wait, and is told twice. It cannot be asked for anything.
func TestTwinkleSubscribes(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			events := make(chan string, 9)
			state := &mailbox{}
			notifier := ua.NewNotifier(state, &ua.NotifierOptions{OnWatcher: func(_ *ua.Watcher, event string) { events <- event }})
			alice, uri := w.agent(t, &ua.Config{Notifiers: []*ua.Notifier{notifier}})
			tw := interop.StartTwinkle(t, &interop.TwinkleOptions{User: w.user(), Proxy: w.registrar(), Mailbox: uri})
			toldTwice(t, notifier, events, &state.told)
			_, err := alice.Subscribe(within(t, 10*time.Second), tw.URI, "presence", nil)
			wantError(t, err, sip.StatusBadEvent)
		})
	})
}
