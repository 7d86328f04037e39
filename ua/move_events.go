package ua

import (
	"context"
	"slices"
	"time"

	"github.com/goparley/parley/dialog"
)

// moveEvents has the peers of subscriptions, either way, and who has sent a REFER, learn where we are now, after
// NetworkChanged: with a SUBSCRIBE or a NOTIFY, which names the new address (RFC 6665
// sections 3.1 and 3.2: both are target refresh requests). It does not wait for that.
func (a *Agent) moveEvents() {
	for _, s := range a.subs.list() {
		s.move()
	}
	for _, w := range a.watchers() {
		w.move()
	}
	a.mu.Lock()
	referrals := slices.Clone(a.referrals)
	a.mu.Unlock()
	for _, r := range referrals {
		r.move()
	}
}

// move has the notifier told at once, or when a SUBSCRIBE that is under way is answered. One
// whose first NOTIFY has yet to come is begun anew: there is no dialog to tell it in, and that
// NOTIFY goes to where we were. One that is still to begin says by itself where we are.
func (s *Subscription) move() {
	s.mu.Lock()
	now := time.Now()
	switch {
	case s.left != nil:
	case s.m.phase == notifyWait && !s.m.pending && !s.m.single:
		s.m.anew(now, 0)
		s.do(subscriberOutput{gone: true})
		return
	case s.m.phase == notifyWait, s.m.phase == subscribed:
		s.moved = true
		s.hurry(now)
		s.arm()
	}
	s.mu.Unlock()
}

// hurry has the subscription refreshed now if we have moved and a refresh can go out. It is
// called with s.mu held.
func (s *Subscription) hurry(now time.Time) {
	if s.moved && s.left == nil && s.m.phase == subscribed && !s.m.pending {
		s.m.due = now
	}
}

// relocate makes the Contact of the dialog anew, if we have moved. Who has the turn calls it.
func (s *Subscription) relocate(ctx context.Context, d *dialog.Dialog) error {
	s.mu.Lock()
	moved := s.moved && s.d == d
	if moved {
		s.moved = false
	}
	s.mu.Unlock()
	if !moved {
		return nil
	}
	s.a.discover(ctx)
	own, err := d.Relocate(ctx)
	if err != nil {
		s.mu.Lock()
		s.moved = s.d == d // for the next refresh
		s.mu.Unlock()
		return err
	}
	d.SetContact(s.a.contact(own, true, false))
	return nil
}

// move has the watcher told at once.
func (w *Watcher) move() {
	w.mu.Lock()
	if w.m.state != "terminated" {
		w.moved = true
		w.m.changed, w.m.urgent, w.m.full = true, true, true
	}
	w.mu.Unlock()
	w.advance()
}

// relocate makes the Contact of the dialog anew, if we have moved. Who sends the NOTIFYs
// calls it.
func (w *Watcher) relocate() {
	w.mu.Lock()
	moved := w.moved
	w.moved = false
	w.mu.Unlock()
	if !moved {
		return
	}
	w.a.discover(w.a.parting)
	own, err := w.d.Relocate(w.a.parting)
	if err != nil {
		w.a.log.Debug("watcher not told where we are", "error", err)
		w.mu.Lock()
		w.moved = true // for the next NOTIFY: this one will hardly get there
		w.mu.Unlock()
		return
	}
	w.d.SetContact(w.a.contact(own, false, false))
}

// move has who sent a REFER told at once, unless that is the peer of a call that is up, who is
// told anyway.
func (r *Referral) move() {
	if s := r.d.Session(); s != nil && s.Err() == nil {
		return
	}
	r.mu.Lock()
	r.moved = true
	r.due, r.refused = true, 0
	r.mu.Unlock()
	r.send()
}

// relocate makes the Contact of the dialog anew, if we have moved. Who sends the NOTIFYs
// calls it.
func (r *Referral) relocate() {
	r.mu.Lock()
	moved := r.moved
	r.moved = false
	r.mu.Unlock()
	if !moved {
		return
	}
	r.a.discover(r.a.ctx)
	if _, err := r.d.Relocate(r.a.ctx); err != nil {
		r.a.log.Debug("who sent a REFER not told where we are", "error", err)
		r.mu.Lock()
		r.moved = true // for the next NOTIFY: this one will hardly get there
		r.mu.Unlock()
	}
}
