package dialog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
	// ErrNoPRACK says that the peer never acknowledged a reliable provisional
	// response; the call was refused (RFC 3262 section 3). Err of the Session is
	// ErrEnded then.
	ErrNoPRACK = errors.New("dialog: no PRACK came for the provisional response")
	// ErrLost says that the peer does not know the call any more, or did not
	// answer a request within it; the call was ended with BYE (RFC 3261
	// section 12.2.1.2).
	ErrLost = errors.New("dialog: the peer has lost the call")
	// ErrNotRefreshed says that the session timer has run out; the call was ended
	// with BYE (RFC 4028 section 10).
	ErrNotRefreshed = errors.New("dialog: the call was not refreshed in time")
	// ErrEnded says that the call is over.
	ErrEnded = errors.New("dialog: the call is over")
	// ErrPending says that another INVITE of the call is under way, or another
	// offer.
	ErrPending = errors.New("dialog: another INVITE or offer is pending")
	// ErrNothing says that no provisional response waits for a PRACK.
	ErrNothing = errors.New("dialog: nothing to acknowledge with PRACK")
	// Err100rel says that the peer does not support reliable provisional
	// responses (RFC 3262).
	Err100rel = errors.New("dialog: the peer does not support 100rel")
)

// Session is a call: a dialog and the INVITE that set it up, until one side
// says BYE. An INVITE of ours that is not answered yet has one for each branch of
// a fork that rings. Its methods may be called from any goroutine.
type Session struct {
	Dialog
	done chan struct{}

	// Under the lock of the Dialog.
	began     bool // it was answered and is wanted: its end is told
	over      bool
	gone      bool // and its BYE is answered, or needs no answer
	err       error
	lost      lostInvite    // ours that was under way when the call was restored
	invite    acked         // the INVITE of ours that an ACK is for
	unacked   bool          // its ACK is not sent yet
	acking    bool          // it is about to be
	onACK     chan struct{} // closed when it is; nil: nobody waits
	inviting  bool          // an INVITE of ours is not answered yet
	asked     uint32        // the number of that
	rel1xx    *reliable     // what of its responses was or is to be acknowledged
	pracks    int           // of ours that are not answered yet
	pending   *Invitation   // an INVITE of the peer is not answered yet
	refusing  *Invitation   // its refusal is being given
	unpracked *unpracked    // a provisional response of ours has no PRACK yet
	pracking  *unpracked    // one has a PRACK that is not answered yet
	refused   *unpracked    // one has a PRACK that was refused: another may follow
	await     *Invitation   // our 2xx to it has no ACK yet
	updating  bool          // an UPDATE of the peer is not answered yet
	updated   bool          // one of ours is not
	offers    offers
	timer     *timer        // nil: none
	minSE     time.Duration // the least that the peer and proxies allow for it; 0: not said
	updates   bool          // the peer knows UPDATE
	bye       *goodbye      // of ours; nil: there is none
}

var errPanic = errors.New("dialog: the BYE has met a panic")

// goodbye is a BYE of ours.
type goodbye struct {
	answered chan struct{} // closed when it is, or will not be
	err      error         // set before that
}

func newSession(l *Layer, d state) *Session {
	s := &Session{Dialog: Dialog{l: l, d: d}, done: make(chan struct{})}
	s.session = s
	return s
}

// Done is closed when the call is over, or does not come about.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the call is over: ErrBye, in a *transaction.RequestError that has
// the BYE, ErrNoACK, ErrLost, ErrNotRefreshed, transport.ErrClosed, or ErrEnded if we
// ended or refused it ourselves, also for want of a PRACK, or another branch of a fork has
// answered. One that the peer has given up before we answered has the cause of the
// Invitation's context: transaction.ErrCancelled, in a RequestError that has the CANCEL, or
// ErrExpired. One whose 2xx could not be sent, or came with the tags of another call, has
// an error that says so. It is nil while the call is not over.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// during returns a context that ends with the call, too.
func (s *Session) during(ctx context.Context) (during context.Context, stop func()) {
	during, end := context.WithCancelCause(ctx)
	go func() { // ends with the call, or by stop
		select {
		case <-s.done:
			end(s.Err())
		case <-during.Done():
		}
	}()
	return during, func() { end(nil) }
}

