package ua_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

// Changes come while a NOTIFY is not answered, and sooner than they may be told: the
// next one tells the newest (RFC 6446 section 5.5.2).
func TestNotifyCoalesces(t *testing.T) {
	m := &mood{says: "one"}
	watching(t, m, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		alice.subscribe()
		first := alice.next(0)
		for _, what := range []string{"two", "three"} {
			m.say(what)
			bob.Changed(bobAOR)
		}
		alice.none(10 * time.Second) // one at a time
		first.Reply(sip.StatusOK)
		alice.want(0, "active;expires=3590", "three 1 false")
		for i := range 3 {
			m.say(fmt.Sprint(i))
			bob.Changed(bobAOR)
		}
		alice.want(5*time.Second, "active;expires=3585", "2 2 false")
		alice.none(time.Minute)
	})
}

// A watcher may want NOTIFYs further apart, or every now and then though nothing has
// changed (RFC 6446).
func TestRates(t *testing.T) {
	for _, test := range []struct {
		wants, gets string
		change      bool
		intervals   []int // of the NOTIFYs that follow, in s
	}{
		{";max-rate=0.05", ";max-rate=0.05", true, []int{20, 20}},
		{";max-rate=50", ";max-rate=0.2", true, []int{5, 5}},
		{";max-rate=0.0000000001", ";max-rate=0.0002777778", false, nil},
		{";min-rate=0.1", ";min-rate=0.1", false, []int{10, 10, 10}},
		{";min-rate=99", ";min-rate=0.2", false, []int{5, 5}},
		{";min-rate=0.1;max-rate=0.05", ";max-rate=0.05;min-rate=0.05", false, []int{20}},
		{";adaptive-min-rate=0.1", ";adaptive-min-rate=0.1", false, []int{10, 10, 10}},
		{";adaptive-min-rate=0.1;min-rate=0.15", ";adaptive-min-rate=0.1", false, []int{10}},
		{";max-rate=0;min-rate=x;adaptive-min-rate=100.5", "", false, nil},
	} {
		m := &mood{says: "x"}
		watching(t, m, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
			alice.subscribe(sip.Event{Package: "mood", Params: sip.Params(test.wants)})
			alice.want(0, "active;expires=3600"+test.gets, "x 0 true")
			for _, in := range test.intervals {
				if test.change {
					bob.Changed(bobAOR)
				}
				alice.next(time.Duration(in) * time.Second).Reply(sip.StatusOK)
			}
			if test.intervals == nil {
				alice.none(20 * time.Minute)
			}
		})
	}
}

// What a refresh asks for follows its answer, whatever happens meanwhile.
func TestNotifyFollowsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		notifier := ua.NewNotifier(&mood{says: "fine"}, nil)
		var sent []string
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			Notifiers: []*ua.Notifier{notifier},
			Trace: &transport.Trace{Sent: func(m transport.TraceMessage) { // before the socket has it
				cseq := m.Message.CSeq()
				if cseq.Method == sip.SUBSCRIBE && cseq.Seq == 2 {
					go notifier.Changed(bobAOR)
					time.Sleep(100 * time.Millisecond)
				}
				sent = append(sent, fmt.Sprint(cseq.Method, " ", cseq.Seq))
			}},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s, err := alice.Subscribe(t.Context(), bobURI, "mood", nil)
		if err != nil {
			t.Fatal(err)
		}
		next(t, s)
		time.Sleep(time.Minute)
		s.Refresh()
		next(t, s)
		if want := []string{"SUBSCRIBE 1", "NOTIFY 1", "SUBSCRIBE 2", "NOTIFY 2"}; !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}

// The 2xx to a NOTIFY changes the rates (RFC 6446 section 9.3).
func TestRatesChanged(t *testing.T) {
	m := &mood{says: "x"}
	watching(t, m, nil, func(t *testing.T, bob *ua.Notifier, alice *watcherPeer) {
		alice.subscribe(sip.Event{Package: "mood", Params: ";min-rate=0.1"})
		alice.next(0).Reply(sip.StatusOK, sip.Event{Package: "mood", Params: ";min-rate=0.02"})
		alice.next(50*time.Second).Reply(sip.StatusOK, sip.Event{Package: "mood"})
		alice.none(20 * time.Minute)
	})
}

// Thousands of watchers do not answer any more, and one does: it is told of a change soon, and
// there is not a goroutine for each of the others.
func TestManyWatchersDoNotAnswer(t *testing.T) {
	const dead = 3000
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		m := &mood{says: "x"}
		bob := ua.NewNotifier(m, &ua.NotifierOptions{MaxPerResource: dead + 1})
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{bob}})
		var silent atomic.Bool
		crowd := newCaller(t, n, "192.0.2.3", &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) {
			if !silent.Load() {
				tx.Reply(sip.StatusOK)
			}
		}})
		for range dead {
			if _, err := crowd.Subscribe(t.Context(), request(sip.SUBSCRIBE, bobURI, sip.CallID(rand.Text()), sip.Event{Package: "mood"}), nil); err != nil {
				t.Fatal(err)
			}
		}
		alice := newWatcherPeer(t, n, "192.0.2.1")
		alice.subscribe()
		alice.next(0).Reply(sip.StatusOK)
		time.Sleep(time.Minute)
		silent.Store(true)
		n.Host("192.0.2.3").Down()
		before := goroutine.Count()
		changed := time.Now()
		bob.Changed(sip.URI{})
		time.Sleep(time.Millisecond)
		if more := goroutine.Count() - before; more > 1500 {
			t.Errorf("%d goroutines more, want about a thousand", more)
		}
		(<-alice.notifies).Reply(sip.StatusOK)
		if in := time.Since(changed); in > 30*time.Second {
			t.Errorf("Alice was told after %v", in)
		}
		time.Sleep(15 * time.Minute)
		if got := count(bob); got != 1 {
			t.Errorf("%d watchers after a while, want 1", got)
		}
		go func() { // what tells of the end
			select {
			case tx := <-alice.notifies:
				tx.Reply(sip.StatusOK)
			case <-t.Context().Done():
			}
		}()
	})
}
