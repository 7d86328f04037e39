package transaction

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// Waiting tells overload control that the request now waits in a queue of the
// program's own: for a worker, a database, a licence. done says that the wait is
// over, and may be called more than once; it is over, too, when the handler has
// returned and nobody holds the request. What is in between counts like the time
// before the handler was called. A handler that waits for work of others without
// saying so looks like one that works.
//
//	done := tx.Waiting()
//	workers <- struct{}{}
//	done()
func (s *Server) Waiting() (done func()) {
	s.l.patrol.dismiss(s)
	o := s.l.overload
	if o == nil || o.Tolerance < 0 || s.machine == nil {
		return func() {}
	}
	now := time.Now()
	began := s.Arrived()
	if s.queued {
		began = now // what it waited for its own call is no sign of overload
		o.waiting.Add(1)
	} else {
		o.restart(now, now.Sub(began))
	}
	w := new(openWait)
	w.done = sync.OnceFunc(func() {
		o.waits.remove(s, w)
		now := time.Now()
		o.start(now, now.Sub(began))
	})
	o.waits.add(s, w)
	s.mu.Lock()
	late := s.returned
	s.mu.Unlock()
	if late {
		o.concluded(s) // has been here before
	}
	return w.done
}

// openWait is a call of Waiting that is not done.
type openWait struct{ done func() }

// waits are all of them, by their requests.
type waits struct {
	number atomic.Int64 // of requests: most servers have none

	mu   sync.Mutex
	open map[*Server][]*openWait
}

func (ws *waits) add(s *Server, w *openWait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.open == nil {
		ws.open = map[*Server][]*openWait{}
	}
	ws.open[s] = append(ws.open[s], w)
	ws.number.Store(int64(len(ws.open)))
}

func (ws *waits) remove(s *Server, w *openWait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	open := slices.DeleteFunc(ws.open[s], func(other *openWait) bool { return other == w })
	if ws.open[s] = open; len(open) == 0 {
		delete(ws.open, s)
	}
	ws.number.Store(int64(len(ws.open)))
}

// of returns those of a request.
func (ws *waits) of(s *Server) []*openWait {
	if ws.number.Load() == 0 {
		return nil
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return slices.Clone(ws.open[s])
}

// concluded says that nobody has a request any more: if it still waits, whoever
// was to say that it does not has returned or panicked.
func (o *overload) concluded(s *Server) {
	if o != nil {
		for _, w := range o.waits.of(s) {
			w.done()
		}
	}
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
