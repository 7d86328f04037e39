package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

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
	return c.hold(ctx, "hold", sdp.SendOnly)
}

// Resume takes back a Hold.
func (c *Call) Resume(ctx context.Context) error {
	return c.hold(ctx, "resume", sdp.SendRecv)
}

// Add offers the peer another stream. It gets the section of one that is not in use any
// more, which is closed when the peer accepts that, or a new one. The error is ErrNoStream if
// the peer does not take it. The stream is closed with the call, or when it was not added.
// When ctx ends Add returns as Hold does, and the stream may be added all the same; an error
// of its Update leaves it added, too, for the peer has agreed. A stream that the call has
// already is an error, and goes on.
func (c *Call) Add(ctx context.Context, s Stream) error {
	if s == nil {
		return fmt.Errorf("add a stream: %w", errNilStream)
	}
	h := hold(s)
	var taken atomic.Bool
	err := c.change(ctx, "add a stream", func(m *media) (func(), error) {
		if taken.Swap(true) {
			return nil, context.Canceled // Add has returned
		}
		if holds(m.all, s) {
			return nil, errSame
		}
		added := false
		defer func() {
			if !added { // by a panic of the stream
				m.release(h)
			}
		}()
		if m.address.IsValid() {
			h.useAddress(m.address)
		}
		m.all, m.adding, added = append(m.all, h), append(m.adding, h), true
		return func() {
			m.adding = nil
			m.remove(h)
		}, nil
	}, func(m *media) error {
		if i := slices.Index(m.streams, h); i >= 0 && m.engine.Agreed()[i].Active() {
			return nil
		}
		m.remove(h)
		return ErrNoStream
	})
	if !taken.Swap(true) { // the call is over, or ctx
		closeStream(s, c.a.panicked)
	}
	return err
}

// Remove ends a stream of the call, which is closed then. The call goes on without it.
func (c *Call) Remove(ctx context.Context, s Stream) error {
	var h *holder
	return c.change(ctx, "remove a stream", func(m *media) (func(), error) {
		i := slices.IndexFunc(m.streams, func(h *holder) bool { return h != nil && same(h.Stream, s) })
		if i < 0 {
			return nil, ErrNoStream
		}
		h = m.streams[i]
		m.ending = h
		return func() { m.ending = nil }, nil
	}, func(m *media) error {
		m.remove(h)
		return nil
	})
}

// Renegotiate offers the streams again, as they describe themselves now: when one has
// another address, say.
func (c *Call) Renegotiate(ctx context.Context) error {
	nothing := func(*media) (func(), error) { return func() {}, nil }
	return c.change(ctx, "renegotiate with", nothing, func(*media) error { return nil })
}

// holds reports whether one of several holders is that of a stream.
func holds(all []*holder, s Stream) bool {
	return slices.ContainsFunc(all, func(h *holder) bool { return same(h.Stream, s) })
}

// remove forgets a stream and closes it, unless it was removed before. It is called with the turn.
func (m *media) remove(h *holder) {
	if !slices.Contains(m.all, h) {
		return
	}
	m.streams = slices.Clone(m.streams)
	if i := slices.Index(m.streams, h); i >= 0 {
		m.streams[i] = nil
	}
	m.all = slices.DeleteFunc(m.all, func(a *holder) bool { return a == h })
	m.release(h)
}

// hold changes the direction that we want.
func (c *Call) hold(ctx context.Context, what string, to sdp.Direction) error {
	return c.change(ctx, what, func(m *media) (func(), error) {
		before := m.wish
		m.want(to)
		return func() { m.want(before) }, nil
	}, func(*media) error { return nil })
}

// glareTime is how long a change is tried again that met one of the peer's. By
// then what was in the way has timed out.
const glareTime = 40 * time.Second

// change makes an offer, and another one if it meets one of the peer's. begin says
// what is to be offered, and returns what takes that back when it came to nothing;
// agreed is called when the peer has accepted it. Both have the turn of the media.
func (c *Call) change(ctx context.Context, what string, begin func(*media) (func(), error), agreed func(*media) error) error {
	err := c.whyNot(c.changeAlone(ctx, begin, agreed))
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, name(c.s.Remote().URI), err)
	}
	return nil
}

