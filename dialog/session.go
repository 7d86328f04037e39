package dialog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

var (
	// ErrBye says that the peer ended the call.
	ErrBye = errors.New("dialog: the peer ended the call")
	// ErrNoACK says that the peer never acknowledged a 2xx; the call was ended
	// with BYE (RFC 3261 section 13.3.1.4).
	ErrNoACK = errors.New("dialog: no ACK came for the 2xx")
	// ErrLost says that the peer does not know the call any more, or did not
	// answer a request within it; the call was ended with BYE (RFC 3261
	// section 12.2.1.2).
	ErrLost = errors.New("dialog: the peer has lost the call")
	// ErrEnded says that the call is over.
	ErrEnded = errors.New("dialog: the call is over")
	// ErrPending says that another INVITE of the call is under way.
	ErrPending = errors.New("dialog: another INVITE is pending")
)

// Session is a call: a dialog and the INVITE that set it up, until one side
// says BYE. Its methods may be called from any goroutine.
type Session struct {
	l    *Layer
	done chan struct{}

	mu       sync.Mutex
	d        state
	contact  sip.Contact // ours
	began    bool        // it was answered and is wanted: its end is told
	over     bool
	err      error       // why it is over
	invite   acked       // the INVITE of ours that an ACK is for
	unacked  bool        // its ACK is not sent yet
	inviting bool        // an INVITE of ours is not answered yet
	pending  *Invitation // an INVITE of the peer is not answered yet
	await    *awaited    // a 2xx of ours has no ACK yet
}

func newSession(l *Layer, d state) *Session {
	return &Session{l: l, d: d, done: make(chan struct{})}
}

// ID returns what tells the dialog from others.
func (s *Session) ID() ID { return s.d.id }

// Remote returns the address of the peer, as it stands in From or To.
func (s *Session) Remote() sip.Address { return s.d.remote }

// Done is closed when the call is over, or does not come about.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the call is over: ErrBye, ErrNoACK, ErrLost, ErrEnded if we
// ended it ourselves, or transport.ErrClosed. It is nil before that.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// finish makes the call over, for the first reason that there is. It reports
// whether it was this one. Requests of the peer still find it.
func (s *Session) finish(err error) bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	s.over, s.err = true, err
	pending, began := s.pending, s.began
	close(s.done)
	s.mu.Unlock()
	if pending != nil {
		pending.end(err)
	}
	if began && s.l.cfg.OnEnd != nil {
		s.l.cfg.OnEnd(s)
	}
	return true
}

// terminate makes the call over and forgets it.
func (s *Session) terminate(err error) {
	s.l.remove(s)
	s.finish(err)
}

// next makes the next request within the dialog.
func (s *Session) next(method sip.Method, edits ...sip.Edit) *sip.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d.localSeq++
	return s.d.request(method, s.d.localSeq, edits...)
}

func (s *Session) nextSeq(*sip.Request) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d.localSeq++
	return s.d.localSeq
}

// Do sends a request within the dialog and returns its final response. INVITE,
// ACK and BYE have methods of their own. A 481 or 408, or no answer at all,
// ends the call (RFC 3261 section 12.2.1.2).
func (s *Session) Do(ctx context.Context, method sip.Method, edits ...sip.Edit) (*sip.Response, error) {
	if err := s.Err(); err != nil {
		return nil, err
	}
	resp, err := s.do(ctx, s.next(method, edits...))
	switch {
	case gone(resp, err):
		s.lost()
	case err == nil && resp.Status().Success() && refreshesTarget(method):
		s.mu.Lock()
		s.d.refresh(resp)
		s.mu.Unlock()
	}
	return resp, err
}

func (s *Session) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	var last *sip.Response
	_, err := s.l.roundTrip(ctx, req, s.nextSeq, func(resp *sip.Response) { last = resp })
	if err != nil {
		return last, wrap(string(req.Method()), req, err)
	}
	return last, nil
}

