package ua_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// notifierPeer is a notifier whose every message is scripted.
type notifierPeer struct {
	t    *testing.T
	l    *dialog.Layer
	asks chan *dialog.Server // SUBSCRIBEs that came
}

func newNotifierPeer(t *testing.T, n *siptest.Network, addr string) *notifierPeer {
	p := &notifierPeer{t: t, asks: make(chan *dialog.Server, 64)}
	p.l = newCaller(t, n, addr, &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
		tx.Hold()
		p.asks <- tx
	}})
	return p
}

// next returns the next SUBSCRIBE.
func (p *notifierPeer) next() *dialog.Server {
	p.t.Helper()
	select {
	case tx := <-p.asks:
		return tx
	case <-time.After(2 * time.Hour):
		p.t.Fatal("no SUBSCRIBE came")
		return nil
	}
}

// accept answers a SUBSCRIBE with 200 and what it asks for.
func (p *notifierPeer) accept(tx *dialog.Server) *dialog.Dialog {
	p.t.Helper()
	expires, err := sip.Get[sip.Expires](tx.Request())
	if err != nil {
		p.t.Error(err)
	}
	d, err := tx.Accept(sip.StatusOK, expires)
	if err != nil {
		p.t.Error(err)
	}
	return d
}

// notify sends a NOTIFY and returns how it was answered.
func (p *notifierPeer) notify(d *dialog.Dialog, event, state, body string) sip.Status {
	p.t.Helper()
	edits := []sip.Edit{sip.Field{Name: "Event", Value: event}}
	if state != "" {
		edits = append(edits, sip.Field{Name: "Subscription-State", Value: state})
	}
	if body != "" {
		edits = append(edits, sip.Body{Type: "text/plain", Content: body})
	}
	resp, err := d.Do(p.t.Context(), sip.NOTIFY, edits...)
	if err != nil {
		p.t.Errorf("NOTIFY: %v", err)
		return 0
	}
	return resp.Status()
}

// expires returns what a SUBSCRIBE asks for.
func expires(tx *dialog.Server) int {
	e, err := sip.Get[sip.Expires](tx.Request())
	if err != nil {
		return -1
	}
	return int(e)
}

// next reads one NOTIFY.
func next(t *testing.T, s *ua.Subscription) *ua.Notify {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	for n, err := range s.Notifies(ctx) {
		if err != nil {
			t.Fatalf("Notifies() = %v", err)
		}
		return n
	}
	t.Fatal("Notifies() ended")
	return nil
}

// events runs a story between Alice, who subscribes, and a notifier.
func events(t *testing.T, cfg ua.Config, run func(t *testing.T, alice *ua.Agent, bob *notifierPeer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		bob := newNotifierPeer(t, n, "192.0.2.2")
		run(t, newAgent(t, n, "192.0.2.1", "sip:alice@a.example", cfg), bob)
	})
}

type subscribed struct {
	s   *ua.Subscription
	err error
}

// subscribing calls Subscribe in a goroutine.
func subscribing(ctx context.Context, a *ua.Agent, event string, opts *ua.SubscribeOptions) <-chan subscribed {
	result := make(chan subscribed, 1)
	go func() {
		s, err := a.Subscribe(ctx, bobURI, event, opts)
		result <- subscribed{s, err}
	}()
	return result
}

// fork is a notifier of which nothing is known but the NOTIFYs that it sends.
type fork struct {
	bob       *notifierPeer
	subscribe *sip.Request
	tag       string
	seq       uint32
	event     string
}

func newFork(t *testing.T, bob *notifierPeer, subscribe *sip.Request, tag string) *fork {
	event, _ := subscribe.Value("Event")
	return &fork{bob: bob, subscribe: subscribe, tag: tag, event: event}
}

func (f *fork) notify(state, body string) sip.Status {
	f.bob.t.Helper()
	contact, err := sip.Get[sip.Contact](f.subscribe)
	if err != nil {
		f.bob.t.Fatal(err)
	}
	f.seq++
	edits := []sip.Edit{
		sip.MaxForwards(70), sip.From(f.subscribe.To().WithTag(f.tag)), sip.To(f.subscribe.From()),
		sip.CallID(f.subscribe.CallID()), sip.CSeq{Seq: f.seq, Method: sip.NOTIFY}, contactAt("192.0.2.2"),
		sip.Field{Name: "Event", Value: f.event},
	}
	if state != "" {
		edits = append(edits, sip.Field{Name: "Subscription-State", Value: state})
	}
	if body != "" {
		edits = append(edits, sip.Body{Type: "text/plain", Content: body})
	}
	resp, err := f.bob.l.Do(f.bob.t.Context(), sip.NewRequest(sip.NOTIFY, contact.URI, edits...))
	if err != nil {
		f.bob.t.Errorf("NOTIFY: %v", err)
		return 0
	}
	return resp.Status()
}

// subscribed has Alice subscribe, and sends the first NOTIFY, which is read.
func (p *notifierPeer) subscribed(alice *ua.Agent, opts *ua.SubscribeOptions) (*ua.Subscription, *dialog.Dialog) {
	p.t.Helper()
	result := subscribing(p.t.Context(), alice, "presence", opts)
	d := p.accept(p.next())
	p.notify(d, "presence", "active;expires=3600", "first")
	r := <-result
	if r.err != nil {
		p.t.Fatal(r.err)
	}
	next(p.t, r.s)
	return r.s, d
}
