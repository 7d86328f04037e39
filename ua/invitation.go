package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Invitation is a call that came in and is not answered yet. Its methods may be
// called from any goroutine. One Answer or Reject decides; later ones are
// transaction.ErrCompleted.
type Invitation struct {
	a   *Agent
	in  *dialog.Invitation
	who proved  // authenticated
	own sip.URI // where we are reached ourselves, whatever our Contact says

	replaces, joins *Call

	turn     chan struct{} // full: Progress or Answer is under way
	reliable bool          // early media was acknowledged; for who has the turn

	mu      sync.Mutex
	decided bool
	call    *Call      // that it leads to, once it has streams
	header  []sip.Edit // of responses to come
}

// invited takes an INVITE: a call, or a change of one.
func (a *Agent) invited(ctx context.Context, in *dialog.Invitation) {
	req := in.Request()
	refuser := refusing(in)
	who, ok := a.authenticate(ctx, refuser, req)
	if !ok {
		return
	}
	if !in.Re() && a.cfg.OnInvite == nil {
		refuser.Reply(sip.StatusMethodNotAllowed, a.allow(false))
		return
	}
	if !a.understood(refuser, req) {
		return
	}
	if !in.Re() {
		a.invitation(ctx, in, who)
		return
	}
	c := callOf(in.Session())
	if c == nil {
		refuser.Reply(sip.StatusCallDoesNotExist)
		return
	}
	if err := c.reinvited(ctx, in); err != nil {
		a.log.Debug("re-INVITE not accepted", "error", err, "call-id", req.CallID())
	}
}

// invitation has the program answer a call.
func (a *Agent) invitation(ctx context.Context, in *dialog.Invitation, who proved) {
	if a.isClosed() {
		refusing(in).Reply(sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: 5})
		return
	}
	ctx, stop := a.whileOpen(ctx)
	defer stop()
	if who.user != "" {
		in.Session().SetValue(who) // until it is a Call
	}
	own := in.Contact()
	invitation := &Invitation{
		a: a, in: in, who: who, own: own.URI, turn: make(chan struct{}, 1),
		header: a.recvInfoFor(in.Request(), historyOf(in.Request())...),
	}
	in.Session().SetContact(a.contact(own, false, false))
	returned := false
	defer func() {
		if !returned {
			invitation.forsake()
		}
	}()
	if invitation.dialogs() {
		a.cfg.OnInvite(ctx, invitation)
	}
	returned = true
	if invitation.decide() { // nobody else can; it gets 487 if it was cancelled
		invitation.refuser().Reply(sip.StatusTemporarilyUnavailable)
		invitation.drop()
		return
	}
	invitation.turn <- struct{}{} // an Answer in another goroutine has ctx until it returns
}

// forsake ends a call whose OnInvite has panicked: nobody has hold of it.
func (in *Invitation) forsake() {
	in.mu.Lock()
	call := in.call
	in.mu.Unlock()
	err := in.refuser().Reply(sip.StatusServerInternalError)
	switch {
	case call == nil:
	case errors.Is(err, transaction.ErrCompleted):
		leave(call.s)
	default:
		call.ended()
	}
}

// Request returns the INVITE.
func (in *Invitation) Request() *sip.Request { return in.in.Request() }

// Dialog returns the dialog of the call, which is what others have to know to pick it up, and
// what a phone tells them that lets them watch its calls (RFC 4235). It can send requests once
// the phone rings; SetContact, before anything is answered, says where the call is reached.
func (in *Invitation) Dialog() *dialog.Dialog { return &in.in.Session().Dialog }

// From returns who says that they are calling.
func (in *Invitation) From() sip.Address { return sip.Address(in.in.Request().From()) }

// Add has header fields go with the responses from here on, such as a sip.AlertInfo or a
// sip.ReasonPhrase. What is said of one name last goes, by Reject at the very last.
func (in *Invitation) Add(edits ...sip.Edit) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.header = append(in.header, edits...)
}

// edits returns what goes with a response: what the program has said after what we say.
func (in *Invitation) edits(ours ...sip.Edit) []sip.Edit {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Concat(ours, in.header)
}

// refuser refuses the call.
func (in *Invitation) refuser() rejecter {
	return rejecter{in.in, func() []sip.Edit { return in.edits() }}
}

// Ring tells the caller that the phone rings (180): reliably if the caller requires it
// (RFC 3262), and then it returns when they have acknowledged that. The error says that
// the caller has given up, that the call is answered or refused already, or that
// nothing can be sent. That is ErrNoStream where the caller requires it and leaves the offer to
// us: the first reliable response has to make it (section 5), which Progress does, and then
// Ring can follow.
func (in *Invitation) Ring(ctx context.Context) error {
	if err := in.ring(ctx); err != nil {
		return fmt.Errorf("ring %s: %w", name(in.From().URI), err)
	}
	return nil
}

