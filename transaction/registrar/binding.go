package registrar

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// Binding is a place where a user can be reached.
type Binding struct {
	// Contact is what was registered, feature parameters included, without its
	// expires.
	Contact sip.Contact

	// Path is what a request to the Contact goes through (RFC 3327). Where the
	// REGISTER came from the client itself, and the client has to be reached by
	// the flow that it came by, the first entry is the node that has that flow.
	Path []sip.Route

	CallID  string    // of the REGISTER that made or refreshed it
	CSeq    uint32    // of the same
	Expires time.Time // when it ends
	Updated time.Time // when it was made or refreshed

	outbound bool   // known by instance and reg-id, not by its URI (RFC 5626 section 6)
	here     bool   // led to us when it was registered
	epoch    uint64 // names the temporary GRUUs of its instance that are valid
}

// instance returns the URN of the user agent as it is compared.
func (b *Binding) instance() string { return instanceKey(b.Contact.Instance()) }

// instanceKey returns a URN as it is compared: a UUID without regard to case (RFC
// 5626 section 4.1, RFC 4122 section 3), all others byte by byte.
func instanceKey(urn string) string {
	const uuid = "urn:uuid:"
	if len(urn) > len(uuid) && strings.EqualFold(urn[:len(uuid)], uuid) {
		return strings.ToLower(urn)
	}
	return urn
}

// is reports whether a Contact of a REGISTER is about this binding. The URI does not
// count for a Contact with a flow. For one without it counts alone, also where the
// binding has a flow (RFC 5626 section 6): a client that has given up outbound
// refreshes what it had and removes it. But two user agents behind NATs may well have
// one URI.
func (b *Binding) is(w *wanted) bool {
	switch {
	case w.outbound:
		return b.outbound && b.Contact.RegID() == w.contact.RegID() && b.instance() == w.instance
	case b.outbound && w.instance != "" && w.instance != b.instance():
		return false
	}
	return sameContact(b.Contact.URI, w.contact.URI)
}

// sameContact compares by RFC 3261 section 19.1.4; a sips Contact and the sip one
// are of the same binding (RFC 5630 section 5.1.1.1).
func sameContact(a, b sip.URI) bool {
	if a.Scheme == "sips" {
		a.Scheme = "sip"
	}
	if b.Scheme == "sips" {
		b.Scheme = "sip"
	}
	return a.Equal(b)
}

var (
	// errOrder says that a REGISTER is not newer than what it wants to change.
	errOrder = errors.New("registrar: CSeq is not higher than that of the binding")
	// errTooMany says that one REGISTER has more Contacts than a user may have.
	errTooMany = errors.New("registrar: too many bindings")
)

// update makes the changes that a REGISTER asks for, and returns the bindings
// after it: all changes or none (RFC 3261 section 10.3 steps 6 and 7). It does no
// I/O and reads no clock; epoch is a number that was never used. have is left as
// it is.
func update(have []Binding, a *asked, now time.Time, epoch uint64, most int) ([]Binding, error) {
	newer := func(b *Binding) bool { return b.CallID != a.callID || a.seq > b.CSeq }
	if a.star {
		for i := range have {
			if !newer(&have[i]) {
				return nil, errOrder
			}
		}
		return nil, nil
	}
	kept, added := slices.Clone(have), []Binding(nil)
	for i := range a.contacts {
		w := &a.contacts[i]
		for j := range have { // and not those that this REGISTER has made
			if have[j].is(w) && !newer(&have[j]) {
				return nil, errOrder
			}
		}
		b := Binding{
			Contact: w.contact, Path: a.path, CallID: a.callID, CSeq: a.seq,
			Updated: now, Expires: now.Add(w.expires), outbound: w.outbound, here: w.here,
		}
		if w.instance != "" && w.expires > 0 {
			b.epoch = renew(kept, added, w, a.callID, epoch)
		}
		kept = slices.DeleteFunc(kept, func(b Binding) bool { return b.is(w) })
		// Who adds a flow may remove what it had without one in the same REGISTER.
		added = slices.DeleteFunc(added, func(b Binding) bool { return b.outbound == w.outbound && b.is(w) })
		if w.expires > 0 {
			added = append(added, b)
		}
	}
	if len(added) > most {
		return nil, errTooMany
	}
	// The oldest give way: a client whose Contact is another one after each start
	// is not to be locked out by those that nobody refreshes.
	for len(kept)+len(added) > most {
		oldest := 0
		for i := range kept {
			if kept[i].Updated.Before(kept[oldest].Updated) {
				oldest = i
			}
		}
		kept = slices.Delete(kept, oldest, oldest+1)
	}
	return append(kept, added...), nil
}

// renew returns the epoch of an instance. It is a new one, which ends the
// temporary GRUUs of the old one, if the instance has no binding or if the
// Call-ID of its latest has changed (RFC 5627 sections 5.1 and 5.3).
func renew(kept, added []Binding, w *wanted, callID string, epoch uint64) uint64 {
	var latest *Binding // of this flow, where it is one
	of := uint64(0)     // the epoch of the instance
	for _, list := range [][]Binding{kept, added} {
		for i := range list {
			b := &list[i]
			if b.instance() != w.instance {
				continue
			}
			of = b.epoch
			if w.outbound && b.Contact.RegID() != w.contact.RegID() {
				continue
			}
			if latest == nil || b.Updated.After(latest.Updated) {
				latest = b
			}
		}
	}
	if of != 0 && (latest == nil || latest.CallID == callID) {
		return of
	}
	for _, list := range [][]Binding{kept, added} {
		for i := range list {
			if list[i].instance() == w.instance {
				list[i].epoch = epoch
			}
		}
	}
	return epoch
}
