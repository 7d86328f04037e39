package dialog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
)

// state is the dialog state of RFC 3261 section 12.1. It holds no part of a
// message, so that no message is kept alive by it, and what it holds as text: read
// when a request is made, it takes a third of the room for as long as there is none.
type state struct {
	id     ID
	local  string // From of our requests, with the tag
	remote string // To of our requests, with the tag
	path
	owner     bool // the Call-ID is ours
	secure    bool // it began with a sips URI and a sips target, which it keeps to
	localSeq  uint32
	remoteSeq uint32
	remoteSet bool // remoteSeq says something
	restored  bool // and the request with that number may come once more

	referred [3]bool // by side: a REFER was sent that was not refused
}

// path is where the requests of a dialog go.
type path struct {
	target string // a URI: the peer's Contact
	routes string // the values of Route, each with a line break behind it
}

func newPath(target sip.URI, routes []sip.Route) path {
	b := make([]byte, 0, 64*len(routes))
	for _, r := range routes {
		b = append(r.AppendValue(b), '\n')
	}
	return path{target.String(), string(b)}
}

func (p path) uri() sip.URI {
	u, _ := sip.ParseURI(p.target) // it was one
	return u
}

// strictRouter returns what the first route is, if it has no lr, and the others.
func (p path) strictRouter() (router sip.URI, others string, strict bool) {
	first, others, found := strings.Cut(p.routes, "\n")
	if !found {
		return router, "", false
	}
	route, err := sip.Route{}.ParseValue(first)
	return route.URI, others, err == nil && !route.URI.Params.Has("lr")
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
	d := state{owner: true, localSeq: invite.CSeq().Seq}
	d.between(invite.CallID(), sip.Address(from), sip.Address(to))
	err := d.follow(invite, resp)
	d.secure = d.isSecure(invite)
	return d, err
}

// between says whose dialog it is. All of that is one piece of text, where it can be.
func (d *state) between(callID string, us, peer sip.Address) {
	var room [512]byte
	b := append(room[:0], callID...)
	b = us.AppendValue(b)
	local := len(b)
	text := string(peer.AppendValue(b))
	d.id.CallID, d.local, d.remote = text[:len(callID)], text[len(callID):local], text[local:]
	d.id.LocalTag, d.id.RemoteTag = tagIn(d.local, us.Params), tagIn(d.remote, peer.Params)
}

// tagIn returns the tag among parameters, as part of the text that they end up in.
func tagIn(text string, params sip.Params) string {
	tag := sip.From{Params: params}.Tag()
	if a, err := sip.ParseAddress(text); err == nil && sip.From(a).Tag() == tag {
		return sip.From(a).Tag()
	}
	return strings.Clone(tag)
}

// follow takes the target and the route set from a response to the request that
// made the dialog: the first one, and once more the 2xx, whatever an early dialog
// had (section 13.2.2.4).
func (d *state) follow(req *sip.Request, resp *sip.Response) error {
	target, err := contactOf(resp)
	if errors.Is(err, sip.ErrMissing) {
		// Some peers of RFC 2543 send none, and many in a 180.
		target, err = req.URI(), nil
	}
	var routes []sip.Route
	if err == nil {
		routes, err = recordedRoute(resp)
	}
	if err != nil {
		target, routes = req.URI(), routesOf(req)
	} else {
		slices.Reverse(routes)
	}
	d.path = newPath(target, routes)
	return err
}

// newNotified makes the state of the side whose SUBSCRIBE or REFER a NOTIFY
// answers, which may come before the response (RFC 6665 section 4.4.1). The route
// set is that of a callee: the NOTIFY is a request. Linphone's has no Contact, and no
// Record-Route, as for a dialog that its 2xx has made: accepted is that, nil if it is
// still to come and to be followed.
func newNotified(req, notify *sip.Request, accepted *sip.Response) (state, error) {
	d, err := newCallee(notify, req.From().Tag())
	if errors.Is(err, sip.ErrMissing) {
		d = state{path: newPath(req.URI(), routesOf(req)), remoteSeq: notify.CSeq().Seq}
		if err = nil; accepted != nil {
			err = d.follow(req, accepted)
		}
	}
	d.between(req.CallID(), sip.Address(req.From()), sip.Address(notify.From()))
	d.owner, d.localSeq, d.secure = true, req.CSeq().Seq, d.isSecure(req)
	d.remoteSet = false // the NOTIFY is still to be served
	return d, err
}

