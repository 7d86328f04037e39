package ua

import (
	"context"
	"errors"
	"fmt"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
)

// Invitation is a call that came in and is not answered yet.
type Invitation struct {
	a  *Agent
	in *dialog.Invitation
}

// invited takes an INVITE: a call, or a change of one.
func (a *Agent) invited(ctx context.Context, in *dialog.Invitation) {
	req := in.Request()
	if !a.understood(rejecter{in}, req) {
		return
	}
	if _, ok := description(req); !ok && req.Body() != "" {
		// RFC 3261 section 8.2.3.
		in.Reject(sip.StatusUnsupportedMediaType, sip.Field{Name: "Accept", Value: "application/sdp"})
		return
	}
	if !in.Re() {
		ctx, stop := a.whileOpen(ctx)
		defer stop()
		a.cfg.OnInvite(ctx, &Invitation{a, in})
		return
	}
	a.mu.Lock()
	c := a.calls[in.Session()]
	a.mu.Unlock()
	if c == nil {
		in.Reject(sip.StatusCallDoesNotExist)
		return
	}
	if err := c.reinvited(ctx, in); err != nil {
		a.log.Debug("re-INVITE not accepted", "error", err, "call-id", req.CallID())
	}
}

// rejecter lets an Invitation be refused like any request.
type rejecter struct{ in *dialog.Invitation }

func (r rejecter) Reply(status sip.Status, edits ...sip.Edit) error {
	return r.in.Reject(status, edits...)
}

// Request returns the INVITE.
func (in *Invitation) Request() *sip.Request { return in.in.Request() }

// From returns who says that they are calling.
func (in *Invitation) From() sip.Address { return sip.Address(in.in.Request().From()) }

// Ring tells the caller that the phone rings (180). The error says that the
// caller has given up, or that nothing can be sent.
func (in *Invitation) Ring(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ring: %w", context.Cause(ctx))
	}
	return in.in.Provisional(sip.StatusRinging)
}

// Reject refuses the call, with sip.StatusBusyHere say.
func (in *Invitation) Reject(ctx context.Context, status sip.Status) error {
	return in.in.Reject(status)
}

// Answer accepts the call with the streams that fit what the caller offers, and
// returns when the caller has acknowledged. Offered sections that no stream
// takes are refused; if none is taken the call is, with 488, and the error is
// ErrNoStream. The streams are closed when the call is over or does not come
// about.
//
// The error wraps transaction.ErrCancelled if the caller has given up, and is
// dialog.ErrNoACK if the acknowledgement never came.
func (in *Invitation) Answer(ctx context.Context, streams ...Stream) (*Call, error) {
	call := &Call{a: in.a, s: in.in.Session(), m: newMedia(), streams: streams, done: make(chan struct{})}
	call.m.reachedAt(in.in.Contact().URI.Host, streams)
	err := call.answer(ctx, in.in)
	if err != nil {
		call.m.close(streams)
		return nil, fmt.Errorf("answer %s: %w", name(in.From().URI), err)
	}
	return call, nil
}

func (c *Call) answer(ctx context.Context, in *dialog.Invitation) error {
	offer, offered := description(in.Request())
	var body string
	var err error
	if offered {
		body, err = c.m.answer(ctx, offer, c.streams)
	} else {
		// The offer is ours then, and the ACK has the answer (RFC 3261 section
		// 13.2.1).
		body, err = c.m.offer(ctx, c.streams)
	}
	if err != nil {
		in.Reject(sip.StatusNotAcceptableHere)
		return err
	}
	// The call is known before the peer can change it.
	if err := c.a.add(c); err != nil {
		in.Reject(sip.StatusTemporarilyUnavailable)
		return err
	}
	ack, err := in.Accept(sip.Body{Type: "application/sdp", Content: body})
	if err != nil {
		c.a.drop(c)
		return err
	}
	if !offered {
		answer, _ := description(ack)
		err = c.m.answered(ctx, answer)
	}
	if err != nil {
		c.s.Bye(context.WithoutCancel(ctx))
	}
	return err
}

// drop forgets a call that did not come about.
func (a *Agent) drop(c *Call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.calls, c.s)
}

// reinvited answers a change of the call by the peer.
func (c *Call) reinvited(ctx context.Context, in *dialog.Invitation) error {
	offer, offered := description(in.Request())
	var body string
	var err error
	if offered {
		body, err = c.m.answer(ctx, offer, nil)
	} else {
		body, err = c.m.reoffer()
	}
	switch {
	case errors.Is(err, sdp.ErrOfferSent):
		in.Reject(sip.StatusRequestPending)
		return err
	case err != nil:
		in.Reject(sip.StatusNotAcceptableHere)
		return err
	}
	ack, err := in.Accept(c.a.allow(), sip.Body{Type: "application/sdp", Content: body})
	if err == nil && !offered {
		answer, _ := description(ack)
		err = c.m.answered(ctx, answer)
	}
	if err != nil && !offered {
		c.m.rollback()
	}
	return err
}
