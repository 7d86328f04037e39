package transaction

import (
	"context"
	"errors"
	"fmt"
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
	original *sip.Request        // as it was given to Responses
	out      *sip.Request        // as it goes over the wire
	pursuit  *pursuit            // that it is for; nil for a CANCEL, and when nobody waits
	further  func(*sip.Response) // takes a further 2xx; nil: Config.Accepted does
	target   resolve.Target      // that this is for; zero: a flow
	reused   bool                // the connection was there before

	t    *table // where it is
	text int32  // what out takes, in bytes

	mu       sync.Mutex
	machine  machine
	alarm    alarm        // of the machine
	ack      *sip.Request // to the refusal, the same bytes each time
	news     []*sip.Response
	err      error
	flow     transport.Flow // the table's lock is held too when it changes
	unsent   bool           // the connection did not take the request
	resent   bool           // on a new connection, as it was
	moving   bool           // to that connection, which is being made
	answered bool           // anything has come, if only a 100
	over     bool           // the one that waits has got all that it will get
	ended    bool           // it has its final response, or is terminated
	left     bool           // an INVITE that nobody waits for, counted in Layer.calls until it has ended
	cause    error          // what the transport said last
	reasons  []sip.Reason   // why it is cancelled
	own      int32          // bytes that it is counted with
}

// maxNews bounds the provisional responses that wait to be read.
const maxNews = 64

// start sends a request to the next target of a way.
func (l *Layer) start(ctx context.Context, r *sip.Request, to *way, by *pursuit) (*client, error) {
	c, err := l.prepare(ctx, r, to, by, l.newBranch(ctx, to))
	if err != nil {
		return nil, err
	}
	flow, out := c.flow, c.out
	if !l.overload.allow(flow.RemoteAddr(), r) {
		return nil, ErrOverload
	}
	if err = l.add(c); errors.Is(err, errTaken) {
		// Another transaction has this branch of WithBranchSeed.
		if c, err = l.prepare(ctx, r, to, by, l.randomBranch(ctx)); err == nil {
			flow, out, err = c.flow, c.out, l.add(c)
		}
	}
	if err != nil {
		return nil, err
	}
	c.step(input{event: inStart}, nil)
	if sent, ok := ctx.Value(onSent{}).(func(transport.Flow, *sip.Request)); ok {
		returned := false
		defer func() {
			if !returned {
				c.leave(nil) // a panic in it
			}
		}()
		sent(flow, out)
		returned = true
	}
	return c, nil
}

// prepare makes the transaction with a branch on the next target of a way, which
// may take a connection. It is in no table yet.
func (l *Layer) prepare(ctx context.Context, r *sip.Request, to *way, by *pursuit, branch string) (*client, error) {
	began := time.Now()
	flow, out, err := to.prepare(ctx, l, forwarded(r), branch)
	switch {
	case by.isGivenUp(): // in the meantime: it is not sent
		return nil, by.whyGivenUp()
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrTransport, err)
	}
	c := newClient(l, r, out, flow, branch)
	c.pursuit, c.further, c.target = by, by.further, to.target()
	c.target.Transport = flow.Transport() // TCP for what was too long for UDP
	c.reused = flow.Reliable() && flow.Opened().Before(began)
	return c, nil
}

func newClient(l *Layer, original, out *sip.Request, flow transport.Flow, branch string) *client {
	c := &client{l: l, method: detached(out.Method()), original: original, out: out, flow: flow}
	c.alarm.of = c
	c.key = clientKey{branchID(branch), c.method == sip.CANCEL}
	c.t = l.table(c.key.branch)
	if c.method == sip.INVITE {
		m := newInviteClient(&l.timers, flow.Reliable())
		c.machine = &m
	} else {
		m := newNonInviteClient(&l.timers, flow.Reliable())
		c.machine = &m
	}
	return c
}

// errTaken says that there is a client transaction with that branch.
var errTaken = errors.New("transaction: branch in use")

// add puts a client into its table, so that a response finds it.
func (l *Layer) add(c *client) error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	switch {
	case l.closed.Load():
		return transport.ErrClosed
	case c.t.clients.m[c.key] != nil:
		return errTaken
	}
	c.hold()
	c.t.clients.set(c.key, c)
	c.joinFlow()
	return nil
}

// forget takes a terminated client out of its table.
func (c *client) forget() {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.t.clients.m[c.key] == c {
		c.t.clients.remove(c.key)
	}
	c.leaveFlow()
}

// ring steps the machine by time.
func (c *client) ring() {
	defer c.l.fence(c.key.branch)
	c.step(input{event: inTimer}, nil)
}

// step runs the machine and does what it says. resp is the response that came
// with inResponse. Whatever becomes of the send, and of the funcs of the program
// that are told, everybody else is told as well.
func (c *client) step(in input, resp *sip.Response) {
	var of outcome
	defer func() { c.tell(of, resp) }()
	c.mu.Lock()
	defer c.mu.Unlock()
	out, err := c.machine.step(time.Now(), in), errUnwound
	defer func() { of = c.note(out, resp, err) }()
	err = c.send(out.send, resp)
}

// errUnwound is what a send has failed with that did not return.
var errUnwound = errors.New("panic while sending")

// outcome is what a step has led to.
type outcome struct {
	terminated bool // the transaction is over
	further    bool // the response is a 2xx after the one that ended the wait
	ended      bool // an INVITE that nobody waits for is done with
	pursuit    *pursuit
}