// changeAlone waits for the change before to be over, and makes this one.
func (c *Call) changeAlone(ctx context.Context, begin func(*media) (func(), error), agreed func(*media) error) error {
	waiting, stop := c.m.whileUp(ctx)
	done, err := c.a.changes.take(waiting, c)
	stop()
	if err != nil {
		return context.Cause(waiting)
	}
	t, err := c.a.begin(func() error { // ends with the transaction of the INVITE, or of its CANCEL
		defer done()
		return c.changeNow(ctx, begin, agreed)
	})
	if err != nil {
		done()
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

func (c *Call) changeNow(ctx context.Context, begin func(*media) (func(), error), agreed func(*media) error) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer c.m.ctx.AfterFunc(func() { cancel(dialog.ErrEnded) })()
	undo, err := c.beginChange(ctx, begin)
	if err != nil {
		return err
	}
	made := false
	defer func() {
		if _, done, takeErr := c.m.take(c.m.ctx); takeErr == nil {
			defer done()
			if made {
				undone := agreed(c.m)
				if err == nil {
					err = undone
				}
			}
			if !made { // be it by a panic in a stream
				undo()
			}
		}
	}()
	err = c.offer(ctx)
	for end := time.Now().Add(glareTime); time.Now().Before(end); {
		wait, again := c.retryIn(err)
		if !again {
			break
		}
		select {
		case <-time.After(wait):
			err = c.offer(ctx)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	// What the peer has agreed to stands, whatever our streams make of it.
	var later *agreedError
	made = err == nil || errors.As(err, &later)
	return err
}

// beginChange calls begin with the turn.
func (c *Call) beginChange(ctx context.Context, begin func(*media) (func(), error)) (undo func(), err error) {
	done, err := c.m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return begin(c.m)
}

// retryIn reports whether a change met one of the peer's, at either side, and
// how long to wait before it is tried again.
func (c *Call) retryIn(err error) (time.Duration, bool) {
	var refused *StatusError
	switch {
	case errors.Is(err, sip.StatusRequestPending), errors.Is(err, dialog.ErrPending), errors.Is(err, sdp.ErrOfferSent):
		// RFC 3261 section 14.1: both wait, and not for the same time.
		return c.s.RetryDelay(), true
	case errors.As(err, &refused) && refused.Status == sip.StatusServerInternalError:
		// Section 14.2: the peer is not done with the change before.
		after, err := sip.Get[sip.RetryAfter](refused.Response)
		return seconds(after.Seconds) + c.s.RetryDelay(), err == nil && after.Seconds <= maxRetryAfter
	}
	return 0, false
}

// maxRetryAfter is what RFC 3261 section 14.2 has a peer ask for at most, in
// seconds.
const maxRetryAfter = 10

// offer offers the session again, and once more to a peer that takes no parts beside the
// description (RFC 5547 section 8.8).
func (c *Call) offer(ctx context.Context) error {
	err := c.offerOnce(ctx)
	if errors.Is(err, sip.StatusUnsupportedMediaType) && c.m.detach() {
		err = c.offerOnce(ctx)
	}
	return err
}

// offerOnce offers with an INVITE, or while the call is not answered with an UPDATE (RFC
// 3311 section 5.1).
func (c *Call) offerOnce(ctx context.Context) error {
	if !c.answered.Load() && !c.m.isAgreed() {
		return dialog.ErrPending // the INVITE has an offer to come, or its answer
	}
	offer, err := c.m.offer(ctx)
	if err != nil {
		return err
	}
	body, err := c.m.wrap(sip.Body{Type: sdpType, Content: offer}, nil)
	if err != nil {
		c.m.rollback()
		return err
	}
	if !c.answered.Load() {
		if err := c.afterPRACK(ctx); err != nil {
			c.m.rollback()
			return err
		}
		resp, err := c.s.Do(ctx, sip.UPDATE, c.a.capabilities(body)...)
		if err = c.a.result(resp, err); err != nil {
			c.m.rollback()
			return err
		}
		answer, _ := description(resp)
		return c.m.answered(c.m.ctx, answer, false, func() error { return nil })
	}
	executed := false
	resp, err := c.s.Invite(ctx, func(resp *sip.Response) {
		executed = c.provisional(resp) || executed
	}, c.a.recvInfo(c.a.capabilities(c.a.supported(), body)...)...)
	if err = c.a.result(resp, err); err != nil {
		c.m.rollback()
		if executed {
			c.synchronize()
		}
		if ctx.Err() != nil && (resp == nil || errors.Is(err, sip.StatusRequestTerminated)) {
			return context.Cause(ctx) // and not what came of the CANCEL
		}
		return err
	}
	c.learn(resp)
	acknowledge := func() error { return c.s.Ack(context.WithoutCancel(ctx)) }
	answer, ok := description(resp)
	if executed && !ok {
		return acknowledge()
	}
	return c.m.answered(c.m.ctx, answer, true, acknowledge)
}

// provisional takes a provisional response to a later INVITE of ours, and reports
// whether it has changed the session.
func (c *Call) provisional(resp *sip.Response) bool {
	if !isReliable(resp) {
		return false
	}
	c.prack()
	answer, ok := description(resp)
	return ok && c.m.answered(c.m.ctx, answer, true, func() error { return nil }) == nil
}

// synchronize offers what was agreed last, after a refusal of what was agreed in the
// course of the same INVITE (RFC 6141 section 3.4).
func (c *Call) synchronize() {
	c.a.background(c.refresh) // ends with the transaction, or glareTime
}

// reinvited answers a change of the call by the peer.
func (c *Call) reinvited(ctx context.Context, in *dialog.Invitation) error {
	offer, offered := description(in.Request())
	var body string
	var err error
	var end func(bool)
	if offered {
		body, end, err = c.m.answer(withMessage(ctx, in.Request()), offer, c.more)
	} else {
		body, err = c.m.offer(ctx)
	}
	if err != nil {
		reject(refusing(in), in.Contact(), err)
		return err
	}
	ack, err := in.Accept(slices.Concat(
		c.a.capabilities(c.a.supported(), sip.Body{Type: sdpType, Content: body}),
		c.a.recvInfoFor(in.Request(), historyOf(in.Request())...),
	)...)
	if err == nil {
		c.learn(in.Request())
	}
	switch {
	case offered:
		end(err == nil)
	case err != nil: // cancelled, say
		c.m.rollback()
	default:
		answer, _ := description(ack)
		err = c.m.answered(c.m.ctx, answer, true, func() error { return nil })
	}
	return err
}

// updated answers an UPDATE of the peer (RFC 3311 section 5.2).
func (c *Call) updated(tx *dialog.Server, req *sip.Request) error {
	offer, offered := description(req)
	edits := c.a.recvInfoFor(req, c.a.capabilities()...)
	if !offered {
		c.learn(req)
		return tx.Reply(sip.StatusOK, edits...)
	}
	answer, end, err := c.m.answer(withMessage(tx.Context(), req), offer, c.more)
	if err != nil {
		reject(tx, tx.Dialog().Contact(), err)
		return err
	}
	err = given(tx.Reply(sip.StatusOK, append(edits, sip.Body{Type: sdpType, Content: answer})...))
	if end(err == nil); err == nil {
		c.learn(req)
	}
	return err
}

// given returns the error of a response to other than an INVITE. What the network did not take
// counts as given: the peer asks again, and has it then.
func given(err error) error {
	if errors.Is(err, transaction.ErrTransport) && !errors.Is(err, transport.ErrClosed) {
		return nil
	}
	return err
}

// pracked answers a PRACK of the peer, which may have the answer to an offer of ours in
// the response, or another offer (RFC 3262 section 5).
func (c *Call) pracked(tx *dialog.Server, req *sip.Request) error {
	body, ok := description(req)
	accept := func() error {
		c.learn(req)
		return given(tx.Reply(sip.StatusOK, c.a.recvInfoFor(req)...))
	}
	switch {
	case !ok:
		return accept()
	case c.m.offering():
		err := c.m.answered(c.m.ctx, body, false, accept)
		if err != nil {
			leave(c.s) // the session cannot be set up
		}
		return err
	default:
		return c.updated(tx, req)
	}
}

// more asks the program for a stream for a section that the peer adds.
func (c *Call) more(ctx context.Context, remote *sdp.Media) Stream {
	if c.a.cfg.OnStream == nil {
		return nil
	}
	return c.a.cfg.OnStream(ctx, c, remote)
}

// refresh is called when the session timer wants an INVITE (RFC 4028 section 7.4): the
// same offer as before, if nothing has changed.
func (a *Agent) refresh(s *dialog.Session) {
	if c := callOf(s); c != nil {
		c.refresh()
	}
}

// refresh is Renegotiate where nobody waits for it.
func (c *Call) refresh() {
	defer c.a.fence()
	if err := c.Renegotiate(c.a.ctx); err != nil {
		c.a.log.Debug("call not refreshed", "error", err, "call-id", c.s.ID().CallID)
	}
}
