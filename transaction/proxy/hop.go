package proxy

import "github.com/goparley/parley/sip"

// A hop is what can be said of where a request goes without asking DNS.
type hop struct {
	reliable bool // by a connection
	udp      bool // if neither, DNS decides
	quick    bool // sending needs to wait for nobody: by a flow, or by UDP to an address
	refused  bool // there is none
}

func (p *passage) hop(req *sip.Request, t *Target) hop {
	short := len(req.String()) <= 900 // and does not grow to what takes TCP
	w, err := p.way(req, t)
	switch {
	case err != nil:
		return hop{refused: true, quick: short}
	case !w.flow.IsZero():
		return hop{reliable: w.flow.Reliable(), udp: !w.flow.Reliable(), quick: short}
	}
	uri := w.uri
	if t.URI.Scheme != "" {
		uri = t.URI
	}
	secure := uri.Scheme == "sips"
	if next := w.next(); next != nil {
		uri = *next
	}
	if secure || uri.Scheme != "sip" {
		return hop{reliable: true}
	}
	kind, named := uri.Param("transport")
	h := hop{reliable: named && !equalFold(kind, "udp")}
	h.udp = !h.reliable && (named || uri.Addr().IsValid())
	h.quick = h.udp && uri.Addr().IsValid() && !uri.Params.Has("maddr") && short
	return h
}
