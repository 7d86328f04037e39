package ua_test

import (
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/ua"
)

// Subscriptions that fork, that come to nothing, and that are lost and made anew. The RFC has no
// figures of these.

// newFlowNotifier runs a notifier by hand.
func newFlowNotifier(f *flow.Flow, who flow.Actor) *notifierPeer {
	f.Helper()
	p := &notifierPeer{t: f.T, asks: make(chan *dialog.Server, 64)}
	p.l = newDialogs(f, who, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) {
		tx.Hold()
		p.asks <- tx
	}})
	return p
}

// A proxy has two phones for one user. Both accept, and the subscriber has a subscription with
// each. Where the network loses one of the two requests there is no fork: a proxy is done with
// the first 200.
func TestFlow6665Fork(t *testing.T) {
	first := flow.Actor{Name: "Desk", AOR: "sip:notifier@biloxi.example.com", Host: "desk.biloxi.example.com", Addr: "192.0.2.201"}
	second := flow.Actor{Name: "Mobile", AOR: "sip:notifier@biloxi.example.com", Host: "mobile.biloxi.example.com", Addr: "192.0.2.202"}
	flow.Test(t, flow.Story{
		RFC: 6665, Section: "4.1.4", Title: "Forking of SUBSCRIBE Requests",
		Cast: []flow.Actor{subscriber, flow.Proxy2, first, second},
		Show: eventFields, Lossless: true,
		Play: func(f *flow.Flow) {
			f.Net.SetLink(f.Host(flow.Proxy2), f.Host(second), siptest.Link{Delay: 30 * time.Millisecond}) // it comes second
			s := &server{f: f, forward: func(tx *proxy.Server, req *sip.Request) {
				tx.Forward(req, at(first), at(second))
			}}
			s.run(flow.Proxy2)
			alice := newPhone(f, subscriber, ua.Config{})
			for i, who := range []flow.Actor{first, second} {
				b := newBoard("weather", "text/plain")
				b.text = says([]string{"sunny", "rain"}[i])
				newPhone(f, who, ua.Config{Notifiers: []*ua.Notifier{b.Notifier}})
			}
			forks := make(chan *ua.Subscription, 1)
			f.Note("The subscriber wants to know the weather, wherever the notifier is.")
			one := alice.watch(notifier.AOR, "weather", &ua.SubscribeOptions{OnFork: func(s *ua.Subscription) { forks <- s }})
			other := <-forks
			told := map[string]bool{heard(f, one).Body.Content: true, heard(f, other).Body.Content: true}
			if !told["sunny"] || !told["rain"] {
				f.Errorf("told %v, want sunny and rain", told)
			}
			f.Pass(time.Minute)
			f.Note("The subscriber has heard enough of one.")
			unwatch(f, one)
			f.Pass(time.Minute)
			f.Note("And of the other.")
			unwatch(f, other)
		},
	})
}

// A notifier that accepts and never tells anything: after timer N there is no subscription.
func TestFlow6665NoNotify(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 6665, Section: "4.1.2.4", Title: "Confirmation of Subscription Creation, timer N",
		Cast: []flow.Actor{subscriber, notifier},
		Show: eventFields,
		Flow: `
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			481       Subscriber -> Notifier`,
		Play: func(f *flow.Flow) {
			bob := newFlowNotifier(f, notifier)
			alice := newPhone(f, subscriber, ua.Config{})
			failed := make(chan error, 1)
			f.Note("The subscriber wants to know the weather, and the notifier accepts.")
			result := make(chan *ua.Subscription, 1)
			go func() { // ends with the 200
				result <- alice.watch(notifier.AOR, "weather", &ua.SubscribeOptions{OnError: func(err error) { failed <- err }})
			}()
			d := bob.accept(bob.next())
			s := <-result
			if err := <-failed; !errors.Is(err, ua.ErrNoNotify) {
				f.Errorf("OnError(%v), want ErrNoNotify", err)
			}
			f.Note("Timer N fires: the subscriber gives it up.")
			if err := s.Close(); err != nil {
				f.Errorf("Close() = %v", err)
			}
			f.Pass(time.Second)
			f.Note("The notifier tells it after all.")
			if got := bob.notify(d, "weather", "active;expires=3500", "sunny"); got != sip.StatusCallDoesNotExist {
				f.Errorf("the NOTIFY got %v, want 481", got)
			}
		},
	})
}

