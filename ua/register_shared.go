package ua

import (
	"slices"
	"time"

	"github.com/goparley/parley/sip"
)

// shared returns the binding of another Registration of the agent's that is the same one at
// the registrar, nil if there is none: without outbound a binding is known by its Contact
// alone (RFC 3261 section 10.3), and whoever removes it removes it for all of them. Of two
// that are closed at once one finds none. Who has the turn calls it.
func (b *binding) shared() *binding {
	if b.hasOutbound() {
		return nil // known by its instance and reg-id (RFC 5626 section 6)
	}
	contact := b.bound
	if contact.URI.Host == "" {
		contact = b.contact
	}
	a := b.r.a
	a.mu.Lock()
	regs := slices.Clone(a.regs)
	a.mu.Unlock()
	for _, r := range regs {
		if r == b.r || !r.registrar.Equal(b.r.registrar) {
			continue
		}
		if other := r.bindingAt(contact.URI); other != nil {
			return other
		}
	}
	return nil
}

// bindingAt returns the binding of a Contact that is kept without outbound, nil if there is
// none.
func (r *Registration) bindingAt(contact sip.URI) *binding {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed != nil || r.ended != nil {
		return nil
	}
	for _, b := range r.bindings {
		if !b.outbound && time.Now().Before(b.until) && withoutPush(b.told).Equal(withoutPush(contact)) {
			return b
		}
	}
	return nil
}
