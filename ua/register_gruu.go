package ua

import (
	"time"

	"github.com/goparley/parley/sip"
)

// PublicGRUU returns the URI by which everybody reaches this agent and no other of
// its user, from anywhere (RFC 5627). ok is false if the registrar has given none,
// or the registration has expired.
func (r *Registration) PublicGRUU() (uri sip.URI, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gruu(r.answer.pub)
}

// TemporaryGRUU returns a URI as PublicGRUU does that does not tell whose it is.
// It is the newest one; those before are good, too, until the registration ends.
func (r *Registration) TemporaryGRUU() (uri sip.URI, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gruu(r.answer.temp)
}

// gruu returns a GRUU while one of the bindings is there (RFC 5627 sections 4.2
// and 4.4). r.mu is held.
func (r *Registration) gruu(uri sip.URI) (sip.URI, bool) {
	if uri.Host == "" || !time.Now().Before(r.until()) {
		return sip.URI{}, false
	}
	return uri, true
}

// contact returns what the Contact says of a request or response that begins a
// dialog, or changes its target, where own is the address that leads here from
// the peer, and so what goes into session descriptions whatever the Contact says.
//
// It is the GRUU of the first registration that has one and is to use it (RFC 5627 section 4.4), a
// temporary one if private, for who wants to be anonymous. Without one it is own, in
// a request with ob where a registrar keeps flows: the peer's requests are then to
// come by the flow that this one takes (RFC 5626 section 4.3). A proxy that wakes us
// within a dialog, too, gets its mark (RFC 8599 section 6.1.1), unless private: by that the
// peer could tell who has called them with it before.
func (a *Agent) contact(own sip.Contact, request, private bool) sip.Contact {
	purr, found := "", false
	for _, r := range a.registrations() {
		r.mu.Lock()
		uri, ok := r.gruu(r.answer.pub)
		if private {
			uri, ok = r.gruu(r.answer.temp)
		}
		bound := time.Now().Before(r.until())
		if bound && purr == "" {
			purr = r.answer.purr
		}
		r.mu.Unlock()
		// A sips URI needs one (RFC 5630 section 5.2.1).
		if ok && r.useGRUU && !found && (own.URI.Scheme != "sips" || uri.Scheme == "sips") {
			own.URI, found = uri, true
		}
	}
	if private && !found {
		own.URI.User = "" // which would tell
	}
	if !found && request && a.hasOutbound() {
		own.URI = own.URI.WithParam("ob", "")
	}
	if purr != "" && !private {
		own.URI = own.URI.WithParam("pn-purr", purr)
	}
	return own
}
