package dialog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
)

// ID tells a dialog from others, as one of its two sides sees it (RFC 3261
// section 12).
type ID struct {
	CallID    string
	LocalTag  string
	RemoteTag string
}

// state is the dialog state of RFC 3261 section 12.1. It holds no part of a
// message, so that no message is kept alive by it.
type state struct {
	id        ID
	local     sip.Address // From of our requests, with the tag
	remote    sip.Address // To of our requests, with the tag
	target    sip.URI     // the peer's Contact
	routes    []sip.Route
	localSeq  uint32
	remoteSeq uint32
	remoteSet bool // remoteSeq says something
	restored  bool // and the request with that number may come once more
}

// unusable says of a header field that requests cannot be sent by it, as sip
// says of one that it cannot be read: a refusal then names it.
func unusable(name string) error {
	return &sip.SyntaxError{Where: name, Msg: "expected a sip or sips URI", Status: sip.StatusBadRequest}
}

// newCaller makes the state of the side that sent the INVITE (section 12.1.2).
// With an error there is a state all the same, that may do to end the call:
// its requests go where the INVITE went.
func newCaller(invite *sip.Request, resp *sip.Response) (state, error) {
	from, to := invite.From(), resp.To()
	d := state{
		id:       ID{invite.CallID(), from.Tag(), to.Tag()},
		local:    sip.Address(from),
		remote:   sip.Address(to),
		localSeq: invite.CSeq().Seq,
	}
	var err error
	if d.target, err = contactOf(resp); errors.Is(err, sip.ErrMissing) {
		// Some peers of RFC 2543 send none.
		d.target, err = invite.URI(), nil
	}
	if err == nil {
		d.routes, err = recordedRoute(resp)
	}
	if err != nil {
		d.target, d.routes = invite.URI(), routesOf(invite)
		return d.clone(), err
	}
	slices.Reverse(d.routes)
	return d.clone(), nil
}

// routesOf returns the Route of a request of ours.
func routesOf(req *sip.Request) (routes []sip.Route) {
	for route, err := range sip.All[sip.Route](req) {
		if err == nil {
			routes = append(routes, sip.Route(sip.Address(route).Clone()))
		}
	}
	return routes
}

// contactOf returns where the sender of a message wants requests to go. The URI
// has to be of a scheme that they can go to (section 12.1.1).
func contactOf(m sip.Message) (sip.URI, error) {
	contact, err := sip.Get[sip.Contact](m)
	switch {
	case errors.Is(err, sip.ErrMissing):
		err = fmt.Errorf("%w: %w", err, unusable("Contact"))
	case err == nil && (contact.Star || !isSIP(contact.URI)):
		err = unusable("Contact")
	}
	if err != nil {
		return sip.URI{}, fmt.Errorf("dialog: nowhere to send requests: %w", err)
	}
	return contact.URI, nil
}

// recordedRoute returns the Record-Route of a message, in its order.
func recordedRoute(m sip.Message) (routes []sip.Route, err error) {
	for rr, err := range sip.All[sip.RecordRoute](m) {
		if err == nil && !isSIP(rr.URI) {
			err = unusable("Record-Route")
		}
		if err != nil {
			return nil, fmt.Errorf("dialog: no route to follow: %w", err)
		}
		routes = append(routes, sip.Route(rr))
	}
	return routes, nil
}

func isSIP(u sip.URI) bool { return u.Scheme == "sip" || u.Scheme == "sips" }

// newCallee makes the state of the side that got the INVITE (section 12.1.1).
// tag is the one that the responses carry.
func newCallee(invite *sip.Request, tag string) (state, error) {
	from, to := invite.From(), invite.To()
	target, err := contactOf(invite)
	if err != nil {
		return state{}, err
	}
	routes, err := recordedRoute(invite)
	if err != nil {
		return state{}, err
	}
	return state{
		id:        ID{invite.CallID(), tag, from.Tag()},
		local:     sip.Address(to.WithTag(tag)),
		remote:    sip.Address(from),
		target:    target,
		routes:    routes,
		remoteSeq: invite.CSeq().Seq,
		remoteSet: true,
	}.clone(), nil
}

// clone copies every string out of the message it came from.
func (d state) clone() state {
	d.id = ID{strings.Clone(d.id.CallID), strings.Clone(d.id.LocalTag), strings.Clone(d.id.RemoteTag)}
	d.local, d.remote = d.local.Clone(), d.remote.Clone()
	d.target = d.target.Clone()
	if len(d.routes) == 0 {
		d.routes = nil
		return d
	}
	routes := make([]sip.Route, len(d.routes))
	for i, r := range d.routes {
		routes[i] = sip.Route(sip.Address(r).Clone())
	}
	d.routes = routes
	return d
}

// request makes a request within the dialog (section 12.2.1.1).
func (d *state) request(method sip.Method, seq uint32, edits ...sip.Edit) *sip.Request {
	uri, routes := d.target, d.routes
	if len(routes) > 0 && !routes[0].URI.Params.Has("lr") {
		// A strict router wants itself in the Request-URI, and the target at
		// the end, without what may not stand in a Route (section 19.1.1, table
		// 1). Of a Request-URI NewRequest sees to that.
		last := sip.Route{URI: uri}
		last.URI.Headers, last.URI.Params = "", uri.Params.Without("method")
		uri = routes[0].URI
		routes = append(append([]sip.Route(nil), routes[1:]...), last)
	}
	all := make([]sip.Edit, 0, 8+len(routes)+len(edits))
	for _, r := range routes {
		all = append(all, sip.Add(r))
	}
	all = append(all, sip.MaxForwards(70), sip.From(d.local), sip.To(d.remote),
		sip.CallID(d.id.CallID), sip.CSeq{Seq: seq, Method: method})
	return sip.NewRequest(method, uri, append(all, edits...)...)
}

// refresh takes the peer's new Contact from a target refresh request or its 2xx
// (section 12.2). The route set never changes.
func (d *state) refresh(m sip.Message) {
	if target, err := contactOf(m); err == nil {
		d.target = target.Clone()
	}
}

// refreshesTarget reports whether the 2xx to a request of ours says anew where
// the peer is to be reached: that of INVITE (RFC 3261) and of UPDATE (RFC 3311).
// Of the peer's requests only INVITE is served that does so.
func refreshesTarget(method sip.Method) bool {
	return method == sip.INVITE || method == sip.UPDATE
}

// inOrder takes the sequence number of a request of the peer. A lower one than
// before is out of order (section 12.2.2), and the same is a request that was
// served already, but for one that nobody had answered before a restart.
func (d *state) inOrder(seq uint32) bool {
	if d.remoteSet && (seq < d.remoteSeq || seq == d.remoteSeq && !d.restored) {
		return false
	}
	d.remoteSeq, d.remoteSet, d.restored = seq, true, false
	return true
}
