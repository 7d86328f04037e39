package transaction

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
)

// client is a client transaction on one target.
type client struct {
	l        *Layer
	method   sip.Method
	key      clientKey
	original *sip.Request // as it was given to Responses
	out      *sip.Request // as it goes over the wire
	flow     transport.Flow
	wake     chan struct{} // tells the one that waits of news; nil for a CANCEL

	mu        sync.Mutex
	machine   machine // one of the two below
	invite    inviteClient
	nonInvite nonInviteClient
	timer     *time.Timer
	ack       *sip.Request // to the refusal, the same bytes each time
	news      []*sip.Response
	err       error
	over      bool // the one that waits has got all that it will get
	cause     error
}

// maxNews bounds the provisional responses that wait to be read.
const maxNews = 64

// Responses sends a request and yields the responses to it: any number of
// provisional ones, but no 100, and the final one, with which it ends. An error
// ends it, too: ErrTimeout, ErrTransport with what the network said, what the
// resolver said, or that of ctx.
//
// The request goes to its topmost Route, or else to its Request-URI. If a
// target cannot be reached, does not answer or answers 503, the next one is
// tried (RFC 3263 section 4.3). Each try gets a Via of its own.
//
// When ctx ends, or the loop is left early, an INVITE is cancelled: as soon as
// a provisional response allows for it, a CANCEL goes out, and the loop goes on
// to the final response, which may yet be a 2xx. Another request is abandoned.
//
// A 2xx to an INVITE is not acknowledged here: that is up to the caller, also
// for those that Config.Accepted is told of.
func (l *Layer) Responses(ctx context.Context, r *sip.Request) iter.Seq2[*sip.Response, error] {
	return func(yield func(*sip.Response, error) bool) {
		defer releaseFrom(ctx)
		if !l.begin() {
			yield(nil, fmt.Errorf("send %s: %w", r.Method(), transport.ErrClosed))
			return
		}
		defer l.finish()
		targets, err := l.targets(ctx, r)
		if err == nil {
			err = ctx.Err() // what was given up before it began is not sent
		}
		if err != nil {
			yield(nil, fmt.Errorf("send %s: %w", r.Method(), err))
			return
		}
		for i, target := range targets {
			last := i == len(targets)-1
			c, err := l.start(ctx, r, target)
			if err != nil {
				if !last && ctx.Err() == nil {
					continue
				}
				yield(nil, fmt.Errorf("send %s to %s: %w", r.Method(), target, err))
				return
			}
			releaseFrom(ctx)
			if more := c.wait(ctx, last, yield); !more {
				return
			}
		}
	}
}

// Do sends a request and returns the final response, as Responses does.
func (l *Layer) Do(ctx context.Context, r *sip.Request) (*sip.Response, error) {
	for resp, err := range l.Responses(ctx, r) {
		if err != nil || resp.Status().Final() {
			return resp, err
		}
	}
	return nil, ErrTimeout // not reached: the loop ends with a final response or an error
}

// Send sends a request without a transaction: the ACK of a 2xx, or what a
// stateless proxy forwards. It returns the request as it went out and the flow
// it took; Endpoint.Send sends it there again.
func (l *Layer) Send(ctx context.Context, r *sip.Request) (transport.Flow, *sip.Request, error) {
	defer releaseFrom(ctx)
	targets, err := l.targets(ctx, r)
	if err != nil {
		return transport.Flow{}, nil, fmt.Errorf("send %s: %w", r.Method(), err)
	}
	branch := newBranch()
	for _, target := range targets {
		var flow transport.Flow
		var out *sip.Request
		if flow, out, err = l.ep.SendRequest(ctx, r, target, branch); err == nil {
			return flow, out, nil
		}
	}
	return transport.Flow{}, nil, err
}

// targets finds out where a request goes (RFC 3261 section 8.1.2). A strict
// router stands in the Request-URI already.
func (l *Layer) targets(ctx context.Context, r *sip.Request) ([]resolve.Target, error) {
	if err := r.Err(); err != nil {
		return nil, err
	}
	uri := r.URI()
	route, err := sip.Get[sip.Route](r)
	switch {
	case err == nil && route.URI.Params.Has("lr"):
		uri = route.URI
	case err != nil && !errors.Is(err, sip.ErrMissing):
		return nil, err
	}
	return resolve.Targets(ctx, l.cfg.Resolver, uri)
}

func (l *Layer) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.calls++
	}
	return !l.closed
}

func (l *Layer) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls--
	l.checkIdle()
}

func newBranch() string { return cookie + rand.Text() }

// start sends a request to one target.
func (l *Layer) start(ctx context.Context, r *sip.Request, to resolve.Target) (*client, error) {
	branch := newBranch()
	flow, out, err := l.ep.Prepare(ctx, r, to, branch)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTransport, err)
	}
	c := l.newClient(r, out, flow, branch)
	c.wake = make(chan struct{}, 1)
	if !l.add(c) {
		return nil, transport.ErrClosed
	}
	c.step(input{event: inStart}, nil)
	return c, nil
}

func (l *Layer) newClient(original, out *sip.Request, flow transport.Flow, branch string) *client {
	c := &client{l: l, method: out.Method(), original: original, out: out, flow: flow}
	c.key = clientKey{branch, c.method == sip.CANCEL}
	if c.method == sip.INVITE {
		c.invite = newInviteClient(&l.timers, flow.Reliable())
		c.machine = &c.invite
	} else {
		c.nonInvite = newNonInviteClient(&l.timers, flow.Reliable())
		c.machine = &c.nonInvite
	}
	return c
}

