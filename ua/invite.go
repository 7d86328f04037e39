package ua

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// InviteOptions are the options of Invite; nil places a call without streams,
// whose INVITE has no offer and which refuses the callee's.
type InviteOptions struct {
	// Streams are what the call is to carry, in the order of their m=
	// sections. They are closed with the call, also if it does not come about.
	Streams []Stream
	// OnProvisional is called for each provisional response but 100, such as
	// 180 when the phone rings, one after the other, and not after Invite has
	// returned. nil: nobody is told.
	OnProvisional func(*sip.Response)
}

// Invite places a call and returns when it is answered. A refusal is a
// *StatusError. When ctx ends before that, Invite returns with its error; the
// call is cancelled in the background, and ended should the callee answer all
// the same. Once Invite has returned a call, ctx has no effect on it.
func (a *Agent) Invite(ctx context.Context, target string, opts *InviteOptions) (*Call, error) {
	if opts == nil {
		opts = &InviteOptions{}
	}
	call := a.newCall(nil, opts.Streams)
	call.caller = true
	err := a.invite(ctx, call, target, opts.OnProvisional)
	if err != nil {
		call.ended()
		<-call.done
		return nil, fmt.Errorf("invite %s: %w", target, err)
	}
	return call, nil
}

func (a *Agent) invite(ctx context.Context, call *Call, target string, onProvisional func(*sip.Response)) error {
	ctx, stop := a.whileOpen(ctx)
	defer stop()
	out := &outgoing{call: call, target: target, onProvisional: onProvisional}
	result := make(chan error, 1)
	begun := a.background(func() { // ends with the transaction of the INVITE, or of its CANCEL
		result <- out.run(ctx)
	})
	if !begun {
		return ErrClosed
	}
	select {
	case err := <-result:
		if ctx.Err() != nil && err != nil {
			return cause(ctx)
		}
		return err
	case <-ctx.Done():
		if out.settle(true) {
			return cause(ctx)
		}
		return <-result // answered in the same moment
	}
}

// cause returns the error of a context, and its cause if that says more.
func cause(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return nil
	case errors.Is(cause, ErrClosed), errors.Is(cause, ctx.Err()):
		return cause
	default:
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
}

// outgoing is a call of ours that is not answered yet.
type outgoing struct {
	call          *Call
	target        string
	onProvisional func(*sip.Response)
	early         map[string]string // descriptions in provisional responses, by To tag

	mu      sync.Mutex // held while onProvisional runs
	settled bool       // answered, or given up
	givenUp bool
}

// settle decides once whether the call was answered or given up, and reports
// whether it is as the caller says.
func (o *outgoing) settle(giveUp bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.settled {
		o.settled, o.givenUp = true, giveUp
	}
	return o.givenUp == giveUp
}

// run places the call.
func (o *outgoing) run(ctx context.Context) error {
	c, a := o.call, o.call.a
	req, err := a.newRequest(sip.INVITE, o.target, a.allow(true))
	if err != nil {
		return err
	}
	contact, err := a.l.ContactFor(ctx, a.aor.User, req)
	if err != nil {
		return err
	}
	req = req.With(contact)
	if err := c.m.reachedAt(ctx, contact.URI.Host); err != nil {
		return err
	}
	if len(c.m.all) > 0 {
		offer, err := c.m.offer(ctx)
		if err != nil {
			return err
		}
		req = req.With(sip.Body{Type: sdpType, Content: offer})
	}
	s, resp, err := a.l.Invite(ctx, req, func(resp *sip.Response) { o.provisional(ctx, resp) })
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without what Invite says itself
	}
	if err := a.result(resp, err); err != nil {
		return err
	}
	// From here on the call is up, and ended with BYE whatever is wrong.
	if !o.settle(false) {
		leave(s)
		return cause(ctx)
	}
	c.s = s
	// It is known before the peer, who waits for the ACK, can change it.
	err = a.add(c)
	if answerErr := o.answered(resp); err == nil {
		err = answerErr
	}
	if errors.Is(err, dialog.ErrEnded) {
		err = ErrHungUp // in this moment
	}
	if err != nil {
		leave(s)
	}
	return err
}

// maxEarly bounds the forks whose early media is remembered.
const maxEarly = 16

// provisional takes a provisional response.
func (o *outgoing) provisional(ctx context.Context, resp *sip.Response) {
	body, ok := description(resp)
	tag := resp.To().Tag()
	if last, known := o.early[tag]; ok && len(o.call.m.all) > 0 && last != body && (known || len(o.early) < maxEarly) {
		if o.early == nil {
			o.early = map[string]string{}
		}
		o.early[tag] = body
		if err := o.call.m.preview(ctx, tag, body); err != nil {
			o.call.a.log.Debug("early media not understood", "error", err, "call-id", resp.CallID())
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.onProvisional != nil && !o.settled {
		o.onProvisional(resp)
	}
}

// answered takes the 2xx and acknowledges it.
func (o *outgoing) answered(resp *sip.Response) error {
	c := o.call
	acknowledge := func(edits ...sip.Edit) error { return c.s.Ack(context.Background(), edits...) }
	body, ok := description(resp)
	switch {
	case len(c.m.all) > 0:
		if !ok { // some put it into the 18x alone
			body, ok = o.early[resp.To().Tag()]
		}
		if !ok {
			acknowledge()
			return ErrNoStream
		}
		return c.m.answered(resp.To().Tag(), body, func() error { return acknowledge() })
	case ok:
		// An offer that nothing of ours fits is answered with refusals.
		answer, err := c.m.refuse(body)
		if err != nil {
			acknowledge()
			return err
		}
		return acknowledge(sip.Body{Type: sdpType, Content: answer})
	default:
		return acknowledge()
	}
}
