package proxy

import (
	"cmp"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
)

// hop returns the URI that leads to the next hop: the first of the Route, or the
// Request-URI. It is sips if that is, whatever the Route says (RFC 3261 section 16.6
// step 7).
func (w *way) hop() sip.URI {
	uri := w.uri
	if next := w.next(); next != nil {
		uri = *next
	}
	if w.uri.Scheme == "sips" {
		uri.Scheme = "sips"
	}
	return uri
}

// isReliable reports whether a request goes by a connection. If not, it goes by UDP,
// or DNS decides.
func (w *way) isReliable() bool {
	if !w.flow.IsZero() {
		return w.flow.Reliable()
	}
	return !byUDP(w.hop())
}

// byUDP reports whether a request may go to a URI by UDP.
func byUDP(uri sip.URI) bool {
	kind, named := uri.Param("transport")
	return uri.Scheme == "sip" && (!named || equalFold(kind, "udp"))
}

// host returns the name or the address of the next hop.
func (w *way) host() string {
	if !w.flow.IsZero() {
		return w.flow.RemoteAddr().Addr().String()
	}
	hop := w.hop()
	if maddr, ok := hop.Param("maddr"); ok {
		return hostname.Canonical(maddr)
	}
	return hostname.Canonical(hop.Host)
}

// isQuick reports whether to send a request needs to wait for nobody: it goes by a
// flow, or to an address by UDP, with all that is put on it.
func (p *passage) isQuick(req *sip.Request, out *outgoing, w *way, records bool) bool {
	if !out.flow.IsZero() {
		return true
	}
	addr := out.hop.Addr()
	if !byUDP(out.hop) || !addr.IsValid() || out.hop.Params.Has("maddr") {
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
