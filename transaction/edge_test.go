package transaction

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/goparley/parley/internal/source"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// edge is an edge proxy (RFC 5626 section 5): what clients behind NATs connect
// to, and are reached by. It keeps nothing about them. By which flow one is
// reached stands in the Path of its REGISTER and the Record-Route of its calls,
// and comes back in a Route.
type edge struct {
	relay
	self sip.URI                      // of its Path and Record-Route
	next func(r *sip.Request) sip.URI // where a request outside of a dialog goes
}

func (e *edge) handle(tx *Server, req *sip.Request) {
	ctx, ep, out := tx.Context(), tx.Layer().Endpoint(), req
	uri := e.self
	route, err := sip.Get[sip.Route](req)
	if err == nil && route.URI.Host == e.self.Host {
		uri, out = route.URI, req.With(sip.Pop("Route"))
	}
	if uri.User != "" { // a flow token
		flow, err := ep.FlowOf(uri.User)
		switch {
		case err != nil && req.Method() == sip.ACK: // never answered
			return
		case errors.Is(err, transport.ErrNoFlow):
			tx.Reply(sip.StatusFlowFailed)
			return
		case err != nil: // it is none of ours
			tx.Reply(sip.StatusForbidden)
			return
		case flow != tx.Flow(): // an incoming request, section 5.3.1
			if uri.Params.Has("ob") && formsDialog(req) {
				uri.Params = uri.Params.Without("ob")
				out = out.With(sip.Push(sip.RecordRoute{URI: uri}))
			}
			e.forward(WithFlow(ctx, flow), tx, out)
			return
		}
	}
	contact, _ := sip.Get[sip.Contact](req)
	mine := e.self
	mine.User = ep.FlowToken(tx.Flow())
	switch {
	case req.Method() == sip.REGISTER && contact.RegID() > 0 && source.IsClient(sip.All[sip.Via](req)): // section 5.1
		mine.Params = mine.Params.With("ob", "")
		out = out.With(sip.Push(sip.Path{URI: mine}))
	case contact.URI.Params.Has("ob") && formsDialog(req): // section 5.3.2
		out = out.With(sip.Push(sip.RecordRoute{URI: mine}))
	}
	if req.To().Tag() == "" {
		ctx = WithNextHop(ctx, e.next(req))
	}
	e.forward(ctx, tx, out)
}

// formsDialog reports whether the 2xx to a request sets up a dialog.
func formsDialog(r *sip.Request) bool {
	return r.To().Tag() == "" && (r.Method() == sip.INVITE || r.Method() == sip.SUBSCRIBE)
}

// relay is what proxies of all kinds do.
type relay struct {
	invites sync.Map // from the INVITE as it was forwarded to the *Server that it came by
}

// forward passes a request on and its responses back (RFC 3261 section 16).
func (r *relay) forward(ctx context.Context, tx *Server, req *sip.Request) {
	if r.try(ctx, tx, req) == sip.StatusFlowFailed {
		tx.Reply(sip.StatusFlowFailed)
	}
}

// try is forward, but for a 430 and a flow that fails: that is left to the
// caller. It returns the status of the final response.
func (r *relay) try(ctx context.Context, tx *Server, req *sip.Request) (status sip.Status) {
	req = req.With(sip.MaxForwards(req.MaxForwards() - 1))
	if req.Method() == sip.ACK {
		tx.Layer().Send(ctx, req)
		return 0
	}
	if req.Method() == sip.INVITE {
		r.invites.Store(req, tx)
		defer time.AfterFunc(tx.Layer().Timers().M, func() { r.invites.Delete(req) })
	}
	for resp, err := range tx.Layer().Responses(ctx, req) {
		switch {
		case errors.Is(err, transport.ErrNoFlow):
			return sip.StatusFlowFailed
		case err != nil:
			tx.Reply(sip.StatusRequestTimeout)
			return sip.StatusRequestTimeout
		case resp.Status() != sip.StatusFlowFailed:
			tx.Respond(resp.With(sip.Pop("Via")))
		}
		status = resp.Status()
	}
	return status
}

// accepted passes on a 2xx that comes again.
func (r *relay) accepted(invite *sip.Request, resp *sip.Response) {
	if tx, ok := r.invites.Load(invite); ok {
		tx.(*Server).Respond(resp.With(sip.Pop("Via")))
	}
}

// home is the registrar of example.com and its authoritative proxy (RFC 5626
// sections 6 and 7). It has one user.
type home struct {
	relay
	mu       sync.Mutex
	bindings []outboundBinding
}

type outboundBinding struct {
	contact sip.Contact
	path    []sip.Route
}

func (h *home) handle(tx *Server, req *sip.Request) {
	switch {
	case req.Method() == sip.REGISTER:
		h.register(tx, req)
	case req.URI().Host != "example.com" || req.Method() == sip.ACK:
		h.forward(tx.Context(), tx, req)
	default:
		h.call(tx, req)
	}
}

// register keeps one binding for each instance and reg-id.
func (h *home) register(tx *Server, req *sip.Request) {
	contact, err := sip.Get[sip.Contact](req)
	if err != nil {
		tx.Refuse(err)
		return
	}
	b := outboundBinding{contact: contact.Clone()}
	var path []sip.Path
	for p, err := range sip.All[sip.Path](req) {
		if err != nil {
			tx.Refuse(err)
			return
		}
		path = append(path, p)
		b.path = append(b.path, sip.Route(sip.Address(p).Clone()))
	}
	if len(path) == 0 || !path[len(path)-1].URI.Params.Has("ob") {
		tx.Reply(sip.StatusFirstHopLacksOutboundSupport)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(func(old outboundBinding) bool {
		return old.contact.Instance() == contact.Instance() && old.contact.RegID() == contact.RegID()
	})
	h.bindings = append(h.bindings, b)
	var list []sip.Contact
	for _, b := range h.bindings {
		list = append(list, b.contact.WithExpires(3600))
	}
	tx.Reply(sip.StatusOK, sip.Supported{sip.OptionPath, sip.OptionOutbound},
		sip.Require{sip.OptionOutbound}, sip.List(list...), sip.List(path...))
}

func (h *home) drop(is func(outboundBinding) bool) { h.bindings = slices.DeleteFunc(h.bindings, is) }

// call takes a request to the user by one flow, and by the next if that has
// failed (section 7).
func (h *home) call(tx *Server, req *sip.Request) {
	h.mu.Lock()
	bindings := slices.Clone(h.bindings)
	h.mu.Unlock()
	for _, b := range bindings {
		out := req.WithURI(b.contact.URI).With(sip.Del("Route"), sip.List(b.path...))
		if h.try(tx.Context(), tx, out) != sip.StatusFlowFailed {
			return
		}
		h.mu.Lock()
		h.drop(func(failed outboundBinding) bool { return slices.Equal(failed.path, b.path) })
		h.mu.Unlock()
	}
	tx.Reply(sip.StatusTemporarilyUnavailable)
}
