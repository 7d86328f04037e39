package relay

import (
	"context"
	"net"
)

// SetLookupSRV has a Relay ask f instead of the name servers of the system.
func SetLookupSRV(r *Relay, f func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)) {
	r.lookupSRV = f
}
