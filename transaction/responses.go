package transaction

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
)

// Responses sends a request and yields the responses to it: any number of
// provisional ones, but no 100, and the final one, with which it ends. An error
// ends it, too: ErrTimeout, ErrTransport with what the network said, what the
// resolver said, ErrOverload, or that of ctx with its cause.
//
// The request goes to its topmost Route, or else to its Request-URI, unless ctx
// says otherwise (WithNextHop, WithFlow). If a target cannot be reached, does
// not answer or answers 503, the next one is tried (RFC 3263 section 4.3),
// unless it has answered with a provisional response; later requests avoid it
// for a while. Each try gets a Via of its own. There are 16 at most, which over
// UDP can take 8 minutes: ctx is what bounds them in time.
//
// When ctx ends, an INVITE is cancelled: as soon as a provisional response
// allows for it, a CANCEL goes out, and the loop goes on to the final response,
// which may yet be a 2xx, or to ErrTimeout. If the cause of ctx is a sip.Reason, or
// wraps some, the CANCEL says so (RFC 3326). Another request is abandoned. When
// the loop is left early, the same happens with nobody to see it: a 2xx that
// comes all the same goes to Config.Accepted. So it is when Timers.C has run out on
// a peer that has nothing new to say, and the loop has ended with ErrTimeout.
// And so it is when the connection of an INVITE ends that has a provisional
// response, where we have made it and do not listen on its transport: its answer
// cannot come any more, and the loop ends with ErrTransport. Of one by a given flow
// (WithFlow) the CANCEL cannot go either.
//
// A 2xx to an INVITE is not acknowledged here: that is up to the caller, also
// for those that Config.Accepted is told of. An ACK has no transaction (RFC
// 3261 section 17.1): for one the loop ends with an error at once, and Send is
// what sends it.
func (l *Layer) Responses(ctx context.Context, r *sip.Request) iter.Seq2[*sip.Response, error] {
	return func(yield func(*sip.Response, error) bool) {
		goroutine.Grow()
		defer releaseFrom(ctx)
		q := queue{wake: make(chan struct{}, 1)}
		p := &pursuit{l: l, ctx: ctx, r: r, each: func(resp *sip.Response, err error) bool {
			e := heard{resp, err}
			more := q.put(e)
			if !more {
				l.unheard(r, e)
			}
			return more
		}}
		p.start()
		defer func() { // however the loop is left, a panic included
			p.quit()
			for _, e := range q.left() {
				l.unheard(r, e)
			}
		}()
		for {
			e := q.take()
			if !yield(e.resp, e.err) || e.err != nil || e.resp.Status().Final() {
				return
			}
		}
	}
}

// unheard takes what comes to an INVITE whose loop is left. A 2xx wants its ACK
// all the same.
func (l *Layer) unheard(r *sip.Request, e heard) {
	if e.resp != nil && e.resp.Status().Success() && r.Method() == sip.INVITE && l.cfg.Accepted != nil {
		l.cfg.Accepted(r, e.resp)
	}
}

// A queue is what a loop over Responses has yet to be told.
type queue struct {
	wake   chan struct{}
	mu     sync.Mutex
	list   []heard
	closed bool // the loop was left
}

// heard is a response, or the error in place of one.
type heard struct {
	resp *sip.Response
	err  error
}

// put adds to the queue, and reports whether somebody reads it. Provisional
// responses that nobody has read yet are bounded.
func (q *queue) put(e heard) (more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if e.err != nil || e.resp.Status().Final() || len(q.list) < maxNews {
		q.list = append(q.list, e)
	}
	select {
	case q.wake <- struct{}{}:
	default: // it has been told already
	}
	return true
}

// take takes the first, and waits for one.
func (q *queue) take() heard {
	for {
		q.mu.Lock()
		if len(q.list) > 0 {
			e := q.list[0]
			q.list = q.list[1:]
			q.mu.Unlock()
			return e
		}
		q.mu.Unlock()
		<-q.wake
	}
}

// left closes the queue and returns what is in it.
func (q *queue) left() []heard {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list, q.closed = nil, true
	return list
}

// Start sends a request as Responses does, and returns when it is on its way. each
// is called with what Responses would yield: responses, and the error in place of
// a final one. To an INVITE a further 2xx may come, again or of another branch of
// a fork, also behind a refusal, for as long as timer M or D runs: each gets them, too,
// and Config.Accepted does not.
//
// each is called from where a response was read or a timer has run out, so it
// must not block: one call at a time, but for a further 2xx, which may overlap. It
// may be called before Start returns. It may Close the Layer. A panic in it is
// logged, and ends nothing else.
//
// cancel does what the end of ctx does, and may be called more than once; its cause,
// nil for none, is to the CANCEL what that of ctx is. Who has it needs no context of
// its own for each request.
func (l *Layer) Start(ctx context.Context, r *sip.Request, each func(*sip.Response, error)) (cancel context.CancelCauseFunc) {
	p := &pursuit{l: l, ctx: ctx, r: r,
		each:    func(resp *sip.Response, err error) bool { l.tell(each, resp, err, r); return true },
		further: func(resp *sip.Response) { l.tell(each, resp, nil, resp) }, // for 32 s, without the request
	}
	p.start()
	return p.cancel
}

// tell tells each of a response or an error. What it does not return from is logged
// with the message that it is about.
func (l *Layer) tell(each func(*sip.Response, error), resp *sip.Response, err error, about sip.Message) {
	returned := false
	defer func() {
		switch p := recover(); {
		case p != nil:
			l.cfg.Logger.Error("panic with a response", "panic", p, "message", about.String(), "stack", string(debug.Stack()))
		case !returned:
			l.cfg.Logger.Error("goroutine ended with a response", "message", about.String())
		}
	}()
	each(resp, err)
	returned = true
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
	if err := isSendable(r); err != nil {
		return transport.Flow{}, nil, err
	}
	way, err := l.way(ctx, r, (*resolve.Client).StatelessTargets)
	if err != nil {
		return transport.Flow{}, nil, fmt.Errorf("send %s: %w", r.Method(), err)
	}
	branch := cookie + rand.Text() // not one of a transaction
	if id, ok := ctx.Value(givenBranch{}).(string); ok {
		branch = cookie + id
	}
	for ; ; way.next() {
		if l.closed.Load() {
			return transport.Flow{}, nil, fmt.Errorf("send %s: %w", r.Method(), l.awaitEnd())
		}
		if !l.overload.allow(way.addr(), r) {
			if way.isLast() {
				return transport.Flow{}, nil, fmt.Errorf("send %s to %s: %w", r.Method(), way, ErrOverload)
			}
			continue
		}
		flow, out, err := way.send(ctx, l, forwarded(r), branch)
		if err == nil || way.isLast() {
			return flow, out, err
		}
	}
}

// isSendable tells what is no request from one. What its edits got wrong is
// found later.
func isSendable(r *sip.Request) error {
	if r == nil || r.String() == "" {
		return errors.New("transaction: no request to send")
	}
	// Without these no response finds its way back (RFC 3261 section 8.1.1).
	for _, name := range []string{"To", "From", "CSeq", "Call-ID"} {
		if _, ok := r.Value(name); !ok && r.Err() == nil {
			return fmt.Errorf("transaction: a %s without %s", r.Method(), name)
		}
	}
	return nil
}
