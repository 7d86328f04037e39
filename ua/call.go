package ua

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// Call is a call that was answered. Its methods may be called from any
// goroutine.
type Call struct {
	a      *Agent
	s      *dialog.Session
	m      *media
	caller bool // we placed it

	changing chan struct{} // full: a Hold or Resume is under way
	once     sync.Once
	done     chan struct{}
	err      error // set before done is closed
}

func (a *Agent) newCall(s *dialog.Session, streams []Stream) *Call {
	c := &Call{a: a, s: s, changing: make(chan struct{}, 1), done: make(chan struct{})}
	c.m = newMedia(streams, func() bool { return c.s != nil && c.s.Err() != nil }, a.panicked)
	return c
}

// add makes a call known and watches for its end.
func (a *Agent) add(c *Call) error {
	a.mu.Lock()
	if a.closed != nil {
		a.mu.Unlock()
		return ErrClosed
	}
	a.calls[c.s] = c
	a.mu.Unlock()
	select {
	case <-c.s.Done(): // before anybody knew whose call it was
		c.ended()
	default:
	}
	return nil
}

func (a *Agent) call(s *dialog.Session) *Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[s]
}

// callEnded is called when a dialog is over.
func (a *Agent) callEnded(s *dialog.Session) {
	if c := a.call(s); c != nil {
		c.ended()
	}
}

// ended has the streams closed, and then says that the call is over. It does
// not wait.
func (c *Call) ended() {
	c.once.Do(func() {
		go func() { // ends when the streams are closed
			c.m.close()
			if c.s != nil {
				c.err = c.why()
				c.a.mu.Lock()
				if c.a.calls[c.s] == c {
					delete(c.a.calls, c.s)
				}
				c.a.mu.Unlock()
			}
			close(c.done)
		}()
	})
}

// why says what ended the call.
func (c *Call) why() error {
	switch err := c.s.Err(); {
	case errors.Is(err, dialog.ErrEnded):
		return nil
	case errors.Is(err, dialog.ErrBye), errors.Is(err, dialog.ErrLost):
		return ErrHungUp
	case errors.Is(err, transport.ErrClosed):
		return ErrClosed
	default:
		return err
	}
}

// Done is closed when the call is over and its streams are closed.
func (c *Call) Done() <-chan struct{} { return c.done }

// Err returns why the call is over, once Done is closed: nil if Hangup or the
// closing of the agent ended it, ErrHungUp if the peer did, or does not know of
// it any more.
func (c *Call) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Remote returns the address of the peer.
func (c *Call) Remote() sip.Address { return c.s.Remote() }

// Hangup ends the call. It returns when the streams are closed and the peer has
// confirmed; an error says that the peer may not have heard of it. When ctx
// ends it returns at once, and the rest is done in the background. Later calls
// wait for the same. For a call that the peer has ended it only waits for the
// streams.
func (c *Call) Hangup(ctx context.Context) error {
	err := c.s.Bye(ctx)
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	if err != nil {
		return fmt.Errorf("hang up %s: %w", name(c.s.Remote().URI), err)
	}
	return nil
}

// leave ends a call that did not come about. It does not wait: the BYE goes out
// in the background.
func leave(s *dialog.Session) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Bye(ctx)
}

// Hold asks the peer to wait: what we send is a hold tone at most, and what the
// peer sends is not wanted (RFC 3264 section 8.4). It concerns the streams that
// are RTP. A refusal is a *StatusError and leaves the call as it was. An error of
// a stream that comes when the peer has agreed does not: the call is on hold then,
// and the error says so.
//
// When ctx ends before the peer has answered, Hold returns with its error, and the
// INVITE is cancelled in the background. Should the peer agree all the same, the
// call is on hold; Resume takes that back, too.
func (c *Call) Hold(ctx context.Context) error {
	return c.change(ctx, "hold", sdp.SendOnly)
}

// Resume takes back a Hold.
func (c *Call) Resume(ctx context.Context) error {
	return c.change(ctx, "resume", sdp.SendRecv)
}

// glareTime is how long a change is tried again that met one of the peer's. By
// then what was in the way has timed out.
const glareTime = 40 * time.Second

func (c *Call) change(ctx context.Context, what string, to sdp.Direction) error {
	err := c.changeAlone(ctx, to)
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, name(c.s.Remote().URI), err)
	}
	return nil
}

