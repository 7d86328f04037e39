package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// outgoing is a request that is to be sent, and the way that it takes (RFC 3261
// section 16.6).
type outgoing struct {
	req   *sip.Request
	edits *edits         // to be made yet; nil: none
	flow  transport.Flow // zero: by the Route or the Request-URI
	hop   sip.URI        // where these lead to when the edits are made
	given bool           // they do not, and the layer has to be told
	seed  string         // of its branch, see seed.go
	quick bool           // to send it needs to wait for nobody
}

// edits are made in one copy with the Via, when it is known by which flow the
// request goes.
type edits struct {
	list   []sip.Edit
	room   [4]sip.Edit // for list
	entry  *passage    // what an entry of ours is to say, in a Record-Route or a Path; nil: there is none
	secure bool        // it has sips URIs
	byFlow bool        // a Record-Route names the flow
}

// What keeps a request from being forwarded to a target.
var (
	errTooManyHops = sip.StatusTooManyHops
	errFlowGone    = sip.StatusFlowFailed // RFC 5626 section 5.3.1
	errScheme      = sip.StatusUnsupportedURIScheme
	errRoute       = sip.StatusBadRequest             // a 416 would be about the Request-URI
	errDowngrade   = sip.StatusTemporarilyUnavailable // sips: never without TLS
)

// context returns the context that has a request sent on its way.
func (o *outgoing) context(ctx context.Context, branch string) context.Context {
	ctx = o.edited(transaction.WithBranch(ctx, branch))
	if o.seed != "" {
		ctx = transaction.WithBranchSeed(ctx, o.seed)
	}
	switch {
	case !o.flow.IsZero():
		ctx = transaction.WithFlow(ctx, o.flow)
	case o.given:
		ctx = transaction.WithNextHop(ctx, o.hop)
	}
	return ctx
}

// edited returns a context in which the edits are made.
func (o *outgoing) edited(ctx context.Context) context.Context {
	if o.edits == nil {
		return ctx
	}
	req, e := o.req, o.edits
	return transport.WithEdits(ctx, func(ctx context.Context, flow transport.Flow) ([]sip.Edit, error) {
		switch {
		case e.entry == nil:
			return e.list, nil
		case req.Method() == sip.REGISTER:
			return e.path(ctx, slices.Clip(e.list), req, flow)
		}
		return e.recordRoute(ctx, slices.Clip(e.list), req, flow)
	})
}

// ackBranch returns the branch of an ACK that has no transaction.
func ackBranch(m mark) string { return strings.ToLower(rand.Text()) + "." + string(m[:]) }

// A passage is what the steps of section 16.6 need to know of a request, be it
// with a transaction or without.
type passage struct {
	p       *Proxy
	ep      *transport.Endpoint
	from    transport.Flow
	onward  side
	breadth int  // for this branch
	relay   bool // not for a target of the handler's choice
	counted bool // Max-Forwards and Max-Breadth are what they are to be
}

// prepare makes the request for one target.
func (s *Server) prepare(req *sip.Request, t *Target, breadth int, relay bool) (outgoing, error) {
	p := passage{p: s.p, ep: s.Layer().Endpoint(), from: s.from, onward: s.route.onward(s.from), breadth: breadth, relay: relay}
	way, err := p.way(req, t)
	if err != nil {
		return outgoing{}, err
	}
	return p.prepare(req, way)
}

// prepare makes the request for one way: steps 1 to 7 and 9 of section 16.6.
// The Via is put on when it is sent, and timer C belongs to the transaction.
func (p *passage) prepare(req *sip.Request, way way) (outgoing, error) {
	out := outgoing{req: req, flow: way.flow, hop: way.hop()}
	var room [6]sip.Edit
	list := room[:0]
	if !p.counted {
		if req.MaxForwards() == 0 {
			return out, errTooManyHops
		}
		list = append(list, maxForwards(req), sip.MaxBreadth(p.breadth))
	}
	next := way.next()
	if next != nil && routable(*next) != nil {
		return out, errRoute
	}
	switch {
	case next != nil && !next.Params.Has("lr"):
		// Step 6: a strict router wants itself in the Request-URI, and what
		// stood there at the end of the Route. Its own entry is the next hop.
		way.values = append(way.values[1:len(way.values):len(way.values)], sip.Route{URI: way.uri})
		way.uri, way.changed, way.rewritten = *next, true, true
	case next == nil && way.flow.IsZero():
		if err := routable(way.uri); err != nil {
			return out, err
		}
	}
	out.given = way.changed || way.rewritten
	if way.rewritten {
		list = append(list, sip.List(way.values...))
	}
	if way.changed {
		list = append(list, sip.RequestURI(way.uri))
	}
	records, secure := p.recordsRoute(req, &way)
	out.quick = p.isQuick(req, &out, &way, records)
	path := req.Method() == sip.REGISTER && p.p.cfg.Path
	if path {
		secure = req.URI().Scheme == "sips"
	}
	if len(list) == 0 && !records && !path {
		return out, nil
	}
	out.edits = &edits{secure: secure, byFlow: !out.flow.IsZero()}
	out.edits.list = append(out.edits.room[:0], list...)
	if records || path {
		by := *p
		out.edits.entry = &by
	}
	return out, nil
}

