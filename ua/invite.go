package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// InviteOptions are the options of Invite; nil places a call without streams,
// whose INVITE has no offer and which refuses the callee's.
type InviteOptions struct {
	// Streams are what the call is to carry, in the order of their m=
	// sections. They are closed with the call, also if it does not come about.
	Streams []Stream
	// NoOffer leaves the offer to the callee (RFC 3261 section 13.2.1): the
	// streams answer it.
	NoOffer bool
	// Header is what else goes into the INVITE: a sip.Subject, a sip.AnswerMode, a
	// sip.RequestDisposition, any other header field. What it says of a name
	// stands in place of what the agent would say: a sip.Contact for the whole
	// call, which has to lead here. A sip.PPreferredIdentity, which is for a proxy
	// of ours, is left out if the INVITE does not go to one first (RFC 3325 section 6).
	Header []sip.Edit
	// Parts go into the body of the INVITE beside the offer (RFC 5621): a location, say.
	// Who does not take a multipart/mixed, or a multipart/related if the offer refers to one by its
	// Content-ID, refuses the call then. nil: there is the offer alone, with what its streams refer to.
	Parts []*sip.Part
	// Anonymous hides who is calling, as far as the agent can (RFC 3323 section 4.1):
	// From is "Anonymous" <sip:anonymous@anonymous.invalid>, Contact has no user, the
	// program is not named, and Privacy asks the network to keep to itself who it knows
	// to be calling. What the streams describe and the addresses of the machine are as
	// ever; a proxy that can hide these does so for a sip.Privacy in Header, which adds to
	// what the agent asks of the network, unless it is "none". Whoever
	// asks for a password learns the user that it is of.
	Anonymous bool
	// MaxRedirects is how many of the places that refusals of 300 to 399 name are
	// tried, by their preference, each once (RFC 3261 section 8.1.3.4); 305 names
	// proxies. The error is that of the last one. 0 means 5; less than that follows
	// none, and the refusal is the error.
	MaxRedirects int
	// History writes down where the call was sent, and why it went on from there, and
	// asks those on the way to do so (RFC 7044): sip.All[sip.HistoryInfo] reads it from
	// the INVITE at the callee, and from responses. A sip.Privacy of "history" in Header
	// keeps it within our domain. false writes nothing.
	History bool
	// OnProvisional is called for each provisional response but 100, such as
	// 180 when the phone rings, one after the other, in a goroutine of its own. call
	// is the branch of a fork that it is of: each place that rings is a Call of its
	// own, with its own media, which is over when another one answers; nil if the
	// response names none. While it takes its time 16 responses wait for it at most,
	// and it is not told of those beyond; the streams, and the acknowledgement of
	// reliable ones, do not wait for it. Invite waits for it when
	// the call is answered or refused, but not when the context ends; then it is not
	// called any more, though a call of it may still be under way. nil: nobody is told.
	OnProvisional func(call *Call, resp *sip.Response)
	// OnAnswer is called with the 2xx that has answered the call, which is up then,
	// before Invite returns: for what it says beside the session, such as a
	// sip.AnswerMode or a sip.UserToUser. A panic ends the call. nil: nobody is told.
	OnAnswer func(call *Call, resp *sip.Response)

	referred bool // who is called is named in a REFER, and not by the program
}

// Invite places a call and returns when it is answered. A refusal is a
// *StatusError. When ctx ends before that, Invite returns with its error; the
// call is cancelled in the background, and ended should the callee answer all
// the same; so is a call that is answered while a stream takes its time over the
// answer, or the way to the callee does over the ACK, when ctx ends then. The CANCEL, or the BYE, says why if the cause of ctx is a
// sip.Reason, or wraps one (RFC 3326). Once Invite has returned a call, ctx has no effect
// on it.
//
// Header fields in target are not followed, and a method is not, for a link on a web page may
// have any (RFC 3261 section 19.1.5): Requested of a sip.URI makes edits for Header of those
// that do no harm.
//
// The INVITE goes by the flows of a registration, one after the other, until something comes
// back, or to where a sip.Route in Header says.
//
// A panic in a stream or in OnProvisional ends the call, closes the streams, and
// is a panic of Invite; it is logged if Invite has returned before.
func (a *Agent) Invite(ctx context.Context, target string, opts *InviteOptions) (*Call, error) {
	if opts == nil {
		opts = &InviteOptions{}
	}
	if err := checkStreams(opts.Streams); err != nil {
		a.closeAll(opts.Streams)
		return nil, fmt.Errorf("invite %s: %w", target, err)
	}
	base := newMedia(opts.Streams, func() bool { return false }, a.panicked)
	defer base.close()
	call, err := a.invite(ctx, base, target, opts)
	if err != nil {
		return nil, fmt.Errorf("invite %s: %w", target, err)
	}
	return call, nil
}

