package ua_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// mood is an event package: what somebody says of how they feel.
type mood struct {
	types     []string
	authorize func(w *ua.Watcher, req *sip.Request) error // nil: everybody
	state     func(w *ua.Watcher) (sip.Body, error)       // nil: says

	mu   sync.Mutex
	says string
}

func (m *mood) Name() string { return "mood" }

func (m *mood) Types() []string { return m.types }

func (m *mood) Authorize(_ context.Context, w *ua.Watcher, req *sip.Request) error {
	if m.authorize == nil {
		return nil
	}
	return m.authorize(w, req)
}

func (m *mood) State(_ context.Context, w *ua.Watcher) (sip.Body, error) {
	if m.state != nil {
		return m.state(w)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return sip.Body{Type: "text/plain", Content: fmt.Sprintf("%s %d %v", m.says, w.Version(), w.Full())}, nil
}

func (m *mood) say(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.says = what
}

var bobAOR = sip.URI{Scheme: "sip", User: "bob", Host: "b.example"}

// watcherPeer is a subscriber whose every message is scripted.
type watcherPeer struct {
	t        *testing.T
	l        *dialog.Layer
	notifies chan *dialog.Server // that came
}

func newWatcherPeer(t *testing.T, n *siptest.Network, addr string) *watcherPeer {
	p := &watcherPeer{t: t, notifies: make(chan *dialog.Server, 256)}
	p.l = newCaller(t, n, addr, &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
		tx.Hold()
		p.notifies <- tx
	}})
	return p
}

// subscribe sends a SUBSCRIBE and returns how it was answered.
func (p *watcherPeer) subscribe(edits ...sip.Edit) *sip.Response {
	p.t.Helper()
	all := append([]sip.Edit{sip.Event{Package: "mood"}, sip.CallID(rand.Text()), contactAt(p.l.Transactions().Endpoint().Addr("udp").Addr().String())}, edits...)
	resp, err := p.l.Subscribe(p.t.Context(), request(sip.SUBSCRIBE, bobURI, all...), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp
}

// next returns the next NOTIFY, which has come when in has passed, not answered.
func (p *watcherPeer) next(in time.Duration) *dialog.Server {
	p.t.Helper()
	before := time.Now()
	select {
	case tx := <-p.notifies:
		if got := time.Since(before).Round(time.Second); got != in {
			p.t.Errorf("the NOTIFY came after %v, want %v", got, in)
		}
		return tx
	case <-time.After(3 * time.Hour):
		p.t.Fatal("no NOTIFY came")
		return nil
	}
}

// want answers the next NOTIFY with 200 and checks what it says.
func (p *watcherPeer) want(in time.Duration, state, body string) *dialog.Server {
	p.t.Helper()
	tx := p.next(in)
	p.check(tx, state, body)
	tx.Reply(sip.StatusOK)
	return tx
}

func (p *watcherPeer) check(tx *dialog.Server, state, body string) {
	p.t.Helper()
	req := tx.Request()
	if got, _ := req.Value("Subscription-State"); got != state || req.Body() != body {
		p.t.Errorf("notified of %s, %q, want %s, %q", got, req.Body(), state, body)
	}
}

// none checks that no NOTIFY comes.
func (p *watcherPeer) none(in time.Duration) {
	p.t.Helper()
	select {
	case tx := <-p.notifies:
		p.t.Errorf("a NOTIFY came:\n%s", tx.Request())
	case <-time.After(in):
	}
}

// watching runs a story between Bob, who lets his mood be watched, and a watcher.
func watching(t *testing.T, m *mood, opts *ua.NotifierOptions, run func(t *testing.T, bob *ua.Notifier, alice *watcherPeer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		notifier := ua.NewNotifier(m, opts)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
		p := newWatcherPeer(t, n, "192.0.2.1")
		run(t, notifier, p)
		// What is left is told of the end of the agent.
		go func() {
			for {
				select {
				case tx := <-p.notifies:
					tx.Reply(sip.StatusOK)
				case <-t.Context().Done():
					return
				}
			}
		}()
	})
}

func count(n *ua.Notifier) (count int) {
	for range n.Watchers(sip.URI{}) {
		count++
	}
	return count
}