// gone reports whether the peer of a dialog does not know it, or is no more.
func gone(resp *sip.Response, err error) bool {
	return errors.Is(err, transaction.ErrTimeout) || err == nil &&
		(resp.Status() == sip.StatusCallDoesNotExist || resp.Status() == sip.StatusRequestTimeout)
}

// lost ends a call that the peer does not seem to have. If it has it all the
// same, the BYE tells it.
func (s *Session) lost() {
	if s.finish(ErrLost) {
		s.l.background(func() { s.bye(s.l.ctx) }) // ends with the transaction of the BYE
	}
}

// Bye ends the call. It is over at once; the error says that the peer may not
// have heard of it. Later calls do nothing.
//
// A 2xx of the peer that has no ACK yet gets it first. A 2xx of ours must have
// got one before a BYE may go out (RFC 3261 section 15): Bye waits for that,
// and if ctx ends meanwhile the BYE goes out later all the same. A call of the
// peer's that is not answered yet is refused with 480.
func (s *Session) Bye(ctx context.Context, edits ...sip.Edit) error {
	s.mu.Lock()
	early := s.pending
	s.mu.Unlock()
	if early != nil && !early.re {
		if err := early.Reject(sip.StatusTemporarilyUnavailable); !errors.Is(err, transaction.ErrCompleted) {
			return err
		}
	}
	if !s.finish(ErrEnded) {
		return nil
	}
	return s.bye(ctx, edits...)
}

// bye sends the BYE of a call that is over, and forgets the call when it is
// answered.
func (s *Session) bye(ctx context.Context, edits ...sip.Edit) error {
	s.mu.Lock()
	await, unacked := s.await, s.unacked
	s.mu.Unlock()
	if await != nil {
		select {
		case <-await.over:
		case <-ctx.Done():
			s.l.background(func() { // ends with Accept, and then the transaction of the BYE
				<-await.over
				s.sendBye(s.l.ctx, edits...)
			})
			return fmt.Errorf("BYE %s: %w", s.d.remote.URI, context.Cause(ctx))
		}
	}
	if unacked {
		s.Ack(ctx)
	}
	return s.sendBye(ctx, edits...)
}

func (s *Session) sendBye(ctx context.Context, edits ...sip.Edit) error {
	defer s.l.remove(s)
	_, err := s.do(ctx, s.next(sip.BYE, edits...))
	return err
}

// request takes a request of the peer within the dialog.
func (s *Session) request(tx *transaction.Server, req *sip.Request) {
	seq, method := req.CSeq().Seq, req.Method()
	s.mu.Lock()
	if method == sip.ACK {
		// RFC 3261 section 13.3.1.4: it has the number of the INVITE.
		if s.await != nil && s.await.seq == seq {
			s.endWait(req)
		}
		s.mu.Unlock()
		return
	}
	inOrder, over := s.d.inOrder(seq), s.over
	s.mu.Unlock()
	switch {
	case !inOrder:
		tx.Reply(sip.StatusServerInternalError, sip.ReasonPhrase("CSeq Out Of Order"))
	case method == sip.BYE:
		// Also if it crosses a BYE of ours (RFC 5407 section 3.2.1).
		tx.Reply(sip.StatusOK)
		s.ended()
	case over:
		tx.Reply(sip.StatusCallDoesNotExist)
	case method == sip.INVITE:
		s.reinvited(tx, req)
	case s.l.cfg.OnRequest == nil:
		tx.Reply(sip.StatusMethodNotAllowed, s.l.allow())
	default:
		s.l.cfg.OnRequest(tx, req, s)
	}
}

// ended is called when the peer has said BYE. Then no ACK is waited for.
func (s *Session) ended() {
	s.finish(ErrBye)
	s.mu.Lock()
	if s.await != nil {
		s.endWait(nil)
	}
	s.mu.Unlock()
	s.l.remove(s)
}

// endWait gives the ACK to Accept. From here on the INVITE is done: the next
// one may be right behind. It is called with s.mu held.
func (s *Session) endWait(ack *sip.Request) {
	s.await.ack <- ack
	s.await = nil
}
