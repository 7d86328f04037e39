package relay

import (
	"context"
	"net"
)

// SetLookupSRV has a Relay ask f instead of the name servers of the system.
func SetLookupSRV(r *Relay, f func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)) {
	r.lookupSRV = f
}

// Kept returns how many chunks the outboxes of a Relay know of, and of how many pairs of connections.
func Kept(r *Relay) (chunks, pairs int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.out.mu.Lock()
		chunks, pairs = chunks+len(c.out.under), pairs+len(c.out.flows)
		c.out.mu.Unlock()
	}
	return chunks, pairs
}
