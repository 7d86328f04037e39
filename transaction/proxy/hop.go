package proxy

import (
	"cmp"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// A hop is what can be said of where a request goes without asking DNS.
type hop struct {
	reliable bool // by a connection; if not, by UDP, or DNS decides
	refused  bool // there is none

	host string // its name or address
}

// hop says it.
func (p *passage) hop(req *sip.Request, t *Target) hop {
	w, err := p.way(req, t)
	switch {
	case err != nil:
		return hop{refused: true}
	case !w.flow.IsZero():
		return hop{reliable: w.flow.Reliable(), host: w.flow.RemoteAddr().Addr().String()}
	}
	uri := w.uri
	if t.URI.Scheme != "" {
		uri = t.URI
	}
	secure := uri.Scheme == "sips"
	if next := w.next(); next != nil {
		uri = *next
	}
	host, ok := uri.Param("maddr")
	if !ok {
		host = uri.Host
	}
	host = hostname.Canonical(host)
	if secure || uri.Scheme != "sip" {
		return hop{reliable: true, host: host}
	}
	kind, named := uri.Param("transport")
	if named && !equalFold(kind, "udp") {
		return hop{reliable: true, host: host}
	}
	return hop{host: host}
}

// isQuick reports whether to send a request needs to wait for nobody: it goes by a
// flow, or to an address by UDP, with all that is put on it.
func (p *passage) isQuick(req *sip.Request, out *outgoing, w *way, records bool) bool {
	if !out.flow.IsZero() {
		return true
	}
	hop := out.hop
	if hop.Scheme == "" {
		hop = w.uri
		if next := w.next(); next != nil {
			hop = *next
		}
	}
	kind, named := hop.Param("transport")
	addr := hop.Addr()
	if hop.Scheme != "sip" || w.uri.Scheme == "sips" || named && !equalFold(kind, "udp") || !addr.IsValid() || hop.Params.Has("maddr") {
		return false
	}
	host := len("255.255.255.255")
	if addr.Unmap().Is6() || p.from.LocalAddr().Addr().Is6() {
		host = len("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]")
	}
	host = max(host, len(p.p.tc.Advertise))
	size := len(req.String()) + growHops + growVia + host + len(p.p.tc.ViaParams)
	if records {
		size += growInward + growOutward + 2*host
	}
	if req.Method() == sip.REGISTER {
		size += growInward + host
	}
	var room [256]byte
	if w.changed {
		size += len(sip.RequestURI(w.uri).AppendValue(room[:0]))
	}
	if w.rewritten {
		for _, route := range w.values {
			size += len("Route: \r\n") + len(route.AppendValue(room[:0]))
		}
	}
	return size <= cmp.Or(p.p.tc.MaxUDP, 1300)
}

// What is put on a request, beside a host name, in bytes at most.
const (
	growHops    = len("Max-Forwards: 70\r\nMax-Breadth: 60\r\n")
	growVia     = len("Via: SIP/2.0/UDP :65535;branch=z9hG4bK;rport;oc;oc-algo=\"loss,rate\"\r\n") + 2*32 // what is random, and the mark
	growInward  = len("Record-Route: <sips:@:65535;transport=tcp;lr;bond=>\r\n") + maxFlowToken + len(bond{})
	growOutward = growInward

	maxFlowToken = 80 // of IPv6
)

// changes reports whether a request that came by this flow may be lost where it
// could not before, or its response. To a name it may go by UDP.
func (h hop) changes(from transport.Flow) bool {
	if h.refused {
		return false
	}
	if from.Reliable() {
		return !h.reliable
	}
	return h.reliable
}
