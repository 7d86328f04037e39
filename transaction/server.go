package transaction

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/internal/stall"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// Server is a server transaction: a request that arrived, and the way to answer
// it. For the ACK of a 2xx, which is part of no transaction, it can do all but
// answer.
type Server struct {
	l   *Layer
	in  *transport.Inbound // under mu for others than begun, unless it came by UDP and so stays
	req *sip.Request
	key serverKey

	t       *table       // where it is; nil for an ACK
	own     int32        // what it holds without the response, in bytes
	held    atomic.Int32 // by others than its handler; less than 0: it is over
	place   atomic.Int32 // of MaxHandlers, until it has its final response or its handler has returned
	first   bool         // of those that are merged (RFC 3261 section 8.2.2.2)
	queued  bool         // it waited for the one before it in its call
	resumed bool         // it was restored, and had been taken on before
	tagged  bool         // it was restored, and its responses have the tag of then

	// Under the lock of its line.
	started  bool // its handler was called
	released bool // the next request of the call may start

	// Under mu, with all that follows.
	final     bool
	cancelled bool
	done      bool // terminated
	frozen    bool // the Layer is closed
	returned  bool // the handler has, and nobody holds it
	wasHeld   bool // Hold was called

	mu      sync.Mutex
	machine machine       // nil for an ACK
	alarm   alarm         // of the machine
	last    *sip.Response // what retransmissions are answered with
	ctx     context.Context
	end     context.CancelCauseFunc
}

func newServer(l *Layer, t *table, in *transport.Inbound, r *sip.Request, key serverKey) *Server {
	// Each with its machine in one piece of memory.
	if key.method == sip.INVITE {
		s := &struct {
			Server
			m inviteServer
		}{m: newInviteServer(&l.timers, in.Flow.Reliable())}
		s.init(l, t, in, r, key, &s.m)
		return &s.Server
	}
	s := &struct {
		Server
		m nonInviteServer
	}{m: newNonInviteServer(&l.timers, in.Flow.Reliable())}
	s.init(l, t, in, r, key, &s.m)
	return &s.Server
}

func (s *Server) init(l *Layer, t *table, in *transport.Inbound, r *sip.Request, key serverKey, m machine) {
	s.l, s.t, s.in, s.req, s.key, s.machine = l, t, in, r, key, m
	s.alarm.of = s
}

// Layer returns the layer that the transaction belongs to.
func (s *Server) Layer() *Layer { return s.l }

// Resumed reports whether Restore has brought the transaction back, and somebody had
// taken on its request by the time of the Snapshot: it was held (Hold), as what a
// proxy forwards is, or had a provisional response other than 100. Whatever is asked
// of a request before that, such as a password, was asked already. One that had only
// been waiting for its handler, or for what the handler had to find out first, is
// not Resumed.
func (s *Server) Resumed() bool { return s.resumed }

// Request returns the request.
func (s *Server) Request() *sip.Request { return s.req }

// ID returns a name for the transaction, for logs and what is kept beside it:
// every retransmission has it, and so has the transaction that a snapshot
// brings back. It is the ID of the request; the ACK of a 2xx, which is part of no
// transaction, has one of its own.
func (s *Server) ID() string { return ID(s.req) }

// Flow returns where the request came from.
func (s *Server) Flow() transport.Flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.Flow
}

// Arrived returns when the request came: before it waited for its handler. One that
// was restored has come with Restore.
func (s *Server) Arrived() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return timeOf(s.in)
}

// cameBy notes that the request has come again. On a connection nobody sends it
// twice but for one reason: that by which it came first is gone for the client,
// which waits on the new one. It has to be the same client, as far as can be
// told.
func (s *Server) cameBy(in *transport.Inbound, r *sip.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, is := s.in.Flow, in.Flow
	if is.Reliable() && is.Transport() == was.Transport() && is.Opened().After(was.Opened()) &&
		is.RemoteAddr().Addr() == was.RemoteAddr().Addr() && slices.Equal(is.Identities(), was.Identities()) &&
		mergeKeyOf(r) == mergeKeyOf(s.req) {
		if !s.final {
			s.l.ep.Hold(is)
			s.l.ep.Release(was)
		}
		s.in = in
	}
}

// Context returns a context that ends when the peer cancels the request, with
// the cause ErrCancelled in a *RequestError, when the Layer is closed, with the
// cause transport.ErrClosed, and at the latest when the handler has returned and
// nobody holds the request any more. Give it to Responses to have the CANCEL passed
// on, and its reasons.
func (s *Server) Context() context.Context {
	s.l.patrol.dismiss(s) // it is going to wait
	return s.context()
}

