package transaction

import (
	"context"
	"hash/maphash"
	"slices"
	"time"

	"github.com/goparley/parley/internal/stall"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// The order of handlers: requests of one call (one Call-ID) get to them one
// after the other. A line has an entry for each call that has a handler which
// has neither returned nor sent anything, with the requests that wait for that.

// maxWaiting is how many requests of one call may wait for the one before them. If
// each takes T1, as long as a request may wait at all (Overload.Tolerance), the last
// gets its turn at the end of the 64*T1 for which its client waits. What completes or
// ends the call has as many places again, for it is what the others are for.
const maxWaiting = 64

// isCrowded reports whether as many requests of a call wait as may.
func (l *Layer) isCrowded(r *sip.Request) bool {
	if l.waiting.Load() < maxWaiting { // nor do those of one call, then
		return false
	}
	most := maxWaiting
	if classOfRequest(r) == essential {
		most *= 2
	}
	n := l.line(r.CallID())
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.waiting.m[r.CallID()]) >= most
}

// isFirst reports whether no other request is under way that is the same but for
// the path that it took (RFC 3261 section 8.2.2.2), and notes this one for those
// that come.
func (l *Layer) isFirst(s *Server) bool {
	key := mergeKeyOf(s.req)
	hash := maphash.Comparable(l.seed, key)
	n := l.line(key.callID)
	n.mu.Lock()
	defer n.mu.Unlock()
	if other := n.merged.m[hash]; other != nil {
		return mergeKeyOf(other.req) != key // by chance, then, and not worth another place
	}
	n.merged.set(hash, s)
	s.first = true
	return true
}

// forgetFirst undoes isFirst.
func (l *Layer) forgetFirst(s *Server) {
	key := mergeKeyOf(s.req)
	n := l.line(key.callID)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.merged.remove(maphash.Comparable(l.seed, key))
}

// join counts a request that is for a handler, and reports whether its handler
// may start. If not, it waits for that of the one before it in the same call.
func (n *line) join(s *Server) (start bool) {
	s.l.handlers.Add(1)
	s.l.opened(s)
	n.mu.Lock()
	defer n.mu.Unlock()
	id := s.req.CallID()
	waiting, busy := n.waiting.m[id]
	if busy {
		s.l.overload.left(s) // it waits for its own call
		s.l.waiting.Add(1)
		n.waiting.set(id, append(waiting, s))
		return false
	}
	n.waiting.set(id, nil)
	s.started = true
	return true
}

// release lets the next request of the same call start. For one that waits itself,
// when the machine has sent a 100 for it, it does nothing, unless that is a BYE: no
// call is to go on for longer than that because of what nobody has the time for. What
// the BYE has passed then comes too late, and finds a call that is over (RFC 3261
// section 15.1.2 has the pending requests of a dialog refused after its BYE).
func (l *Layer) release(s *Server) {
	n := l.line(s.req.CallID())
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.released || !s.started && s.req.Method() != sip.BYE {
		return
	}
	s.released = true
	id := s.req.CallID()
	waiting := n.waiting.m[id]
	next, at := s, 0
	switch {
	case !s.started:
		at = slices.Index(waiting, s)
	case len(waiting) == 0:
		n.waiting.remove(id)
		return
	default:
		next = waiting[0]
	}
	n.waiting.set(id, slices.Delete(waiting, at, at+1))
	l.waiting.Add(-1)
	next.started = true
	go next.runAlone() // ends when the handler returns
}

// isMoot reports whether the client of a request that has waited for others of its
// call has given it up. That of an INVITE does so with a CANCEL, of which the handler
// hears; and what an ACK or a BYE says is true all the same.
func (s *Server) isMoot() bool {
	switch s.req.Method() {
	case sip.ACK, sip.BYE, sip.INVITE:
		return false
	}
	return time.Since(s.Arrived()) >= s.l.timers.F
}

// drop is the handler of a request that is moot. Nothing is sent, which is what
// becomes of a 408 (RFC 4320 section 4.2).
func drop(tx *Server, _ *sip.Request) { tx.Reply(sip.StatusRequestTimeout) }

// serve runs the handler of a request, which came as in, on this goroutine, that of
// the socket, or on one of its own. A copy of the request may be at work beside it
// (cameBy).
func (l *Layer) serve(s *Server, in *transport.Inbound) {
	if !l.inline || in.Flow.Reliable() || !l.patrol.allows(in.Time) {
		go s.runAlone() // ends when the handler returns
		return
	}
	l.patrol.enter(s)
	defer l.patrol.leave(s)
	s.run()
}

// A handler is what a server's context knows the server as.
type handler Server

// Stalls has another goroutine read the socket on: the handler is going to wait.
func (h *handler) Stalls() { h.l.patrol.dismiss((*Server)(h)) }

// releaseFrom lets the next request of a call start, if the context is that of a
// handler.
func releaseFrom(ctx context.Context) {
	if h, ok := ctx.Value(stall.Key{}).(*handler); ok {
		h.l.release((*Server)(h))
	}
}
