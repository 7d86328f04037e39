package flow

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sip/resolve"
)

// An Actor is a machine on the network, and a column of the ladder. Two with the
// same Name are one column: a user agent that moves to another address.
type Actor struct {
	Name string // of the column
	AOR  string // the user's address of record, of a user agent
	Host string // its name in the DNS, by which a server calls itself in Via and Record-Route
	Addr string // its IP address

	// Domains are those that it serves. Where several of a Cast serve one, they
	// are tried in the order of the Cast (SRV). A domain that none serves is
	// that of the user agent with an AOR in it.
	Domains []string
}

// The actors of RFC 3665 section 1.2, whose names and addresses RFC 5359 has as
// well, and Carol.
var (
	Alice  = Actor{Name: "Alice", AOR: "sip:alice@atlanta.example.com", Host: "client.atlanta.example.com", Addr: "192.0.2.101"}
	Bob    = Actor{Name: "Bob", AOR: "sip:bob@biloxi.example.com", Host: "client.biloxi.example.com", Addr: "192.0.2.201"}
	Carol  = Actor{Name: "Carol", AOR: "sip:carol@chicago.example.com", Host: "client.chicago.example.com", Addr: "192.0.2.100"}
	Proxy1 = Actor{Name: "Proxy 1", Host: "ss1.atlanta.example.com", Addr: "192.0.2.111", Domains: []string{"atlanta.example.com"}}
	Proxy2 = Actor{Name: "Proxy 2", Host: "ss2.biloxi.example.com", Addr: "192.0.2.222", Domains: []string{"biloxi.example.com"}}
	Proxy3 = Actor{Name: "Proxy 3", Host: "ss3.chicago.example.com", Addr: "192.0.2.233", Domains: []string{"chicago.example.com"}}
	ALG    = Actor{Name: "ALG", Host: "alg1.atlanta.example.com", Addr: "192.0.2.128"}
)

// names is the DNS of a cast.
type names []Actor

// Lookup is that of a resolve.Resolver.
func (n names) Lookup(_ context.Context, name string, t resolve.Type) (*resolve.Answer, error) {
	a := &resolve.Answer{TTL: time.Hour}
	domain, service := name, false
	if t == resolve.TypeSRV {
		if proto, rest, ok := strings.Cut(name, "."); ok && strings.HasPrefix(proto, "_sip") {
			_, domain, service = strings.Cut(rest, ".")
		}
	}
	of := n.servers(domain)
	for i, actor := range of {
		addr := netip.MustParseAddr(actor.Addr)
		switch {
		case t == resolve.TypeA && (len(of) == 1 || actor.Host == name):
			a.Addrs = append(a.Addrs, addr)
		case service && len(of) > 1 && strings.HasPrefix(name, "_sip._udp."):
			a.SRV = append(a.SRV, resolve.SRV{Priority: uint16(i + 1), Port: 5060, Target: actor.Host})
		}
	}
	if len(of) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return a, nil
}

// servers returns who is called so, or serves a domain.
func (n names) servers(name string) (of []Actor) {
	for _, a := range n {
		if a.Host == name || slices.Contains(a.Domains, name) {
			of = append(of, a)
		}
	}
	if of != nil {
		return of
	}
	for _, a := range n {
		if strings.HasSuffix(a.AOR, "@"+name) {
			return []Actor{a}
		}
	}
	return nil
}
