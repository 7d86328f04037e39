package registrar

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// asked is what a REGISTER asks for. It does not outlive the handler, as its
// texts are parts of the message.
type asked struct {
	aor      sip.URI
	key      string
	callID   string
	seq      uint32
	star     bool // Contact: *
	contacts []wanted
	path     []sip.Route
	outbound bool // a reg-id counts
	forwards bool // a Contact is of a user of ours
	options  []string
}

// wanted is a Contact of a REGISTER.
type wanted struct {
	contact  sip.Contact // without the parameters that are for this REGISTER alone
	expires  time.Duration
	instance string // as it is compared; "" for none
	outbound bool   // it is known by its instance and reg-id
	here     bool   // it leads to us
}

// A refusal is a status that a REGISTER is answered with.
type refusal struct {
	status sip.Status
	edits  []sip.Edit
}

func (r *refusal) Error() string { return "registrar: " + r.status.Error() }

func refuse(status sip.Status, edits ...sip.Edit) error { return &refusal{status, edits} }

// bad is a 400 that says what is wrong with the Contact.
func bad(why string) error {
	return &sip.SyntaxError{Where: "Contact", Msg: why, Status: sip.StatusBadRequest}
}

const (
	// maxBinding bounds what is kept of one binding, in bytes.
	maxBinding = 4096
	// maxInstance bounds the URN of a user agent, which its public GRUU repeats.
	// That of a UUID has 45 bytes.
	maxInstance = 200
)

// read takes a REGISTER apart, for an address-of-record that is ours.
func (r *Registrar) read(req *sip.Request, firstHop bool) (*asked, error) {
	a := &asked{aor: req.To().URI, callID: req.CallID(), seq: req.CSeq().Seq}
	a.key, _ = aorKey(a.aor)
	for options, err := range sip.All[sip.Supported](req) {
		if err != nil {
			return nil, err
		}
		a.options = append(a.options, options...)
	}
	for options, err := range sip.All[sip.Require](req) { // who requires it knows it
		if err != nil {
			return nil, err
		}
		a.options = append(a.options, options...)
	}
	for hop, err := range sip.All[sip.Path](req) {
		if err != nil {
			return nil, err
		}
		a.path = append(a.path, sip.Route(hop))
	}
	// RFC 3327 section 5.3: a Path that its client knows nothing of may have been
	// put there by anybody on the way.
	if len(a.path) > 0 && !a.supports(sip.OptionPath) && !r.cfg.AnyPath {
		return nil, refuse(sip.StatusBadExtension, sip.Unsupported{sip.OptionPath})
	}
	if err := r.readContacts(req, a); err != nil {
		return nil, err
	}
	if err := a.checkOutbound(firstHop); err != nil {
		return nil, err
	}
	return a, a.checkSchemes(req.URI())
}

// supports reports whether the client knows an option.
func (a *asked) supports(option string) bool {
	return slices.ContainsFunc(a.options, func(o string) bool { return strings.EqualFold(o, option) })
}

// readContacts reads the Contacts with their times (RFC 3261 section 10.3 steps 6
// and 7).
func (r *Registrar) readContacts(req *sip.Request, a *asked) error {
	standard := r.cfg.DefaultExpires
	header, err := sip.Get[sip.Expires](req)
	switch {
	case err == nil:
		standard = seconds(uint64(header))
	case !errors.Is(err, sip.ErrMissing):
		return err
	}
	for contact, err := range sip.All[sip.Contact](req) {
		if err != nil {
			return err
		}
		if contact.Star {
			a.star = true
			a.contacts = append(a.contacts, wanted{})
			continue
		}
		expires := standard
		if value, ok := contact.Params.Get("expires"); ok {
			expires = delta(contact, value)
		}
		// RFC 3261 section 10.3 step 7: and an hour is never too brief.
		if expires > 0 && expires < time.Hour && expires < r.cfg.MinExpires {
			return refuse(sip.StatusIntervalTooBrief, sip.MinExpires(r.cfg.MinExpires/time.Second))
		}
		w := wanted{contact: contact, expires: min(expires, r.cfg.MaxExpires), instance: instanceKey(contact.Instance())}
		if len(w.instance) > maxInstance {
			return bad("expected an instance of 200 bytes at most")
		}
		if err := r.checkContact(a, &w); err != nil {
			return err
		}
		// What the client has of GRUUs is of no account (RFC 5627 section 5.1).
		for _, name := range []string{"expires", "pub-gruu", "temp-gruu"} {
			w.contact.Params = w.contact.Params.Without(name)
		}
		a.contacts = append(a.contacts, w)
	}
	if a.star && len(a.contacts) > 1 {
		return bad("expected * alone")
	}
	if a.star && (err != nil || header != 0) {
		return bad("expected Expires: 0 with *")
	}
	return nil
}