func (in *Invitation) ring(ctx context.Context) error {
	if err := cause(ctx); err != nil {
		return err
	}
	ring := func() error { return in.in.Provisional(sip.StatusRinging, in.edits(in.a.capabilities()...)...) }
	if !requires(in.in.Request(), sip.Option100rel) {
		return ring()
	}
	if _, offered := description(in.in.Request()); !offered {
		done, err := in.take(ctx, nil) // after Progress
		if err != nil {
			return err
		}
		reliable := in.reliable
		done()
		if !reliable {
			return ErrNoStream
		}
	}
	t, err := in.a.begin(ring) // ends with the PRACK, the final response, or after 64*T1
	if err != nil {
		return err
	}
	return t.wait(ctx)
}

// Progress begins the session before the call is answered, with the streams that fit what
// the caller offers: early media (183). If the caller can have it so it is reliable (RFC
// 3262), and Progress returns when it was acknowledged; else the caller may miss it, and
// if they leave the offer to us there is none, which is ErrNoStream. When ctx ends
// Progress returns with its error, and the caller may have the early media all the same.
//
// It is Answer that answers the call, with no further streams. What is said there of streams
// holds here, too; if none fits the call is not refused yet.
func (in *Invitation) Progress(ctx context.Context, streams ...Stream) error {
	err := in.progress(ctx, streams)
	if err != nil {
		return fmt.Errorf("early media for %s: %w", name(in.From().URI), err)
	}
	return nil
}

func (in *Invitation) progress(ctx context.Context, streams []Stream) error {
	done, err := in.take(ctx, streams)
	if err != nil {
		return err
	}
	passed := false
	defer func() {
		if !passed {
			done()
		}
	}()
	c, _, err := in.begin(streams, false)
	if err != nil {
		return err
	}
	up := false
	defer func() {
		if !up { // be it by a panic in a stream
			in.mu.Lock()
			in.call = nil
			in.mu.Unlock()
			c.ended()
			<-c.Done()
		}
	}()
	reliable := supports(in.in.Request(), sip.Option100rel)
	body, err := in.describe(ctx, c, reliable)
	if err != nil {
		return err
	}
	up = true
	edits := in.edits(c.a.capabilities(body)...)
	if !reliable {
		return in.in.Provisional(sip.StatusSessionProgress, edits...)
	}
	t, err := in.a.begin(func() error { // ends with the PRACK, the final response, or after 64*T1
		defer done() // Answer waits for the PRACK
		err := in.in.Reliable(sip.StatusSessionProgress, edits...)
		in.reliable = err == nil
		c.m.isAgreed() // which waits until the streams know of an answer in the PRACK
		return err
	})
	if err != nil {
		return err
	}
	passed = true
	return t.wait(ctx)
}

// Call returns the call that Progress has begun, which Answer will return: to send
// requests within it, such as an INFO, while it rings. It is nil before that.
func (in *Invitation) Call() *Call {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.call
}

// take waits until Progress is over, and returns what is to be called when the caller is.
// Streams that are not taken are closed.
func (in *Invitation) take(ctx context.Context, streams []Stream) (done func(), err error) {
	in.mu.Lock()
	decided := in.decided
	in.mu.Unlock()
	err = checkStreams(streams)
	switch {
	case err != nil:
	case decided:
		err = transaction.ErrCompleted
	default:
		err = cause(ctx)
	}
	if err == nil {
		select {
		case in.turn <- struct{}{}:
			return func() { <-in.turn }, nil
		case <-ctx.Done():
			err = cause(ctx)
		}
	}
	in.a.closeAll(streams)
	return nil, err
}

// begin returns the Call that an Invitation leads to, which it makes if there is none yet.
// There is one, and it has the streams of who is first. final says that it is to decide.
func (in *Invitation) begin(streams []Stream, final bool) (c *Call, early bool, err error) {
	in.mu.Lock()
	early = in.call != nil
	if in.decided || early && (!final || len(streams) > 0) {
		in.mu.Unlock()
		in.a.closeAll(streams)
		return nil, false, transaction.ErrCompleted
	}
	if !early {
		in.call = in.a.newCall(in.in.Session())
		in.call.m = newMedia(streams, in.call.over, in.a.panicked)
		in.call.learn(in.in.Request())
	}
	in.decided, c = final, in.call
	in.mu.Unlock()
	return c, early, nil
}

// describe has the streams answer the offer of the INVITE, or make one: the caller's
// answer is then in the PRACK or the ACK (RFC 3261 section 13.2.1).
func (in *Invitation) describe(ctx context.Context, c *Call, mayOffer bool) (sip.Body, error) {
	offer, offered := description(in.in.Request())
	var body string
	err := c.m.reachedAt(ctx, in.own)
	switch {
	case err != nil:
	case offered:
		body, _, err = c.m.answer(withMessage(ctx, in.in.Request()), offer, nil)
	case len(c.m.all) == 0 || !mayOffer:
		err = ErrNoStream
	default:
		body, err = c.m.offer(ctx)
	}
	if err == nil {
		// The call is known before the peer can change it.
		err = c.a.add(c)
	}
	if err != nil && ctx.Err() != nil {
		err = cause(ctx)
	}
	return sip.Body{Type: sdpType, Content: body}, err
}

