package transaction

import (
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// handle takes what arrives. It runs on the goroutine of the socket, so nothing
// here waits for anything but a lock.
func (l *Layer) handle(in *transport.Inbound) {
	<-l.ready
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
	l.mu.Lock()
	c := l.clients[key]
	l.mu.Unlock()
	if c != nil && c.method == method {
		l.overload.learn(in, c.by(), resp)
		c.response(resp)
		return
	}
	l.isStateless(in)
}

// isStateless reports whether the user takes a message that belongs to no
// transaction.
func (l *Layer) isStateless(in *transport.Inbound) bool {
	return l.cfg.Stateless != nil && l.cfg.Stateless(in)
}

// cancels reports whether a key is that of a CANCEL whose INVITE is there. It is
// called with l.mu held.
func (l *Layer) cancels(key serverKey) bool {
	return key.method == sip.CANCEL && l.servers[key.invite()] != nil
}

// request takes a request: one of a transaction that is there, or a new one.
func (l *Layer) request(in *transport.Inbound, r *sip.Request) {
	key := serverKeyOf(r)
	method := r.Method()
	l.mu.Lock()
	s := l.servers[key]
	if s == nil && l.cfg.Stateless != nil && !l.cancels(key) {
		l.mu.Unlock()
		if l.isStateless(in) {
			return
		}
		l.mu.Lock()
		s = l.servers[key] // it may have come twice, by two sockets
	}
	switch {
	case s != nil && method == sip.ACK:
		l.mu.Unlock()
		// In Accepted it is the ACK of the 2xx, with the branch of the INVITE.
		if out := s.step(input{event: inACK}, nil); out.deliver {
			l.acknowledged(in, r)
		}
	case s != nil:
		l.mu.Unlock()
		s.cameBy(in, r)
		s.step(input{event: inRequest}, nil)
	case method == sip.ACK:
		l.mu.Unlock()
		l.acknowledged(in, r)
	case l.closed:
		l.mu.Unlock()
	default:
		l.begun(in, r, key)
	}
}

// acknowledged hands an ACK without a transaction to a handler.
func (l *Layer) acknowledged(in *transport.Inbound, r *sip.Request) {
	l.mu.Lock()
	refusing := time.Since(l.refused) < l.timers.H
	l.mu.Unlock()
	if refusing && isRefusalACK(r) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Too many: the 2xx will come again, and so will its ACK.
	if !l.closed && l.open < l.cfg.MaxHandlers && l.bytes < l.cfg.MaxBytes {
		s := &Server{l: l, in: in, req: r}
		s.hold()
		l.dispatch(s)
	}
}

// isRefusalACK reports whether an ACK is that of a refusal which left no
// transaction. Such a refusal has the tag that Reply makes, which depends on
// the branch, and the ACK of a 2xx has another branch than its INVITE.
func isRefusalACK(r *sip.Request) bool {
	to := r.To()
	return r.With(to.WithTag("")).Reply(sip.StatusServiceUnavailable).To().Tag() == to.Tag()
}

// begun takes the first request of a transaction. It is called with l.mu held
// and releases it.
func (l *Layer) begun(in *transport.Inbound, r *sip.Request, key serverKey) {
	inDialog := r.To().Tag() != ""
	full := l.bytes >= l.cfg.MaxBytes
	var merge mergeKey
	if !inDialog && !l.cfg.Merged {
		merge = mergeKeyOf(r)
	}
	var refusal sip.Status // 0: the handler's to answer
	var edits []sip.Edit
	var cancelled *Server
	switch {
	case key.method == sip.CANCEL:
		// RFC 3261 section 9.2: it cancels nothing but an INVITE.
		refusal = sip.StatusOK
		if cancelled = l.servers[key.invite()]; cancelled == nil {
			refusal = sip.StatusCallDoesNotExist
		}
	case full, l.draining && !inDialog, l.open >= l.cfg.MaxHandlers:
		// Without a transaction: what is too much is not to be remembered,
		// and not to be retransmitted to an address that may be forged.
		full = true
		l.refused = time.Now()
		refusal = sip.StatusServiceUnavailable
		edits = append(edits, sip.RetryAfter{Seconds: 5})
	case merge != mergeKey{} && l.merged[merge] != nil:
		refusal = sip.StatusLoopDetected
		edits = append(edits, sip.ReasonPhrase("Merged Request"))
	case !l.overload.admit(in, r):
		full = true
		l.refused = time.Now()
		refusal = sip.StatusServiceUnavailable
		edits = l.overload.retryAfter(r)
	}
	if full {
		l.mu.Unlock()
		// Should it be lost, so is the request, and comes again.
		l.ep.Respond(in, r.Reply(refusal, append(edits, l.overload.stamp(in, r, nil)...)...))
	} else {
		s := newServer(l, in, r, key)
		// Locked until it has begun: a retransmission that finds it in the
		// table waits for that, whichever socket it came in on.
		s.mu.Lock()
		l.servers[key] = s
		s.hold()
		s.released = refusal != 0 // it has no place in the order of handlers
		if refusal == 0 {
			if merge != (mergeKey{}) {
				l.merged[merge] = s
				s.merge = merge
			}
			l.dispatch(s)
		}
		l.mu.Unlock()
		s.begin()
		if refusal != 0 {
			s.Reply(refusal, edits...)
		}
	}
	// RFC 3261 section 9.2: a CANCEL is answered first.
	if cancelled != nil {
		cancelled.cancel()
	}
}

// connClosed tells the client transactions on a connection that it is gone.
func (l *Layer) connClosed(f transport.Flow, err error) {
	l.mu.Lock()
	var clients []*client
	for c := range l.byFlow[f] {
		clients = append(clients, c)
	}
	l.mu.Unlock()
	for _, c := range clients {
		c.failed(err)
	}
}