// stop makes the call over, for the first reason that there is, and reports
// whether it was this one. Then tell is to be called. Requests of the peer
// still find the call. It is called with s.mu held.
func (s *Session) stop(err error, bye *goodbye) bool {
	if s.over {
		return false
	}
	s.over, s.err, s.bye = true, err, bye
	s.stopTimer()
	close(s.done)
	return true
}

// tell tells those concerned that the call is over. The program hears of it in a goroutine
// of its own: it may Shutdown for that, which waits for whoever has found out.
func (s *Session) tell() {
	if s.endPending() {
		go s.tellProgram() // ends with OnEnd
	}
}

// endPending ends the context of an INVITE that is not answered yet, and reports whether
// the program is to be told.
func (s *Session) endPending() bool {
	s.mu.Lock()
	pending, began, err := s.pending, s.began, s.err
	s.mu.Unlock()
	if pending != nil {
		pending.end(err)
	}
	return began && s.l.cfg.OnEnd != nil
}

func (s *Session) tellProgram() {
	defer s.l.fence()
	s.l.cfg.OnEnd(s)
}

// terminate makes the call over and forgets it.
func (s *Session) terminate(err error) {
	if s.cut(err) {
		s.tell()
	}
}

// cut is terminate, and reports whether those concerned are to be told.
func (s *Session) cut(err error) bool {
	s.mu.Lock()
	u, refused := cmp.Or(s.unpracked, s.refused), !s.began
	s.unpracked, s.refused = nil, nil
	s.mu.Unlock()
	if u != nil && refused {
		s.l.outlive(s.d.id, u.rack) // before a PRACK finds no call
	}
	s.forget()
	s.mu.Lock()
	first := s.stop(err, nil)
	in := s.endWait(nil)
	s.mu.Unlock()
	in.waited()
	return first
}

// forget says that the call needs the dialog no more.
func (s *Session) forget() {
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	s.leave()
}

// lose ends a call that the peer does not know any more. If it has the call all the
// same, the BYE tells it. The callee of one that is not answered may not say BYE
// (RFC 3261 section 15), and refuses.
func (s *Session) lose() {
	s.mu.Lock()
	early := s.pending
	s.mu.Unlock()
	if early != nil && !early.re && early.Reject(sip.StatusTemporarilyUnavailable) == nil {
		return
	}
	s.hangUp(ErrLost)
}

// hangUp makes the call over, if it is not yet, and has the BYE sent; none for one that is
// being refused, which ends it.
func (s *Session) hangUp(err error, edits ...sip.Edit) {
	s.mu.Lock()
	over, refused := s.over, s.refusing != nil && !s.refusing.re
	s.mu.Unlock()
	switch {
	case over:
		return
	case refused:
		s.terminate(err)
		return
	}
	req, way := s.draft(sip.BYE, edits) // here, where a panic is of who has made the edits
	bye := &goodbye{answered: make(chan struct{})}
	s.mu.Lock()
	first := s.stop(err, bye)
	s.mu.Unlock()
	if !first {
		return
	}
	begun := s.l.background(func() { // ends with the wait for an ACK and the transaction
		defer close(bye.answered)
		bye.err = errPanic // should it not return
		bye.err = s.sendBye(req, way, len(edits) > 0)
	})
	if !begun {
		bye.err = transport.ErrClosed
		close(bye.answered)
	}
	s.tell()
}

// sendBye sends the BYE of a call that is over, when it may, and forgets the
// call when it is answered. No request of the call may follow: one with a higher
// number that overtook the BYE would have the peer refuse that. The BYE is a draft for a
// way, with edits or without.
func (s *Session) sendBye(req *sip.Request, way path, edited bool) error {
	defer s.forget()
	s.mu.Lock()
	await := s.await
	s.mu.Unlock()
	if await != nil {
		<-await.wait.over
	}
	if s.Ack(s.l.ctx) != nil {
		// The peer's Contact or Record-Route leads nowhere. Lest the peer keep
		// the call, both go where the INVITE went.
		s.mu.Lock()
		s.d.path = s.invite.path
		s.mu.Unlock()
		s.Ack(s.l.ctx)
	}
	resp, err := s.bid(req, way)
	switch {
	case errors.Is(err, errPanic): // of the Authorizer's: then without credentials
		req := s.nextBye(req, way)
		resp, err := s.l.tl.Do(s.towards(s.l.ctx), req)
		return refusedBye(req, resp, err)
	case err != nil && resp == nil && edited && !timedOut(err) && s.l.ctx.Err() == nil:
		// What the program has to add cannot be written, or is too much for the
		// transport. The peer is not to keep the call for that.
		_, plain := s.bid(s.draft(sip.BYE, nil))
		err = errors.Join(err, plain)
	}
	return err
}

