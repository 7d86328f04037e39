package dialog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Dialog is what two user agents share (RFC 3261 section 12): who they are, where
// they are, and how far their requests have been numbered. It is the same on both
// sides. It lasts as long as something uses it: a call, which is its Session, or
// subscriptions, which SUBSCRIBE and REFER begin (RFC 5057). Its methods may be
// called from any goroutine.
type Dialog struct {
	l       *Layer
	session *Session // nil: none; does not change

	mu      sync.Mutex
	d       state
	contact string // ours, the value of the header field
	made    bool   // contact is of our making
	moved   bool   // the dialog was restored, and contact is to be made anew
	subs    []*subscription
	value   any
	other   *Dialog // that Relay has tied it to
	mate    *ID     // that it was tied to before it was restored, and is to be again
	frozen  *moment // what it was when the Layer was closed
}

// ID returns what tells the dialog from others.
func (d *Dialog) ID() ID { return d.d.id }

// Remote returns the address of the peer, as it stands in From or To.
func (d *Dialog) Remote() sip.Address { return address(d.d.remote) }

// Local returns our own address, as it stands in From or To.
func (d *Dialog) Local() sip.Address { return address(d.d.local) }

func address(text string) sip.Address {
	a, _ := sip.ParseAddress(text) // it was one
	return a
}

// Target returns where the peer is reached: its Contact, as it was said last.
func (d *Dialog) Target() sip.URI {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.d.uri()
}

// Routed reports whether requests go by proxies that have asked for it (Record-Route).
func (d *Dialog) Routed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.d.routes) > 0
}

// Session returns the call, which may be over, or nil if there was none.
func (d *Dialog) Session() *Session { return d.session }

// SetValue keeps something of the program's with the dialog, such as the other
// leg of a call.
func (d *Dialog) SetValue(v any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.value = v
}

// Value returns what SetValue was given last, nil before that.
func (d *Dialog) Value() any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.value
}

// RetryDelay returns how long to wait after a 491 before the offer is made again:
// 2.1 to 4 s for the side that began the dialog, up to 2 s for the other, a
// different time each time (RFC 3261 section 14.1, RFC 3311 section 5.3).
func (d *Dialog) RetryDelay() time.Duration {
	const unit = 10 * time.Millisecond
	if d.d.owner {
		return 2100*time.Millisecond + time.Duration(rand.IntN(191))*unit
	}
	return time.Duration(1+rand.IntN(200)) * unit // none at all would be no delay
}

// Do sends a request within the dialog and returns its final response: any but
// INVITE, ACK and BYE, which have methods of their own, and CANCEL, which is sent when a
// context ends. What the failure of a request means for the call or the subscription that
// it belongs to is seen to (RFC 5057 section 5): a 481 to an UPDATE ends the call, one to
// a NOTIFY its subscription, and a 404 to any request everything.
//
// A PRACK is for the oldest reliable provisional response that has none yet, or one that
// was challenged, or else for the one whose PRACK was refused last, as for its offer: then
// send another one without (RFC 6337 section 2.3). It is ErrNothing if there is none. Like any request to a branch that
// rings it waits for its answer no longer than there is a call, of which its error is Err
// then. An UPDATE is ErrPending while
// another one of ours is not answered, and one with an offer, like such a PRACK, while
// another offer is not; after a 491 wait for RetryDelay. SUBSCRIBE and REFER begin a
// subscription, which keeps the dialog when the call is over; a dialog has 32 of them, and
// one more is an error. A CSeq among the edits of a REFER is that of the one which it
// stands for, as Relayed has it. A request that gets 500 when another with a higher number
// has been sent meanwhile goes out once more with the next number: it has come late (RFC
// 3261 section 12.2.2).
func (d *Dialog) Do(ctx context.Context, method sip.Method, edits ...sip.Edit) (*sip.Response, error) {
	if refreshesTarget(method) {
		d.renewContact(ctx)
	}
	for try := 1; ; try++ {
		req, ours, err := d.prepare(method, edits)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, d.Remote().URI, err)
		}
		if method == sip.PRACK || d.early() { // the branch of a fork may lose
			var stop func()
			ctx, stop = d.session.during(ctx)
			defer stop()
		}
		req, resp, err := d.do(ctx, req)
		d.done(req, resp, err)
		if method == sip.UPDATE && d.session.longer(ours, resp, err) && try < maxIntervals && ctx.Err() == nil {
			continue
		}
		return resp, err
	}
}

