package dialog

import (
	"context"
	"errors"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

var errTags = errors.New("dialog: an INVITE has a tag in From and none in To")

// inviting is an INVITE of ours that is not answered yet.
type inviting struct {
	l           *Layer
	req         *sip.Request // but for its credentials
	key         inviteKey    // of unsettled
	contact     string
	made        bool          // contact is of our making
	minSE       time.Duration // as in Session
	reliable    bool          // it offers 100rel
	described   bool          // it has an offer
	rings       func()        // called for each provisional response but 100
	provisional func(*Session, *sip.Response)
	early       map[string]*Session // by key of the To tag
	final       *sip.Response
}

// Invite sends an INVITE that is to begin a call and returns when it is
// answered. With a 2xx there is a Session, and the caller must Ack it, which requests
// of the peer but BYE wait for, T1 at most; with another final response there is none,
// and no error.
//
// provisional, unless nil, is called for each provisional response but 100, with the
// Session that it is of: each branch of a fork that rings has one, with requests and
// offers of its own, which are over when another one has answered; nil, if the
// response has no tag. Branches beyond 32 are not shown. While it runs, the responses that follow wait, and so does the
// CANCEL. If the request says that it supports 100rel, a response that requires it is
// to be acknowledged by a PRACK (Do), within its 64*T1; those that come again, or out
// of order, are not shown (RFC 3262 section 4), nor are those beyond 16 of a branch, or 64
// of all, whose PRACK is not answered yet: the callee sends them again.
//
// When ctx ends the INVITE is cancelled, which takes a provisional response first (RFC
// 3261 section 9.1), and Invite returns when that is answered: after 64*T1, 32 seconds, at
// the latest. Should the call be answered all the same, it is ended, as are the surplus
// answers of a fork, and those that come behind a refusal.
//
// An INVITE whose ctx is that of an Invitation, or made of it, is sent on behalf of that.
// When the peer of the Invitation gives it up, it gets its 487 at once. One that only rings,
// without a provisional response but 100 for 200 s, is cancelled, and the error is
// transaction.ErrTimeout: as it is with timer C of a proxy (RFC 3261 section 16.8), for
// nobody who could hang up may be there. Timer C of Config.Transaction, which is for any
// INVITE, takes the place of that.
//
// From needs a tag. A Contact is added if there is none.
func (l *Layer) Invite(ctx context.Context, req *sip.Request, provisional func(*Session, *sip.Response)) (*Session, *sip.Response, error) {
	goroutine.Grow()
	if req.From().Tag() == "" || req.To().Tag() != "" {
		return nil, nil, wrap("invite", req, errTags)
	}
	contact, err := sip.Get[sip.Contact](req)
	made := errors.Is(err, sip.ErrMissing)
	if made {
		contact, err = l.ContactFor(ctx, req.From().URI.User, req)
		req = req.With(contact)
	}
	if err != nil {
		return nil, nil, wrap("invite", req, err)
	}
	o := &inviting{
		l: l, contact: textOf(contact), made: made, provisional: provisional,
		key:       settling(req.CallID(), req.From().Tag()),
		reliable:  offers100rel(req),
		described: describes(req),
	}
	defer l.tl.Busy()() // until the BYE of an answer that is not wanted is begun
	l.unsettle(o.key, 1)
	defer l.unsettle(o.key, -1) // then what came behind the answer goes on
	answered := false
	ctx, rings, done := l.onBehalf(ctx)
	defer done()
	o.rings = rings
	defer func() {
		if !answered { // for an error, or a panic of provisional
			o.giveUp()
		}
	}()
	sent, err := o.send(ctx, req)
	if err != nil {
		return nil, o.final, wrap("invite", req, err)
	}
	answered = true
	if !o.final.Status().Success() {
		o.giveUp()
		if ctx.Err() != nil {
			return nil, o.final, wrap("invite", req, context.Cause(ctx))
		}
		return nil, o.final, nil
	}
	s, err := o.accepted(ctx, sent)
	if err != nil {
		return nil, o.final, wrap("invite", req, err)
	}
	return s, o.final, nil
}

// send sends the INVITE, again if the interval of its session timer is too short, and
// returns it as it was answered.
func (o *inviting) send(ctx context.Context, req *sip.Request) (*sip.Request, error) {
	cfg := o.l.cfg.SessionTimer
	_, said := req.Value("Session-Expires")
	ours := cfg != nil && !said
	for try := 1; ; try++ {
		if ours {
			req = timed(req, cfg, cfg.interval(), o.minSE, "")
		}
		o.req = req
		sent, err := o.l.roundTrip(ctx, req, o.nextSeq, o.response)
		if !o.l.longer(&o.minSE, ours, o.final, err) || try == maxIntervals || ctx.Err() != nil {
			return sent, err
		}
		o.startOver()
		o.final = nil
		cseq := sent.CSeq()
		cseq.Seq++
		req = req.With(cseq) // without the credentials, which are for one use
	}
}

// nextSeq returns the number of the INVITE when it is sent again with credentials. The
// challenge has ended what rang before (RFC 3261 section 12.3).
func (o *inviting) nextSeq(last *sip.Request) uint32 {
	o.startOver()
	cseq := last.CSeq()
	cseq.Seq++
	o.req = last.With(cseq)
	return cseq.Seq
}

// response takes each response.
func (o *inviting) response(resp *sip.Response) {
	if resp.Status().Final() {
		o.final = resp
		return
	}
	o.rings()
	over := resp.Status() == sip.StatusEarlyDialogTerminated
	if over && o.early[tagKey(resp.To().Tag())] == nil && !isNumbered(resp) { // RFC 6228 section 4
		return
	}
	s := o.ringing(resp)
	switch {
	case s == nil && resp.To().Tag() != "": // a branch too many, or one that cannot be
		return
	case s != nil && !s.provisional(resp, o.reliable, o.isCrowded()):
		return
	}
	if o.provisional != nil {
		o.provisional(s, resp)
	}
	if s != nil && over {
		s.terminate(ErrEnded)
	}
}

// isCrowded reports whether the branches have as many reliable responses without an answer
// to their PRACK as they may.
func (o *inviting) isCrowded() bool {
	if !o.reliable {
		return false
	}
	n := 0
	for _, s := range o.early {
		s.mu.Lock()
		n += s.unanswered()
		s.mu.Unlock()
	}
	return n >= maxInviteRacks
}

// ringing returns the early dialog that a response is of, which it may make (RFC 3261
// section 12.1), or nil.
func (o *inviting) ringing(resp *sip.Response) *Session {
	tag := resp.To().Tag()
	s := o.early[tagKey(tag)]
	if s != nil || tag == "" || len(o.early) == maxForks {
		return s
	}
	s = o.session(newCaller(o.req, resp))
	if o.l.add(&s.Dialog) != nil {
		return nil
	}
	if o.early == nil {
		o.early = map[string]*Session{}
	}
	o.early[tagKey(s.d.id.RemoteTag)] = s
	o.l.unsettle(o.key, 0)
	return s
}

// session makes the Session of a branch. Where an early one cannot send requests,
// that is found out when it does.
func (o *inviting) session(d state, _ error) *Session {
	s := newSession(o.l, d)
	s.contact, s.made, s.minSE = o.contact, o.made, o.minSE
	s.inviting = true
	s.offers.request(local, o.req.CSeq(), o.described)
	return s
}

// end ends the early dialogs, but the one that has become the call.
func (o *inviting) end(but *Session) {
	for _, s := range o.early {
		if s != but {
			s.terminate(ErrEnded)
		}
	}
	o.early = nil
}

// startOver ends the early dialogs before the INVITE is sent again, whose answers may have
// the tags of those.
func (o *inviting) startOver() {
	o.end(nil)
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	o.l.unsettled[o.key].ended = nil
}

// giveUp ends an INVITE that was not answered, or refused. The CANCEL of timer C, or of a
// loop that was left, may be on its way, and behind a refusal the 2xx of another branch of
// a fork (RFC 3261 section 16.7 step 5): one that comes all the same is a surplus one.
func (o *inviting) giveUp() {
	early := o.early
	o.end(nil)
	o.l.settle(o.req, nil, nil, early)
}

// accepted takes the 2xx, which makes one branch the call. Its route set is that of
// the 2xx, whatever came before (RFC 3261 section 13.2.2.4).
func (o *inviting) accepted(ctx context.Context, sent *sip.Request) (*Session, error) {
	l, final := o.l, o.final
	d, err := newCaller(sent, final)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // the answer crossed the CANCEL
	}
	s := o.early[tagKey(final.To().Tag())]
	var left error // by Bye, say
	if s != nil {
		left = s.Err()
	}
	if s == nil || left != nil {
		was := s
		s = o.session(d, nil)
		s.d.localSeq = max(s.d.localSeq, was.lastSeq())
	}
	s.mu.Lock()
	s.d.path, s.d.secure = d.path, d.secure
	s.d.localSeq = max(s.d.localSeq, d.localSeq)
	s.invite, s.unacked, s.inviting = ackedBy(sent), true, false
	s.offers.answered(sent, final, nil)
	s.began = err == nil && left == nil
	if s.began {
		s.learn(final)
		s.timerAgreed(final, local)
	}
	s.mu.Unlock()
	early := o.early
	o.end(s) // before settle, which may find that they have answered, too
	used := l.settle(sent, final, s, early)
	s.leave() // should the peer have said BYE meanwhile
	switch {
	case used != nil:
		s.terminate(used)
		return nil, used
	case err == nil:
		err = left
	}
	if err != nil {
		s.hangUp(ErrEnded, why(err)...)
		return nil, err
	}
	return s, nil
}

// why returns what the BYE says of the error that it is for (RFC 3326).
func why(err error) []sip.Edit {
	if reasons := transaction.Reasons(err); len(reasons) > 0 {
		return []sip.Edit{sip.List(reasons...)}
	}
	return nil
}

// lastSeq returns the number of our last request, 0 for none.
func (s *Session) lastSeq() uint32 {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.d.localSeq
}
