package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sip/resolve"
)

// connKey is what a connection is found by: the address at the far end and,
// where the transport knows names, the name that the peer has proved or was
// asked for. An address alone says nothing about who is there (RFC 5923 section
// 8.1).
type connKey struct {
	kind string
	addr netip.AddrPort
	host string // as domainName writes it; "" for TCP
}

func keyOf(to resolve.Target) connKey {
	return connKey{to.Transport, to.Addr, hostKey(to.Transport, to.Host, to.Addr)}
}

// hostKey returns the host of a connKey, in the form that identities have.
func hostKey(kind, host string, addr netip.AddrPort) string {
	if kind == viaTCP {
		return ""
	}
	if host == "" {
		host = addr.Addr().WithZone("").String()
	}
	return cmp.Or(domainName(host), strings.ToLower(host))
}

// connEntry is a place in the table of connections (RFC 3261 section 18). It is
// there from the moment that the first sender dials, so that others wait
// instead of dialling too.
type connEntry struct {
	ready chan struct{} // closed when conn or err is final
	conn  *conn         // Endpoint.mu guards it until then
	err   error
	brief bool // opened for no request; Endpoint.mu guards it
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
	forRace                    // to see which address of a target is the first to answer
)

// connect returns a connection to a target: the one that is there, the one that
// another goroutine is opening, or a new one. New ones for responses count
// against Config.MaxConns, as it is peers that cause them.
func (e *Endpoint) connect(ctx context.Context, to resolve.Target, why purpose) (*conn, error) {
	key := keyOf(to)
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	entry := e.conns[key]
	switch {
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
	select {
	case <-entry.ready:
		return entry.conn, entry.err
	case <-ctx.Done():
		return nil, fmt.Errorf("transport: connect to %s: %w", to, ctx.Err())
	}
}

// connected reports whether a connection to a target is there.
func (e *Endpoint) connected(to resolve.Target) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	entry := e.conns[keyOf(to)]
	return entry != nil && entry.isReady()
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
// called when the connection is over, or there is none.
func (e *Endpoint) open(ctx context.Context, to resolve.Target, release func()) (c *conn, err error) {
	nc, err := e.cfg.Network.DialContext(ctx, "tcp", to.Addr.String())
	if err != nil {
		release()
		return nil, err
	}
	sock := &socket{Conn: nc, release: release}
	defer func() {
		if err != nil {
			sock.Close()
		}
	}()
	c = newConn(e, to.Transport, sock)
	c.remote = to.Addr // also where the system names it differently
	nc = sock
	if isSecure(to.Transport) {
		secure := tls.Client(sock, clientTLS(e.cfg.TLS, hostKey(to.Transport, to.Host, to.Addr)))
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		if e.cfg.TLS == nil || !e.cfg.TLS.InsecureSkipVerify {
			c.identities = identities(secure.ConnectionState().PeerCertificates[0])
		}
		nc = secure
	}
	if isWebSocket(to.Transport) {
		return c, dialWebSocket(ctx, c, nc, to)
	}
	c.wire = &stream{nc: nc}
	return c, nil
}

// publish has a connection that was opened found by all the names that its peer
// has proved, beside the one that was asked for.
func (e *Endpoint) publish(c *conn, asked connKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.keys = append(c.keys, asked)
	e.listNames(c, asked.addr)
	if _, open := e.live[c]; !open {
		e.unlist(c) // over already
	}
}

// list has a connection found by a further key. e.mu is held.
func (e *Endpoint) list(c *conn, key connKey) {
	if old := e.conns[key]; old != nil {
		switch {
		case old.conn == c, !old.isReady():
			return
		case c.accepted && !old.conn.accepted && !isSecure(c.kind):
			// Nobody has proved anything, but there is whom we have asked for.
			return
		}
		// A peer that connects once more from the same port, or as the same
		// domain, has lost the older connection, whatever that looks like from
		// here.
	}
	entry := &connEntry{ready: make(chan struct{}), conn: c}
	close(entry.ready)
	e.conns[key] = entry
	c.keys = append(c.keys, key)
}

// maxNames bounds the names of a peer that a connection is found by.
const maxNames = 16

// listNames has a connection found by the names that its peer has proved. e.mu
// is held.
func (e *Endpoint) listNames(c *conn, addr netip.AddrPort) {
	for _, name := range c.identities[:min(len(c.identities), maxNames)] {
		e.list(c, connKey{c.kind, addr, name})
	}
}

// unlist has a connection found no more. e.mu is held.
func (e *Endpoint) unlist(c *conn) {
	for _, key := range c.keys {
		if entry := e.conns[key]; entry != nil && entry.conn == c {
			delete(e.conns, key)
		}
	}
	c.keys = nil
}

// takeConn takes a connection that a peer made. Without TLS, requests to that
// very address use it, which is how a client without a listener is reached.
// With TLS an address is no reason to send anything: see alias.
func (e *Endpoint) takeConn(c *conn) {
	c.accepted = true
	if !e.startConn(c) || isSecure(c.kind) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.live[c]; open {
		e.list(c, connKey{c.kind, c.remote, hostKey(c.kind, "", c.remote)})
	}
}

// startConn begins to read from a connection, unless the Endpoint is closed:
// then it closes it and returns false.
func (e *Endpoint) startConn(c *conn) bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		c.sock.Close()
		return false
	}
	defer e.mu.Unlock()
	e.lastConn++
	c.id = e.lastConn
	e.live[c] = struct{}{}
	e.byID[c.id] = c
	e.tasks.Go(c.read) // ends when the connection is closed, by either side
	return true
}