// add puts a client into the tables, so that a response finds it.
func (l *Layer) add(c *client) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.clients[c.key] = c
	if c.flow.Reliable() {
		on := l.byFlow[c.flow]
		if on == nil {
			on = map[*client]struct{}{}
			l.byFlow[c.flow] = on
		}
		on[c] = struct{}{}
	}
	return true
}

// forget takes a terminated client out of the tables.
func (l *Layer) forget(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.clients, c.key)
	if on := l.byFlow[c.flow]; on != nil {
		delete(on, c)
		if len(on) == 0 {
			delete(l.byFlow, c.flow)
		}
	}
}

// step runs the machine and does what it says. resp is the response that came
// with inResponse.
func (c *client) step(in input, resp *sip.Response) {
	c.mu.Lock()
	out := c.machine.step(time.Now(), in)
	var err error
	switch out.send {
	case sendRequest:
		err = c.l.ep.Send(c.flow, c.out)
	case sendACK:
		if c.ack == nil {
			c.ack = ackTo(c.out, resp)
		}
		err = c.l.ep.Send(c.flow, c.ack)
	case sendCancel:
		c.l.cancel(c)
	}
	if err != nil {
		c.cause = err
		after := c.machine.step(time.Now(), input{event: inTransportError})
		out.next, out.terminated = after.next, out.terminated || after.terminated
		if out.err == nil {
			out.err = after.err
		}
	}
	further := false // a 2xx after the one that ended the wait
	if out.deliver && resp != nil {
		switch {
		case c.over:
			further = c.method == sip.INVITE && resp.Status().Success()
		case resp.Status() == sip.StatusTrying:
		case resp.Status().Final() || len(c.news) < maxNews:
			c.news = append(c.news, resp)
			c.over = resp.Status().Final()
		}
	}
	if out.err != nil && !c.over {
		c.over = true
		c.err = out.err
		if c.cause != nil && errors.Is(out.err, ErrTransport) {
			c.err = fmt.Errorf("%w: %w", out.err, c.cause)
		}
	}
	c.setTimer(out.next, out.terminated)
	c.mu.Unlock()

	if out.terminated {
		c.l.forget(c)
	}
	if further && c.l.cfg.Accepted != nil {
		c.l.cfg.Accepted(c.original, resp)
	}
	select {
	case c.wake <- struct{}{}:
	default: // it has been told already, or nobody waits
	}
}

func (c *client) setTimer(next time.Time, terminated bool) {
	switch {
	case terminated || next.IsZero():
		if c.timer != nil {
			c.timer.Stop()
		}
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(next), func() { c.step(input{event: inTimer}, nil) })
	default:
		c.timer.Reset(time.Until(next))
	}
}

func (c *client) response(resp *sip.Response) {
	c.step(input{event: inResponse, status: int(resp.Status())}, resp)
}

// failed tells the transaction that its connection is gone.
func (c *client) failed(cause error) {
	c.mu.Lock()
	c.cause = cause
	c.mu.Unlock()
	c.step(input{event: inTransportError}, nil)
}

// abandon ends the transaction at once, for the given reason.
func (c *client) abandon(reason error) {
	c.mu.Lock()
	if !c.over {
		c.over, c.err = true, reason
	}
	c.mu.Unlock()
	c.step(input{event: inAbandon}, nil)
}

// wait yields what comes, and reports whether the next target is to be tried.
func (c *client) wait(ctx context.Context, last bool, yield func(*sip.Response, error) bool) (next bool) {
	yielded := false
	done := ctx.Done()
	for {
		c.mu.Lock()
		news, err, over := c.news, c.err, c.over
		c.news = nil
		c.mu.Unlock()
		for i, resp := range news {
			if resp.Status() == sip.StatusServiceUnavailable && !last && !yielded && ctx.Err() == nil {
				return true
			}
			yielded = true
			if !yield(resp, nil) {
				c.leave(news[i+1:])
				return false
			}
		}
		switch {
		case err != nil:
			if !last && !yielded && ctx.Err() == nil {
				return true
			}
			if ctx.Err() != nil {
				err = fmt.Errorf("%w: %w", ctx.Err(), err)
			}
			yield(nil, fmt.Errorf("%s to %s: %w", c.method, c.flow.RemoteAddr(), err))
			return false
		case over:
			return false
		}
		select {
		case <-c.wake:
		case <-done:
			if c.method != sip.INVITE {
				c.abandon(context.Cause(ctx))
				continue
			}
			done = nil
			c.step(input{event: inCancel}, nil)
		}
	}
}

// leave is called when the loop is left, with what it did not get to see. An
// INVITE lives on to be cancelled and acknowledged; anything else that has no
// final response is dropped.
func (c *client) leave(unseen []*sip.Response) {
	c.mu.Lock()
	over := c.over
	c.over = true
	unseen = append(unseen, c.news...)
	c.mu.Unlock()
	for _, resp := range unseen {
		// Nobody waits any more, but a 2xx wants its ACK all the same.
		if c.method == sip.INVITE && resp.Status().Success() && c.l.cfg.Accepted != nil {
			c.l.cfg.Accepted(c.original, resp)
		}
	}
	switch {
	case over:
	case c.method == sip.INVITE:
		c.step(input{event: inCancel}, nil)
	default:
		c.step(input{event: inAbandon}, nil)
	}
}

// cancel sends the CANCEL of an INVITE, as a transaction of its own that nobody
// waits for (RFC 3261 section 9.1). It is called with the INVITE's lock held.
func (l *Layer) cancel(invite *client) {
	c := l.newClient(nil, cancelOf(invite.out), invite.flow, invite.key.branch)
	c.over = true
	if l.add(c) {
		c.step(input{event: inStart}, nil)
	}
}
