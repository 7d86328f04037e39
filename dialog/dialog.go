package dialog

import (
	"errors"
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
}

var errNoContact = errors.New("dialog: no Contact to send requests to")

// newCaller makes the state of the side that sent the INVITE (section 12.1.2).
func newCaller(invite *sip.Request, resp *sip.Response) (state, error) {
	from, to := invite.From(), resp.To()
	contact, err := sip.Get[sip.Contact](resp)
	if err != nil || contact.Star {
		return state{}, errNoContact
	}
	d := state{
		id:       ID{invite.CallID(), from.Tag(), to.Tag()},
		local:    sip.Address(from),
		remote:   sip.Address(to),
		target:   contact.URI,
		localSeq: invite.CSeq().Seq,
	}
	for rr, err := range sip.All[sip.RecordRoute](resp) {
		if err != nil {
			return state{}, err
		}
		d.routes = append([]sip.Route{sip.Route(rr)}, d.routes...)
	}
	return d.clone(), nil
}

// newCallee makes the state of the side that got the INVITE (section 12.1.1).
// tag is the one that the responses carry.
func newCallee(invite *sip.Request, tag string) (state, error) {
	from, to := invite.From(), invite.To()
	contact, err := sip.Get[sip.Contact](invite)
	if err != nil || contact.Star {
		return state{}, errNoContact
	}
	to.Params = to.Params.With("tag", tag)
	d := state{
		id:        ID{invite.CallID(), tag, from.Tag()},
		local:     sip.Address(to),
		remote:    sip.Address(from),
		target:    contact.URI,
		remoteSeq: invite.CSeq().Seq,
		remoteSet: true,
	}
	for rr, err := range sip.All[sip.RecordRoute](invite) {
		if err != nil {
			return state{}, err
		}
		d.routes = append(d.routes, sip.Route(rr))
	}
	return d.clone(), nil
}

// clone copies every string out of the message it came from.
func (d state) clone() state {
	d.id = ID{strings.Clone(d.id.CallID), strings.Clone(d.id.LocalTag), strings.Clone(d.id.RemoteTag)}
	d.local, d.remote = cloneAddress(d.local), cloneAddress(d.remote)
	d.target = cloneURI(d.target)
	routes := make([]sip.Route, len(d.routes))
	for i, r := range d.routes {
		routes[i] = sip.Route(cloneAddress(sip.Address(r)))
	}
	d.routes = routes
	return d
}

func cloneAddress(a sip.Address) sip.Address {
	return sip.Address{
		Display: strings.Clone(a.Display),
		URI:     cloneURI(a.URI),
		Params:  sip.Params(strings.Clone(string(a.Params))),
	}
}

func cloneURI(u sip.URI) sip.URI {
	return sip.URI{
		Scheme: strings.Clone(u.Scheme), User: strings.Clone(u.User), Password: strings.Clone(u.Password),
		Host: strings.Clone(u.Host), Port: u.Port,
		Params: sip.Params(strings.Clone(string(u.Params))), Headers: strings.Clone(u.Headers),
		Opaque: strings.Clone(u.Opaque),
	}
}

// request makes a request within the dialog (section 12.2.1.1).
func (d *state) request(method sip.Method, seq uint32, edits ...sip.Edit) *sip.Request {
	uri, routes := d.target, d.routes
	// Header fields in the peer's Contact are not ours to send (section
	// 19.1.5).
	uri.Headers = ""
	if len(routes) > 0 && !routes[0].URI.Params.Has("lr") {
		// A strict router wants itself in the Request-URI, and the target at
		// the end.
		last := sip.Route{URI: uri}
		uri = routes[0].URI
		uri.Params = uri.Params.Without("method")
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
	if contact, err := sip.Get[sip.Contact](m); err == nil && !contact.Star {
		d.target = cloneURI(contact.URI)
	}
}

// inOrder takes the sequence number of a request of the peer. A lower one than
// before is out of order (section 12.2.2).
func (d *state) inOrder(seq uint32) bool {
	if d.remoteSet && seq <= d.remoteSeq {
		return false
	}
	d.remoteSeq, d.remoteSet = seq, true
	return true
}