// changeAlone waits for the change before to be over, and makes this one.
func (c *Call) changeAlone(ctx context.Context, to sdp.Direction) error {
	select {
	case c.changing <- struct{}{}:
	case <-c.m.ctx.Done():
		return dialog.ErrEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	t, err := c.a.begin(func() error { // ends with the transaction of the INVITE, or of its CANCEL
		defer func() { <-c.changing }()
		return c.changeTo(ctx, to)
	})
	if err != nil {
		<-c.changing
		return err
	}
	ended := c.m.ctx.Done()
	for {
		select {
		case <-t.done:
			return t.result()
		case <-ended:
			if errors.Is(c.s.Err(), dialog.ErrLost) {
				ended = nil // by the answer to this very INVITE, which says more
				continue
			}
			t.leave()
			return dialog.ErrEnded
		case <-ctx.Done():
			t.leave()
			return context.Cause(ctx)
		}
	}
}

func (c *Call) changeTo(ctx context.Context, to sdp.Direction) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.m.ctx, func() { cancel(dialog.ErrEnded) })()
	before, err := c.m.hold(ctx, to)
	if err != nil {
		return err
	}
	made := false
	defer func() {
		if !made { // be it by a panic in a stream
			c.m.hold(c.m.ctx, before)
		}
	}()
	err = c.reinvite(ctx)
	for end := time.Now().Add(glareTime); time.Now().Before(end); {
		wait, again := c.retryIn(err)
		if !again {
			break
		}
		select {
		case <-time.After(wait):
			err = c.reinvite(ctx)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	// What the peer has agreed to stands, whatever our streams make of it.
	var agreed *agreedError
	made = err == nil || errors.As(err, &agreed)
	return err
}

// retryIn reports whether a change met one of the peer's, at either side, and
// how long to wait before it is tried again.
func (c *Call) retryIn(err error) (time.Duration, bool) {
	var refused *StatusError
	switch {
	case errors.Is(err, sip.StatusRequestPending), errors.Is(err, dialog.ErrPending), errors.Is(err, sdp.ErrOfferSent):
		// RFC 3261 section 14.1: both wait, and not for the same time.
		return dialog.RetryDelay(c.caller), true
	case errors.As(err, &refused) && refused.Status == sip.StatusServerInternalError:
		// Section 14.2: the peer is not done with the change before.
		after, err := sip.Get[sip.RetryAfter](refused.Response)
		return seconds(after.Seconds) + dialog.RetryDelay(c.caller), err == nil && after.Seconds <= maxRetryAfter
	}
	return 0, false
}

// maxRetryAfter is what RFC 3261 section 14.2 has a peer ask for at most, in
// seconds.
const maxRetryAfter = 10

// reinvite offers the session again.
func (c *Call) reinvite(ctx context.Context) error {
	offer, err := c.m.offer(ctx)
	if err != nil {
		return err
	}
	resp, err := c.s.Invite(ctx, c.a.allow(true), sip.Body{Type: sdpType, Content: offer})
	if err = c.a.result(resp, err); err != nil {
		c.m.rollback()
		if ctx.Err() != nil && (resp == nil || errors.Is(err, sip.StatusRequestTerminated)) {
			return context.Cause(ctx) // and not what came of the CANCEL
		}
		return err
	}
	answer, _ := description(resp)
	return c.m.answered(c.s.ID().RemoteTag, answer, func() error { return c.s.Ack(context.WithoutCancel(ctx)) })
}

// reinvited answers a change of the call by the peer.
func (c *Call) reinvited(ctx context.Context, in *dialog.Invitation) error {
	offer, offered := description(in.Request())
	var body string
	var err error
	undo := c.m.rollback
	if offered {
		body, undo, err = c.m.answer(ctx, offer)
	} else {
		body, err = c.m.offer(ctx)
	}
	if err != nil {
		reject(in, err)
		return err
	}
	ack, err := in.Accept(c.a.allow(true), sip.Body{Type: sdpType, Content: body})
	switch {
	case err != nil: // cancelled, say
		undo()
	case !offered:
		answer, _ := description(ack)
		err = c.m.answered(c.s.ID().RemoteTag, answer, func() error { return nil })
	}
	return err
}
