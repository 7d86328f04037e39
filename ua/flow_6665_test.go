package ua_test

import (
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// The two of RFC 6665, and those of RFC 3856.
var (
	subscriber = flow.Actor{Name: "Subscriber", AOR: "sip:subscriber@atlanta.example.com", Host: "client.atlanta.example.com", Addr: "192.0.2.101"}
	notifier   = flow.Actor{Name: "Notifier", AOR: "sip:notifier@biloxi.example.com", Host: "client.biloxi.example.com", Addr: "192.0.2.201"}

	watcherHost      = flow.Actor{Name: "Watcher", AOR: "sip:user@watchers.example.com", Host: "watcherhost.example.com", Addr: "192.0.2.1"}
	serverOfPresence = flow.Actor{Name: "Server", AOR: "sip:resource@example.com", Host: "server.example.com", Addr: "192.0.2.2"}
)

// newWeather makes the phone of a subscriber, and a notifier that tells it of the weather: it is
// sunny.
func newWeather(f *flow.Flow) (alice *phone, b *board) {
	f.Helper()
	b = newBoard("weather", "text/plain")
	b.text = says("sunny")
	alice = newPhone(f, subscriber, ua.Config{})
	newPhone(f, notifier, ua.Config{Notifiers: []*ua.Notifier{b.Notifier}})
	return alice, b
}

// heardEnough ends its subscription, when it has had it for a minute.
func heardEnough(f *flow.Flow, s *ua.Subscription) {
	f.Helper()
	f.Pass(time.Minute)
	f.Note("The subscriber has heard enough.")
	unwatch(f, s)
}

// The notifier tells what there is, and then what has changed.
func TestFlow6665(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 6665, Section: "1.1", Title: "Overview of Operation",
		Cast: []flow.Actor{subscriber, notifier},
		Show: eventFields,
		Flow: `
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier
			+ SUBSCRIBE Subscriber -> Notifier // the RFC leaves them subscribed
			+ 200       Notifier -> Subscriber // as above
			+ NOTIFY    Notifier -> Subscriber // as above
			+ 200       Subscriber -> Notifier // as above`,
		Play: func(f *flow.Flow) {
			alice, b := newWeather(f)
			f.Note("The subscriber wants to know the weather.")
			s := alice.watch(notifier.AOR, "weather", &ua.SubscribeOptions{Expires: 10 * time.Minute, Accept: []string{"text/plain"}})
			wantTold(f, s, "active", "sunny")
			f.Pass(time.Minute)
			f.Note("It changes.")
			b.write(says("rain"))
			wantTold(f, s, "active", "rain")
			heardEnough(f, s)
		},
	})
}

// wantTold reads NOTIFYs until one says this.
func wantTold(f *flow.Flow, s *ua.Subscription, state, body string) {
	f.Helper()
	n := heard(f, s)
	if f.Lossy() && n.Body.Content != body { // a change may come twice
		n = heard(f, s)
	}
	if n.State != state || n.Body.Content != body {
		f.Errorf("told %q, %s, want %q, %s", n.Body.Content, n.State, body, state)
	}
}

// There is no such package, the time is too short, and this subscriber may not see it: what the
// notifier answers, of which the RFC has no figure. The second is asked for once more.
func TestFlow6665Refusals(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 6665, Section: "4.2.1", Title: "Subscription Establishment, refused",
		Cast: []flow.Actor{subscriber, notifier},
		Show: eventFields,
		Flow: `
			SUBSCRIBE Subscriber -> Notifier
			489       Notifier -> Subscriber
			SUBSCRIBE Subscriber -> Notifier
			423       Notifier -> Subscriber
			SUBSCRIBE Subscriber -> Notifier
			403       Notifier -> Subscriber
			SUBSCRIBE Subscriber -> Notifier
			406       Notifier -> Subscriber`,
		Play: func(f *flow.Flow) {
			alice, b := newWeather(f)
			b.may = func(*ua.Watcher) error { return sip.StatusForbidden }
			for _, c := range []struct {
				note, event string
				opts        ua.SubscribeOptions
				want        sip.Status
			}{
				{"The subscriber wants to know something that nobody tells.", "horoscope", ua.SubscribeOptions{}, sip.StatusBadEvent},
				{"It wants to know the weather, for ten seconds, and then for as long as it has to be.", "weather", ua.SubscribeOptions{Expires: 10 * time.Second}, sip.StatusForbidden},
				{"It wants to see it painted.", "weather", ua.SubscribeOptions{Accept: []string{"image/png"}}, sip.StatusNotAcceptable},
			} {
				f.Note(c.note)
				_, err := alice.Subscribe(f.Context(), notifier.AOR, c.event, &c.opts)
				if !errors.Is(err, c.want) {
					f.Errorf("Subscribe() = %v, want %v", err, c.want)
				}
				f.Pass(time.Second)
			}
		},
	})
}

