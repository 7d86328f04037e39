// Package proxy forwards requests as RFC 3261 section 16 says.
package proxy

import "github.com/goparley/parley/sip"

// Target is a place to forward a request to: the Contact of a binding, or the
// address of a server.
type Target struct {
	URI      sip.URI
	Q        float64
	Route    []sip.Route
	Instance string
}
