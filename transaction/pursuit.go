package transaction

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
)

// A pursuit is a request of one's own on its way: to one target after the other,
// until one of them answers (RFC 3263 section 4.3). It has no goroutine. Who has
// news for it, be it the socket, a timer or the end of the context, pokes it, and
// thereby takes it on, or leaves that to who is at it already.
type pursuit struct {
	l    *Layer
	ctx  context.Context
	r    *sip.Request
	each func(*sip.Response, error) (more bool) // is told what comes

	// further is told of each 2xx to an INVITE after that; nil: Config.Accepted is.
	further func(*sip.Response)

	pokes     atomic.Int32 // more than 0: somebody is at it
	cancelled atomic.Bool  // the context has ended, or it was cancelled otherwise
	left      atomic.Bool  // nobody wants to know more

	// Of who is at it.
	way     *way
	c       *client         // nil: none yet, or a new one is being begun
	unseen  []*sip.Response // of c, that were not told of yet
	again   bool            // c is on a new connection to the same target
	yielded bool            // a response has been told of
	told    bool            // c knows that it is given up
	over    bool            // nothing more is told
	stop    func() bool     // of what waits for the end of the context
	counted bool            // in Layer.calls
	unwound int             // how many turns in a row have come to nothing but a panic or the end of their goroutine

	mu      sync.Mutex
	begun   *client            // a new one
	failure error              // there is none
	cause   error              // that it was cancelled with
	giveUp  context.CancelFunc // ends the search for one; nil: there was none
}

// start begins a pursuit. It may block until the request is sent for the first
// time: the name of its server may have to be looked up, and a connection to be
// made.
func (p *pursuit) start() {
	p.pokes.Store(1)
	begun := false
	defer func() { // however it ends, a panic of a func of the user's included
		if !begun && p.counted {
			p.l.finish()
		}
	}()
	c, err := p.begin()
	begun = true
	if p.c = c; err != nil {
		p.end(err)
	} else {
		p.heed(true)
	}
	p.work()
}

// cancel does what the end of the context does. cause is that of the first call.
func (p *pursuit) cancel(cause error) {
	p.mu.Lock()
	if !p.cancelled.Load() {
		p.cause = cause
	}
	p.cancelled.Store(true)
	p.mu.Unlock()
	p.stopTrying()
	p.poke()
}

// reasons returns why it is cancelled.
func (p *pursuit) reasons() []sip.Reason {
	p.mu.Lock()
	cause := p.cause
	p.mu.Unlock()
	return Reasons(cmp.Or(cause, context.Cause(p.ctx)))
}

// isGivenUp reports whether nothing more is to be tried.
func (p *pursuit) isGivenUp() bool {
	return p.cancelled.Load() || p.left.Load() || p.ctx.Err() != nil
}

// whyGivenUp returns the error for that.
func (p *pursuit) whyGivenUp() error { return cmp.Or(ended(p.ctx), context.Canceled) }

// stopTrying has nobody wait for a connection to the next target any more.
func (p *pursuit) stopTrying() {
	p.mu.Lock()
	giveUp := p.giveUp
	p.mu.Unlock()
	if giveUp != nil {
		giveUp()
	}
}

// heed begins or ends to wait for the end of the context.
func (p *pursuit) heed(on bool) {
	switch {
	case on && p.ctx.Done() != nil:
		p.stop = context.AfterFunc(p.ctx, func() { // its goroutine ends with the turn
			defer p.fence()
			p.cancel(nil)
		})
	case !on && p.stop != nil:
		p.stop()
		p.stop = nil
	}
}

// begin sends the request for the first time.
func (p *pursuit) begin() (*client, error) {
	if err := isSendable(p.r); err != nil {
		return nil, err
	}
	method := p.r.Method()
	if method == sip.ACK {
		return nil, errors.New("transaction: an ACK has no transaction and gets no response: use Send")
	}
	if p.counted = p.l.begin(); !p.counted {
		return nil, fmt.Errorf("send %s: %w", method, p.l.awaitEnd())
	}
	defer p.l.bytes.Add(-p.waits())
	way, err := p.l.way(p.ctx, p.r, (*resolve.Client).Targets)
	if p.ctx.Err() != nil {
		err = ended(p.ctx) // what was given up before it began is not sent
	}
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", method, err)
	}
	p.way = way
	return p.launch(p.ctx)
}

// launch sends the request to the first target that takes it.
func (p *pursuit) launch(ctx context.Context) (*client, error) {
	for {
		c, err := p.l.start(ctx, p.r, p.way, p)
		if err == nil {
			releaseFrom(p.ctx)
			return c, nil
		}
		if p.way.next(); !p.way.more() || p.isGivenUp() {
			return nil, fmt.Errorf("send %s to %s: %w", p.r.Method(), p.way, err)
		}
	}
}

// relaunch gives up a target for the next one.
func (p *pursuit) relaunch() {
	// A connection that was there may have been dead for long: that says nothing
	// about its peer, which gets a new one.
	if p.again = !p.again && p.c.isStale(); !p.again {
		p.way.next()
	}
	p.c = nil
	ctx, giveUp := context.WithCancel(p.ctx)
	p.mu.Lock()
	p.giveUp = giveUp
	p.mu.Unlock()
	if p.isGivenUp() { // before there was anything to stop
		giveUp()
	}
	go func() { // ends when the request is sent again, nothing is left to try, or it is given up
		defer giveUp()
		var c *client
		err := ErrTransport
		defer func() {
			p.mu.Lock()
			p.begun, p.failure = c, err
			p.mu.Unlock()
			p.poke()
		}()
		defer p.fence()
		defer p.l.bytes.Add(-p.waits())
		c, err = p.launch(ctx)
	}()
}

