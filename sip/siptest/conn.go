package siptest

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// conn is one end of a stream connection.
type conn struct {
	host          *Host
	network       string
	local, remote netip.AddrPort
	dialed        bool // the local port is its own, not a listener's
	in, out       *half

	closed bool // Network.mu guards it
}

// newConns returns both ends of a connection: the dialer's, and the one to be
// offered to the listener. Network.mu is held.
func newConns(d *dialing) (near, far *conn) {
	there, back := newHalf(d.route), newHalf(d.route.back())
	near = &conn{host: d.host, network: d.network, local: d.local, remote: d.remote, dialed: true, in: back, out: there}
	far = &conn{host: d.route.dst, local: d.remote, remote: d.route.from, in: there, out: back}
	near.host.conns[near] = true
	return near, far
}

func (c *conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Read is that of [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	c.host.n.mu.Lock()
	defer c.host.n.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case c.in.readDeadline.passed():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case c.in.arrived.Len() > 0:
			return c.in.read(b), nil
		case c.in.fin:
			return 0, io.EOF
		case c.in.broken:
			return 0, c.fail("read", os.NewSyscallError("read", syscall.ECONNRESET))
		}
		c.in.readable.Wait()
	}
}

// Write is that of [net.Conn].
func (c *conn) Write(b []byte) (int, error) {
	c.host.n.mu.Lock()
	defer c.host.n.mu.Unlock()
	written, err := c.out.write(b, func() error {
		switch {
		case c.closed:
			return net.ErrClosed
		case c.out.writeDeadline.passed():
			return os.ErrDeadlineExceeded
		}
		if err := c.out.writeError(); err != nil {
			return os.NewSyscallError("write", err)
		}
		return nil
	})
	if err != nil {
		return written, c.fail("write", err)
	}
	return written, nil
}

// CloseWrite ends writing and leaves reading open, as [net.TCPConn.CloseWrite].
func (c *conn) CloseWrite() error {
	c.host.n.mu.Lock()
	defer c.host.n.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.out.shutdown()
	c.host.n.run()
	return nil
}

// Close is that of [net.Conn].
func (c *conn) Close() error {
	c.host.n.mu.Lock()
	defer c.host.n.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.closed = true
	delete(c.host.conns, c)
	if c.dialed {
		c.host.unbind("tcp", c.local.Port())
	}
	c.in.readDeadline.set(time.Time{}, nil)
	c.out.writeDeadline.set(time.Time{}, nil)
	c.in.abandon()
	c.out.shutdown()
	c.out.writable.Broadcast()
	c.host.n.run()
	return nil
}

// reset breaks the connection at both ends. Network.mu is held.
func (c *conn) reset() {
	delete(c.host.conns, c)
	c.in.reset()
	c.out.reset()
}

// LocalAddr returns a *net.TCPAddr.
func (c *conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr returns a *net.TCPAddr.
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline is that of [net.Conn], as are the two below.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *conn) setDeadlines(t time.Time, read, write bool) error {
	c.host.n.mu.Lock()
	defer c.host.n.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	if read {
		c.in.readDeadline.set(t, c.wake)
		c.in.readable.Broadcast()
	}
	if write {
		c.out.writeDeadline.set(t, c.wake)
		c.out.writable.Broadcast()
	}
	return nil
}

// wake has whoever waits look at the clock.
func (c *conn) wake() {
	c.host.n.mu.Lock()
	defer c.host.n.mu.Unlock()
	c.in.readable.Broadcast()
	c.out.writable.Broadcast()
}
