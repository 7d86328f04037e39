package transaction

import (
	"context"
	"hash/maphash"

	"github.com/goparley/parley/internal/stall"
	"github.com/goparley/parley/sip/transport"
)

// The order of handlers: requests of one call (one Call-ID) get to them one
// after the other. A line has an entry for each call that has a handler which
// has neither returned nor sent anything, with the requests that wait for that.

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
		n.waiting.set(id, append(waiting, s))
		return false
	}
	n.waiting.set(id, nil)
	s.started = true
	return true
}

// release lets the next request of the same call start. It does nothing for one
// that waits itself, when the machine has sent a 100 for it.
func (l *Layer) release(s *Server) {
	n := l.line(s.req.CallID())
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.released || !s.started {
		return
	}
	s.released = true
	id := s.req.CallID()
	waiting := n.waiting.m[id]
	if len(waiting) == 0 {
		n.waiting.remove(id)
		return
	}
	next := waiting[0]
	waiting[0] = nil // the slice is not to keep it alive
	n.waiting.set(id, waiting[1:])
	next.started = true
	go next.run() // ends when the handler returns
}

// serve runs the handler of a request, which came as in, on this goroutine, that of
// the socket, or on one of its own. A copy of the request may be at work beside it
// (cameBy).
func (l *Layer) serve(s *Server, in *transport.Inbound) {
	if !l.inline || in.Flow.Reliable() || !l.patrol.allows(in.Time) {
		go s.run() // ends when the handler returns
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