func (a *Agent) invite(ctx context.Context, base *media, target string, opts *InviteOptions) (*Call, error) {
	ctx, stop := a.whileOpen(ctx)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := newOutgoing(ctx, a, base, opts, cancel)
	defer out.returned.Store(true)
	placing, err := a.begin(func() error { // ends with the transaction of the INVITE, or of its CANCEL
		defer out.takeRest()
		defer out.drop()
		return out.run(target)
	})
	if err != nil {
		return nil, err
	}
	// Not waited for by Shutdown, which OnProvisional may call. They end with placing, or
	// with the callback that is under way then, in this order. A panic gives the call up.
	// The first begins when there is something to take.
	taking, telling := out.taking, out.taking
	if opts.OnProvisional != nil {
		telling = &task{a: a, done: make(chan struct{}), onPanic: taking.onPanic}
		go telling.run(out.tell)
	}
	select {
	case <-placing.done:
		select {
		case <-telling.done:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	for _, t := range []*task{taking, telling} {
		if t.failed() == nil {
			continue
		}
		if out.settle(true) {
			out.drop()
		} else { // answered in the same moment
			<-placing.done
			if out.call != nil {
				leave(out.call.s)
				<-out.call.Done()
			}
		}
		placing.leave()
		t.raise()
	}
	taking.leave()
	telling.leave()
	if ctx.Err() != nil && out.settle(true) {
		out.drop()
		placing.leave()
		return nil, cause(ctx)
	}
	<-placing.done // soon, if it was answered in the same moment: ctx is that of the streams
	if err = placing.result(); err == nil {
		out.tellAnswer()
		return out.call, nil
	}
	if ctx.Err() != nil {
		return nil, cause(ctx)
	}
	return nil, err
}

// errPanic stands for a panic of the program's code, which is logged or raised by itself.
var errPanic = errors.New("ua: panic in a stream or a callback")

// cause returns the error of a context, and its cause if that says more.
func cause(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrClosed), errors.Is(cause, ErrReplaced), errors.Is(cause, dialog.ErrEnded), errors.Is(cause, transaction.ErrTimeout), errors.Is(cause, ctx.Err()):
		return cause
	default:
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
}

// outgoing is a call of ours that is not answered yet.
type outgoing struct {
	ctx      context.Context // of Invite
	a        *Agent
	base     *media
	opts     *InviteOptions
	cancel   func(error)  // cancels the call, for a reason
	came     *news        // what the branches have not taken yet
	queued   bool         // something was put there; for who is told of responses
	taking   *task        // takes it from there
	takeOnce sync.Once    // that begins
	seen     *news        // and then, what the program is not told of yet
	returned atomic.Bool  // Invite has returned
	tried    atomic.Int32 // places
	host     string       // of ours, that the offer names; for who runs

	handling chan struct{} // full: somebody has the branches, who may call streams
	branches map[*dialog.Session]*Call
	forked   bool // the streams of base have had a branch

	mu      sync.Mutex
	settled bool // answered, or given up
	givenUp bool

	call *Call         // that was answered; for who has waited for run
	resp *sip.Response // the answer, if somebody is to be told
}

func newOutgoing(ctx context.Context, a *Agent, base *media, opts *InviteOptions, cancel func(error)) *outgoing {
	return &outgoing{
		taking: &task{a: a, done: make(chan struct{}), onPanic: func() { cancel(errPanic) }},
		ctx:    ctx, a: a, base: base, opts: opts, cancel: cancel,
		came: newNews(), seen: newNews(), handling: make(chan struct{}, 1), branches: map[*dialog.Session]*Call{},
	}
}

// settle decides once whether the call was answered or given up, and reports
// whether it is as the caller says.
func (o *outgoing) settle(giveUp bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.settled {
		o.settled, o.givenUp = true, giveUp
	}
	return o.givenUp == giveUp
}

// carries reports whether the call has streams. The media forgets them when it is over.
func (o *outgoing) carries() bool { return len(o.opts.Streams) > 0 }

// run places the call, here and there if it is redirected.
func (o *outgoing) run(target string) error {
	ctx := o.ctx
	options := o.a.supported()
	if o.opts.History {
		options = append(options, sip.OptionHistInfo)
	}
	edits := o.a.recvInfo(o.a.capabilities(options)...)
	if o.opts.Anonymous {
		edits = append(edits, anonymous()...)
	}
	req, err := o.a.newRequest(sip.INVITE, target, append(edits, o.opts.Header...)...)
	if err != nil {
		return err
	}
	if o.opts.Anonymous {
		req = keepID(req)
	}
	if !o.opts.referred {
		o.a.keys.address(req)
	}
	r := newRedirects(req, o.opts.MaxRedirects)
	r.data = slices.Contains(o.a.cfg.Supported, sip.OptionUUI)
	if o.opts.History {
		r.history = &history{}
	}
	s, resp, err := o.place(ctx, r.first())
	for s == nil && ctx.Err() == nil && r.follow(resp, err) {
		o.a.keys.redirected(req)
		s, resp, err = o.place(ctx, r.next())
	}
	if err := o.a.result(resp, err); err != nil {
		return err
	}
	// From here on the call is up, and ended with BYE whatever is wrong.
	if !o.settle(false) {
		leave(s, reasons(context.Cause(ctx))...)
		return cause(ctx)
	}
	up := false
	defer func() {
		if up {
			return
		}
		leave(s, reasons(context.Cause(ctx))...) // be it by a panic in a stream
		if o.call != nil {
			o.call.ended()
			<-o.call.Done()
		}
	}()
	err = o.answered(s, resp)
	if over := s.Err(); err != nil && errors.Is(over, dialog.ErrBye) {
		err = hungUp(over) // right behind the answer, which the streams may not have got
	}
	up = err == nil
	return err
}

// place sends one INVITE, by another way if nothing comes back by the first, and returns
// what became of it.
func (o *outgoing) place(ctx context.Context, req *sip.Request) (s *dialog.Session, resp *sip.Response, err error) {
	o.a.along(ctx, req, func(ctx context.Context, req *sip.Request) error {
		var elsewhere bool
		s, resp, elsewhere, err = o.placeBy(ctx, req)
		if err == nil && resp.Status() == sip.StatusUnsupportedMediaType && o.base.detach() { // RFC 3261 section 8.1.3.5
			again := req.With(sip.CSeq{Seq: resp.CSeq().Seq + 1, Method: sip.INVITE})
			s, resp, elsewhere, err = o.placeBy(ctx, again)
		}
		if elsewhere {
			return o.a.result(resp, err)
		}
		return nil
	})
	return s, resp, err
}

// placeBy sends an INVITE by one way. elsewhere says that another one may do if it has
// failed: no phone has rung, and it was not a stream.
func (o *outgoing) placeBy(ctx context.Context, req *sip.Request) (s *dialog.Session, resp *sip.Response, elsewhere bool, err error) {
	contact, own, err := o.a.contactFor(ctx, req, o.opts.Anonymous)
	if err != nil {
		return nil, nil, true, err
	}
	if _, said := req.Value("Contact"); !said {
		req = req.With(contact)
	}
	req = o.a.preferring(req)
	if o.carries() && own.Host != o.host { // at first, or the way before led from elsewhere
		o.host = own.Host
		if err := o.base.startAt(ctx, own); err != nil {
			return nil, nil, false, err
		}
	}
	if o.carries() && !o.opts.NoOffer {
		if !o.base.offering() {
			if _, err := o.base.offer(ctx); err != nil {
				return nil, nil, false, err
			}
		}
		req = req.With(sip.Body{Type: sdpType, Content: o.base.text()})
	}
	var body sip.Body
	if t, ok := req.Value("Content-Type"); ok {
		body = sip.Body{Type: t, Content: req.Body()}
	}
	whole, err := o.base.wrap(body, o.opts.Parts)
	if err != nil {
		return nil, nil, false, err
	}
	if whole != body {
		req = req.With(whole)
	}
	early, end := context.WithCancel(ctx)
	offered := supports(req, sip.Option100rel)
	elsewhere = true
	s, resp, err = o.a.l.Invite(ctx, req, func(s *dialog.Session, resp *sip.Response) {
		elsewhere = false
		o.provisional(&provisional{ctx: early, s: s, resp: resp, reliable: s != nil && offered && isReliable(resp)})
	})
	end() // a stream that is slow with early media does not keep the ACK back
	o.endBranches(s)
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without what Invite says itself
	}
	return s, resp, elsewhere, err
}

