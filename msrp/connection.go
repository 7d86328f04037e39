package msrp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/goparley/parley/internal/source"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

const (
	unboundTime = 30 * time.Second // for how long a connection may be without a session
	connectTime = 30 * time.Second // for a connection to be made, with its TLS
)

// A connection is one that sessions share.
type connection struct {
	e      *Endpoint
	link   *link.Conn
	key    *peerKey     // of one that we have made
	source netip.Prefix // of one that somebody else has

	mu    sync.Mutex
	legs  map[*leg]struct{}
	alone *time.Timer // ends it when it has had no session for a while
	over  bool        // it had its last session
	kept  bool        // it stays for the next session: a relay has let us in

	// Of the goroutine that reads.
	stranger bool              // somebody has made it who has had no session
	routes   map[string]sender // by To-Path as written
	chunk    chunk
}

// A sender is whose requests are known to be for a leg.
type sender struct {
	l    *leg
	from string // From-Path as written
}

// A peerKey says which connections can be shared (RFC 4975 section 5.4).
type peerKey struct {
	secure      bool
	address     string // host:port
	name        string // that the certificate has to have; "" none
	fingerprint string // of the certificate; "" any
	relay       bool   // it is to our relay, whose URI the address is
}

// A dialing is a connection that is being made, or has been.
type dialing struct {
	done chan struct{}
	conn *connection
	err  error
	left bool // who made it has not waited for it
}

func (e *Endpoint) newConnection(nc net.Conn, key *peerKey) *connection {
	c := e.blank(key)
	c.link = link.New(nc, c)
	e.open.Store(c, nil)
	return c
}

// blank returns a connection without a link.
func (e *Endpoint) blank(key *peerKey) *connection {
	c := &connection{e: e, key: key, legs: map[*leg]struct{}{}, routes: map[string]sender{}}
	c.chunk.c = c
	return c
}

// accept takes the connections of peers until its listener is closed.
func (e *Endpoint) accept(l net.Listener, cfg *tls.Config) {
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			e.mu.Lock()
			closed := e.closed
			e.mu.Unlock()
			if closed {
				return
			}
			e.log.Warn("msrp: accept", "error", err)
			time.Sleep(10 * time.Millisecond) // the system is short of something
			continue
		}
		from := source.OfPeer(nc.RemoteAddr())
		e.mu.Lock()
		full := e.closed || len(e.accepted) >= e.cfg.MaxConns || e.strangers.Full(from)
		if full {
			e.mu.Unlock()
			nc.Close()
			continue
		}
		if cfg != nil {
			nc = tls.Server(nc, cfg)
		}
		c := e.newConnection(nc, nil)
		c.source, c.stranger = from, true
		c.link.Narrow(true)
		e.accepted[c] = struct{}{}
		e.strangers.Add(from)
		e.mu.Unlock()
		c.wait()
		c.link.Start()
	}
}

// noStranger says that a connection is that of a stranger no more: there is a session on it, or it has ended.
func (c *connection) noStranger() {
	if !c.stranger {
		return
	}
	c.stranger = false
	c.link.Narrow(false)
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.e.strangers.Remove(c.source)
}

// wait has the connection end if it gets no session in time.
func (c *connection) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.legs) == 0 && c.alone == nil {
		period := unboundTime
		if c.kept {
			period = keepTime
		}
		c.alone = time.AfterFunc(period, c.link.Close)
	}
}

// keep has the connection stay for an hour without a session, as that to a relay of ours does (RFC 4976 section
// 5.4).
func (c *connection) keep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = true
}

// join adds a leg. It fails if the connection has ended.
func (c *connection) join(l *leg) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.link.Err() != nil {
		return link.ErrClosed
	}
	if c.alone != nil {
		if !c.alone.Stop() {
			return link.ErrClosed
		}
		c.alone = nil
	}
	c.legs[l] = struct{}{}
	return nil
}

// leave takes away a leg that is not on the connection any more, and closes a connection of ours with the last of
// them (RFC 4975 section 5.4), if it is not kept.
func (c *connection) leave(l *leg) {
	l.s.mu.Lock()
	if l.on(c) { // again
		l.s.mu.Unlock()
		return
	}
	c.mu.Lock()
	delete(c.legs, l)
	empty := len(c.legs) == 0
	c.over = empty && c.key != nil && !c.kept
	over := c.over
	c.mu.Unlock()
	l.s.mu.Unlock()
	switch {
	case !empty:
	case over:
		c.e.forget(c)
		c.link.Close()
	default:
		c.wait()
	}
}

// forget has nobody else share a connection of ours.
func (e *Endpoint) forget(c *connection) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.accepted, c)
	if c.key != nil {
		if d := e.dialed[*c.key]; d != nil && d.conn == c {
			delete(e.dialed, *c.key)
		}
	}
}

// Closed is that of link.Handler.
func (c *connection) Closed(_ *link.Conn, err error) {
	c.noStranger()
	c.e.forget(c)
	c.e.open.Delete(c)
	c.mu.Lock()
	var legs []*leg
	for l := range c.legs {
		legs = append(legs, l)
	}
	if c.alone != nil {
		c.alone.Stop()
	}
	c.mu.Unlock()
	for _, l := range legs {
		l.lost(c, err)
	}
}