// Reject refuses the call with a status of 300 to 699, with sip.StatusBusyHere
// say. edits go into the response: with a status of 300 to 399, the sip.Contact to call
// instead.
func (in *Invitation) Reject(ctx context.Context, status sip.Status, edits ...sip.Edit) error {
	var err error
	switch {
	case status < 300 || status > 699:
		err = fmt.Errorf("ua: status %d is no refusal", status)
	case !in.decide():
		err = transaction.ErrCompleted
	default:
		err = in.refuser().Reply(status, edits...)
		in.drop()
	}
	if err != nil {
		return fmt.Errorf("reject %s: %w", name(in.From().URI), err)
	}
	return nil
}

// drop ends the early media of a call that is not answered.
func (in *Invitation) drop() {
	in.mu.Lock()
	call := in.call
	in.mu.Unlock()
	if call != nil {
		call.ended()
	}
}

// decide reports whether the caller is the one to answer or reject.
func (in *Invitation) decide() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	first := !in.decided
	in.decided = true
	return first
}

// Answer accepts the call with the streams that fit what the caller offers, and
// returns when the caller has acknowledged. Offered sections that no stream
// takes are refused; if none is taken the call is, with 488, and the error is
// ErrNoStream. The streams are closed when the call is over or does not come
// about. When ctx ends before the caller has acknowledged Answer returns with its error,
// and the call is ended in the background: with a BYE, which has to wait for the
// acknowledgement, 32 seconds at most (RFC 3261 section 15).
//
// A panic in a stream is one of Answer, and ends the call: with 500, if it is not
// answered yet.
//
// The error wraps transaction.ErrCancelled if the caller has given up, ErrHungUp
// if they have hung up already, and dialog.ErrNoACK if the acknowledgement never
// came.
func (in *Invitation) Answer(ctx context.Context, streams ...Stream) (*Call, error) {
	call, err := in.answer(ctx, streams)
	if err != nil {
		return nil, fmt.Errorf("answer %s: %w", name(in.From().URI), err)
	}
	return call, nil
}

func (in *Invitation) answer(ctx context.Context, streams []Stream) (*Call, error) {
	done, err := in.take(ctx, streams)
	if err != nil {
		return nil, err
	}
	defer done()
	c, early, err := in.begin(streams, true)
	if err != nil {
		return nil, err
	}
	up, returned := false, false
	defer func() {
		if !returned {
			// A stream has panicked. If the call is answered already it ends.
			if err := in.refuser().Reply(sip.StatusServerInternalError); err != nil {
				leave(c.s)
			}
		}
		if !up {
			c.ended()
			<-c.Done()
		}
	}()
	err = in.accept(ctx, c, early)
	returned, up = true, err == nil
	if err != nil {
		return nil, err
	}
	return c, nil
}

// closeAll closes streams that no call has taken.
func (a *Agent) closeAll(streams []Stream) {
	for i, s := range streams {
		if s != nil && !has(streams[:i], s) {
			closeStream(s, a.panicked)
		}
	}
}

func (in *Invitation) accept(ctx context.Context, c *Call, early bool) error {
	edits := in.edits(c.a.capabilities(c.a.supported())...)
	switch {
	case !early:
		body, err := in.describe(ctx, c, true)
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			in.refuser().Reply(sip.StatusTemporarilyUnavailable) // which would end a call that is up (RFC 5057 section 5.1)
			return err
		}
		if err != nil {
			reject(in.refuser(), in.in.Contact(), err)
			return err
		}
		edits = append(edits, body)
	case !in.reliable: // said again (RFC 3261 section 13.2.1)
		edits = append(edits, sip.Body{Type: sdpType, Content: c.m.text()})
	}
	c.answered.Store(true)
	err := in.in.Start(edits...)
	var ack *sip.Request
	if err == nil {
		ack, err = in.in.Acknowledged(ctx)
	}
	if err != nil && ctx.Err() != nil {
		leave(c.s)
		return cause(ctx)
	}
	if err == nil && in.replaces != nil {
		in.replaces.replace()
	}
	if errors.Is(err, dialog.ErrBye) {
		return hungUp(err)
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without what Answer says itself
	}
	if err != nil {
		return err
	}
	if c.m.offering() {
		answer, _ := description(ack)
		err = c.m.answered(ctx, answer, true, func() error { return nil })
	}
	if err != nil {
		leave(c.s)
	}
	return err
}
