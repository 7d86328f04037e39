package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Invitation is a call that came in and is not answered yet. Its methods may be
// called from any goroutine. One Answer or Reject decides; later ones are
// transaction.ErrCompleted.
type Invitation struct {
	a  *Agent
	in *dialog.Invitation

	mu      sync.Mutex
	decided bool
	call    *Call // that it led to
}

// invited takes an INVITE: a call, or a change of one.
func (a *Agent) invited(ctx context.Context, in *dialog.Invitation) {
	req := in.Request()
	if !in.Re() && a.cfg.OnInvite == nil {
		in.Reject(sip.StatusMethodNotAllowed, a.allow(false))
		return
	}
	if !a.understood(rejecter{in}, req) {
		return
	}
	if !in.Re() {
		a.invitation(ctx, in)
		return
	}
	c := a.call(in.Session())
	if c == nil {
		in.Reject(sip.StatusCallDoesNotExist)
		return
	}
	if err := c.reinvited(ctx, in); err != nil {
		a.log.Debug("re-INVITE not accepted", "error", err, "call-id", req.CallID())
	}
}

// invitation has the program answer a call.
func (a *Agent) invitation(ctx context.Context, in *dialog.Invitation) {
	if a.isClosed() {
		in.Reject(sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: 5})
		return
	}
	ctx, stop := a.whileOpen(ctx)
	defer stop()
	invitation := &Invitation{a: a, in: in}
	returned := false
	defer func() {
		if !returned {
			invitation.forsake()
		}
	}()
	a.cfg.OnInvite(ctx, invitation)
	returned = true
}

// forsake ends a call whose OnInvite has panicked: nobody has hold of it.
func (in *Invitation) forsake() {
	in.mu.Lock()
	call := in.call
	in.mu.Unlock()
	if call != nil {
		leave(call.s)
	}
}

// rejecter lets an Invitation be refused like any request.
type rejecter struct{ in *dialog.Invitation }

func (r rejecter) Reply(status sip.Status, edits ...sip.Edit) error {
	return r.in.Reject(status, edits...)
}

func (r rejecter) Refuse(err error, edits ...sip.Edit) error { return r.in.Refuse(err, edits...) }

// Request returns the INVITE.
func (in *Invitation) Request() *sip.Request { return in.in.Request() }

// From returns who says that they are calling.
func (in *Invitation) From() sip.Address { return sip.Address(in.in.Request().From()) }

// Ring tells the caller that the phone rings (180). The error says that the
// caller has given up, that the call is answered or refused already, or that
// nothing can be sent.
func (in *Invitation) Ring(ctx context.Context) error {
	err := cause(ctx)
	if err == nil {
		err = in.in.Provisional(sip.StatusRinging)
	}
	if err != nil {
		return fmt.Errorf("ring %s: %w", name(in.From().URI), err)
	}
	return nil
}

// Reject refuses the call with a status of 300 to 699, with sip.StatusBusyHere
// say.
func (in *Invitation) Reject(ctx context.Context, status sip.Status) error {
	var err error
	switch {
	case status < 300 || status > 699:
		err = fmt.Errorf("ua: status %d is no refusal", status)
	case !in.decide():
		err = transaction.ErrCompleted
	default:
		err = in.in.Reject(status)
	}
	if err != nil {
		return fmt.Errorf("reject %s: %w", name(in.From().URI), err)
	}
	return nil
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
// about. ctx is for the streams; a call that was accepted waits for its
// acknowledgement, 32 seconds at most, whatever becomes of ctx.
//
// A panic in a stream is one of Answer, and ends the call: with 500, if it is not
// answered yet.
//
// The error wraps transaction.ErrCancelled if the caller has given up, ErrHungUp
// if they have hung up already, and dialog.ErrNoACK if the acknowledgement never
// came.
func (in *Invitation) Answer(ctx context.Context, streams ...Stream) (*Call, error) {
	if slices.Contains(streams, nil) {
		return nil, fmt.Errorf("answer %s: %w", name(in.From().URI), errNilStream)
	}
	call := in.a.newCall(in.in.Session(), streams)
	up := false
	defer func() {
		if !up { // be it by a panic in a stream
			call.ended()
			<-call.done
		}
	}()
	err := error(transaction.ErrCompleted)
	if in.decide() {
		err = in.answer(ctx, call)
	}
	if err != nil {
		return nil, fmt.Errorf("answer %s: %w", name(in.From().URI), err)
	}
	up = true
	return call, nil
}

func (in *Invitation) answer(ctx context.Context, c *Call) error {
	returned := false
	defer func() {
		if returned {
			return
		}
		// A stream has panicked. If the call is answered already it ends.
		if err := in.in.Reject(sip.StatusServerInternalError); err != nil {
			leave(c.s)
		}
	}()
	err := in.tryAnswer(ctx, c)
	returned = true
	return err
}

func (in *Invitation) tryAnswer(ctx context.Context, c *Call) error {
	offer, offered := description(in.in.Request())
	var body string
	err := c.m.reachedAt(ctx, in.in.Contact().URI)
	switch {
	case err != nil:
	case offered:
		body, _, err = c.m.answer(ctx, offer)
	case len(c.m.all) == 0:
		err = ErrNoStream
	default:
		// The offer is ours then, and the ACK has the answer (RFC 3261 section
		// 13.2.1).
		body, err = c.m.offer(ctx)
	}
	if err == nil {
		// The call is known before the peer can change it.
		err = c.a.add(c)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = cause(ctx)
		}
		reject(in.in, err)
		return err
	}
	in.mu.Lock()
	in.call = c
	in.mu.Unlock()
	ack, err := in.in.Accept(c.a.allow(true), sip.Body{Type: sdpType, Content: body})
	if errors.Is(err, dialog.ErrBye) {
		return ErrHungUp
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without what Answer says itself
	}
	if err != nil {
		return err
	}
	if !offered {
		answer, _ := description(ack)
		err = c.m.answered(c.s.ID().RemoteTag, answer, func() error { return nil })
	}
	if err != nil {
		leave(c.s)
	}
	return err
}

// reject refuses an INVITE for a reason.
func reject(in *dialog.Invitation, err error) {
	var syntax *sdp.SyntaxError
	switch {
	case errors.Is(err, sdp.ErrOfferSent): // RFC 3261 section 14.2
		in.Reject(sip.StatusRequestPending)
	case errors.Is(err, dialog.ErrEnded):
		in.Reject(sip.StatusCallDoesNotExist)
	case errors.Is(err, ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		in.Reject(sip.StatusTemporarilyUnavailable)
	case errors.As(err, &syntax):
		in.Reject(sip.StatusBadRequest, sip.ReasonPhrase("Bad Session Description"))
	case errors.Is(err, ErrNoStream):
		// RFC 3261 section 13.3.1.3 wants a reason. Of those of section 20.43
		// this is the nearest: a stream does not say why it takes nothing.
		in.Reject(sip.StatusNotAcceptableHere, sip.Warning{
			Code: 305, Agent: in.Contact().URI.HostPort(), Text: "Incompatible media format",
		})
	default:
		in.Reject(sip.StatusNotAcceptableHere)
	}
}