// tell tells all whom it concerns. c.mu is not held.
func (c *client) tell(of outcome, resp *sip.Response) {
	if of.pursuit != nil {
		defer of.pursuit.poke()
	}
	if of.terminated {
		c.forget()
	}
	if of.ended {
		c.l.finish()
	}
	if of.further {
		c.l.accepted(c, resp)
	}
}

// accepted passes on a 2xx that the one who waits does not get.
func (l *Layer) accepted(c *client, resp *sip.Response) {
	switch {
	case c.further != nil:
		c.further(resp)
	case l.cfg.Accepted != nil:
		l.cfg.Accepted(c.original, resp)
	}
}

// send puts on the wire what the machine says. c.mu is held.
func (c *client) send(what sendKind, resp *sip.Response) (err error) {
	switch what {
	case sendRequest:
		err = c.l.ep.Send(c.flow, c.out)
		c.unsent = err != nil
		if c.key.cancel && errors.Is(err, transport.ErrNoFlow) && c.moves() {
			err = nil // it goes out on another connection
		}
	case sendACK:
		if c.ack == nil {
			c.ack = ackTo(c.out, resp)
		}
		err = c.l.ep.Send(c.flow, c.ack)
		if errors.Is(err, transport.ErrNoFlow) && c.target.Addr.IsValid() {
			err = nil
			go c.acknowledge(c.ack, c.target) // ends with the connection being there or not
		}
	case sendCancel:
		c.l.cancel(c)
	}
	return err
}

// note notes what a step has led to. err is what came of the send. c.mu is held.
func (c *client) note(out output, resp *sip.Response, err error) (of outcome) {
	if err != nil {
		c.cause = err
		after := c.machine.step(time.Now(), input{event: inTransportError})
		out.next, out.terminated = after.next, out.terminated || after.terminated
		if out.err == nil {
			out.err = after.err
		}
	}
	final := resp != nil && resp.Status().Final()
	c.answered = c.answered || resp != nil
	if out.deliver && resp != nil {
		switch status := resp.Status(); {
		case c.over:
			of.further = c.method == sip.INVITE && status.Success()
		case status == sip.StatusTrying:
		case final || len(c.news) < maxNews:
			c.news = append(c.news, resp)
			c.over = final
		}
	}
	if out.terminated && out.err == nil {
		out.err = ErrTransport // for whoever still waits
	}
	if out.err != nil && !c.over {
		c.over, c.err = true, out.err
		if c.cause != nil && errors.Is(out.err, ErrTransport) {
			c.err = fmt.Errorf("%w: %w", out.err, c.cause)
		}
	}
	if c.over && final {
		c.out = nil                 // nothing is sent any more but the ACK, which is there
		c.target = resolve.Target{} // it has text of the request
		if c.method != sip.INVITE {
			c.further = nil
		}
		if c.method != sip.INVITE || c.further != nil {
			c.original = nil
		}
	}
	c.recount(out.terminated)
	c.t.alarms.reset(&c.alarm, out.next)
	of.terminated, of.pursuit = out.terminated, c.pursuit
	c.ended = c.ended || final || of.terminated
	of.ended = c.left && c.ended
	c.left = c.left && !c.ended
	return of
}

// response takes a response from the network.
func (c *client) response(resp *sip.Response) {
	c.step(input{event: inResponse, status: int(resp.Status())}, resp)
}

// by returns the flow that the transaction is on.
func (c *client) by() transport.Flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flow
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

// hasTarget reports whether it is for a target, and not for a flow.
func (c *client) hasTarget() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.target.Addr.IsValid()
}

func (c *client) hasAnswered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered
}

// isStale reports whether the request was refused by a connection that was there
// before it: nobody can have it.
func (c *client) isStale() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reused && c.unsent && errors.Is(c.cause, transport.ErrNoFlow)
}

// retryAfter returns how long a server wants to be left alone: 0 if it does not
// say, and not ok if it does not want that at all.
func retryAfter(resp *sip.Response) (wait time.Duration, ok bool) {
	after, err := sip.Get[sip.RetryAfter](resp)
	if err != nil {
		return 0, true
	}
	return time.Duration(after.Seconds) * time.Second, after.Seconds > 0
}

// leave is called when nobody waits any more, with what was not told of. An
// INVITE lives on to be cancelled and acknowledged; anything else that has no
// final response is dropped.
func (c *client) leave(unseen []*sip.Response) {
	counted := c.method == sip.INVITE && c.l.begin()
	c.mu.Lock()
	over, ended := c.over, c.ended // of an INVITE that timer C has cancelled only the first
	c.over = true
	c.left = counted && !ended
	unseen = append(unseen, c.news...)
	c.news = nil
	if c.pursuit != nil {
		c.reasons = c.pursuit.reasons()
	}
	c.pursuit = nil
	if ended { // it has text of the request
		c.target = resolve.Target{}
	}
	c.mu.Unlock()
	if counted && ended {
		c.l.finish()
	}
	for _, resp := range unseen {
		// Nobody waits any more, but a 2xx wants its ACK all the same.
		if c.method == sip.INVITE && resp.Status().Success() {
			c.l.accepted(c, resp)
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
// waits for (RFC 3261 section 9.1). If the connection of the INVITE is gone, it goes
// to the same target by another. It is called with the INVITE's lock held.
func (l *Layer) cancel(invite *client) {
	c := newClient(l, nil, with(cancelOf(invite.out), invite.reasons), invite.flow, invite.out.Via().Branch())
	c.over, c.target, c.reused = true, invite.target, true
	if l.add(c) == nil {
		c.step(input{event: inStart}, nil)
	}
}

// ended returns why a context has ended: its Err, and its Cause if that says
// more.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
