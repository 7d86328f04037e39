package proxy

import (
	"context"
	"net/netip"
	"strings"

	"github.com/goparley/parley/internal/source"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// formsDialog reports whether a request of this method may begin a dialog: all
// but those that are known not to (RFC 3261 section 16.6 step 4). Further ones of
// a dialog get a Record-Route, too, for an end that has forgotten it.
func formsDialog(method sip.Method) bool {
	switch method {
	case sip.ACK, sip.BYE, sip.CANCEL, sip.INFO, sip.MESSAGE, sip.OPTIONS, sip.PRACK, sip.PUBLISH, sip.REGISTER, sip.UPDATE:
		return false
	}
	return true
}

// recordsRoute reports whether a request gets a Record-Route (RFC 3261 section 16.6
// step 4), and whether that is one of sips URIs.
func (p *passage) recordsRoute(req *sip.Request, w *way) (records, secure bool) {
	if !formsDialog(req.Method()) {
		return false, false
	}
	secure = w.uri.Scheme == "sips" || w.next() != nil && w.next().Scheme == "sips"
	if p.p.cfg.RecordRoute {
		return true, secure
	}
	begins := req.To().Tag() == ""
	return begins && (secure != p.from.Secure() || w.ob || hasOutbound(req) && source.IsClient(sip.All[sip.Via](req))), secure
}

// recordRoute adds the Record-Route of a request that takes this flow. There are
// two entries, of the side that the request comes from and, on top, of the one that
// it goes to (RFC 5658 section 5), unless both would be the same.
func (e *edits) recordRoute(ctx context.Context, list []sip.Edit, req *sip.Request, flow transport.Flow) ([]sip.Edit, error) {
	p := e.entry
	inward, err := p.ep.ContactOn(ctx, p.from)
	if err != nil {
		return nil, err
	}
	outward, err := p.ep.ContactOn(ctx, flow)
	if err != nil {
		return nil, err
	}
	back, on := transport.Flow{}, transport.Flow{}
	if source.IsClient(sip.All[sip.Via](req)) && needsFlow(req, p.from) {
		back = p.from
	}
	if e.byFlow {
		on = flow
	}
	bond := p.p.bonds.dialog(req.CallID(), req.From().Tag())
	inward, outward = p.recorded(inward, back, e.secure, bond), p.recorded(outward, on, e.secure, bond)
	list = append(list, sip.Push(sip.RecordRoute{URI: inward}))
	// Two of one flow stay two, so that who comes back by it is not taken for
	// one that goes out.
	if !back.IsZero() || inward != outward {
		list = append(list, sip.Push(sip.RecordRoute{URI: outward}))
	}
	return list, nil
}

// entry returns a URI that is ours, with a flow or without, and bonds or none.
func (p *passage) entry(uri sip.URI, flow transport.Flow, secure bool, bonds string) sip.URI {
	uri.User = p.p.none
	if !flow.IsZero() {
		uri.User = p.ep.FlowToken(flow)
	}
	if secure {
		// transport=tls is for a sip URI, where RFC 5658 section 6.2 would have
		// sips; but that would ask for TLS on the other side, too.
		uri.Scheme = "sips"
		if kind, _ := uri.Param("transport"); equalFold(kind, "tls") {
			uri.Params = uri.Params.Without("transport")
		}
	}
	if bonds == "" {
		uri.Params += ";lr" // a contact has none
	} else {
		uri.Params += ";lr;" + bondParam + "=" + sip.Params(bonds)
	}
	return uri
}

// path puts us on the Path of a REGISTER that takes this flow (RFC 3327 section
// 5.2). The URI is of the side that the registrar is on, who may know nothing of the
// transport that the client uses; the token leads to the client. That is enough for
// both sides, in one entry, since what comes by it goes one way. The first hop of a
// client with outbound says so, for the registrar to believe it (RFC 5626 section
// 5.1).
func (e *edits) path(ctx context.Context, list []sip.Edit, req *sip.Request, flow transport.Flow) ([]sip.Edit, error) {
	p := e.entry
	uri, err := p.pathSide(ctx, flow, e.secure)
	if err != nil {
		return nil, err
	}
	to, ob := transport.Flow{}, false
	if source.IsClient(sip.All[sip.Via](req)) {
		ob = hasRegID(req)
		if ob || needsFlow(req, p.from) {
			to = p.from
		}
	}
	uri = p.entry(uri, to, e.secure, p.p.bonds.contacts(req, p.p.know(p.ep).domains))
	if ob {
		uri.Params = uri.Params.With("ob", "")
	}
	return append(list, sip.Push(sip.Path{URI: uri})), nil
}

// pathSide returns the address for a Path that takes this flow: of one of our sockets,
// for a connection that we have made has a port that nobody can connect to. Without a
// listener for its transport that is a UDP socket, which every registrar can send to,
// unless that would give up TLS or there is none for its addresses; else it is the side
// of the client.
func (p *passage) pathSide(ctx context.Context, flow transport.Flow, secure bool) (sip.URI, error) {
	switch {
	case !flow.Reliable() || p.ep.Addr(flow.Transport()).IsValid():
		return p.ep.ContactOn(ctx, flow)
	case !secure && !flow.Secure():
		// The flow of UDP that there would be to the registrar.
		udp, err := p.ep.FormerFlow("UDP", netip.AddrPort{}, flow.RemoteAddr(), nil)
		if err == nil {
			return p.ep.ContactOn(ctx, udp)
		}
	}
	return p.ep.ContactOn(ctx, p.from)
}

// needsFlow reports whether a user agent may not be reached but by the flow that
// it came by: a connection, or a hole in a NAT.
func needsFlow(req *sip.Request, flow transport.Flow) bool {
	if flow.Reliable() || hasOutbound(req) {
		return true
	}
	via, remote := req.Via(), flow.RemoteAddr()
	port := via.Port
	if port == 0 {
		port = 5060
	}
	return via.Addr().Unmap() != remote.Addr().Unmap() || port != int(remote.Port())
}

// hasOutbound reports whether a client asks for the flow to be used within the
// dialog (RFC 5626 section 5.3.2).
func hasOutbound(req *sip.Request) bool {
	value, _ := req.Value("Contact")
	if !strings.Contains(value, ";") { // as most are not
		return false
	}
	contact, err := sip.Get[sip.Contact](req)
	return err == nil && contact.URI.Params.Has("ob")
}

// hasRegID reports whether a client registers by outbound.
func hasRegID(req *sip.Request) bool {
	for contact, err := range sip.All[sip.Contact](req) {
		if err == nil && contact.RegID() > 0 && contact.Instance() != "" {
			return true
		}
	}
	return false
}