// Detach says that the handler is going to wait for something else than Context, as
// asking for that does: should it run on the goroutine that reads the socket, another
// one reads on. Without it that is found out a few hundredths of a second later.
func (s *Server) Detach() { s.l.patrol.dismiss(s) }

// Cause returns why Context has ended, nil while it has not. A handler that does not
// wait asks it, for which no context is made.
func (s *Server) Cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx != nil:
		return context.Cause(s.ctx)
	case s.cancelled:
		return ErrCancelled
	case s.returned:
		return context.Canceled
	}
	return context.Cause(s.l.ctx)
}

func (s *Server) context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.setContext(s.l.ctx)
		switch {
		case s.cancelled:
			s.end(ErrCancelled) // before it was restored
		case s.returned:
			s.end(context.Canceled)
		}
	}
	return s.ctx
}

func (s *Server) setContext(parent context.Context) {
	s.ctx, s.end = context.WithCancelCause(context.WithValue(parent, stall.Key{}, (*handler)(s)))
}

// Reply makes a response to the request and sends it.
func (s *Server) Reply(status sip.Status, edits ...sip.Edit) error {
	return s.Respond(s.req.Reply(status, edits...))
}

// Refuse makes the response for an error that reading the request gave, as
// Refuse of a sip.Request does, and sends it.
func (s *Server) Refuse(err error, edits ...sip.Edit) error {
	return s.Respond(s.req.Refuse(err, edits...))
}

// Respond sends a response. Any number of provisional ones may come before the
// final one; after it, only the 2xx of an INVITE may be sent again, by whoever
// waits for its ACK (RFC 6026 section 7.1), and everything else is
// ErrCompleted. ErrStatus is for a provisional response other than 100 to a
// request that is no INVITE. ErrTransport comes with what the network said; the
// response counts as given.
//
// Over UDP the refusal of an INVITE is sent again until its ACK comes if a
// provisional response went before it, but 401 and 407 no more than twice (RFC
// 3261 section 26.3.2.4). Otherwise the client goes on to ask, and gets it again
// then.
//
// What RFC 4320 forbids is not sent, without an error: a 100 to a request that
// is no INVITE before its time, and a 408 to one. A nil resp does nothing but
// return an error.
//
// The response of a transaction that was restored has the tag that Tag tells.
func (s *Server) Respond(resp *sip.Response) error {
	if resp == nil || resp.String() == "" {
		return fmt.Errorf("respond to %s: no response", s.req.Method())
	}
	if err := resp.Err(); err != nil {
		return err
	}
	if s.machine == nil {
		return fmt.Errorf("respond to %s: %w", s.req.Method(), ErrCompleted)
	}
	if s.tagged {
		resp = s.withTagOfThen(resp)
	}
	out := s.step(input{event: inRespond, status: int(resp.Status())}, resp)
	switch {
	case out.err == nil, errors.Is(out.err, ErrTransport):
		s.l.release(s)
		if resp.Status().Final() {
			s.l.answered(s)
		}
	case errors.Is(out.err, transport.ErrClosed):
		s.l.awaitEnd()
	}
	if out.err != nil {
		return fmt.Errorf("respond %d to %s: %w", resp.Status(), s.req.Method(), out.err)
	}
	return nil
}

// begin takes the transaction to its first state, and gives the final response, if
// there is one already. It is called with s.mu held, and releases it.
func (s *Server) begin(final *sip.Response) {
	out := func() output {
		defer s.mu.Unlock()
		s.l.ep.Hold(s.in.Flow) // for as long as it has no final response
		out := s.advance(input{event: inStart}, nil)
		if final != nil {
			out = s.advance(input{event: inRespond, status: int(final.Status())}, final)
		}
		return out
	}()
	if out.terminated {
		s.forget()
	}
}

// step runs the machine and does what it says. resp is the response given with
// inRespond.
func (s *Server) step(in input, resp *sip.Response) output {
	s.mu.Lock()
	out := func() output {
		defer s.mu.Unlock()
		return s.advance(in, resp)
	}()
	if out.send == sendTrying {
		s.l.release(s) // it has sent something, if not by the handler
	}
	if out.terminated {
		s.forget()
	}
	return out
}