// endBranches ends those that have not become the call, and waits until their streams are
// closed.
func (o *outgoing) endBranches(but *dialog.Session) {
	o.handling <- struct{}{}
	defer func() { <-o.handling }()
	o.tried.Add(1)
	for s, c := range o.branches {
		if s != but {
			c.ended()
			<-c.Done()
			delete(o.branches, s)
		}
	}
}

// drop ends all of them, but the one that is the call.
func (o *outgoing) drop() {
	if o.call == nil {
		o.endBranches(nil)
		return
	}
	o.endBranches(o.call.s)
}

// gone reports whether the call was given up.
func (o *outgoing) gone() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.givenUp
}

// branch returns the Call of a branch. One that is over already has no streams. It is called
// by who has them.
func (o *outgoing) branch(s *dialog.Session) (*Call, error) {
	if c := o.branches[s]; c != nil {
		return c, nil
	}
	c := o.a.newCall(s)
	if c.m = newMedia(nil, c.over, o.a.panicked); !c.over() {
		m, err := o.base.branch(o.ctx, !o.forked, c.over)
		if err != nil {
			return nil, err
		}
		c.m, o.forked = m, true
	}
	c.placing.Store(o)
	if err := o.a.add(c); err != nil {
		c.ended()
		<-c.Done()
		return nil, err
	}
	o.branches[s] = c
	return c, nil
}

