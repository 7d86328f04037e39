package transaction

import (
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// Waiting tells overload control that the request now waits in a queue of the
// program's own: for a worker, a database, a licence. done says that the wait is
// over, and may be called more than once. What is in between counts like the time
// before the handler was called. A handler that waits for work of others without
// saying so looks like one that works.
//
//	done := tx.Waiting()
//	workers <- struct{}{}
//	done()
func (s *Server) Waiting() (done func()) {
	o := s.l.overload
	if o == nil || o.Tolerance < 0 || s.machine == nil {
		return func() {}
	}
	now := time.Now()
	began := s.arrived()
	if s.queued {
		began = now // what it waited for its own call is no sign of overload
		o.waiting.Add(1)
	} else {
		o.restart(now, now.Sub(began))
	}
	return sync.OnceFunc(func() {
		now := time.Now()
		o.start(now, now.Sub(began))
	})
}

// arrived returns when the request came.
func (s *Server) arrived() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return timeOf(s.in)
}

// timeOf returns when a message was read: now, if whoever made it does not say.
func timeOf(in *transport.Inbound) time.Time {
	if in.Time.IsZero() {
		return time.Now()
	}
	return in.Time
}

// stamped returns a response with our word on overload. It is called with s.mu
// held.
func (s *Server) stamped(resp *sip.Response) *sip.Response {
	edits := s.l.overload.stamp(s.in, s.req, resp)
	if edits == nil {
		return resp
	}
	return resp.With(edits...)
}
