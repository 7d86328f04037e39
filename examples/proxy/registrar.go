package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// binding is where a user can be reached.
type binding struct {
	contact sip.Contact
	name    string // of the client and its flow; "" without outbound
	flow    string // token of the flow that the REGISTER came by (RFC 5626 section 6)
	until   time.Time
}

// reached returns where the user of a URI can be reached, the latest last.
func (p *proxy) reached(ep *transport.Endpoint, uri sip.URI) []binding {
	p.mu.Lock()
	defer p.mu.Unlock()
	return current(ep, p.bindings[uri.Username()])
}

// current returns a copy of those bindings that still hold: with a connection
// end the bindings that use it (RFC 5626 section 7).
func current(ep *transport.Endpoint, bindings []binding) []binding {
	return slices.DeleteFunc(slices.Clone(bindings), func(b binding) bool {
		_, err := ep.FlowOf(b.flow)
		return err != nil || time.Now().After(b.until)
	})
}

// register adds, refreshes and removes bindings, and lists them (RFC 3261
// section 10.3, RFC 5626 section 6).
func (p *proxy) register(tx *transaction.Server, req *sip.Request) {
	user, err := p.registrar.Verify(tx.Context(), req)
	if err != nil {
		tx.Respond(p.registrar.Reply(req, err))
		return
	}
	if user != req.To().URI.Username() {
		tx.Reply(sip.StatusForbidden)
		return
	}
	wanted, named, err := contacts(req)
	if err != nil {
		tx.Refuse(err)
		return
	}
	outbound := named && supports(req, sip.OptionOutbound)
	if !isFirstHop(req) { // whose flow is not the client's: that would take a Path
		if outbound {
			tx.Reply(sip.StatusFirstHopLacksOutboundSupport)
			return
		}
		for i := range wanted {
			wanted[i].name = ""
		}
	}
	ep := tx.Layer().Endpoint()
	p.mu.Lock()
	bindings := current(ep, p.bindings[user])
	for _, b := range wanted {
		bindings = slices.DeleteFunc(bindings, func(old binding) bool {
			return b.contact.Star || b.name == old.name && (b.name != "" || b.contact.URI.Equal(old.contact.URI))
		})
		if b.flow = ep.FlowToken(tx.Flow()); time.Now().Before(b.until) {
			bindings = append(bindings, b)
		}
	}
	bindings = bindings[max(0, len(bindings)-maxBindings):]
	p.bindings[strings.Clone(user)] = bindings
	p.mu.Unlock()

	var list []sip.Contact
	for _, b := range bindings {
		left := max(0, time.Until(b.until).Round(time.Second)/time.Second)
		list = append(list, b.contact.WithExpires(uint32(left)))
	}
	edits := []sip.Edit{sip.List(list...)}
	if outbound {
		timer := sip.FlowTimer(120) // seconds between keepalives (section 4.4)
		if !tx.Flow().Reliable() {
			timer = 25 // NATs forget UDP soon
		}
		edits = append(edits, sip.Require{sip.OptionOutbound}, timer)
	}
	tx.Reply(sip.StatusOK, edits...)
}

// maxBindings is how many bindings a user has; the oldest give way.
const maxBindings = 10

// contacts returns the bindings that a REGISTER is about, and whether one is
// named by a client and its flow. Those to be removed are over already.
func contacts(req *sip.Request) (wanted []binding, named bool, err error) {
	standard := uint32(3600)
	if header, err := sip.Get[sip.Expires](req); err == nil {
		standard = uint32(header)
	}
	added := 0
	for contact, err := range sip.All[sip.Contact](req) {
		if err != nil {
			return nil, false, err
		}
		expires, ok := contact.Expires()
		if !ok {
			expires = standard
		}
		if contact.Star && standard != 0 {
			return nil, false, refusal("expected Expires: 0 with *")
		}
		b := binding{contact: contact.Clone(), until: time.Now().Add(time.Duration(min(expires, 3600)) * time.Second)}
		if contact.RegID() > 0 && contact.Instance() != "" {
			b.name, named = fmt.Sprint(contact.Instance(), " ", contact.RegID()), true
		}
		if expires > 0 {
			added++
		}
		wanted = append(wanted, b)
	}
	if named && added > 1 {
		return nil, false, refusal("expected one with reg-id")
	}
	return wanted, named, nil
}

// isFirstHop reports whether a request comes from its client itself.
func isFirstHop(req *sip.Request) bool {
	_, err := sip.Get[sip.Via](req.With(sip.Pop("Via")))
	return errors.Is(err, sip.ErrMissing)
}

// supports reports whether a client knows an option.
func supports(req *sip.Request, option string) bool {
	for options, err := range sip.All[sip.Supported](req) {
		if err == nil && slices.Contains(options, option) {
			return true
		}
	}
	return false
}

// refusal is a 400 that says what is wrong with the Contact.
func refusal(why string) error {
	return &sip.SyntaxError{Where: "Contact", Msg: why, Status: sip.StatusBadRequest}
}