// poke has somebody see to the pursuit.
func (p *pursuit) poke() {
	if p.pokes.Add(1) == 1 {
		p.work()
	}
}

// work sees to the pursuit until there is no news. A turn that does not return,
// for a func of the program's has panicked or ended the goroutine, is over, and
// what else there is is not lost with it: another goroutine sees to that.
func (p *pursuit) work() {
	returned := false
	defer func() {
		if returned {
			return
		}
		p.unwound++
		go func() { // ends when there is no news
			defer p.fence()
			p.work()
		}()
	}()
	for {
		pokes := p.pokes.Load()
		p.turn()
		p.unwound = 0
		if returned = p.pokes.CompareAndSwap(pokes, 0); returned {
			return
		}
	}
}

// maxUnwound bounds the turns that come to nothing, for it will not get better.
const maxUnwound = 64

// fence is deferred around what a goroutine of its own does for a pursuit.
func (p *pursuit) fence() {
	if v := recover(); v != nil { // of a func of the program's, such as a trace
		p.l.cfg.Logger.Error("panic with a request", "panic", v, "request", p.r.String(), "stack", string(debug.Stack()))
	}
}

// turn does what is to be done.
func (p *pursuit) turn() {
	p.mu.Lock()
	begun, failure := p.begun, p.failure
	p.begun, p.failure = nil, nil
	p.mu.Unlock()
	if begun != nil {
		p.c = begun
	}
	c := p.c
	switch {
	case p.over && begun == nil:
	case failure != nil && p.left.Load():
		p.end(nil)
	case failure != nil:
		p.end(failure)
	case c == nil:
	case p.left.Load(), p.over, p.unwound > maxUnwound:
		p.end(nil)
	default:
		p.take(c)
	}
}

// take takes what there is to a client transaction.
func (p *pursuit) take(c *client) {
	c.mu.Lock()
	if len(p.unseen) == 0 {
		p.unseen = c.news
	} else { // a turn has ended before it has told of all
		p.unseen = append(p.unseen, c.news...)
	}
	c.news = nil
	err, over := c.err, c.over
	c.mu.Unlock()
	for len(p.unseen) > 0 {
		resp := p.unseen[0]
		if resp.Status() == sip.StatusServiceUnavailable {
			if wait, ok := retryAfter(resp); ok && (wait > 0 || !p.l.overload.heeds(resp)) {
				p.way.failed(p.l.ep, wait)
			}
			if !p.way.isLast() && !p.yielded && !p.isGivenUp() {
				p.leave(c)
				p.relaunch()
				return
			}
		}
		p.yielded, p.unseen, p.unwound = true, p.unseen[1:], 0
		if resp.Status().Final() {
			p.heed(false) // the context may end with this
		}
		if !p.each(resp, nil) {
			p.end(nil)
			return
		}
	}
	switch {
	case err != nil && p.goesOn(c, err):
		p.leave(c)
		p.relaunch()
	case err != nil:
		if p.ctx.Err() != nil && !errors.Is(err, p.ctx.Err()) {
			err = fmt.Errorf("%w: %w", ended(p.ctx), err)
		}
		p.end(fmt.Errorf("%s to %s: %w", c.method, c.by().RemoteAddr(), err))
	case over:
		p.end(nil)
	case p.cancelled.Load() && !p.told:
		p.told = true
		if c.method == sip.INVITE {
			c.mu.Lock()
			c.reasons = p.reasons()
			c.mu.Unlock()
			c.step(input{event: inCancel}, nil)
		} else {
			c.abandon(p.whyGivenUp())
		}
	}
}

// goesOn notes that a target has failed, and reports whether the next one is to
// be tried.
func (p *pursuit) goesOn(c *client, err error) bool {
	// RFC 3263 section 4.3: a server that has answered at all is there, and has
	// the request.
	if p.isGivenUp() || c.hasAnswered() || errors.Is(err, transport.ErrClosed) {
		return false
	}
	if c.reused && c.hasTarget() && errors.Is(err, ErrTimeout) {
		p.l.ep.Retire(c.by()) // nothing comes back by it
	}
	stale := c.isStale()
	if !stale && !errors.Is(err, transport.ErrBacklog) {
		p.way.failed(p.l.ep, 0)
		p.l.overload.failed(c.by().RemoteAddr())
	}
	last := p.way.isLast() && (p.again || !c.reused)
	return !last && (stale || !p.way.isLast())
}

// leave leaves a client transaction with what was not told of.
func (p *pursuit) leave(c *client) {
	unseen := p.unseen
	p.unseen = nil
	c.leave(unseen)
}

// end tells of an error, if there is one, and nothing more after that.
func (p *pursuit) end(err error) {
	p.heed(false)
	told := p.over
	p.over = true
	defer func() {
		if p.counted {
			p.counted = false
			p.l.finish()
		}
	}()
	defer func() {
		if c := p.c; c != nil {
			p.c = nil
			p.leave(c)
		}
	}()
	if err != nil && !told {
		p.each(nil, err)
	}
}

// quit ends it for who does not want to know more.
func (p *pursuit) quit() {
	p.left.Store(true)
	p.stopTrying()
	p.poke()
}
