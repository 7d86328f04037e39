package proxy

import (
	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// A hop is what can be said of where a request goes without asking DNS.
type hop struct {
	reliable bool // by a connection; if not, by UDP, or DNS decides
	quick    bool // sending needs to wait for nobody: by a flow, or by UDP to an address
	refused  bool // there is none

	host string // its name or address
}

// hop says it.
func (p *passage) hop(req *sip.Request, t *Target) hop {
	short := isShort(req)
	w, err := p.way(req, t)
	switch {
	case err != nil:
		return hop{refused: true, quick: short}
	case !w.flow.IsZero():
		return hop{reliable: w.flow.Reliable(), quick: short, host: w.flow.RemoteAddr().Addr().String()}
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
	return hop{host: host, quick: short && isQuick(uri)}
}

// isShort reports whether a request does not grow to what takes TCP.
func isShort(req *sip.Request) bool { return len(req.String()) <= 900 }

// isQuick reports whether a URI leads to an address by UDP.
func isQuick(uri sip.URI) bool {
	kind, named := uri.Param("transport")
	return uri.Scheme == "sip" && (!named || equalFold(kind, "udp")) && uri.Addr().IsValid() && !uri.Params.Has("maddr")
}

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
