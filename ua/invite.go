package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

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
	// 180 when the phone rings, one after the other, in a goroutine of its own.
	// While it takes its time 16 responses wait for it at most, and those
	// beyond are passed over. Invite waits for it when the call is answered or
	// refused, but not when the context ends; then it is not called any more,
	// though a call of it may still be under way. nil: nobody is told.
	OnProvisional func(*sip.Response)
}

// Invite places a call and returns when it is answered. A refusal is a
// *StatusError. When ctx ends before that, Invite returns with its error; the
// call is cancelled in the background, and ended should the callee answer all
// the same. Once Invite has returned a call, ctx has no effect on it.
//
// A panic in a stream or in OnProvisional ends the call, closes the streams, and
// is a panic of Invite; it is logged if Invite has returned before.
func (a *Agent) Invite(ctx context.Context, target string, opts *InviteOptions) (*Call, error) {
	if opts == nil {
		opts = &InviteOptions{}
	}
	if slices.Contains(opts.Streams, nil) {
		return nil, fmt.Errorf("invite %s: %w", target, errNilStream)
	}
	call := a.newCall(nil, opts.Streams)
	call.caller = true
	up := false
	defer func() {
		if !up {
			call.ended()
			<-call.done
		}
	}()
	if err := a.invite(ctx, call, target, opts.OnProvisional); err != nil {
		return nil, fmt.Errorf("invite %s: %w", target, err)
	}
	up = true
	return call, nil
}

func (a *Agent) invite(ctx context.Context, call *Call, target string, onProvisional func(*sip.Response)) error {
	ctx, stop := a.whileOpen(ctx)
	defer stop()
	out := newOutgoing(ctx, call, target, onProvisional)
	defer out.returned.Store(true)
	placing, err := a.begin(func() error { // ends with the transaction of the INVITE, or of its CANCEL
		defer close(out.news)
		return out.run(ctx)
	})
	if err != nil {
		return err
	}
	// Not waited for by Shutdown, which OnProvisional may call.
	telling := &task{a: a, done: make(chan struct{})}
	go telling.run(out.tell) // ends with placing, or with the callback that is under way then
	select {
	case <-placing.done:
		select {
		case <-telling.done:
		case <-ctx.Done():
		}
	case <-telling.done: // by a panic
	case <-ctx.Done():
	}
	if telling.failed() != nil {
		stop()
		if !out.settle(true) { // answered in the same moment
			<-placing.done
			if call.s != nil {
				leave(call.s)
			}
		}
		placing.leave()
		telling.raise()
	}
	telling.leave()
	if ctx.Err() != nil && out.settle(true) {
		placing.leave()
		return cause(ctx)
	}
	<-placing.done // soon, if it was answered in the same moment
	err = placing.result()
	if ctx.Err() != nil && err != nil {
		return cause(ctx)
	}
	return err
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
	news          chan news         // closed when run is over
	returned      atomic.Bool       // Invite has returned

	ctx context.Context // of early media; ended by settle
	end context.CancelFunc

	mu      sync.Mutex
	settled bool // answered, or given up
	givenUp bool
}

// news is a provisional response that the program is not told of yet.
type news struct {
	resp  *sip.Response
	early string // the description in it, if the streams are to be told
}

// maxNews bounds the provisional responses that wait for OnProvisional.
const maxNews = 16

func newOutgoing(ctx context.Context, call *Call, target string, onProvisional func(*sip.Response)) *outgoing {
	o := &outgoing{call: call, target: target, onProvisional: onProvisional, news: make(chan news, maxNews)}
	o.ctx, o.end = context.WithCancel(ctx)
	return o
}

// settle decides once whether the call was answered or given up, and reports
// whether it is as the caller says.
func (o *outgoing) settle(giveUp bool) bool {
	o.end()
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
	a.discover(ctx)
	contact, err := a.l.ContactFor(ctx, a.aor.User, req)
	if err != nil {
		return err
	}
	if a.hasOutbound() {
		// The peer's requests in this call are to come by the flow that it is
		// placed on, as its first one could (RFC 5626 section 4.3).
		contact.URI = contact.URI.WithParam("ob", "")
	}
	req = req.With(contact)
	if err := c.m.reachedAt(ctx, contact.URI); err != nil {
		return err
	}
	if len(c.m.all) > 0 {
		offer, err := c.m.offer(ctx)
		if err != nil {
			return err
		}
		req = req.With(sip.Body{Type: sdpType, Content: offer})
	}
	s, resp, err := a.l.Invite(ctx, req, o.provisional)
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
	up := false
	defer func() {
		if !up { // be it by a panic in a stream
			leave(s)
		}
	}()
	// It is known before the peer, who waits for the ACK, can change it.
	err = a.add(c)
	if answerErr := o.answered(resp); err == nil {
		err = answerErr
	}
	if errors.Is(err, dialog.ErrEnded) {
		err = ErrHungUp // in this moment
	}
	up = err == nil
	return err
}

// maxEarly bounds the forks whose early media is remembered.
const maxEarly = 16

// provisional takes a provisional response. It does not wait: the responses
// behind it, and the CANCEL, are not to be held up by the program.
func (o *outgoing) provisional(resp *sip.Response) {
	n := news{resp: resp}
	body, ok := description(resp)
	tag := resp.To().Tag()
	if last, known := o.early[tag]; ok && len(o.call.m.all) > 0 && last != body && (known || len(o.early) < maxEarly) {
		if o.early == nil {
			o.early = map[string]string{}
		}
		o.early[tag], n.early = body, body
	}
	select {
	case o.news <- n:
	default: // OnProvisional takes its time
	}
}

// tell tells the streams and the program of provisional responses.
func (o *outgoing) tell() error {
	for n := range o.news {
		if n.early != "" && o.ctx.Err() == nil {
			if err := o.call.m.preview(o.ctx, n.resp.To().Tag(), n.early); err != nil {
				o.call.a.log.Debug("early media not understood", "error", err, "call-id", n.resp.CallID())
			}
		}
		if o.onProvisional != nil && !o.returned.Load() {
			o.onProvisional(n.resp)
		}
	}
	return nil
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