// The owner of what is watched has to decide. He lets the watcher in, and later shuts it
// out.
func TestFlow6665Pending(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 6665, Section: "4.2.2", Title: "Sending State Information to Subscribers, pending, active, terminated",
		Cast: []flow.Actor{subscriber, notifier},
		Show: eventFields,
		Flow: `
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier`,
		Play: func(f *flow.Flow) {
			alice, b := newWeather(f)
			b.may = func(*ua.Watcher) error { return ua.ErrPending }
			f.Note("The subscriber wants to know the weather.")
			s := alice.watch(notifier.AOR, "weather", nil)
			wantTold(f, s, "pending", "")
			f.Pass(time.Minute)
			f.Note("Its owner lets it.")
			for w := range b.Watchers(sip.URI{}) {
				w.Activate()
			}
			wantTold(f, s, "active", "sunny")
			f.Pass(time.Minute)
			f.Note("Its owner does not let it any more.")
			b.terminate("rejected", 0)
			var terminated *ua.TerminatedError
			for n, err := range s.Notifies(f.Context()) {
				if err != nil && (!errors.As(err, &terminated) || terminated.Reason != "rejected") {
					f.Errorf("Notifies() = %v, want rejected", err)
				}
				if err == nil && n.State != "terminated" {
					f.Errorf("told %+v", n)
				}
			}
		},
	})
}

// The subscriber asks once.
func TestFlow6665Fetch(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 6665, Section: "4.4.3", Title: "Polling Resource State",
		Cast: []flow.Actor{subscriber, notifier},
		Show: eventFields,
		Flow: `
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier`,
		Play: func(f *flow.Flow) {
			alice, _ := newWeather(f)
			f.Note("The subscriber asks for the weather.")
			n, err := alice.Fetch(f.Context(), notifier.AOR, "weather", nil)
			if err != nil || n.State != "terminated" || n.Body.Content != "sunny" {
				f.Errorf("Fetch() = %+v, %v, want sunny", n, err)
			}
		},
	})
}

// The server moves the subscription to another place, and the subscriber makes it anew at once.
func TestFlow6665Deactivated(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 6665, Section: "4.1.3", Title: "Receiving and Processing State Information, deactivated",
		Cast: []flow.Actor{subscriber, notifier},
		Show: eventFields,
		Flow: `
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier
			SUBSCRIBE Subscriber -> Notifier
			200       Notifier -> Subscriber
			NOTIFY    Notifier -> Subscriber
			200       Subscriber -> Notifier`,
		Play: func(f *flow.Flow) {
			alice, b := newWeather(f)
			f.Note("The subscriber wants to know the weather.")
			s := alice.watch(notifier.AOR, "weather", nil)
			wantTold(f, s, "active", "sunny")
			f.Pass(time.Minute)
			f.Note("The notifier goes elsewhere.")
			b.terminate("deactivated", 0)
			for {
				if n := heard(f, s); n.First {
					break
				}
			}
			heardEnough(f, s)
		},
	})
}

// A presence server tells a watcher what a presentity has told it, by whatever means.
func TestFlow3856(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3856, Section: "8", Title: "Example Message Flow",
		Cast: []flow.Actor{watcherHost, serverOfPresence},
		Show: eventFields,
		Flow: `
			F1 SUBSCRIBE Watcher -> Server
			F2 200       Server -> Watcher
			F3 NOTIFY    Server -> Watcher
			F4 200       Watcher -> Server
			F5 NOTIFY    Server -> Watcher
			F6 200       Watcher -> Server
			+  SUBSCRIBE Watcher -> Server // the RFC leaves it subscribed
			+  200       Server -> Watcher // as above
			+  NOTIFY    Server -> Watcher // as above
			+  200       Watcher -> Server // as above`,
		Play: func(f *flow.Flow) {
			pidf := func(basic string) string {
				return "<?xml version=\"1.0\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:resource@example.com\">\r\n" +
					"<tuple id=\"1\"><status><basic>" + basic + "</basic></status></tuple>\r\n</presence>\r\n"
			}
			b := newBoard("presence", "application/pidf+xml")
			b.text = says(pidf("closed"))
			w := newPhone(f, watcherHost, ua.Config{})
			newPhone(f, serverOfPresence, ua.Config{Notifiers: []*ua.Notifier{b.Notifier}})
			f.Note("The watcher wants to know whether the presentity is there.")
			s := w.watch(serverOfPresence.AOR, "presence", &ua.SubscribeOptions{Expires: 10 * time.Minute, Accept: []string{"application/pidf+xml"}})
			wantTold(f, s, "active", pidf("closed"))
			f.Pass(time.Minute)
			f.Note("The presentity tells the server that it is.")
			b.write(says(pidf("open")))
			wantTold(f, s, "active", pidf("open"))
			f.Pass(time.Minute)
			f.Note("The watcher has heard enough.")
			unwatch(f, s)
		},
	})
}
