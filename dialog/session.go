package dialog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
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
	contact  sip.Contact // ours; does not change but for a call that was restored
	made     bool        // contact is of our making
	moved    bool        // the call was restored, and contact is to be made anew
	lost     lostInvite  // ours that was under way then
	began    bool        // it was answered and is wanted: its end is told
	over     bool
	err      error       // why it is over
	invite   acked       // the INVITE of ours that an ACK is for
	unacked  bool        // its ACK is not sent yet
	inviting bool        // an INVITE of ours is not answered yet
	asked    uint32      // the number of that
	pending  *Invitation // an INVITE of the peer is not answered yet
	refusing *Invitation // its refusal is being given
	await    *awaited    // a 2xx of ours has no ACK yet
	frozen   *moment     // what it was when the Layer was closed
	bye      *goodbye    // of ours; nil: there is none
}

// goodbye is a BYE of ours.
type goodbye struct {
	answered chan struct{} // closed when it is, or will not be
	err      error         // set before that
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

// stop makes the call over, for the first reason that there is, and reports
// whether it was this one. Then tell is to be called. Requests of the peer
// still find the call.
func (s *Session) stop(err error) bool { return s.stopWith(err, nil) }

func (s *Session) stopWith(err error, bye *goodbye) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopLocked(err, bye)
}

func (s *Session) stopLocked(err error, bye *goodbye) bool {
	if s.over {
		return false
	}
	s.over, s.err, s.bye = true, err, bye
	close(s.done)
	return true
}

// tell tells those concerned that the call is over.
func (s *Session) tell() {
	s.mu.Lock()
	pending, began, err := s.pending, s.began, s.err
	s.mu.Unlock()
	if pending != nil {
		pending.end(err)
	}
	if began && s.l.cfg.OnEnd != nil {
		s.l.cfg.OnEnd(s)
	}
}

// terminate makes the call over and forgets it.
func (s *Session) terminate(err error) {
	s.l.remove(s)
	if s.stop(err) {
		s.tell()
	}
}

// hangUp makes the call over, if it is not yet, and has the BYE sent.
func (s *Session) hangUp(err error, edits ...sip.Edit) {
	bye := &goodbye{answered: make(chan struct{})}
	if !s.stopWith(err, bye) {
		return
	}
	begun := s.l.background(func() { // ends with the wait for an ACK and the transaction
		bye.err = s.sendBye(edits)
		close(bye.answered)
	})
	if !begun {
		bye.err = transport.ErrClosed
		close(bye.answered)
	}
	s.tell()
}

// sendBye sends the BYE of a call that is over, when it may, and forgets the
// call when it is answered.
func (s *Session) sendBye(edits []sip.Edit) error {
	defer s.l.remove(s)
	s.mu.Lock()
	await := s.await
	s.mu.Unlock()
	if await != nil {
		<-await.over
	}
	if s.Ack(s.l.ctx) != nil {
		// The peer's Contact or Record-Route leads nowhere. Lest the peer keep
		// the call, both go where the INVITE went.
		s.mu.Lock()
		s.d.target, s.d.routes = s.invite.target, s.invite.routes
		s.mu.Unlock()
		s.Ack(s.l.ctx)
	}
	s.mu.Lock()
	req := s.next(sip.BYE, edits...)
	s.mu.Unlock()
	_, err := s.do(s.l.ctx, req)
	return err
}

// next makes the next request within the dialog. It is called with s.mu held,
// and but for the BYE only if the call is not over: a request with a higher
// number that overtook the BYE would have the peer refuse that.
func (s *Session) next(method sip.Method, edits ...sip.Edit) *sip.Request {
	if refreshesTarget(method) {
		edits = append([]sip.Edit{s.contact}, edits...)
	}
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
	if refreshesTarget(method) {
		s.renewContact(ctx)
	}
	s.mu.Lock()
	if s.over {
		defer s.mu.Unlock()
		return nil, s.err
	}
	req := s.next(method, edits...)
	s.mu.Unlock()
	resp, err := s.do(ctx, req)
	switch {
	case gone(resp, err):
		// If it has the call all the same, the BYE tells it.
		s.hangUp(ErrLost)
	case err == nil && resp.Status().Success() && refreshesTarget(method):
		s.mu.Lock()
		s.d.refresh(resp)
		s.mu.Unlock()
	}
	return resp, err
}