// bid sends a BYE. A refusal is an error, but one after which there is no call (RFC
// 3261 section 15.1.1).
func (s *Session) bid(req *sip.Request, way path) (resp *sip.Response, err error) {
	req = s.nextBye(req, way)
	if err := req.Err(); err != nil {
		return nil, fmt.Errorf("BYE %s: %w", s.Remote().URI, err)
	}
	err = errPanic // should do not return
	defer s.l.fence()
	req, resp, err = s.do(s.l.ctx, req)
	return resp, refusedBye(req, resp, err)
}

// refusedBye returns the error for what came of a BYE.
func refusedBye(req *sip.Request, resp *sip.Response, err error) error {
	if err != nil {
		return err
	}
	switch status := resp.Status(); {
	case status.Success(), status == sip.StatusCallDoesNotExist, status == sip.StatusRequestTimeout:
		return nil
	default:
		return wrap("BYE", req, status)
	}
}

// nextBye numbers a draft, and has it go the way that requests go now.
func (s *Session) nextBye(req *sip.Request, way path) *sip.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if way != s.d.path {
		req = s.d.path.reroute(req)
	}
	return s.number(req)
}

// Bye ends the call. It is over at once, and the BYE goes out whatever becomes
// of ctx, which bounds the wait for its answer. The error says that the peer may
// not have heard of it: it wraps the Status of a refusal, but for 481 and
// 408, after which there is no call. Or it says that the peer has not heard of the edits:
// where they cannot be written or sent, the BYE or refusal goes out without them. Later calls wait
// for the answer to the same BYE; if there is none, because the peer has ended the call,
// they do nothing.
//
// A 2xx of the peer that has no ACK yet gets it first. A 2xx of ours must have
// got one before a BYE may go out (RFC 3261 section 15), which is waited for. A
// call of the peer's that is not answered yet is refused with 480. Of a call of
// ours that rings at several places, it ends what this one has to do with it.
func (s *Session) Bye(ctx context.Context, edits ...sip.Edit) error {
	s.mu.Lock()
	early := s.pending
	s.mu.Unlock()
	if early != nil && !early.re {
		if err := early.Reject(sip.StatusTemporarilyUnavailable, edits...); !errors.Is(err, transaction.ErrCompleted) {
			if err != nil { // of edits that cannot be written, or it is refused already
				early.Reject(sip.StatusTemporarilyUnavailable)
			}
			early.end(ErrEnded) // for its handler, which may wait for somebody
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
		return fmt.Errorf("BYE %s: %w", s.Remote().URI, context.Cause(ctx))
	}
}

// acknowledgedBy takes an ACK of the peer. RFC 3261 section 13.3.1.4: it has the
// number of the INVITE.
func (s *Session) acknowledgedBy(tx *transaction.Server, ack *sip.Request) {
	var in *Invitation
	s.mu.Lock()
	if cseq := ack.CSeq(); s.await != nil && s.await.seq() == cseq.Seq {
		s.offers.request(remote, cseq, false)
		in = s.endWait(ack)
	}
	s.mu.Unlock()
	in.waited()
	if in != nil && in.relayed != nil {
		in.awaitRelay(tx)
	}
}

// ended is called when the peer has said BYE. Then no ACK is waited for. first says
// that this has ended the call.
func (s *Session) ended(first bool) {
	s.mu.Lock()
	in := s.endWait(nil)
	s.mu.Unlock()
	in.waited()
	s.forget()
	if first {
		s.tell()
	}
}

// learn takes what a message of the peer says that it can do. It is called with s.mu
// held.
func (s *Session) learn(m sip.Message) {
	if allow, err := sip.Get[sip.Allow](m); err == nil {
		s.updates = slices.Contains(allow, sip.UPDATE)
	}
}
