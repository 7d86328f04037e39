package proxy

import "github.com/goparley/parley/sip/transport"

// Arrival is what Config.Stateless is told of a request beside its text.
type Arrival struct {
	Local  bool // as Local of a Server
	Routed bool // as Routed of a Server
}

// arrival returns it for a request that came by this flow.
func (r *route) arrival(known *self, from transport.Flow) Arrival {
	uri, _ := stripMaddr(known, r.uri, from)
	return Arrival{Local: r.isLocal(known, uri, from), Routed: r.isRouted(from)}
}
