package ua

import (
	"maps"
	"slices"
	"sync"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// subscriptions are those of an agent. The zero value has none.
type subscriptions struct {
	mu     sync.Mutex // taken while that of a Subscription is held
	closed bool
	all    map[*Subscription]struct{}
	within map[*dialog.Dialog]*Subscription
}

// add adds one, unless the agent was closed.
func (t *subscriptions) add(s *Subscription) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	if t.all == nil {
		t.all = map[*Subscription]struct{}{}
		t.within = map[*dialog.Dialog]*Subscription{}
	}
	t.all[s] = struct{}{}
	return true
}

func (t *subscriptions) remove(s *Subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, s)
}

// close has no more added, and returns what there is.
func (t *subscriptions) close() (all []*Subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for s := range t.all {
		all = append(all, s)
	}
	return all
}

// list returns those there are.
func (t *subscriptions) list() []*Subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.all))
}

// bind notes that the NOTIFYs of a subscription come within a dialog.
func (t *subscriptions) bind(s *Subscription, d *dialog.Dialog) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.bound = d
	t.within[d] = s
}

// unbind undoes bind.
func (t *subscriptions) unbind(s *Subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.within, s.bound)
	s.bound = nil
}

// find returns the subscription that a NOTIFY within a dialog is of.
func (t *subscriptions) find(d *dialog.Dialog, event sip.Event) *Subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.within[d]
	if s == nil || !s.sameEvent(event) {
		return nil
	}
	return s
}

// notify gives a NOTIFY to the subscription that it is of, and reports false if
// there is none.
func (t *subscriptions) notify(d *dialog.Dialog, event sip.Event, state sip.SubscriptionState, n *Notify) bool {
	if s := t.find(d, event); s != nil {
		return s.notify(nil, d, state, n)
	}
	try, ok := d.Value().(*try)
	if !ok || !try.s.sameEvent(event) {
		return false
	}
	return try.s.notify(try, d, state, n)
}

// sameEvent reports whether a NOTIFY that begins a dialog is of this subscription
// (RFC 6665 section 8.2.1).
func (s *Subscription) sameEvent(event sip.Event) bool {
	return s.event.Package == event.Package && s.event.ID() == event.ID()
}
