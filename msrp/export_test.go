package msrp

import "net"

// SetResolver has an endpoint resolve names otherwise.
func (e *Endpoint) SetResolver(r *net.Resolver) { e.resolver = r }
