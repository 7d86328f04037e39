//go:build !linux || (!amd64 && !arm64)

package transport

import "net"

// quicken returns c: there is nothing to be saved here, or nobody has looked.
func quicken(c *net.UDPConn) packetConn { return c }