// prepare makes a request and notes that it is on its way. ours is that of timed.
func (d *Dialog) prepare(method sip.Method, edits []sip.Edit) (req *sip.Request, ours bool, err error) {
	req, _ = d.draft(method, edits)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(method); err != nil {
		return nil, false, err
	}
	s := d.session
	if method == sip.PRACK {
		rack, ok := s.nextRack()
		if !ok {
			return nil, false, ErrNothing
		}
		req = req.With(rack)
	}
	req = d.number(req)
	if method == sip.UPDATE && s.began { // before that there is no session to expire
		req, ours = s.timed(req)
	}
	if err := req.Err(); err != nil {
		return nil, false, err
	}
	if s != nil {
		if method == sip.UPDATE && (s.updated || describes(req) && s.answersUnacknowledged()) ||
			s.offers.request(local, req.CSeq(), describes(req)) != nil {
			return nil, false, ErrPending
		}
		switch method {
		case sip.PRACK:
			s.rel1xx.acknowledge()
			s.pracks++
		case sip.UPDATE:
			s.updated = true
		}
	}
	if !d.requested(req, edits) {
		return nil, false, errSubscriptions
	}
	return req, ours, nil
}

// early reports whether the dialog is a branch of an INVITE of ours that is not answered.
func (d *Dialog) early() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.session != nil && d.session.inviting
}

var errMethod = errors.New("dialog: INVITE, ACK, BYE and CANCEL are not for Do")

// usable reports why a request cannot be sent. It is called with d.mu held.
func (d *Dialog) usable(method sip.Method) error {
	s := d.session
	switch {
	case method == sip.INVITE, method == sip.ACK, method == sip.BYE, method == sip.CANCEL:
		return errMethod
	case s == nil && (ofSession(method) || len(d.subs) == 0):
		return ErrEnded
	case s != nil && s.over && (ofSession(method) || len(d.subs) == 0):
		return s.err
	}
	return nil
}

// done takes what came of a request of ours.
func (d *Dialog) done(req *sip.Request, resp *sip.Response, err error) {
	method := req.Method()
	ok := err == nil && resp.Status().Success()
	d.mu.Lock()
	if ok && refreshesTarget(method) {
		d.d.refresh(resp)
	}
	if s := d.session; s != nil {
		if method == sip.PRACK {
			s.pracks--
			if resp != nil && !resp.Status().Success() {
				s.takeBack(req, challenges(resp))
			}
		}
		s.offers.answered(req, resp, err)
		if method == sip.UPDATE {
			s.updated = false
			if ok && s.began {
				s.timerAgreed(resp, local)
			}
		}
	}
	d.mu.Unlock()
	if err != nil {
		resp = nil
	}
	d.responded(local, req, resp)
	d.fail(req, resp, err)
}

// fail does what the failure of a request of ours means.
func (d *Dialog) fail(req *sip.Request, resp *sip.Response, err error) {
	method := req.Method()
	switch effectOf(method, resp, err) {
	case endsUsage:
		if ofSession(method) {
			d.session.lose()
		} else {
			d.unsubscribe(local, req)
		}
	case endsDialog:
		if d.session != nil {
			d.session.lose()
		}
		d.unsubscribeAll()
	}
}

// do sends a request, and returns it as it was answered. One that was overtaken is sent
// once more.
func (d *Dialog) do(ctx context.Context, req *sip.Request) (sent *sip.Request, last *sip.Response, err error) {
	defer d.l.tl.Busy()()
	take := func(resp *sip.Response) { last = resp }
	sent, err = d.l.roundTrip(d.towards(ctx), req, d.nextSeq, take)
	if err == nil && ctx.Err() == nil && d.overtaken(last) {
		again := req.With(sip.CSeq{Seq: d.nextSeq(sent), Method: req.Method()})
		sent, err = d.l.roundTrip(d.towards(ctx), again, d.nextSeq, take)
	}
	if err != nil {
		err = wrap(string(req.Method()), req, err)
	}
	return sent, last, err
}

// overtaken reports whether a response looks like that to a request which came when the
// peer had got one with a higher number: who sends both at once, or has to send the first
// again, cannot help that. The peer refuses it with 500 and has done nothing else (RFC
// 3261 section 12.2.2). One that says when to try again means something else (section
// 14.2, RFC 3311 section 5.2).
func (d *Dialog) overtaken(resp *sip.Response) bool {
	if resp.Status() != sip.StatusServerInternalError {
		return false
	}
	if _, says := resp.Value("Retry-After"); says {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return resp.CSeq().Seq < d.d.localSeq
}

// draft makes a request within the dialog as it is now, and says which way it goes. The
// lock is not held for that: edits are of the program, which may ask the dialog something,
// take its time or panic. It is numbered only then, lest a later one overtake it.
func (d *Dialog) draft(method sip.Method, edits []sip.Edit) (*sip.Request, path) {
	goroutine.Grow()
	d.mu.Lock()
	now := d.d
	if refreshesTarget(method) {
		edits = append([]sip.Edit{d.contactField()}, edits...)
	}
	d.mu.Unlock()
	return now.request(method, now.localSeq+1, edits...), now.path
}

// number gives a draft the next number, which it has unless another request has taken
// that meanwhile. It is called with d.mu held.
func (d *Dialog) number(draft *sip.Request) *sip.Request {
	if draft.Err() != nil {
		return draft
	}
	cseq := draft.CSeq()
	if cseq.Seq <= d.d.localSeq {
		cseq.Seq = d.d.localSeq + 1
		draft = draft.With(cseq)
	}
	d.d.localSeq = cseq.Seq
	return draft
}

// nextSeq returns the number of a request that is sent again with credentials, and
// notes it where the request is known by its number.
func (d *Dialog) nextSeq(req *sip.Request) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.d.localSeq++
	if s := d.session; s != nil && s.offers.is(local, req.CSeq()) {
		s.offers.by.Seq = d.d.localSeq
	}
	switch req.Method() {
	case sip.INVITE:
		d.session.asked = d.d.localSeq
	case sip.REFER:
		event, id, _ := begins(req)
		if sub := d.find(true, event, id); sub != nil {
			sub.id = referID(d.d.localSeq)
		}
	}
	return d.d.localSeq
}