// advance is step with s.mu held: responses go out in the order in which they
// were given.
func (s *Server) advance(in input, resp *sip.Response) output {
	if s.frozen {
		return output{err: transport.ErrClosed}
	}
	out := s.machine.step(time.Now(), in)
	if in.event == inRespond && out.err == nil && resp.Status().Final() && !s.final {
		s.final = true
		defer s.l.ep.Release(s.in.Flow)
	}
	var err error
	switch out.send {
	case sendResponse:
		if resp != nil {
			resp = s.stamped(resp)
		}
		switch {
		case resp == nil:
			resp = s.last
		case s.key.method == sip.INVITE && resp.Status().Success():
			s.keep(nil) // a 2xx is repeated by its sender
		default:
			s.keep(resp)
		}
		err = s.l.ep.Respond(s.in, resp)
	case sendTrying:
		s.keep(s.stamped(s.req.Reply(sip.StatusTrying)))
		err = s.l.ep.Respond(s.in, s.last)
	}
	if err != nil {
		if after := s.machine.step(time.Now(), input{event: inTransportError}); !out.terminated {
			out.next, out.terminated = after.next, after.terminated
		}
		out.err = fmt.Errorf("%w: %w", ErrTransport, err)
	}
	if out.terminated {
		s.done = true
		s.keep(nil)
	}
	s.t.alarms.reset(&s.alarm, out.next)
	return out
}

// ring steps the machine by time.
func (s *Server) ring() {
	defer s.l.fence(s.key.branch)
	s.step(input{event: inTimer}, nil)
}

// forget takes a terminated transaction out of the tables.
func (s *Server) forget() {
	s.t.mu.Lock()
	gone := s.t.servers.m[s.key] != s
	if !gone {
		s.t.servers.remove(s.key)
	}
	s.t.mu.Unlock()
	if gone {
		return // before
	}
	s.l.bytes.Add(-int64(s.own))
	if s.first {
		s.l.forgetFirst(s)
	}
}

// cancel has a CANCEL answered, and then ends the context of an INVITE that has no
// final response yet (RFC 3261 section 9.2). Nothing comes between the two: should
// the Layer be closed, no CANCEL was answered that has not cancelled.
func (s *Server) cancel(by *sip.Request, answer func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer()
	if s.final || s.cancelled {
		return
	}
	s.cancelled = true
	if s.end == nil {
		s.setContext(s.l.ctx)
	}
	s.end(&RequestError{ErrCancelled, by})
}

// run runs the handler.
func (s *Server) run() {
	if s.queued && s.isMoot() {
		s.serve(drop)
		return
	}
	s.serve(s.l.cfg.Handler)
}

// runAlone does so on a goroutine of its own.
func (s *Server) runAlone() {
	goroutine.Grow()
	s.run()
}

// serve gives the request to a handler.
func (s *Server) serve(handler func(tx *Server, req *sip.Request)) {
	defer s.conclude()
	s.l.overload.started(s)
	if s.l.ctx.Err() == nil {
		handler(s, s.req)
	}
}

// Hold keeps the request open when the handler returns: somebody else will answer
// it, without a goroutine that waits for that. It is to be called before the
// handler returns. ctx is the Context, for that somebody. release says that this
// is done; what is unanswered then is treated as if a handler had returned. It
// may be called more than once. When the handler has returned and nobody else
// holds the request it is too late: ctx has ended, and release does nothing.
func (s *Server) Hold() (ctx context.Context, release func()) {
	for held := s.held.Load(); held >= 0; held = s.held.Load() {
		if s.held.CompareAndSwap(held, held+1) {
			s.mu.Lock()
			s.wasHeld = true
			s.mu.Unlock()
			return s.context(), sync.OnceFunc(s.conclude)
		}
	}
	return s.context(), func() {}
}

// conclude ends what the handler, and whoever has held the request, have left
// open. A panic in the handler is logged with the request, and costs this request
// alone.
func (s *Server) conclude() {
	if p := recover(); p != nil {
		s.l.cfg.Logger.Error("panic in a handler", "panic", p,
			"request", s.req.String(), "stack", string(debug.Stack()))
	}
	s.l.release(s)
	if s.held.Add(-1) >= 0 {
		s.l.answered(s) // no handler has it any more
		return
	}
	s.mu.Lock()
	open, cancelled := s.machine != nil && !s.final && !s.done && !s.frozen, s.cancelled
	s.mu.Unlock()
	if open {
		status := sip.StatusServerInternalError
		if cancelled {
			status = sip.StatusRequestTerminated
		}
		err := s.Reply(status)
		// Another goroutine may have been faster, or the Layer closed.
		if err != nil && !errors.Is(err, ErrCompleted) && !errors.Is(err, transport.ErrClosed) {
			s.l.cfg.Logger.Warn("no response could be sent", "error", err, "call-id", s.req.CallID())
		}
	}
	s.l.answered(s)
	s.mu.Lock()
	s.returned = true
	if s.end != nil {
		s.end(context.Canceled)
	}
	s.mu.Unlock()
	if s.machine == nil {
		s.l.bytes.Add(-int64(s.own)) // an ACK is in no table
	}
	s.l.overload.concluded(s)
	s.l.handlers.Add(-1)
	s.l.checkIdle()
}
