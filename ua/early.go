package ua

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// provisional is a provisional response to our INVITE.
type provisional struct {
	ctx  context.Context // ends when the INVITE is answered
	s    *dialog.Session // nil: of no dialog
	resp *sip.Response
	// It wants a PRACK. The dialog layer shows such a one once, and in order.
	reliable bool

	// For who has the branches.
	taken bool // its branch has taken it
	call  *Call
}

// news are provisional responses that somebody is not done with yet.
type news struct {
	ready chan struct{} // full: something has happened

	mu     sync.Mutex
	list   []*provisional
	closed bool
}

func newNews() *news { return &news{ready: make(chan struct{}, 1)} }

// maxNews bounds those that wait.
const maxNews = 16

// add takes one more. always says that it is not passed over, because something else
// bounds those that are like it.
func (n *news) add(p *provisional, always bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) >= maxNews && !always {
		return
	}
	n.list = append(n.list, p)
	n.signal()
}

func (n *news) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	n.signal()
}

func (n *news) signal() {
	select {
	case n.ready <- struct{}{}:
	default:
	}
}

// next waits for the next one, nil if there is no more to come. It stays first in the
// list until it is done.
func (n *news) next() *provisional {
	for {
		n.mu.Lock()
		if len(n.list) > 0 || n.closed {
			defer n.mu.Unlock()
			if len(n.list) == 0 {
				return nil
			}
			return n.list[0]
		}
		n.mu.Unlock()
		<-n.ready
	}
}

func (n *news) done() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = n.list[1:]
}

func (n *news) all() []*provisional {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

// isReliable reports whether a provisional response wants a PRACK (RFC 3262 section 4). To
// an INVITE that has not offered that, it may not (section 3) and is one like any other.
func isReliable(resp *sip.Response) bool {
	_, err := sip.Get[sip.RSeq](resp)
	return err == nil && requires(resp, sip.Option100rel)
}

// provisional takes a provisional response. It does not wait: the responses behind it,
// and the CANCEL, are not to be held up by the streams. One that no stream has to be told
// of is taken at once. The dialog layer bounds the branches, and the reliable ones of each
// that have no PRACK.
func (o *outgoing) provisional(p *provisional) {
	if !o.queued && o.isPlain(p) && o.takePlain(p) {
		return
	}
	o.queued = true
	o.came.add(p, p.reliable)
	o.takeOnce.Do(func() { go o.taking.run(o.take) }) // ends with run, or with the callback that is under way then
}

// takeRest says that no more is to come. If nothing has, take is over at once.
func (o *outgoing) takeRest() {
	o.came.close()
	o.takeOnce.Do(func() { o.taking.run(o.take) })
}

// isPlain reports whether a provisional response says no more than that it rings.
func (o *outgoing) isPlain(p *provisional) bool {
	return o.opts.OnProvisional == nil && p.resp.Body() == "" && !p.reliable &&
		p.resp.Status() != sip.StatusEarlyDialogTerminated
}

// takePlain has the branch of such a response take it, unless somebody has the branches
// or streams would have to fork.
func (o *outgoing) takePlain(p *provisional) bool {
	select {
	case o.handling <- struct{}{}:
		defer func() { <-o.handling }()
	default:
		return false
	}
	if p.s != nil && o.forked && o.branches[p.s] == nil {
		return false
	}
	o.handleLocked(p)
	return true
}

// take has the branches take the provisional responses, one after the other. The program
// does not hold it up: a PRACK waits for the streams alone.
func (o *outgoing) take() error {
	defer o.seen.close()
	for p := o.came.next(); p != nil; p = o.came.next() {
		o.handle(p)
		o.came.done()
	}
	return nil
}

// tell tells the program of them.
func (o *outgoing) tell() error {
	for p := o.seen.next(); p != nil; p = o.seen.next() {
		if !o.returned.Load() {
			o.opts.OnProvisional(p.call, p.resp)
		}
		o.seen.done()
	}
	return nil
}

// handle has the branch of a provisional response take it, once.
func (o *outgoing) handle(p *provisional) {
	o.handling <- struct{}{}
	defer func() { <-o.handling }()
	o.handleLocked(p)
}

// handleLocked is called by who has the branches.
func (o *outgoing) handleLocked(p *provisional) {
	if p.taken {
		return
	}
	p.taken = true
	if p.s != nil && !o.gone() {
		if err := o.handleBranch(p); err != nil {
			o.a.log.Debug("provisional response not understood", "error", err, "call-id", p.resp.CallID())
		}
	}
	if o.opts.OnProvisional != nil {
		o.seen.add(p, false)
	}
}

// handleBranch is called by who has the branches.
func (o *outgoing) handleBranch(p *provisional) error {
	c, err := o.branch(p.s)
	if err != nil {
		return err
	}
	p.call = c
	if !c.over() {
		err = o.describe(c, p)
	}
	if p.resp.Status() == sip.StatusEarlyDialogTerminated { // RFC 6228
		c.ended()
		<-c.Done()
		delete(o.branches, p.s)
	}
	return err
}

// left is called when the program has hung up a branch. The callee refuses the INVITE then
// (RFC 3261 section 15.1.2), unless it has just answered it, and that was lost: nobody sends
// it again. So if there is no other branch, and no final response in 64*T1, it is cancelled.
func (o *outgoing) left() {
	tried := o.tried.Load()
	time.AfterFunc(64*o.a.l.Transactions().Timers().T1, func() { // ends when no stream is busy
		o.handling <- struct{}{}
		defer func() { <-o.handling }()
		for _, c := range o.branches {
			if !c.over() {
				return
			}
		}
		if o.tried.Load() == tried {
			o.cancel(dialog.ErrEnded)
		}
	})
}

// describe has a branch take the description in a provisional response, and acknowledges
// one that is reliable.
func (o *outgoing) describe(c *Call, p *provisional) error {
	ctx := p.ctx
	c.learn(p.resp)
	body, ok := description(p.resp)
	streams := o.carries()
	if !p.reliable {
		if !ok || !streams || body == c.preview {
			return nil
		}
		c.preview = body
		return c.m.preview(ctx, body)
	}
	acknowledge := func(edits ...sip.Edit) error {
		c.prack(edits...)
		return nil
	}
	switch {
	case !ok || c.m.isAgreed():
		return acknowledge()
	case c.m.offering():
		return c.m.answered(ctx, body, false, func() error { return acknowledge() })
	}
	// The offer is the callee's: it is answered in the PRACK (RFC 3262 section 5).
	answer, err := c.answerTo(withMessage(ctx, p.resp), body, streams)
	if answer == "" {
		acknowledge()
		return err
	}
	acknowledge(sip.Body{Type: sdpType, Content: answer})
	return err
}

// answerTo answers an offer of the callee: with refusals if nothing of ours fits, and then
// an error says why. There is no answer if it cannot be read.
func (c *Call) answerTo(ctx context.Context, offer string, streams bool) (answer string, err error) {
	if streams {
		if answer, _, err = c.m.answer(ctx, offer, nil); err == nil {
			return answer, nil
		}
	}
	refusal, refused := c.m.refuse(offer)
	if err == nil {
		err = refused
	}
	return refusal, err
}
