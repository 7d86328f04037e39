package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/sip"
)

const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	maxUnsent    = 1 << 20 // bytes queued on one connection
)

// streamListener accepts connections.
type streamListener struct {
	e     *Endpoint
	ln    net.Listener
	local netip.AddrPort
}

// accept takes connections until the listener is closed.
func (l *streamListener) accept() {
	for {
		nc, err := l.ln.Accept()
		if err == nil {
			l.e.addConn(nc)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of file descriptors, most likely: others will be given back.
		l.e.cfg.Logger.Warn("accept failed", "listener", l.local.String(), "error", err)
		select {
		case <-l.e.ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// connEntry is a place in the table of connections. It is there from the moment
// that the first sender dials, so that others wait instead of dialling too.
type connEntry struct {
	ready chan struct{} // closed when conn or err is set
	conn  *streamConn
	err   error
}

// streamConn is one TCP connection.
type streamConn struct {
	e      *Endpoint
	nc     net.Conn
	local  netip.AddrPort
	remote netip.AddrPort
	used   atomic.Int64 // when it last carried something, in Unix nanoseconds

	mu      sync.Mutex
	unsent  []byte
	writing bool  // a goroutine is writing
	err     error // why it ended; nil while it is open
}

func (c *streamConn) transport() string { return "TCP" }

func (c *streamConn) localAddr() netip.AddrPort { return c.local }

func (c *streamConn) flow() Flow { return Flow{c, c.remote} }

// connect returns a connection to addr: the one that is there, the one that
// another goroutine is opening, or a new one.
func (e *Endpoint) connect(ctx context.Context, addr netip.AddrPort) (*streamConn, error) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	entry := e.conns[addr]
	if entry == nil {
		entry = &connEntry{ready: make(chan struct{})}
		e.conns[addr] = entry
		e.tasks.Go(func() { e.dial(addr, entry) }) // ends with the dial's own time limit, or Close
	}
	e.mu.Unlock()
	select {
	case <-entry.ready:
		return entry.conn, entry.err
	case <-ctx.Done():
		return nil, fmt.Errorf("transport: connect to tcp:%s: %w", addr, ctx.Err())
	}
}

// dial opens the connection that an entry stands for. It is nobody's in
// particular, so no caller's context ends it.
func (e *Endpoint) dial(addr netip.AddrPort, entry *connEntry) {
	ctx, cancel := context.WithTimeout(e.ctx, dialTimeout)
	defer cancel()
	nc, err := e.cfg.Network.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		e.mu.Lock()
		if e.conns[addr] == entry {
			delete(e.conns, addr)
		}
		e.mu.Unlock()
		entry.err = fmt.Errorf("transport: connect to tcp:%s: %w", addr, err)
		close(entry.ready)
		return
	}
	entry.conn = e.newConn(nc)
	e.startConn(entry.conn, entry)
	close(entry.ready)
}

// addConn takes a connection that a peer made. Requests to that very address
// use it, which is how a client without a listener is reached.
func (e *Endpoint) addConn(nc net.Conn) {
	c := e.newConn(nc)
	entry := &connEntry{ready: make(chan struct{}), conn: c}
	close(entry.ready)
	e.mu.Lock()
	if _, taken := e.conns[c.remote]; !taken {
		e.conns[c.remote] = entry
	}
	e.mu.Unlock()
	e.startConn(c, entry)
}

func (e *Endpoint) newConn(nc net.Conn) *streamConn {
	c := &streamConn{e: e, nc: nc, local: addrPort(nc.LocalAddr()), remote: addrPort(nc.RemoteAddr())}
	c.used.Store(time.Now().UnixNano())
	return c
}

func (e *Endpoint) startConn(c *streamConn, entry *connEntry) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		c.fail(ErrClosed)
		return
	}
	e.open[c] = struct{}{}
	e.tasks.Go(func() { c.read(entry) }) // ends when the connection is closed, by either side
	e.mu.Unlock()
}

// read takes messages off the connection until it ends, and then forgets it.
func (c *streamConn) read(entry *connEntry) {
	r := sip.NewReader(idleReader{c}, &sip.ReaderConfig{
		// RFC 5626 section 4.4.1: a ping is answered with one CRLF.
		Ping: func() { c.send("\r\n", c.remote) },
	})
	var err error
	for {
		var m sip.Message
		if m, err = r.ReadMessage(); err == nil {
			c.e.deliver(c.flow(), m, m.String())
			continue
		}
		var syntax *sip.SyntaxError
		if !errors.As(err, &syntax) {
			break
		}
		c.e.malformed(c.flow(), syntax.Text(), err)
	}
	if errors.Is(err, sip.ErrFraming) {
		c.e.count.unframedStreams.Add(1)
		c.e.traceMalformed(c.flow(), "", err)
	}
	c.fail(err)
	c.e.mu.Lock()
	delete(c.e.open, c)
	if c.e.conns[c.remote] == entry {
		delete(c.e.conns, c.remote)
	}
	c.e.mu.Unlock()
	if c.e.cfg.Closed != nil {
		c.e.cfg.Closed(c.flow(), err)
	}
}

// idleReader ends a connection that has carried nothing for too long, in
// either direction.
type idleReader struct{ c *streamConn }

func (r idleReader) Read(b []byte) (int, error) {
	c := r.c
	for {
		c.nc.SetReadDeadline(time.Unix(0, c.used.Load()).Add(c.e.cfg.Idle))
		n, err := c.nc.Read(b)
		now := time.Now()
		var timeout net.Error
		if n == 0 && errors.As(err, &timeout) && timeout.Timeout() &&
			now.Sub(time.Unix(0, c.used.Load())) < c.e.cfg.Idle {
			continue // something was sent in the meantime
		}
		c.used.Store(now.UnixNano())
		return n, err
	}
}

// send queues text. What is queued while a write is under way goes out in one
// piece with it.
func (c *streamConn) send(text string, _ netip.AddrPort) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return fmt.Errorf("%w: %w", ErrNoFlow, c.err)
	}
	if len(c.unsent)+len(text) > maxUnsent {
		return ErrBacklog
	}
	c.unsent = append(c.unsent, text...)
	if !c.writing {
		c.writing = true
		c.e.tasks.Go(c.write) // ends when nothing is left to write, or with the connection
	}
	return nil
}

func (c *streamConn) write() {
	var spare []byte
	for {
		c.mu.Lock()
		out := c.unsent
		if len(out) == 0 || c.err != nil {
			c.writing = false
			c.mu.Unlock()
			return
		}
		c.unsent = spare[:0]
		c.mu.Unlock()

		c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := c.nc.Write(out); err != nil {
			c.fail(err)
			continue
		}
		c.used.Store(time.Now().UnixNano())
		if spare = out; cap(spare) > 65536 {
			spare = nil
		}
	}
}

// fail closes the connection; the first reason counts. The reading goroutine
// does the rest.
func (c *streamConn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.unsent = nil
	c.mu.Unlock()
	c.nc.Close()
}
