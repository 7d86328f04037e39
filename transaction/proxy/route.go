package proxy

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// A route is what the Route of a request, or of a target, says once the entries
// that are ours are off its beginning (RFC 3261 section 16.4).
type route struct {
	uri    sip.URI     // the Request-URI; of a request from a strict router, the last Route value
	strict bool        // it is that
	values []sip.Route // as they came
	ours   int         // so many at the beginning are ours

	req   *sip.Request // that it is of; nil: of a target
	bonds *key

	side side // that the request goes to: what the last of ours says

	tie    tie  // of the first of ours that was made for this dialog, or for a registration of this Request-URI
	forged bool // the next one has a token of a Path that we have not made so
}

// A side is where a request goes from here, by an entry of ours.
type side struct {
	flow transport.Flow
	ob   bool // the entry comes from a Path (RFC 5626 section 5.1)
	gone bool // its flow is gone
}

// left returns the values that are not ours.
func (r *route) left() []sip.Route { return r.values[r.ours:] }

// read reads the Route of a request that has come to the address at.
//
// All entries of ours are taken at once: there are two of them where a request
// changes sides (RFC 5658 section 5), more where it has spiralled, and nothing is
// gained by sending it to ourselves.
func (r *route) read(s *self, ep *transport.Endpoint, req *sip.Request, at netip.AddrPort, bonds *key) error {
	r.uri = req.URI()
	if _, ok := req.Value("Route"); !ok {
		return nil
	}
	for value, err := range sip.All[sip.Route](req) {
		if err != nil {
			return err
		}
		r.values = append(r.values, value)
	}
	// A strict router has put our entry into the Request-URI, and what stood
	// there at the end of the Route. A user that is no token is somebody, and what
	// is not loose is a domain, as of a REGISTER: we write neither.
	if e, _, _ := s.entryOf(ep, r.uri, at); e == made || e == named && r.uri.User == "" && r.uri.Params.Has("lr") {
		last := len(r.values) - 1
		first := sip.Route{URI: r.uri}
		r.strict, r.uri = true, r.values[last].URI
		r.values = append([]sip.Route{first}, r.values[:last]...)
	}
	r.req, r.bonds = req, bonds
	r.strip(s, ep, at)
	return nil
}

// strip takes what is ours off the beginning.
func (r *route) strip(s *self, ep *transport.Endpoint, at netip.AddrPort) {
	for _, value := range r.values[r.ours:] {
		e, flow, gone := s.entryOf(ep, value.URI, at)
		if e == made && s.shared && r.isElsewhere(s, value.URI, flow, at) {
			e = notOurs
		}
		veiled := isVeiled(value.URI.User) // in a Record-Route
		tied := notTied
		if e == made && r.req != nil && (veiled || r.tie == notTied) {
			tied = r.bonds.tieOf(value.URI, r.req, r.uri)
		}
		switch {
		case e != made || !veiled:
		case r.req == nil:
			e = forged // for a Path
		case tied == notTied:
			flow, gone = transport.Flow{}, false
		}
		if e == notOurs || e == forged {
			r.forged = e == forged
			return
		}
		r.ours++
		r.side = side{flow, value.URI.Params.Has("ob"), gone}
		r.tie = cmp.Or(r.tie, tied)
	}
}

// isElsewhere reports whether the next entry, whose token is signed with our key, is
// of another node that has the key, too: it names somebody else, and no connection
// of ours. What a client has sent here by its first entry is for us, whatever name
// we have to the client, and so is what has the host of an entry before that is.
func (r *route) isElsewhere(s *self, uri sip.URI, flow transport.Flow, at netip.AddrPort) bool {
	switch {
	case flow.Reliable() || s.is(uri, at):
		return false
	case r.ours > 0:
		return hostname.Canonical(uri.Host) != hostname.Canonical(r.values[r.ours-1].URI.Host)
	}
	return r.req == nil
}

// onward returns the side that a request goes to which came by this flow. A user
// agent may have the flow in its Route to reach the world by us, and not to be
// reached (RFC 5626 section 5.3): then there is one entry, for two are of two
// sides.
func (r *route) onward(from transport.Flow) side {
	if r.ours == 1 && r.side.flow == from {
		return side{}
	}
	return r.side
}

// leads reports whether a request that came by this flow goes from here to one user
// agent and to nobody else: by the flow of a token, or not at all.
func (r *route) leads(from transport.Flow) bool {
	to := r.onward(from)
	return len(r.left()) == 0 && (!to.flow.IsZero() || to.gone && to.ob)
}

// isRouted reports whether a request that came by this flow has an entry that was
// made for it. One that leads to a user agent is for whoever has got it.
func (r *route) isRouted(from transport.Flow) bool { return r.tie != notTied || r.leads(from) }

// stripMaddr takes a maddr that is ours off a Request-URI that names the socket
// by which the request has come, with the transport and the port that go with
// it (RFC 3261 section 16.4).
func stripMaddr(s *self, uri sip.URI, flow transport.Flow) (sip.URI, bool) {
	maddr, ok := uri.Param("maddr")
	if !ok || !s.isHost(maddr, flow.LocalAddr()) {
		return uri, false
	}
	kind, _ := uri.Param("transport")
	port := uri.Port
	if port == 0 {
		port = defaultPort(uri.Scheme, kind)
	}
	if port != int(flow.LocalAddr().Port()) || !isTransport(kind, uri.Scheme, flow) {
		return uri, false
	}
	uri.Port = 0
	uri.Params = uri.Params.Without("maddr").Without("transport")
	return uri, true
}

// isTransport reports whether the transport parameter of a URI, "" for none, is
// that of a flow.
func isTransport(kind, scheme string, flow transport.Flow) bool {
	secure := scheme == "sips"
	switch flow.Transport() {
	case "UDP":
		return !secure && (kind == "" || equalFold(kind, "udp"))
	case "TCP":
		return !secure && equalFold(kind, "tcp")
	case "TLS":
		return equalFold(kind, "tls") || secure && (kind == "" || equalFold(kind, "tcp"))
	case "WS":
		return !secure && equalFold(kind, "ws")
	case "WSS":
		return equalFold(kind, "wss") || secure && equalFold(kind, "ws")
	}
	return false
}

// edits appends what takes our entries off the Route of a request.
func (r *route) edits(edits []sip.Edit) []sip.Edit {
	switch {
	case r.strict, r.ours > 2:
		return append(edits, sip.List(slices.Clone(r.left())...))
	case r.ours == 2:
		return append(edits, sip.Pop("Route"), sip.Pop("Route"))
	case r.ours == 1:
		return append(edits, sip.Pop("Route"))
	}
	return edits
}