// connect returns a connection to the next hop that a leg may share.
func (e *Endpoint) connect(ctx context.Context, key peerKey, verify func(tls.ConnectionState) error) (*connection, error) {
	for {
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return nil, ErrClosed
		}
		d := e.dialed[key]
		if d == nil {
			d = &dialing{done: make(chan struct{})}
			e.dialed[key] = d
			e.tasks.Add(1)
			e.mu.Unlock()
			conn, err := e.dial(ctx, key, verify)
			e.mu.Lock()
			if d.conn, d.err = conn, err; err != nil {
				d.left = ctx.Err() != nil
				delete(e.dialed, key)
			}
			e.mu.Unlock()
			close(d.done)
			e.tasks.Done()
			return conn, err
		}
		e.mu.Unlock()
		select {
		case <-d.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if d.err == nil {
			return d.conn, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !d.left {
			return nil, d.err
		}
	}
}

func (e *Endpoint) dial(ctx context.Context, key peerKey, verify func(tls.ConnectionState) error) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	if key.relay {
		return e.dialRelay(ctx, key)
	}
	nc, err := e.network.DialContext(ctx, "tcp", key.address)
	if err != nil {
		return nil, err
	}
	if key.secure {
		nc, err = e.secure(ctx, nc, key.name, func(cfg *tls.Config) {
			if verify != nil {
				cfg.InsecureSkipVerify = true // by the fingerprint instead
				cfg.VerifyConnection = verify
			}
		})
		if err != nil {
			return nil, err
		}
	}
	c := e.newConnection(nc, &key)
	c.wait()
	c.link.Start()
	return c, nil
}

// secure does the handshake of a TLS client, whose configuration change may change. It closes nc if that fails.
func (e *Endpoint) secure(ctx context.Context, nc net.Conn, name string, change func(*tls.Config)) (net.Conn, error) {
	id, err := e.own()
	if err != nil {
		nc.Close()
		return nil, err
	}
	cfg := id.client.Clone()
	cfg.ServerName = name
	change(cfg)
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, &net.OpError{Op: "handshake", Net: "tcp", Addr: nc.RemoteAddr(), Err: err}
	}
	return tc, nil
}

// Request is that of link.Handler: it finds the session of a request.
func (c *connection) Request(_ *link.Conn, h *frame.Head) link.Body {
	known := c.routes[h.To]
	l := known.l
	var cl *claim
	if l == nil || known.from != h.From || !l.bound(c, h.From) {
		delete(c.routes, h.To)
		var status frame.Status
		if l, cl, status = c.route(h); status != frame.StatusOK {
			c.refuse(h, status)
			return nil
		}
		c.noStranger()
	}
	if h.Err != nil {
		c.refuse(h, frame.StatusBadRequest)
		return nil
	}
	switch h.Method {
	case frame.SEND:
		return c.send(l, cl, h)
	case frame.REPORT:
		if cl == nil {
			l.s.report(h)
		}
	default:
		switch serve := l.s.cfg.OnRequest; {
		case serve == nil:
			c.refuse(h, frame.StatusUnknownMethod)
		case cl != nil: // the session stays: 481 would end it
			c.refuse(h, frame.StatusForbidden)
		default:
			return &wholeRequest{c: c, l: l, h: h.Clone(), serve: serve}
		}
	}
	return nil
}

// route finds the session that a To-Path names, and binds it to this connection if it has
// none (RFC 4975 sections 5.4 and 7.3). There is a claim while nobody knows who its peer is.
func (c *connection) route(h *frame.Head) (*leg, *claim, frame.Status) {
	to, err := frame.ParsePath(h.To)
	if err != nil {
		return nil, nil, frame.StatusBadRequest
	}
	from, err := frame.ParsePath(h.From)
	if err != nil {
		return nil, nil, frame.StatusBadRequest
	}
	c.e.mu.Lock()
	l := c.e.legs[to[0].SessionID]
	c.e.mu.Unlock()
	if len(to) != 1 || l == nil || !l.is(to[0]) {
		return nil, nil, frame.StatusNoSession
	}
	if b := l.before(c, from, h.Method == frame.REPORT); b != nil {
		l = b
	}
	if h.Method == frame.REPORT && l.uses(c) {
		return l, nil, frame.StatusOK // of a relay, too, which speaks for itself then (RFC 4976 section 6.4.1)
	}
	cl, status := l.bind(c, from, h.From)
	if status != frame.StatusOK {
		return nil, nil, status
	}
	if cl != nil || len(h.To)+len(h.From) > 1<<10 {
		return l, cl, frame.StatusOK // not sure, or too long, to be remembered
	}
	if len(c.routes) >= 1024 {
		clear(c.routes)
	}
	c.routes[h.To] = sender{l, h.From}
	return l, nil, frame.StatusOK
}

// refuse answers a request with an error, if it is one that is answered. However many of a stranger's are: the
// connection may be a relay's, which carries what one of its clients has for nobody before what others have for us.
func (c *connection) refuse(h *frame.Head, status frame.Status) {
	if h.Method != frame.REPORT && h.FailureReport != frame.FailureReportNo && h.From != "" && h.To != "" {
		from, _, _ := cutLast(h.To)
		c.link.Respond(h.Response(status, from))
	}
}

// cutLast returns the last URI of a path as written: who it is for.
func cutLast(path string) (last, before string, more bool) {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == ' ' {
			return path[i+1:], path[:i], true
		}
	}
	return path, "", false
}

// A wholeRequest is one of another method than SEND and REPORT, with its body.
type wholeRequest struct {
	c     *connection
	l     *leg
	h     *frame.Head
	body  []byte
	serve func(h *frame.Head, body []byte) frame.Status
}

func (r *wholeRequest) Write(piece []byte) { r.body = append(r.body, piece...) } // no more than 10,240 bytes

func (r *wholeRequest) End(flag frame.Flag) {
	switch flag {
	case frame.Complete:
		r.h.FailureReport = frame.FailureReportYes // which is about SEND alone (RFC 4975 section 7.1.1)
		r.c.refuse(r.h, r.serve(r.h, r.body))
	case frame.Continued, frame.Aborted: // only a SEND comes in chunks
		r.c.refuse(r.h, frame.StatusBadRequest)
	}
}
