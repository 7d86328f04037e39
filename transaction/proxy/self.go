package proxy

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// self is what we are known by. It does not change.
type self struct {
	domains  []string // in lower case
	names    []string // those of our sockets: advertised, and addresses
	lasting  []string // those that nobody else has and that a restart leaves us
	ports    []int
	loopback bool // all its addresses are ours
	token    int  // no token is shorter than this
	veils    *key // of tokens in a Record-Route
	shared   bool // the key of tokens: other nodes may have it, and earlier runs had it
}

// newSelf reads it from what is configured and from what is bound.
func newSelf(ep *transport.Endpoint, tc *transport.Config, domains []string, veils *key) *self {
	s := &self{veils: veils, token: len(ep.FlowToken(transport.Flow{})), shared: len(tc.FlowKey) > 0}
	for _, d := range domains {
		s.domains = append(s.domains, hostname.Canonical(d))
	}
	if tc.Advertise != "" {
		s.names = append(s.names, hostname.Canonical(tc.Advertise))
	}
	wildcard := false
	for _, kind := range []string{"udp", "tcp", "tls", "ws", "wss"} {
		if at := ep.Addr(kind); at.IsValid() {
			s.add(at.Addr(), int(at.Port()))
			wildcard = wildcard || at.Addr().IsUnspecified()
		}
	}
	for _, socket := range tc.Listen {
		_, at, _ := strings.Cut(socket, ":")
		if host, port, err := net.SplitHostPort(at); err == nil {
			addr, _ := netip.ParseAddr(host)
			n, _ := strconv.Atoi(port)
			s.add(addr, n)
			wildcard = wildcard || host == "" || addr.IsUnspecified()
		}
	}
	for _, port := range tc.AdvertisePorts {
		s.ports = append(s.ports, port)
	}
	s.lasting = slices.Clone(s.names)
	if wildcard && tc.Network == nil {
		addrs, _ := net.InterfaceAddrs()
		s.addInterfaces(addrs)
	}
	return s
}

// addInterfaces adds the addresses that this machine has now. One that it gets
// later is known when a request has come to it.
//
// What lasts of them has to tell us from other nodes, whose sockets may be bound to
// all addresses as well, and is no more than that: not what every machine has, nor
// the addresses of IPv6 that come and go (RFC 8981), unless there are no others.
func (s *self) addInterfaces(addrs []net.Addr) {
	s.loopback = true
	var of4, of6 []string
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		s.add(prefix.Addr(), 0)
		switch addr := prefix.Addr().Unmap(); {
		case !addr.IsGlobalUnicast():
		case addr.Is4():
			of4 = append(of4, addr.String())
		default:
			of6 = append(of6, addr.String())
		}
	}
	if len(of4) == 0 {
		of4 = of6
	}
	s.lasting = append(s.lasting, of4...)
}

func (s *self) add(addr netip.Addr, port int) {
	if addr.IsValid() && !addr.IsUnspecified() {
		s.names = append(s.names, addr.Unmap().WithZone("").String())
	}
	if port != 0 {
		s.ports = append(s.ports, port)
	}
}

// is reports whether a sip or sips URI means us: a domain of ours, or a name or
// an address of our sockets, with no port or with one of ours. at is the address
// that the request came to, which is ours too.
func (s *self) is(uri sip.URI, at netip.AddrPort) bool {
	if uri.Scheme != "sip" && uri.Scheme != "sips" {
		return false
	}
	return s.isHost(uri.Host, at) && s.isPort(uri, at)
}

func (s *self) isDomain(host string) bool {
	return slices.Contains(s.domains, hostname.Canonical(host))
}

func (s *self) isHost(host string, at netip.AddrPort) bool {
	host = hostname.Canonical(host)
	if slices.Contains(s.domains, host) || slices.Contains(s.names, host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && (s.loopback && addr.Unmap().IsLoopback() || addr.Unmap() == at.Addr().Unmap().WithZone(""))
}

// isPort: a name without a port may lead to any (RFC 3263 section 4.2), an
// address leads to the default one.
func (s *self) isPort(uri sip.URI, at netip.AddrPort) bool {
	port := uri.Port
	if port == 0 {
		if !uri.Addr().IsValid() {
			return true
		}
		kind, _ := uri.Param("transport")
		port = defaultPort(uri.Scheme, kind)
	}
	return port == int(at.Port()) || slices.Contains(s.ports, port)
}

func defaultPort(scheme, kind string) int {
	switch kind = strings.ToLower(kind); {
	case kind == "ws" && scheme == "sip":
		return 80
	case kind == "ws" || kind == "wss":
		return 443
	case kind == "tls" || scheme == "sips":
		return 5061
	}
	return 5060
}

// An entry is what a Route value or a Request-URI says of us.
type entry uint8

const (
	notOurs entry = iota
	named         // it is us that it names, and who has made it we cannot say
	made          // by us: it has a token
	forged        // it is to be a way to a user agent, and we have not made it
)

// entryOf reads a Route value: it is ours if its user is a token of our making,
// or if it is us (RFC 3261 section 16.4). A user that is no token may be one of an
// earlier run of the program, or what an IMS core puts there; only with ob, which
// stands in a Path, is it a token that somebody has tampered with (RFC 5626 section
// 5.3.1). In an entry without lr it is somebody: a strict router has moved the
// Request-URI there, and with the entry the callee would be lost. flow is what the
// token stands for, and gone says that there is no such flow any more.
func (s *self) entryOf(ep *transport.Endpoint, uri sip.URI, at netip.AddrPort) (e entry, flow transport.Flow, gone bool) {
	if uri.Scheme != "sip" && uri.Scheme != "sips" {
		return notOurs, flow, false
	}
	if len(uri.User) >= s.token {
		flow, err := s.flowOf(ep, uri)
		if !errors.Is(err, transport.ErrToken) {
			return made, flow, err != nil
		}
	}
	switch {
	case !s.is(uri, at), uri.User != "" && !uri.Params.Has("lr"):
		return notOurs, flow, false
	case uri.User != "" && uri.Params.Has("ob"):
		return forged, flow, false
	}
	return named, flow, false
}