// The notifier has forgotten the subscription when it is refreshed. It is made anew at once, in
// another dialog.
func TestFlow6665RefreshFails(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 6665, Section: "4.1.2.2", Title: "Refreshing of Subscriptions, 481",
		Cast: []flow.Actor{subscriber, notifier},
		Show: eventFields,
		Flow: `
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier
			SUBSCRIBE Subscriber -> Notifier
			481       Notifier -> Subscriber
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier`,
		Play: func(f *flow.Flow) {
			bob := newFlowNotifier(f, notifier)
			alice := newPhone(f, subscriber, ua.Config{})
			f.Note("The subscriber wants to know the weather.")
			result := make(chan *ua.Subscription, 1)
			go func() { result <- alice.watch(notifier.AOR, "weather", nil) }() // ends with the 200
			d := bob.accept(bob.next())
			bob.notify(d, "weather", "active;expires=3600", "sunny")
			s := <-result
			wantTold(f, s, "active", "sunny")
			f.Pass(time.Minute)
			f.Note("Its network has changed, and it says where it is now. The notifier has been restarted.")
			if err := alice.NetworkChanged(f.Context()); err != nil {
				f.Errorf("NetworkChanged() = %v", err)
			}
			bob.next().Reply(sip.StatusCallDoesNotExist)
			d = bob.accept(bob.next())
			bob.notify(d, "weather", "active;expires=3600", "rain")
			if n := heard(f, s); !n.First || n.Body.Content != "rain" {
				f.Errorf("told %+v, want the first of another subscription", n)
			}
			f.Pass(time.Minute)
			f.Note("The subscriber has heard enough.")
			closed := make(chan struct{})
			defer close(closed)
			go func() { // ends with the NOTIFY, or when nobody asks for it any more
				select {
				case tx := <-bob.asks:
					bob.notify(bob.accept(tx), "weather", "terminated;reason=timeout", "")
				case <-closed: // each copy of the SUBSCRIBE was lost, for as long as Close waits
				}
			}()
			unwatch(f, s)
		},
	})
}

// The notifier ends the subscription for a while, for either of the two reasons that say so. The
// subscriber comes again when that is over.
func TestFlow6665ComeAgain(t *testing.T) {
	for reason, section := range map[string]string{"probation": "4.1.3b", "giveup": "4.1.3c"} {
		t.Run(reason, func(t *testing.T) {
			flow.Test(t, flow.Story{
				RFC: 6665, Section: section, Title: "Receiving and Processing State Information, " + reason,
				Cast: []flow.Actor{subscriber, notifier},
				Show: eventFields,
				Play: func(f *flow.Flow) {
					alice, b := newWeather(f)
					ended := make(chan error, 1)
					f.Note("The subscriber wants to know the weather.")
					s := alice.watch(notifier.AOR, "weather", &ua.SubscribeOptions{OnError: func(err error) { ended <- err }})
					wantTold(f, s, "active", "sunny")
					f.Pass(time.Minute)
					f.Note("The notifier wants it to come again in two minutes.")
					b.terminate(reason, 2*time.Minute)
					var terminated *ua.TerminatedError
					if err := <-ended; !errors.As(err, &terminated) || terminated.Reason != reason || terminated.RetryAfter != 2*time.Minute {
						f.Errorf("OnError(%v), want %s for two minutes", err, reason)
					}
					for !heard(f, s).First {
					}
					heardEnough(f, s)
				},
			})
		})
	}
}