// maxForwards is step 3: one less, and 70 where there was none.
func maxForwards(req *sip.Request) sip.Edit {
	if _, ok := req.Value("Max-Forwards"); !ok {
		return sip.MaxForwards(70)
	}
	return sip.MaxForwards(req.MaxForwards() - 1)
}

// checkTarget refuses a target that is not for a request: one without TLS for a
// sips URI (RFC 3261 section 26.2.2), and one that we do not know how to reach.
func checkTarget(received, uri sip.URI) error {
	if received.Scheme == "sips" && uri.Scheme != "sips" {
		return errDowngrade
	}
	return nil
}

// routable: only a sip or sips URI says where to go.
func routable(uri sip.URI) error {
	if uri.Scheme != "sip" && uri.Scheme != "sips" {
		return errScheme
	}
	return nil
}

// way is where a request goes from here.
type way struct {
	uri       sip.URI
	changed   bool        // the Request-URI
	values    []sip.Route // the Route
	rewritten bool        // the Route has to be written anew
	flow      transport.Flow
	ob        bool // it is the flow of a client with outbound
}

// next returns the URI that the request goes to first, nil if that is the
// Request-URI.
func (w *way) next() *sip.URI {
	if len(w.values) == 0 {
		return nil
	}
	return &w.values[0].URI
}

// way finds out where a request goes for one target.
func (p *passage) way(req *sip.Request, t *Target) (way, error) {
	w, err := p.along(req, t.Route)
	if err != nil || t.URI.Scheme == "" {
		return w, err
	}
	w.uri, w.changed = t.URI, true
	return w, checkTarget(req.URI(), t.URI)
}

// along finds out where a request goes by the Route that it has and that of a target
// in front of it.
func (p *passage) along(req *sip.Request, path []sip.Route) (way, error) {
	w := way{uri: req.URI()}
	if _, ok := req.Value("Route"); ok {
		for value, err := range sip.All[sip.Route](req) {
			if err != nil {
				return w, err
			}
			w.values = append(w.values, value)
		}
	}
	if len(w.values) > 0 && w.uri.Params.Has("gr") {
		path = nil // the way to a GRUU is in the Route already (RFC 5627 section 6.1)
	}
	if len(path) > 0 {
		of := route{values: path}
		of.strip(p.p.know(p.ep), p.ep, p.from.LocalAddr())
		if of.forged { // a binding from before a restart, with another key
			return w, errFlowGone
		}
		left := of.left()
		w.values = append(left[:len(left):len(left)], w.values...)
		w.rewritten = len(left) > 0
		if len(w.values) == 0 {
			return w, w.take(of.side)
		}
		return w, nil
	}
	if p.relay && len(w.values) == 0 {
		return w, w.take(p.onward)
	}
	return w, nil
}

// take takes the flow that our last Route entry names. That of a client with
// outbound is the only way to it, as the entry or the Contact says that the client
// has given (RFC 5626 section 4.3); another client may listen as well.
func (w *way) take(to side) error {
	if to.gone && (to.ob || w.uri.Params.Has("ob")) {
		return errFlowGone
	}
	w.flow, w.ob = to.flow, to.ob
	return nil
}

// breadthOf returns the Max-Breadth of a request, bounded by ours (RFC 5393
// section 5.3.3): 0 if it allows for nothing.
func breadthOf(req *sip.Request, most int) (int, error) {
	value, ok := req.Value("Max-Breadth")
	if !ok {
		return most, nil
	}
	if strings.Trim(value, "0") == "" && value != "" {
		return 0, nil
	}
	breadth, err := sip.Get[sip.MaxBreadth](req)
	return min(int(breadth), most), err
}

// statusOf returns the status that stands for an error of a branch (RFC 3261
// sections 16.7 step 6, 16.9 and 8.1.3.1).
func statusOf(err error, flow transport.Flow) sip.Status {
	var status sip.Status
	var syntax *sip.SyntaxError
	switch {
	case errors.As(err, &status):
		return status
	case errors.Is(err, transaction.ErrTimeout):
		return sip.StatusRequestTimeout
	case errors.As(err, &syntax) && syntax.Status >= 400:
		return syntax.Status
	case !flow.IsZero():
		return sip.StatusFlowFailed
	}
	return sip.StatusServiceUnavailable
}
