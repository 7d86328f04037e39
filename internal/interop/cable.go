package interop

import (
	"context"
	"net"
	"sync"

	"github.com/goparley/parley/sip/transport"
)

// A Cable is a network whose connections can be cut.
type Cable struct {
	transport.Network

	mu    sync.Mutex
	conns []net.Conn
}

// DialContext opens a connection over the cable.
func (c *Cable) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.Network.DialContext(ctx, network, address)
	if err == nil && network == "tcp" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

// Cut ends the connections that were opened so far.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}
