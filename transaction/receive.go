package transaction

import (
	"maps"
	"slices"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// handle takes what arrives. It runs on the goroutine of the socket, so nothing
// here waits for anything but a lock.
func (l *Layer) handle(in *transport.Inbound) {
	select {
	case <-l.ready:
	default:
		select {
		case <-l.ready:
		case <-l.ctx.Done(): // Config.Restore has closed the layer
			return
		}
	}
	if l.closed.Load() {
		return
	}
	switch m := in.Message.(type) {
	case *sip.Response:
		l.response(in, m)
	case *sip.Request:
		l.request(in, m)
	}
}

// response takes a response: it belongs to the client transaction with its
// branch and the method of its CSeq (RFC 3261 section 17.1.3).
func (l *Layer) response(in *transport.Inbound, resp *sip.Response) {
	method := resp.CSeq().Method
	key := clientKey{branchID(resp.Via().Branch()), method == sip.CANCEL}
	t := l.table(key.branch)
	t.mu.Lock()
	c := t.clients.m[key]
	t.mu.Unlock()
	if c != nil && c.method == method {
		l.overload.learn(in, c, resp)
		c.response(resp)
		return
	}
	if !l.isOurs(key.branch) { // too late, it goes nowhere (RFC 6026 section 7.3)
		l.isStateless(in)
	}
}

// isStateless reports whether the user takes a message that belongs to no
// transaction.
func (l *Layer) isStateless(in *transport.Inbound) bool {
	return l.cfg.Stateless != nil && l.cfg.Stateless(in)
}

// request takes a request: one of a transaction that is there, or a new one.
func (l *Layer) request(in *transport.Inbound, r *sip.Request) {
	key := serverKeyOf(r)
	t := l.table(key.branch)
	t.mu.Lock()
	s := t.servers.m[key]
	if s == nil && l.cfg.Stateless != nil && !(key.method == sip.CANCEL && t.servers.m[key.of(sip.INVITE)] != nil) {
		t.mu.Unlock()
		if l.isStateless(in) {
			return
		}
		t.mu.Lock()
		s = t.servers.m[key] // it may have come twice, by two sockets
	}
	ack := r.Method() == sip.ACK
	if s == nil && !ack {
		l.begun(t, in, r, key)
		return
	}
	t.mu.Unlock()
	switch {
	case !ack:
		s.cameBy(in, r)
		s.step(input{event: inRequest}, nil)
	case s == nil && l.refusals.isOf(l, r):
	case s == nil, !s.isACK(r):
		l.acknowledged(in, r)
	// In Accepted it is the ACK of the 2xx, with the branch of the INVITE.
	case s.step(input{event: inACK}, nil).deliver:
		l.acknowledged(in, r)
	}
}

// acknowledged hands an ACK without a transaction to a handler.
func (l *Layer) acknowledged(in *transport.Inbound, r *sip.Request) {
	// Too many: the 2xx will come again, and so will its ACK.
	if l.closed.Load() || l.isBusy(in, true) || l.isFull() || l.isCrowded(r) {
		return
	}
	s := &Server{l: l, in: in, req: r}
	s.hold()
	if l.line(r.CallID()).join(s) {
		l.serve(s, in)
	}
}

// isACK reports whether an ACK with the key of an INVITE is one to it. The key of
// a peer of RFC 2543 leaves out the tag of the To (RFC 3261 section 17.2.3).
func (s *Server) isACK(ack *sip.Request) bool {
	if branchID(ack.Via().Branch()) != "" {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last == nil || s.last.To().Tag() == ack.To().Tag()
}

// begun takes the first request of a transaction. It is called with the lock of
// its table held, and releases it.
func (l *Layer) begun(t *table, in *transport.Inbound, r *sip.Request, key serverKey) {
	if l.closed.Load() {
		t.mu.Unlock()
		return
	}
	inDialog := r.To().Tag() != ""
	var invite *Server // that a CANCEL is for; nil for a CANCEL of anything else, and for what is none
	found := false
	if key.method == sip.CANCEL {
		invite = t.servers.m[key.of(sip.INVITE)]
		found = invite != nil || t.isCancelled(key)
	}
	if !found && (l.isFull() || l.isBusy(in, inDialog) || l.draining.Load() && !inDialog) {
		t.mu.Unlock()
		if key.method == sip.CANCEL {
			l.ep.Respond(in, r.Reply(sip.StatusCallDoesNotExist))
			return
		}
		l.refuse(in, r, sip.StatusServiceUnavailable, later())
		return
	}
	if key.method != sip.CANCEL && l.isCrowded(r) {
		t.mu.Unlock()
		// As RFC 3261 section 14.2 has it for a re-INVITE too many. A 503 would say
		// that we are overloaded, and keep a proxy from sending us anything.
		l.refuse(in, r, sip.StatusServerInternalError, later())
		return
	}
	if key.method != sip.CANCEL && !l.overload.admit(in, r) {
		t.mu.Unlock()
		if !l.overload.spares(in, r) {
			l.refuse(in, r, sip.StatusServiceUnavailable, l.overload.retryAfter(r)...)
			return
		}
		t.mu.Lock()
		if l.closed.Load() || t.servers.m[key] != nil { // it has come twice, by two sockets
			t.mu.Unlock()
			l.overload.waiting.Add(-1)
			return
		}
	}
	s := newServer(l, t, in, r, key)
	// Locked until it has begun: a retransmission that finds it in the table
	// waits for that, whichever socket it came in on.
	s.mu.Lock()
	t.servers.set(key, s)
	s.hold()
	var start bool
	var refusal sip.Status // 0: the handler's to answer
	var edits []sip.Edit
	switch {
	case key.method == sip.CANCEL:
		// RFC 3261 section 9.2: it cancels nothing but an INVITE, and gets 200
		// for whatever is there.
		if refusal = sip.StatusOK; !found {
			refusal = sip.StatusCallDoesNotExist
		}
	case key.method == sip.INVITE && t.servers.m[key.of(sip.CANCEL)] != nil:
		// The CANCEL has overtaken it.
		refusal = sip.StatusRequestTerminated
	case !inDialog && !l.cfg.Merged && !l.isFirst(s):
		refusal = sip.StatusLoopDetected
		edits = append(edits, sip.ReasonPhrase("Merged Request"))
	default:
		start = l.line(r.CallID()).join(s)
	}
	if refusal != 0 && key.method != sip.CANCEL {
		l.overload.left(s)
	}
	if refusal != 0 {
		s.released = true // it has no place in the order of handlers
	}
	t.mu.Unlock()
	if refusal == 0 {
		s.begin(nil)
		if start {
			l.serve(s, in)
		}
		return
	}
	final := r.Reply(refusal, edits...)
	if invite == nil {
		s.begin(final)
		return
	}
	invite.cancel(r, func() { s.begin(final) })
}

// isCancelled reports whether a CANCEL is for a request other than INVITE that is
// there. t.mu is held.
func (t *table) isCancelled(cancel serverKey) bool {
	for _, method := range [...]sip.Method{sip.BYE, sip.INFO, sip.MESSAGE, sip.NOTIFY, sip.OPTIONS,
		sip.PRACK, sip.PUBLISH, sip.REFER, sip.REGISTER, sip.SUBSCRIBE, sip.UPDATE} {
		if t.servers.m[cancel.of(method)] != nil {
			return true
		}
	}
	return false
}

// connClosed tells the client transactions on a connection that it is gone.
func (l *Layer) connClosed(f transport.Flow, err error) {
	var on []*client
	for _, t := range l.tables.tables {
		t.mu.Lock()
		on = slices.AppendSeq(on, maps.Keys(t.byFlow[f]))
		t.mu.Unlock()
	}
	forEach(on, func(c *client) { c.failed(f, err) })
}