// answered takes the 2xx and acknowledges it.
func (o *outgoing) answered(s *dialog.Session, resp *sip.Response) error {
	// The Contact may lead nowhere. When ctx ends the ACK is for the BYE to send.
	acknowledge := func(edits ...sip.Edit) error { return s.Ack(o.ctx, edits...) }
	for _, p := range o.came.all() { // what is not looked at yet
		o.handle(p)
	}
	o.handling <- struct{}{}
	defer func() { <-o.handling }()
	c, err := o.branch(s)
	if err != nil {
		acknowledge()
		return err
	}
	o.call = c
	if o.opts.OnAnswer != nil {
		o.resp = resp
	}
	c.answered.Store(true)
	c.placing.Store(nil)
	if err := c.accepted(o.ctx, resp, o.carries(), acknowledge); err != nil {
		c.ended()
		<-c.Done()
		return err
	}
	return nil
}

// tellAnswer tells the program of the 2xx.
func (o *outgoing) tellAnswer() {
	if o.opts.OnAnswer == nil {
		return
	}
	returned := false
	defer func() {
		if !returned {
			leave(o.call.s)
			<-o.call.Done()
		}
	}()
	o.opts.OnAnswer(o.call, o.resp)
	returned = true
}

// accepted takes the 2xx to our INVITE. ctx is for the streams.
func (c *Call) accepted(ctx context.Context, resp *sip.Response, streams bool, acknowledge func(...sip.Edit) error) error {
	preview := c.preview
	c.preview = "" // which is part of a message
	c.learn(resp)
	body, ok := description(resp)
	plain := func() error { return acknowledge() }
	switch {
	case c.m.offering():
		if !ok { // some put it into the 18x alone
			body, ok = preview, preview != ""
		}
		if !ok {
			acknowledge()
			return ErrNoStream
		}
		return c.m.answered(ctx, body, true, plain)
	case c.m.isAgreed(): // by a reliable provisional response
		return c.m.confirmed(ctx, plain)
	case ok:
		answer, err := c.answerTo(withMessage(ctx, resp), body, streams)
		if answer == "" {
			acknowledge()
			return err
		}
		if ackErr := acknowledge(sip.Body{Type: sdpType, Content: answer}); err == nil {
			err = ackErr
		}
		return err
	case streams:
		acknowledge()
		return ErrNoStream
	default:
		return acknowledge()
	}
}
