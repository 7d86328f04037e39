//go:build !linux || (!amd64 && !arm64)

package transport

import "net"

type quickConn = net.UDPConn

// quicken returns c: there is nothing to be saved here, or nobody has looked.
func quicken(c *net.UDPConn) *quickConn { return c }