func (s *Session) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	var last *sip.Response
	_, err := s.l.roundTrip(s.towards(ctx), req, s.nextSeq, func(resp *sip.Response) { last = resp })
	if err != nil {
		return last, wrap(string(req.Method()), req, err)
	}
	return last, nil
}

// towards makes requests go to the first hop of the route set where they would
// not do so by themselves: a strict router (RFC 3261 section 12.2.1.1).
func (s *Session) towards(ctx context.Context) context.Context {
	if hop := s.strictHop(); hop.Host != "" {
		return transaction.WithNextHop(ctx, hop)
	}
	return ctx
}

// strictHop returns the strict router that requests go to, the zero URI if there
// is none.
func (s *Session) strictHop() (hop sip.URI) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if routes := s.d.routes; len(routes) > 0 && !routes[0].URI.Params.Has("lr") {
		hop = routes[0].URI
	}
	return hop
}

// gone reports whether the peer of a dialog does not know it, or is no more.
func gone(resp *sip.Response, err error) bool {
	return errors.Is(err, transaction.ErrTimeout) || err == nil &&
		(resp.Status() == sip.StatusCallDoesNotExist || resp.Status() == sip.StatusRequestTimeout)
}

// Bye ends the call. It is over at once, and the BYE goes out whatever becomes
// of ctx, which bounds the wait for its answer. The error says that the peer may
// not have heard of it. Later calls wait for the answer to the same BYE; if there
// is none, because the peer has ended the call, they do nothing.
//
// A 2xx of the peer that has no ACK yet gets it first. A 2xx of ours must have
// got one before a BYE may go out (RFC 3261 section 15), which is waited for. A
// call of the peer's that is not answered yet is refused with 480.
func (s *Session) Bye(ctx context.Context, edits ...sip.Edit) error {
	s.mu.Lock()
	early := s.pending
	s.mu.Unlock()
	if early != nil && !early.re {
		if err := early.Reject(sip.StatusTemporarilyUnavailable); !errors.Is(err, transaction.ErrCompleted) {
			return err
		}
	}
	s.hangUp(ErrEnded, edits...)
	s.mu.Lock()
	bye := s.bye
	s.mu.Unlock()
	if bye == nil {
		return nil
	}
	select {
	case <-bye.answered:
		return bye.err
	case <-ctx.Done():
		return fmt.Errorf("BYE %s: %w", s.d.remote.URI, context.Cause(ctx))
	}
}

// request takes a request of the peer within the dialog.
func (s *Session) request(tx *transaction.Server, req *sip.Request) {
	seq, method := req.CSeq().Seq, req.Method()
	s.mu.Lock()
	if method == sip.ACK {
		// RFC 3261 section 13.3.1.4: it has the number of the INVITE.
		if s.await != nil && s.await.seq() == seq {
			s.endWait(req)
		}
		s.mu.Unlock()
		return
	}
	inOrder, over := s.d.inOrder(seq), s.over
	// It ends the call before it is answered, for what is noted of the call when
	// the Layer is closed may not be that it goes on.
	ends := inOrder && method == sip.BYE && s.stopLocked(ErrBye, nil)
	s.mu.Unlock()
	switch {
	case !inOrder:
		tx.Reply(sip.StatusServerInternalError, sip.ReasonPhrase("CSeq Out Of Order"))
	case method == sip.BYE:
		// Also if it crosses a BYE of ours (RFC 5407 section 3.2.1).
		tx.Reply(sip.StatusOK)
		s.ended(ends)
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

// ended is called when the peer has said BYE. Then no ACK is waited for. first says
// that this has ended the call.
func (s *Session) ended(first bool) {
	s.mu.Lock()
	if s.await != nil {
		s.endWait(nil)
	}
	s.mu.Unlock()
	s.l.remove(s)
	if first {
		s.tell()
	}
}

// endWait gives the ACK to Accept. From here on the INVITE is done: the next
// one may be right behind. It is called with s.mu held.
func (s *Session) endWait(ack *sip.Request) {
	s.await.ack <- ack
	s.await = nil
}
