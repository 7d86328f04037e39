//go:build !linux

package transport

import "net"

// newWildcardConn returns nil: here a socket that is bound to a wildcard sends
// from the address that leads to the peer, whichever was asked.
func newWildcardConn(*net.UDPConn) wildcardConn { return nil }
