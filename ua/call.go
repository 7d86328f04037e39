package ua

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// Call is a call that was answered, or one of our calls that rings at one place: each
// branch of a fork is a Call until one of them is answered, and then that alone. Its
// methods may be called from any goroutine. Those that send something say of a call that is
// over what Err does, or dialog.ErrEnded where that says nothing.
type Call struct {
	a *Agent
	s *dialog.Session
	m *media

	who        proved                        // that the caller is; zero for a call of ours
	packages   atomic.Pointer[[]string]      // that the peer takes INFO of; nil: it has not said
	tdialog    atomic.Bool                   // the peer knows Target-Dialog (RFC 4538)
	pracking   atomic.Pointer[chan struct{}] // closed when the last PRACK of ours is answered; nil: there was none
	answered   atomic.Bool
	referred   atomic.Bool              // a REFER of ours was sent within it, and not refused
	placing    atomic.Pointer[outgoing] // of ours, while it is not answered
	replacedBy atomic.Bool              // another call takes its place
	preview    string                   // of early media of the peer: the last description
	once       sync.Once
	done       latch
	err        error // set before done happens
}

// newCall makes the Call of a session. Its media is set before anybody else has it.
func (a *Agent) newCall(s *dialog.Session) *Call {
	return &Call{a: a, s: s, who: provedOf(&s.Dialog)}
}

func (c *Call) over() bool { return c.s.Err() != nil }

// add makes a call known and watches for its end.
func (a *Agent) add(c *Call) error {
	a.mu.Lock()
	if a.closed != nil {
		a.mu.Unlock()
		return ErrClosed
	}
	a.calls[c] = struct{}{}
	a.mu.Unlock()
	c.s.SetValue(c)
	select {
	case <-c.s.Done(): // before anybody knew whose call it was
		c.ended()
	default:
	}
	return nil
}

// callOf returns the call that a session is, nil if it is none of ours.
func callOf(s *dialog.Session) *Call {
	c, _ := s.Value().(*Call)
	return c
}

// callEnded is called when a call that was answered is over.
func (a *Agent) callEnded(s *dialog.Session) {
	if c := callOf(s); c != nil {
		c.ended()
	}
}

// ended has the streams closed, and then says that the call is over. It does
// not wait.
func (c *Call) ended() {
	c.once.Do(func() {
		c.a.ended.add(c.s.ID()) // before its dialog is forgotten
		go func() {             // ends when the streams are closed
			c.m.close()
			c.err = c.why()
			c.a.mu.Lock()
			delete(c.a.calls, c)
			c.a.mu.Unlock()
			c.done.happen()
		}()
	})
}

// why says what ended the call.
func (c *Call) why() error {
	if c.replacedBy.Load() {
		return ErrReplaced
	}
	switch err := c.s.Err(); {
	case errors.Is(err, dialog.ErrEnded):
		return nil
	case errors.Is(err, dialog.ErrBye):
		return hungUp(err)
	case errors.Is(err, dialog.ErrLost):
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	case errors.Is(err, transport.ErrClosed):
		return ErrClosed
	case err == nil: // a branch that was not answered
		return nil
	default:
		return err
	}
}

// whyNot returns err, or what ended the call where err says no more than that it is over.
func (c *Call) whyNot(err error) error {
	over := c.s.Err()
	if err == nil || over == nil || !errors.Is(err, dialog.ErrEnded) && !errors.Is(err, over) {
		return err
	}
	if why := c.why(); why != nil {
		return why
	}
	return err
}

// Done is closed when the call is over and its streams are closed.
func (c *Call) Done() <-chan struct{} { return c.done.Done() }

// Err returns why the call is over, once Done is closed: nil if Hangup or the
// closing of the agent ended it, or it was a branch and another one was answered;
// ErrHungUp if the peer did, and with it dialog.ErrLost if it does not know of the call
// any more or does not answer; dialog.ErrNotRefreshed if its session timer has run out
// (RFC 4028); ErrReplaced if another call has taken its place. What the peer gives as a
// reason (RFC 3326) is a sip.Reason in it, and the whole BYE in its
// *transaction.RequestError.
func (c *Call) Err() error {
	if c.done.has() {
		return c.err
	}
	return nil
}

// Remote returns the address of the peer.
func (c *Call) Remote() sip.Address { return c.s.Remote() }

// Dialog returns the dialog of the call, for what has no method here.
func (c *Call) Dialog() *dialog.Dialog { return &c.s.Dialog }

// Do sends a request of any method within the call but INVITE, ACK and BYE, such as
// one of an extension, and returns its 2xx. A refusal is a *StatusError. What is
// offered in a PRACK or UPDATE is not known to the streams.
func (c *Call) Do(ctx context.Context, method sip.Method, edits ...sip.Edit) (*sip.Response, error) {
	err := c.afterPRACK(ctx)
	var resp *sip.Response
	if err == nil {
		resp, err = c.s.Do(ctx, method, edits...)
	}
	if err := c.whyNot(c.a.result(resp, err)); err != nil {
		return nil, fmt.Errorf("%s %s: %w", strings.ToLower(string(method)), name(c.s.Remote().URI), err)
	}
	return resp, nil
}

// Hangup ends the call. It returns when the streams are closed and the peer has
// confirmed; an error says that the peer may not have heard of it, or not of the edits,
// without which the BYE goes out where they cannot be written. When ctx
// ends it returns at once, and the rest is done in the background; that of OnInvite ends
// by Hangup itself, which does not count. Later calls wait for the same. For a call that
// the peer has ended it only waits for the streams. Of a call that is not answered yet it
// ends this branch; Invite goes on while another one may answer, and no longer than 64*T1
// if there is none: its error is dialog.ErrEnded then.
//
// edits go into the BYE: a sip.Reason, say (RFC 3326).
func (c *Call) Hangup(ctx context.Context, edits ...sip.Edit) error {
	err := c.s.Bye(ctx, edits...)
	if !c.answered.Load() {
		c.ended()
		if o := c.placing.Load(); o != nil {
			o.left()
		}
	}
	select {
	case <-c.Done():
	case <-ctx.Done():
		if !c.answered.Load() && errors.Is(context.Cause(ctx), dialog.ErrEnded) { // that of OnInvite: Bye has ended it
			<-c.Done()
		}
	}
	if err != nil {
		return fmt.Errorf("hang up %s: %w", name(c.s.Remote().URI), err)
	}
	return nil
}

// leave ends a call that did not come about. It does not wait: the BYE goes out
// in the background.
func leave(s *dialog.Session, edits ...sip.Edit) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Bye(ctx, edits...)
}
