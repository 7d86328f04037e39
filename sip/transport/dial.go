package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/goparley/parley/internal/stall"
	"github.com/goparley/parley/sip/resolve"
)

// purpose is what a connection is opened for.
type purpose int

const (
	forRequest  purpose = iota // of ours
	forResponse                // to whatever address a peer has named
	forRace                    // to see which address of a target is the first to answer
)

// connect returns a connection to a target: the one that is there, the one that
// another goroutine is opening, or a new one. New ones for responses count
// against Config.MaxConns, as it is peers that cause them. With a context that is
// over none is opened, nor waited for.
func (e *Endpoint) connect(ctx context.Context, to resolve.Target, why purpose) (*conn, error) {
	key := keyOf(to)
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	entry := e.conns[key]
	switch {
	case entry == nil && ctx.Err() != nil:
		e.mu.Unlock()
		return nil, fmt.Errorf("transport: connect to %s: %w", to, ctx.Err())
	case entry == nil && why == forResponse && isWebSocket(to.Transport):
		e.mu.Unlock()
		// Who has come by WebSocket, such as a browser, does not listen.
		return nil, fmt.Errorf("transport: connect to %s: %w", to, ErrNoFlow)
	case entry == nil && why == forResponse && !e.admitLocked(to.Addr.Addr()):
		e.mu.Unlock()
		return nil, fmt.Errorf("transport: connect to %s: too many connections: %w", to, ErrNoFlow)
	case entry == nil:
		entry = &connEntry{ready: make(chan struct{}), brief: why != forRequest}
		e.conns[key] = entry
		e.tasks.Go(func() { e.dial(to, key, entry, why) }) // ends with the dial's own time limit, or Close
	case why == forRequest:
		if entry.brief = false; entry.conn != nil {
			entry.conn.brief.Store(false)
		}
	}
	e.mu.Unlock()
	if entry.isReady() { // whatever ctx says
		return entry.conn, entry.err
	}
	stall.Begin(ctx)
	select {
	case <-entry.ready:
		return entry.conn, entry.err
	case <-ctx.Done():
		return nil, fmt.Errorf("transport: connect to %s: %w", to, ctx.Err())
	}
}

// dial opens the connection that an entry stands for. It is nobody's in
// particular, so no caller's context ends it. A failure is shared by those who
// wait, and then forgotten.
func (e *Endpoint) dial(to resolve.Target, key connKey, entry *connEntry, why purpose) {
	defer close(entry.ready)
	ctx, cancel := context.WithTimeout(e.ctx, handshakeTimeout)
	defer cancel()
	release := func() {}
	if why == forResponse {
		release = func() { e.release(to.Addr.Addr()) }
	}
	c, err := e.open(ctx, to, release)
	if err == nil {
		e.mu.Lock()
		entry.conn = c
		c.brief.Store(entry.brief)
		e.mu.Unlock()
		if e.startConn(c) {
			e.publish(c, key)
			return
		}
		err = ErrClosed
	} else if e.ctx.Err() != nil {
		err = ErrClosed
	}
	entry.err = fmt.Errorf("transport: connect to %s: %w", to, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	entry.conn = nil
	if e.conns[key] == entry {
		delete(e.conns, key)
	}
}

// open connects to a target, with the handshakes of its transport. Release is
// called when the connection is over, or there is none. When ctx ends, whose limit
// is ours, the error says what did not come to its end.
func (e *Endpoint) open(ctx context.Context, to resolve.Target, release func()) (c *conn, err error) {
	step := "dial"
	defer func() {
		if errors.Is(err, context.DeadlineExceeded) { // which is for the contexts of programs
			err = &net.OpError{Op: step, Net: "tcp", Addr: net.TCPAddrFromAddrPort(to.Addr), Err: os.ErrDeadlineExceeded}
		}
	}()
	nc, err := e.cfg.Network.DialContext(ctx, "tcp", to.Addr.String())
	if err != nil {
		release()
		return nil, err
	}
	sock := &socket{Conn: nc, opened: time.Now(), release: release}
	defer func() {
		if err != nil {
			sock.Close()
		}
	}()
	c = newConn(e, to.Transport, sock)
	c.remote = to.Addr // also where the system names it differently
	nc = sock
	if isSecure(to.Transport) {
		step = "TLS handshake"
		host := hostKey(to.Transport, to.Host, to.Addr)
		secure := tls.Client(sock, clientTLS(e.cfg.TLS, to.Transport, host))
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		c.identities = serverIdentities(secure.ConnectionState(), e.cfg.TLS, to.Transport, host)
		nc = secure
	}
	if isWebSocket(to.Transport) {
		step = "WebSocket handshake"
		return c, dialWebSocket(ctx, c, nc, to)
	}
	c.wire = &stream{nc: nc}
	return c, nil
}

// attemptDelay is how long one address of a target has before the next is tried
// beside it (RFC 8305 section 5, Connection Attempt Delay).
const attemptDelay = 250 * time.Millisecond

// Connect opens a connection to the first of several addresses of one server
// that answers, and returns its place in the list (RFC 8305 section 5): each
// has a quarter of a second before the next one is tried as well. A connection
// that is open already is the first. The error is that of the last one.
// Connections that come too late are closed soon.
func (e *Endpoint) Connect(ctx context.Context, targets []resolve.Target) (int, error) {
	type result struct {
		i   int
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, len(targets))
	begun, failed := 0, 0
	begin := func() {
		i := begun
		begun++
		to := targets[i]
		to.Addr = unmap(to.Addr)
		go func() { // ends with the dial, or ctx
			_, err := e.connect(ctx, to, forRace)
			results <- result{i, err}
		}()
	}
	if len(targets) == 0 {
		return 0, errors.New("transport: no target to connect to")
	}
	for i, to := range targets {
		if to.Addr = unmap(to.Addr); e.connected(to) {
			return i, nil
		}
	}
	begin()
	delay := time.NewTimer(attemptDelay)
	defer delay.Stop()
	for {
		select {
		case r := <-results:
			if r.err == nil {
				return r.i, nil
			}
			if failed++; failed == len(targets) || ctx.Err() != nil {
				return r.i, r.err
			}
			if begun < len(targets) {
				begin()
				delay.Reset(attemptDelay)
			}
		case <-delay.C:
			if begun < len(targets) {
				begin()
				delay.Reset(attemptDelay)
			}
		}
	}
}
