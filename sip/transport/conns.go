package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const dialTimeout = 10 * time.Second

// streamListener accepts connections.
type streamListener struct {
	e     *Endpoint
	ln    net.Listener
	local netip.AddrPort
}

func (l *streamListener) localAddr() netip.AddrPort { return l.local }

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

// connEntry is a place in the table of connections, which is indexed by the
// address at the far end (RFC 3261 section 18). It is there from the moment
// that the first sender dials, so that others wait instead of dialling too.
type connEntry struct {
	ready chan struct{} // closed when conn or err is final
	conn  *streamConn   // Endpoint.mu guards it until then
	err   error
	brief bool // opened for a response, and for no request since; Endpoint.mu guards it
}

func (entry *connEntry) isReady() bool {
	select {
	case <-entry.ready:
		return true
	default:
		return false
	}
}

// purpose is what a connection is opened for.
type purpose int

const (
	forRequest  purpose = iota // of ours
	forResponse                // to whatever address a peer has named
)

// connect returns a connection to addr: the one that is there, the one that
// another goroutine is opening, or a new one. New ones for responses count
// against Config.MaxConns, as it is peers that cause them.
func (e *Endpoint) connect(ctx context.Context, addr netip.AddrPort, why purpose) (*streamConn, error) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	entry := e.conns[addr]
	switch {
	case entry == nil && why == forResponse && e.caused >= e.cfg.MaxConns:
		e.mu.Unlock()
		e.count.refusedConns.Add(1)
		return nil, fmt.Errorf("transport: connect to tcp:%s: too many connections: %w", addr, ErrNoFlow)
	case entry == nil:
		entry = &connEntry{ready: make(chan struct{}), brief: why == forResponse}
		if entry.brief {
			e.caused++ // until dial gives it up, or dropConn
		}
		e.conns[addr] = entry
		e.tasks.Go(func() { e.dial(addr, entry, why) }) // ends with the dial's own time limit, or Close
	case why == forRequest:
		if entry.brief = false; entry.conn != nil {
			entry.conn.brief.Store(false)
		}
	}
	e.mu.Unlock()
	select {
	case <-entry.ready:
		return entry.conn, entry.err
	case <-ctx.Done():
		return nil, fmt.Errorf("transport: connect to tcp:%s: %w", addr, ctx.Err())
	}
}

// connected reports whether a connection to addr is there.
func (e *Endpoint) connected(addr netip.AddrPort) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	entry := e.conns[addr]
	return entry != nil && entry.isReady()
}

// dial opens the connection that an entry stands for. It is nobody's in
// particular, so no caller's context ends it. A failure is shared by those who
// wait, and then forgotten.
func (e *Endpoint) dial(addr netip.AddrPort, entry *connEntry, why purpose) {
	defer close(entry.ready)
	ctx, cancel := context.WithTimeout(e.ctx, dialTimeout)
	defer cancel()
	nc, err := e.cfg.Network.DialContext(ctx, "tcp", addr.String())
	if err == nil {
		c := e.newConn(nc, false)
		c.caused = why == forResponse
		c.remote = addr // also where the system names it differently
		e.mu.Lock()
		entry.conn = c
		c.brief.Store(entry.brief)
		e.mu.Unlock()
		if e.startConn(c) {
			return
		}
		err = ErrClosed
	} else if e.ctx.Err() != nil {
		err = ErrClosed
	}
	entry.err = fmt.Errorf("transport: connect to tcp:%s: %w", addr, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	entry.conn = nil
	if why == forResponse {
		e.caused--
	}
	if e.conns[addr] == entry {
		delete(e.conns, addr)
	}
}

// addConn takes a connection that a peer made. Requests to that very address
// use it, which is how a client without a listener is reached.
func (e *Endpoint) addConn(nc net.Conn) {
	c := e.newConn(nc, true)
	if !e.startConn(c) {
		return
	}
	entry := &connEntry{ready: make(chan struct{}), conn: c}
	close(entry.ready)
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.open[c]; !open {
		return // over already
	}
	// A peer that connects once more from the same port has lost the older
	// connection, whatever that looks like from here.
	if old := e.conns[c.remote]; old == nil || old.isReady() {
		e.conns[c.remote] = entry
	}
}

// startConn begins to read from a connection, unless there are too many or the
// Endpoint is closed: then it closes it and returns false.
func (e *Endpoint) startConn(c *streamConn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	full := c.accepted && e.caused >= e.cfg.MaxConns
	if full {
		e.count.refusedConns.Add(1)
	}
	if full || e.closed {
		c.nc.Close()
		return false
	}
	if c.accepted {
		e.caused++
	}
	e.open[c] = struct{}{}
	e.tasks.Go(c.read) // ends when the connection is closed, by either side
	return true
}

// dropConn forgets a connection that is over.
func (e *Endpoint) dropConn(c *streamConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.open[c]; !open {
		return
	}
	delete(e.open, c)
	if c.caused {
		e.caused--
	}
	if entry := e.conns[c.remote]; entry != nil && entry.conn == c {
		delete(e.conns, c.remote)
	}
}