// routesOf returns the Route of a request of ours.
func routesOf(req *sip.Request) (routes []sip.Route) {
	for route, err := range sip.All[sip.Route](req) {
		if err == nil {
			routes = append(routes, route)
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

// newCallee makes the state of the side that got the request that makes the dialog
// (section 12.1.1).
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
	d := state{path: newPath(target, routes), remoteSeq: invite.CSeq().Seq, remoteSet: true}
	d.secure = d.isSecure(invite)
	d.between(invite.CallID(), sip.Address(to.WithTag(tag)), sip.Address(from))
	return d, nil
}

// way returns the Request-URI of requests and the edits that give them their Route
// (section 12.2.1.1), with room for more.
func (p path) way(more int) (uri sip.URI, edits []sip.Edit) {
	uri, routes := p.uri(), p.routes
	if router, others, strict := p.strictRouter(); strict {
		// A strict router wants itself in the Request-URI, and the target at
		// the end, without what may not stand in a Route (section 19.1.1, table
		// 1). Of a Request-URI sip sees to that.
		last := sip.Route{URI: uri}
		last.URI.Headers, last.URI.Params = "", uri.Params.Without("method")
		uri, routes = router, others+string(last.AppendValue(nil))+"\n"
	}
	edits = make([]sip.Edit, 0, strings.Count(routes, "\n")+more)
	for route := range strings.Lines(routes) {
		edits = append(edits, sip.Add(sip.Field{Name: "Route", Value: strings.TrimSuffix(route, "\n")}))
	}
	return uri, edits
}

// reroute returns a request that goes another way than it was made for.
func (p path) reroute(req *sip.Request) *sip.Request {
	uri, edits := p.way(2)
	return req.With(append([]sip.Edit{sip.RequestURI(uri), sip.Del("Route")}, edits...)...)
}

// request makes a request within the dialog (section 12.2.1.1).
func (d *state) request(method sip.Method, seq uint32, edits ...sip.Edit) *sip.Request {
	cseq := sip.CSeq{Seq: seq, Method: method}
	uri, all := d.way(8 + len(edits))
	all = append(all, sip.MaxForwards(70), sip.Field{Name: "From", Value: d.local},
		sip.Field{Name: "To", Value: d.remote}, sip.CallID(d.id.CallID), cseq)
	all = append(all, edits...)
	return sip.NewRequest(method, uri, append(all, cseq)...) // its place is above, whatever edits say
}

// refresh takes the peer's new Contact from a target refresh request or its 2xx
// (section 12.2). The route set never changes.
func (d *state) refresh(m sip.Message) {
	if target, err := contactOf(m); err == nil && d.mayMove(m) == nil {
		d.target = target.String()
	}
}

// isSecure reports whether a dialog begins secure: asked for at a sips URI (section
// 12.1.1), by or of somebody who is reached at one.
func (d *state) isSecure(req *sip.Request) bool {
	return req.URI().Scheme == "sips" && d.uri().Scheme == "sips"
}

// mayMove says why the target of a secure dialog is not to become that of a message,
// which is a plain one (RFC 5630 sections 5.1.1.2 and 5.1.2).
func (d *state) mayMove(m sip.Message) error {
	if !d.secure {
		return nil
	}
	if target, err := contactOf(m); err == nil && target.Scheme != "sips" {
		return &sip.SyntaxError{Where: "Contact", Msg: "expected a sips URI", Status: sip.StatusBadRequest}
	}
	return nil
}

// refreshesTarget reports whether a request, and a 2xx to it, says anew where its
// sender is to be reached (RFC 3261 section 12.2, RFC 3311 section 5.1, RFC 5057
// section 5.4).
func refreshesTarget(method sip.Method) bool {
	switch method {
	case sip.INVITE, sip.UPDATE, sip.SUBSCRIBE, sip.NOTIFY, sip.REFER:
		return true
	}
	return false
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