// dropConn forgets a connection that is over.
func (e *Endpoint) dropConn(c *conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.live[c]; !open {
		return
	}
	delete(e.live, c)
	delete(e.byID, c.id)
	e.unlist(c)
}

// attemptDelay is how long one address of a target has before the next is tried
// beside it (RFC 8305 section 5, Connection Attempt Delay).
const attemptDelay = 250 * time.Millisecond

// Connect opens a connection to the first of several addresses of one server
// that answers, and returns its place in the list (RFC 8305 section 5): each
// has a quarter of a second before the next one is tried as well. The error is
// that of the last one. Connections that come too late are closed soon.
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

// alias has a connection of TLS that a peer made used for requests to that peer
// (RFC 5923 section 8.2): if it has asked for that in the Via of a request, and
// has proved by a certificate who it is. Port is that of the sent-by, 0: none.
func (e *Endpoint) alias(c *conn, port int) {
	if !c.accepted || c.kind != viaTLS || len(c.identities) == 0 {
		return
	}
	addr := netip.AddrPortFrom(c.remote.Addr(), uint16(cmp.Or(port, defaultPort(viaTLS))))
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.live[c]; !open || slices.ContainsFunc(c.keys, func(k connKey) bool { return k.addr != addr }) {
		return // gone, or the alias of another port already: one is enough
	}
	e.listNames(c, addr)
}

// admitLocked takes a place among the connections that peers cause. e.mu is
// held.
func (e *Endpoint) admitLocked(from netip.Addr) bool {
	if e.caused >= e.cfg.MaxConns || !e.sources.admit(from) {
		e.count.refusedConns.Add(1)
		return false
	}
	e.caused++
	return true
}

// admit is admitLocked for a connection that has been accepted.
func (e *Endpoint) admit(from netip.Addr) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.admitLocked(from)
}

// enter admits a connection that a peer has made. If there are too many it is
// closed, and the socket is nil.
func (e *Endpoint) enter(nc net.Conn) *socket {
	from := addrPort(nc.RemoteAddr()).Addr()
	if !e.admit(from) {
		nc.Close()
		return nil
	}
	return &socket{Conn: nc, release: func() { e.release(from) }}
}

// release gives back what admit took.
func (e *Endpoint) release(from netip.Addr) {
	e.sources.release(from)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.caused--
}
