package resolve

import (
	"errors"
	"net/netip"
	"strings"
)

// ErrTransport says that a URI asks for a transport that is not there: the
// caller does not speak it, the scheme does not allow it, or the domain says
// that it has no such service.
var ErrTransport = errors.New("resolve: no such transport")

// Target is one place to send a message to.
type Target struct {
	Transport string         // "UDP", "TCP", "TLS", "WS" or "WSS", as in a Via
	Addr      netip.AddrPort // address and port
	Host      string         // what the URI calls it: the domain that a TLS certificate must show (RFC 5922 section 4), not the name that an SRV record led to
	Server    string         // whose address it is: the name that an SRV record led to; "" for Host itself
}

// SameServer reports whether two targets are addresses of one server, which may
// be tried beside each other (RFC 8305 section 5).
func (t Target) SameServer(other Target) bool {
	return t.Transport == other.Transport && t.Host == other.Host && t.Server == other.Server && t.Addr.Port() == other.Addr.Port()
}

// String returns the target as "udp:192.0.2.1:5060".
func (t Target) String() string { return strings.ToLower(t.Transport) + ":" + t.Addr.String() }

// isAt reports whether another target is the same place, whoever led there.
func (t Target) isAt(other Target) bool {
	return t.Transport == other.Transport && t.Addr == other.Addr
}

// transport is one of those that a URI can be reached by.
type transport struct {
	name    string
	secure  bool   // fit for sips
	naptr   string // the service of NAPTR records (RFC 3263 section 9, RFC 7118 section 10.2)
	service string // where SRV records are, before the domain
	port    uint16 // where there is no SRV record
	guessed bool   // its SRV records are looked for when no NAPTR record led there
}

var (
	udp = &transport{"UDP", false, "SIP+D2U", "_sip._udp.", 5060, true}
	tcp = &transport{"TCP", false, "SIP+D2T", "_sip._tcp.", 5060, true}
	tls = &transport{"TLS", true, "SIPS+D2T", "_sips._tcp.", 5061, true}
	// RFC 7118 section 5.5 names ports and NAPTR services, but no SRV ones: the
	// names follow the rule of RFC 3263 section 4.1, and are asked for only where
	// a URI or a Via says that it is this transport.
	ws  = &transport{"WS", false, "SIP+D2W", "_sip._ws.", 80, false}
	wss = &transport{"WSS", true, "SIPS+D2W", "_sips._ws.", 443, false}
)

// transports are all there are, in the order of preference of who has none.
var transports = []*transport{udp, tcp, tls, ws, wss}

// transportNamed returns the transport that a Via calls so, or nil.
func transportNamed(name string) *transport {
	for _, tr := range transports {
		if strings.EqualFold(tr.name, name) {
			return tr
		}
	}
	return nil
}

// parameter returns what the transport parameter of a URI means, or nil. With
// sips, tcp is TLS and ws is WSS, and udp is a contradiction (RFC 3261 section
// 26.2.2, RFC 7118 section 5.4).
//
// tls is deprecated by RFC 3261 section 26.2.2, and wss was never defined, but
// both are what many a Contact says.
func parameter(value string, secure bool) *transport {
	tr := transportNamed(value)
	if tr == nil || !secure || tr.secure {
		return tr
	}
	switch tr {
	case tcp:
		return tls
	case ws:
		return wss
	}
	return nil
}