// towards makes requests go to the first hop of the route set where they would
// not do so by themselves: a strict router (RFC 3261 section 12.2.1.1).
func (d *Dialog) towards(ctx context.Context) context.Context {
	if hop := d.strictHop(); hop.Host != "" {
		return transaction.WithNextHop(context.WithValue(ctx, strict{}, true), hop)
	}
	return ctx
}

// strictHop returns the strict router that requests go to, the zero URI if there
// is none.
func (d *Dialog) strictHop() (hop sip.URI) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if router, _, strict := d.d.strictRouter(); strict {
		hop = router
	}
	return hop
}

// request takes a request of the peer within the dialog.
func (d *Dialog) request(tx *transaction.Server, req *sip.Request) {
	seq, method := req.CSeq().Seq, req.Method()
	s := d.session
	if method == sip.ACK {
		if s != nil {
			s.acknowledgedBy(tx, req)
		}
		return
	}
	d.mu.Lock()
	if s != nil && method != sip.BYE {
		s.awaitACK(tx)
	}
	inOrder := d.d.inOrder(seq)
	over := s == nil || s.over
	// It ends the call before it is answered, for what is noted of the call when
	// the Layer is closed may not be that it goes on.
	ends := inOrder && method == sip.BYE && s != nil && s.stop(&transaction.RequestError{Err: ErrBye, Request: req}, nil)
	gone := over && len(d.subs) == 0
	known, full := d.concerned(req)
	var plain error
	if refreshesTarget(method) {
		plain = d.d.mayMove(req)
	}
	d.mu.Unlock()
	switch {
	case !inOrder:
		tx.Reply(sip.StatusServerInternalError, sip.ReasonPhrase("CSeq Out Of Order"))
	case method == sip.BYE && s != nil:
		// Also if it crosses a BYE of ours (RFC 5407 section 3.2.1).
		tx.Reply(sip.StatusOK)
		s.ended(ends)
	case method == sip.INVITE && s == nil:
		// A second use of a dialog is refused like this (RFC 5057 section 5.6).
		tx.Reply(sip.StatusDecline)
	case gone, over && ofSession(method):
		d.l.replyGone(tx, req, d.d.id)
	case plain != nil:
		tx.Refuse(plain)
	case method == sip.INVITE:
		s.reinvited(tx, req)
	case method == sip.NOTIFY && !known: // RFC 6665 section 4.1.3
		tx.Reply(sip.StatusCallDoesNotExist)
	case full: // RFC 5057 section 5.6
		tx.Reply(sip.StatusDecline)
	default:
		d.serve(&Server{Server: tx, l: d.l, d: d}, req)
	}
}

// serve has the program answer a request.
func (d *Dialog) serve(tx *Server, req *sip.Request) {
	if refreshesTarget(req.Method()) {
		d.renewContactOn(tx.Flow())
	}
	if s := d.session; s != nil && !s.admit(tx, req) {
		return
	}
	defer tx.returned()
	switch {
	case tx.isRepeated():
		tx.Reply(sip.StatusOK)
	case d.l.cfg.OnRequest != nil:
		d.l.cfg.OnRequest(tx, req)
	case req.Method() == sip.PRACK, req.Method() == sip.UPDATE && !describes(req):
		tx.Reply(sip.StatusOK)
	case req.Method() == sip.UPDATE:
		tx.Reply(sip.StatusNotAcceptableHere)
	default:
		tx.Reply(sip.StatusMethodNotAllowed, d.l.allowed)
	}
}

// leave forgets the dialog if nothing uses it any more.
func (d *Dialog) leave() {
	if d.unused() {
		d.l.remove(d)
		d.stay() // should something have begun to use it meanwhile
	}
}

// stay makes a dialog known that is used, though it may have been forgotten: by a
// subscription that was accepted when the call was over.
func (d *Dialog) stay() {
	if !d.unused() {
		d.l.add(d)
	}
}

func (d *Dialog) unused() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return (d.session == nil || d.session.gone) && len(d.subs) == 0
}

// timedOut reports whether nobody has answered.
func timedOut(err error) bool { return errors.Is(err, transaction.ErrTimeout) }