// delta returns the expires parameter of a Contact. What cannot be read is an
// hour, and what is too much the most there is (RFC 3261 section 10.2.1.1).
func delta(contact sip.Contact, value string) time.Duration {
	if n, ok := contact.Expires(); ok {
		return seconds(uint64(n))
	}
	if _, err := strconv.ParseUint(value, 10, 32); errors.Is(err, strconv.ErrRange) {
		return seconds(math.MaxUint32)
	}
	return time.Hour
}

func seconds(n uint64) time.Duration { return time.Duration(n) * time.Second }

// checkContact refuses Contacts that lead back to the user, or nowhere, as RFC 5627
// section 5.1 has it.
func (r *Registrar) checkContact(a *asked, w *wanted) error {
	uri := w.contact.URI
	if w.expires == 0 {
		return nil
	}
	if uri.Scheme != "sip" && uri.Scheme != "sips" {
		if w.instance != "" {
			return refuse(sip.StatusForbidden)
		}
		return nil
	}
	if uri.Params.Has("gr") {
		if key, _, ok := r.gruus.open(uri.Username()); ok && key == a.key {
			return refuse(sip.StatusForbidden, sip.ReasonPhrase("Contact Is A GRUU Of The Address Of Record"))
		}
	}
	if !r.leadsHere(uri, a.key, false) {
		return nil
	}
	a.forwards, w.here = true, true
	// A public GRUU has the key of its address-of-record, too.
	if key, ok := aorKey(uri); ok && key == a.key {
		return refuse(sip.StatusForbidden, sip.ReasonPhrase("Contact Is The Address Of Record"))
	}
	return nil
}

// checkOutbound tells which Contacts are known by instance and reg-id (RFC 5626
// section 6).
func (a *asked) checkOutbound(firstHop bool) error {
	// The first URI is the one that was put there first, at the end: no other may
	// have ob (section 5.1).
	able := firstHop || len(a.path) > 0 && a.path[len(a.path)-1].URI.Params.Has("ob")
	live := 0
	for i := range a.contacts {
		w := &a.contacts[i]
		if w.expires > 0 {
			live++
		}
		if w.contact.RegID() == 0 || w.instance == "" {
			continue
		}
		if !able && a.supports(sip.OptionOutbound) {
			return refuse(sip.StatusFirstHopLacksOutboundSupport)
		}
		w.outbound = able
		a.outbound = a.outbound || able
	}
	if live > 1 && slices.ContainsFunc(a.contacts, func(w wanted) bool { return w.outbound && w.expires > 0 }) {
		return bad("expected one Contact where it has a reg-id")
	}
	return nil
}

// checkSchemes keeps what is secure from being bound to what is not: with a sips
// Contact all of the Request-URI, the Contacts and the Path have to be sips (RFC
// 5630 section 5.2).
func (a *asked) checkSchemes(target sip.URI) error {
	secure, all := false, target.Scheme == "sips"
	for i := range a.contacts {
		if a.contacts[i].expires > 0 {
			is := a.contacts[i].contact.URI.Scheme == "sips"
			secure, all = secure || is, all && is
		}
	}
	for _, hop := range a.path {
		all = all && hop.URI.Scheme == "sips"
	}
	if secure && !all {
		return bad("expected sips in the Request-URI, all Contacts and the Path, or no sips Contact")
	}
	return nil
}

// bound refuses what is too long to be kept. All that is kept is written into one
// value, so nothing of the message stays.
func (a *asked) bound() error {
	common := len(a.callID)
	for _, hop := range a.path {
		common += textLen(hop.Display, hop.URI, hop.Params)
	}
	for i := range a.contacts {
		c := &a.contacts[i].contact
		if n := common + textLen(c.Display, c.URI, c.Params); n > maxBinding {
			return refuse(sip.StatusMessageTooLarge)
		}
	}
	return nil
}

// textLen is how much text there is in an address.
func textLen(display string, u sip.URI, params sip.Params) int {
	return len(display) + len(params) +
		len(u.User) + len(u.Password) + len(u.Host) + len(u.Params) + len(u.Headers) + len(u.Opaque)
}
