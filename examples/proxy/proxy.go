package main

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

type proxy struct {
	domain    string
	registrar *digest.Server // asks for the password of a REGISTER
	guard     *digest.Server // asks our users for theirs when they call

	mu       sync.Mutex
	bindings map[string][]binding // by user, the latest last

	invites sync.Map // of the *transaction.Server that each forwarded INVITE came by
}

func (p *proxy) handle(tx *transaction.Server, req *sip.Request) {
	require, badRequire := sip.Get[sip.ProxyRequire](req)
	_, badRoute := sip.Get[sip.Route](req)
	switch {
	case req.Method() == sip.REGISTER && p.serves(req.URI()):
		p.register(tx, req)
	case req.MaxForwards() == 0:
		tx.Reply(sip.StatusTooManyHops)
	case badRequire != nil && !errors.Is(badRequire, sip.ErrMissing):
		tx.Refuse(badRequire)
	case len(require) > 0: // RFC 3261 section 16.3 step 5
		tx.Reply(sip.StatusBadExtension, sip.Unsupported(require))
	case badRoute != nil && !errors.Is(badRoute, sip.ErrMissing):
		tx.Refuse(badRoute)
	case req.To().Tag() != "":
		p.within(tx, req)
	case req.Method() != sip.ACK: // which is for our own refusals
		p.begin(tx, req)
	}
}

// serves reports whether a URI is of our domain.
func (p *proxy) serves(uri sip.URI) bool {
	return strings.EqualFold(strings.TrimSuffix(uri.Host, "."), p.domain)
}

// begin takes a request outside of a call to its user, by the latest binding
// whose flow is there.
func (p *proxy) begin(tx *transaction.Server, req *sip.Request) {
	if p.serves(req.From().URI) && !p.admits(tx, req) {
		return
	}
	if !p.serves(req.URI()) { // no relay to other domains
		tx.Reply(sip.StatusForbidden)
		return
	}
	ep := tx.Layer().Endpoint()
	for _, b := range slices.Backward(p.reached(ep, req.URI())) {
		if req.URI().Scheme == "sips" && b.contact.URI.Scheme != "sips" {
			continue
		}
		flow, err := ep.FlowOf(b.flow)
		if err != nil {
			continue // just now
		}
		out := req.WithURI(b.contact.URI).With(sip.Del("Route"))
		if req.Method() == sip.INVITE || req.Method() == sip.SUBSCRIBE {
			if out, err = recordRoute(tx, out, flow); err != nil {
				tx.Reply(sip.StatusServerInternalError)
				return
			}
		}
		if p.forward(tx, out, flow) {
			return
		}
	}
	tx.Reply(sip.StatusTemporarilyUnavailable)
}

// recordRoute puts two entries on the Record-Route, for the side that a request
// comes from and for the one that it goes to (RFC 5658 section 5). Each says
// where its side is to send to, and has a token of the flow to that side, by
// which it is sent to (RFC 5626 section 5.3).
//
// RFC 5658 section 6.2 wants a sips URI for TLS and not transport=tls. But that
// would ask for TLS on the other side too, which only a call to a sips URI does.
func recordRoute(tx *transaction.Server, req *sip.Request, onward transport.Flow) (*sip.Request, error) {
	ep := tx.Layer().Endpoint()
	for _, side := range []transport.Flow{tx.Flow(), onward} {
		uri, err := ep.ContactOn(tx.Context(), side)
		if err != nil {
			return nil, err
		}
		if req.URI().Scheme == "sips" { // RFC 3261 section 16.6 step 4
			uri.Scheme = "sips"
		}
		uri.User, uri.Params = ep.FlowToken(side), uri.Params.With("lr", "")
		req = req.With(sip.Push(sip.RecordRoute{URI: uri}))
	}
	return req, nil
}

// within takes a request within a call along its route. It begins with our two
// entries: that of the side it comes from, and that of the side it goes to.
func (p *proxy) within(tx *transaction.Server, req *sip.Request) {
	ep := tx.Layer().Endpoint()
	out := req.With(sip.Pop("Route"))
	route, _ := sip.Get[sip.Route](out)
	flow, err := ep.FlowOf(route.URI.User)
	if to := req.To().URI; p.serves(to) && !errors.Is(err, transport.ErrToken) {
		for _, b := range p.reached(ep, to) { // our user may have another flow by now
			if b.contact.URI.Equal(req.URI()) {
				flow, err = ep.FlowOf(b.flow)
			}
		}
	}
	out = out.With(sip.Pop("Route"))
	switch {
	case err == nil && p.forward(tx, out, flow):
	case req.Method() == sip.ACK: // never answered
	case errors.Is(err, transport.ErrToken): // no relay for strangers
		tx.Reply(sip.StatusForbidden)
	default:
		tx.Reply(sip.StatusFlowFailed)
	}
}

// admits asks one of our users for the password.
func (p *proxy) admits(tx *transaction.Server, req *sip.Request) bool {
	user, err := p.guard.Verify(tx.Context(), req)
	switch {
	case err != nil:
		tx.Respond(p.guard.Reply(req, err))
	case user != req.From().URI.Username():
		tx.Reply(sip.StatusForbidden)
	default:
		return true
	}
	return false
}

// forward passes a request on by a flow and its responses back (RFC 3261
// section 16). It reports false, and has given no final response, if the flow
// has failed.
func (p *proxy) forward(tx *transaction.Server, req *sip.Request, flow transport.Flow) bool {
	ctx := transaction.WithFlow(tx.Context(), flow) // a CANCEL ends it
	out := req.With(sip.MaxForwards(req.MaxForwards() - 1))
	if req.Method() == sip.ACK { // for a 2xx, so part of no transaction
		_, _, err := tx.Layer().Send(ctx, out)
		return err == nil
	}
	if req.Method() == sip.INVITE {
		p.invites.Store(out, tx)
		defer time.AfterFunc(time.Minute, func() { p.invites.Delete(out) })
	}
	for resp, err := range tx.Layer().Responses(ctx, out) {
		switch {
		case err != nil && tx.Context().Err() != nil: // cancelled, and gets 487
			return true
		case errors.Is(err, transaction.ErrTransport), err == nil && resp.Status() == sip.StatusFlowFailed:
			return false
		case err != nil:
			tx.Reply(sip.StatusRequestTimeout)
		default:
			tx.Respond(resp.With(sip.Pop("Via")))
		}
	}
	return true
}

// accepted passes on a 2xx that comes again because its ACK has not come.
func (p *proxy) accepted(invite *sip.Request, resp *sip.Response) {
	if tx, ok := p.invites.Load(invite); ok {
		tx.(*transaction.Server).Respond(resp.With(sip.Pop("Via")))
	}
}
