package ua

import (
	"time"

	"github.com/goparley/parley/sip"
)

// ToldEnded does what a NOTIFY of the reg event package does that tells of the end of all
// bindings.
func (r *Registration) ToldEnded(event string, retryAfter time.Duration) {
	var all []ending
	for _, b := range r.all() {
		all = append(all, ending{b, event, retryAfter})
	}
	r.toldEnded(all)
}

// Contact returns the Contact of a request or response that begins a dialog.
func (a *Agent) Contact(own sip.Contact, request, private bool) sip.Contact {
	return a.contact(own, request, private)
}

// Left returns how much an agent still knows of: calls, dialogs, and what is told or waited
// for in them, or kept for others.
func (a *Agent) Left() (calls, dialogs, others int) {
	for range a.l.Dialogs() {
		dialogs++
	}
	others += a.messages.left() + a.publishing.left() + a.infos.left() + a.refers.left() + a.changes.left()
	a.subs.mu.Lock()
	others += len(a.subs.all) + len(a.subs.within)
	a.subs.mu.Unlock()
	for _, n := range a.cfg.Notifiers {
		n.mu.Lock()
		others += n.count + len(n.resources) + len(n.within)
		n.mu.Unlock()
	}
	if c := a.cfg.Compositor; c != nil {
		c.mu.Lock()
		others += len(c.states) + len(c.ends) + c.bytes
		c.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.calls), dialogs, others + len(a.referrals) + len(a.transfers) + len(a.regs) + len(a.pubs)
}

// left returns how many lines there are.
func (q *queue[K]) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.lines)
}
