package transaction

import "context"

// The order of handlers: requests of one call (one Call-ID) get to them one
// after the other. Layer.order has an entry for each call that has a handler
// which has neither returned nor sent anything, with the requests that wait for
// that.

// dispatch starts the handler of a request, or lets it wait for the one before
// it in the same call. It is called with l.mu held.
func (l *Layer) dispatch(s *Server) {
	l.handlers++
	l.open++
	id := s.req.CallID()
	if waiting, busy := l.order[id]; busy {
		l.order[id] = append(waiting, s)
		l.overload.left(s) // it waits for its own call
		return
	}
	l.order[id] = nil
	s.started = true
	go s.run() // ends when the handler returns
}

// release lets the next request of the same call start. It does nothing for one
// that waits itself, when the machine has sent a 100 for it.
func (l *Layer) release(s *Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.released || !s.started {
		return
	}
	s.released = true
	id := s.req.CallID()
	waiting := l.order[id]
	if len(waiting) == 0 {
		delete(l.order, id)
		return
	}
	next := waiting[0]
	waiting[0] = nil // the slice is not to keep it alive
	l.order[id] = waiting[1:]
	next.started = true
	go next.run() // ends when the handler returns
}

// answered counts a request out that has its final response, or is done with.
// Its handler may go on, as that of a call does until the call is over.
func (l *Layer) answered(s *Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.started && !s.answered {
		s.answered = true
		l.open--
	}
}

// serverContext is the key under which a server's context knows the server.
type serverContext struct{}

// releaseFrom does so for the handler that a context belongs to.
func releaseFrom(ctx context.Context) {
	if s, ok := ctx.Value(serverContext{}).(*Server); ok {
		s.l.release(s)
	}
}
