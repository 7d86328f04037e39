// Package source tells who has sent a request, in the one way in which the servers of
// this module do.
package source

import (
	"iter"
	"net/netip"
)

// Of returns what a sender is known by: its address, for a machine has as many ports
// as it likes, and by IPv6 as many addresses within a /64.
func Of(from netip.AddrPort) netip.Prefix {
	addr := from.Addr().Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits)
	return prefix
}

// IsClient reports whether that is the client of a request with these Vias itself, which no
// proxy has put one on (RFC 5626 sections 5.1 and 6).
func IsClient[Via any](vias iter.Seq2[Via, error]) bool {
	n := 0
	for range vias {
		if n++; n > 1 {
			return false
		}
	}
	return true
}
