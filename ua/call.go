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
)

// InviteOptions are the options of Invite; nil places a call without streams,
// whose INVITE has no offer and which refuses the callee's.
type InviteOptions struct {
	// Streams are what the call is to carry, in the order of their m=
	// sections. They are closed with the call, also if it does not come about.
	Streams []Stream
	// OnProvisional is called for each provisional response but 100, such as
	// 180 when the phone rings. nil: nobody is told.
	OnProvisional func(*sip.Response)
}

// Call is a call that was answered.
type Call struct {
	a       *Agent
	s       *dialog.Session
	m       *media
	streams []Stream
	caller  bool // we placed it

	changing sync.Mutex // one Hold or Resume at a time
	once     sync.Once
	done     chan struct{}
	err      error // set before done is closed
}

// Invite places a call and returns when it is answered. A refusal is a
// *StatusError. When ctx ends before that the call is cancelled, and the error
// is that of ctx. Once it is answered ctx has no effect on it.
func (a *Agent) Invite(ctx context.Context, target string, opts *InviteOptions) (*Call, error) {
	if opts == nil {
		opts = &InviteOptions{}
	}
	call := &Call{a: a, m: newMedia(), streams: opts.Streams, caller: true, done: make(chan struct{})}
	ctx, stop := a.whileOpen(ctx)
	defer stop()
	if err := call.invite(ctx, target, opts); err != nil {
		call.m.close(call.streams)
		return nil, fmt.Errorf("invite %s: %w", target, err)
	}
	return call, nil
}

func (c *Call) invite(ctx context.Context, target string, opts *InviteOptions) error {
	a := c.a
	req, err := a.newRequest(sip.INVITE, target, a.allow())
	if err != nil {
		return err
	}
	contact, err := a.l.ContactFor(ctx, a.aor.User, req)
	if err != nil {
		return err
	}
	req = req.With(contact)
	c.m.reachedAt(contact.URI.Host, c.streams)
	if len(c.streams) > 0 {
		offer, err := c.m.offer(ctx, c.streams)
		if err != nil {
			return err
		}
		req = req.With(sip.Body{Type: "application/sdp", Content: offer})
	}
	early := map[string]string{} // descriptions in provisional responses, by To tag
	s, resp, err := a.l.Invite(ctx, req, func(resp *sip.Response) {
		if body, ok := description(resp); ok && len(early) < maxEarly {
			early[resp.To().Tag()] = body
			if err := c.m.preview(ctx, body); err != nil {
				a.log.Warn("early media not understood", "error", err, "call-id", resp.CallID())
			}
		}
		if opts.OnProvisional != nil {
			opts.OnProvisional(resp)
		}
	})
	if err := a.result(resp, err); err != nil {
		return err
	}
	c.s = s
	// From here on the call is up, and ended with BYE whatever is wrong.
	body, ok := description(resp)
	if !ok {
		body = early[resp.To().Tag()]
	}
	background := context.WithoutCancel(ctx)
	var ack []sip.Edit
	if len(c.streams) > 0 {
		err = c.m.answered(background, body)
	} else if body != "" {
		// An offer that nothing of ours fits is answered with refusals.
		var answer string
		if answer, err = c.m.refuse(body); err == nil {
			ack = append(ack, sip.Body{Type: "application/sdp", Content: answer})
		}
	}
	if ackErr := s.Ack(background, ack...); err == nil {
		err = ackErr
	}
	if err == nil {
		err = a.add(c)
	}
	if err != nil {
		s.Bye(background)
		return err
	}
	return nil
}

// maxEarly bounds the forks whose early media is remembered.
const maxEarly = 16

// description returns the session description in a message.
func description(m sip.Message) (string, bool) {
	contentType, err := sip.Get[sip.ContentType](m)
	return m.Body(), err == nil && contentType.Is("application/sdp") && m.Body() != ""
}

// add makes a call known and watches for its end.
func (a *Agent) add(c *Call) error {
	a.mu.Lock()
	if a.closed {
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

// callEnded is called when a dialog is over.
func (a *Agent) callEnded(s *dialog.Session) {
	a.mu.Lock()
	c := a.calls[s]
	a.mu.Unlock()
	if c != nil {
		c.ended()
	}
}

// ended closes the streams and says that the call is over.
func (c *Call) ended() {
	c.once.Do(func() {
		c.a.drop(c)
		c.m.close(c.streams)
		switch err := c.s.Err(); {
		case errors.Is(err, dialog.ErrBye):
			c.err = ErrHungUp
		case !errors.Is(err, dialog.ErrEnded):
			c.err = err
		}
		close(c.done)
	})
}

// Done is closed when the call is over and its streams are closed.
func (c *Call) Done() <-chan struct{} { return c.done }

// Err returns why the call is over, once Done is closed: nil if Hangup ended
// it, ErrHungUp if the peer did.
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

// Hangup ends the call. It is over when Hangup returns, whether or not the
// peer has answered; an error says that the peer may not have heard of it. It
// does nothing for a call that is over.
func (c *Call) Hangup(ctx context.Context) error {
	err := c.s.Bye(ctx)
	<-c.done
	if err != nil {
		return fmt.Errorf("hang up %s: %w", name(c.s.Remote().URI), err)
	}
	return nil
}

// Hold asks the peer to wait: what we send is a hold tone at most, and what the
// peer sends is not wanted (RFC 3264 section 8.4). A refusal is a *StatusError
// and leaves the call as it was.
func (c *Call) Hold(ctx context.Context) error {
	return c.change(ctx, "hold", sdp.SendOnly)
}

// Resume takes back a Hold.
func (c *Call) Resume(ctx context.Context) error {
	return c.change(ctx, "resume", sdp.SendRecv)
}

// maxGlare is how often a change is tried again that met one of the peer's.
const maxGlare = 5

func (c *Call) change(ctx context.Context, what string, to sdp.Direction) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	before := c.m.hold(to)
	err := c.reinvite(ctx)
	for try := 0; try < maxGlare && (errors.Is(err, sip.StatusRequestPending) || errors.Is(err, dialog.ErrPending)); try++ {
		// RFC 3261 section 14.1: both wait, and not for the same time.
		select {
		case <-time.After(dialog.RetryDelay(c.caller)):
			err = c.reinvite(ctx)
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.done:
			err = dialog.ErrEnded
		}
	}
	if err != nil {
		c.m.hold(before)
		return fmt.Errorf("%s %s: %w", what, name(c.s.Remote().URI), err)
	}
	return nil
}

// reinvite offers the session again.
func (c *Call) reinvite(ctx context.Context) error {
	offer, err := c.m.reoffer()
	if err != nil {
		return err
	}
	resp, err := c.s.Invite(ctx, c.a.allow(), sip.Body{Type: "application/sdp", Content: offer})
	if err = c.a.result(resp, err); err != nil {
		c.m.rollback()
		return err
	}
	background := context.WithoutCancel(ctx)
	err = c.m.answered(background, resp.Body())
	if ackErr := c.s.Ack(background); err == nil {
		err = ackErr
	}
	return err
}
