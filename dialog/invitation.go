package dialog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// ErrExpired is the cause of the context of an Invitation that was not answered
// in the time that the INVITE's Expires gives (RFC 3261 section 13.3.1).
var ErrExpired = errors.New("dialog: the invitation has expired")

// Invitation is an INVITE that arrived and is not answered yet.
type Invitation struct {
	tx  *transaction.Server
	req *sip.Request
	s   *Session
	re  bool // within a call that was there before
	ctx context.Context
	end context.CancelCauseFunc

	expires time.Time // when the INVITE does; zero: never

	// Of a call that was restored.
	restored bool
	answer   *sip.Response // the 2xx, if it was sent before
	resume   *awaited      // the wait for its ACK
	waited   chan struct{} // closed when that is over
	ack      *sip.Request  // what came of it
	err      error

	// Under the lock of the Session.
	final   bool
	ringing *sip.Response // the last provisional one, nil before that
	repeat  *time.Timer   // of that
}

func newInvitation(tx *transaction.Server, req *sip.Request, s *Session) *Invitation {
	in := &Invitation{tx: tx, req: req, s: s}
	in.ctx, in.end = context.WithCancelCause(tx.Context())
	return in
}

// invited takes an INVITE outside of a dialog. The dialog that its responses
// make is known from here on: a BYE may end it while it is early (RFC 3261
// section 15).
func (l *Layer) invited(tx *transaction.Server, req *sip.Request) {
	d, err := newCallee(req, tx.Tag())
	if err != nil {
		tx.Refuse(err)
		return
	}
	expires, err := sip.Get[sip.Expires](req)
	limited := err == nil
	if err != nil && !errors.Is(err, sip.ErrMissing) {
		tx.Refuse(err)
		return
	}
	s := newSession(l, d)
	// The peer reaches us as it did just now.
	self, err := l.tl.Endpoint().ContactOn(tx.Context(), tx.Flow())
	if err != nil {
		tx.Reply(sip.StatusServerInternalError)
		return
	}
	s.contact, s.made = contact(self, req.To().URI.User, req.URI().Scheme == "sips"), true
	in := newInvitation(tx, req, s)
	if limited {
		in.expires = time.Now().Add(time.Duration(expires) * time.Second)
	}
	s.pending = in
	switch err := l.add(s); {
	case errors.Is(err, errInUse): // a retransmission that is minutes late
		tx.Reply(sip.StatusLoopDetected)
		return
	case err != nil:
		return
	}
	in.run()
}

// run has the user answer.
func (in *Invitation) run() {
	if in.answer != nil {
		in.runAnswered()
		return
	}
	if !in.expires.IsZero() {
		timer := time.AfterFunc(time.Until(in.expires), func() { in.end(ErrExpired) })
		defer timer.Stop()
	}
	status := sip.StatusServerInternalError // for a panic
	defer func() {
		in.s.mu.Lock()
		open := !in.final
		in.s.mu.Unlock()
		if open {
			in.Reject(status)
		}
		in.end(nil)
	}()
	if in.s.l.cfg.OnInvite != nil { // it may be gone after a restart
		in.s.l.cfg.OnInvite(in.ctx, in)
	}
	status = sip.StatusTemporarilyUnavailable
}

// Request returns the INVITE.
func (in *Invitation) Request() *sip.Request { return in.req }

// Session returns the call: one that is to begin when the INVITE is accepted,
// or, if Re says so, one that it changes.
func (in *Invitation) Session() *Session { return in.s }

// Contact returns the Contact that our responses carry: where the peer reaches
// us.
func (in *Invitation) Contact() sip.Contact {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	return in.s.contact
}

// Re reports whether the INVITE is part of a call that is there already.
func (in *Invitation) Re() bool { return in.re }

// ringAgain is how often a provisional response is sent again, lest a proxy
// take the call for dead (RFC 3261 section 13.3.1.1).
const ringAgain = time.Minute

// Provisional sends a provisional response, 101 to 199. The last one is sent
// again every minute until the INVITE is answered.
func (in *Invitation) Provisional(status sip.Status, edits ...sip.Edit) error {
	if status <= sip.StatusTrying || status.Final() {
		return fmt.Errorf("provisional response %d: %w", status, transaction.ErrStatus)
	}
	resp := in.reply(status, append([]sip.Edit{in.Contact()}, edits...)...)
	if err := in.tx.Respond(resp); err != nil {
		return err
	}
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.keepRinging(resp)
	return nil
}

// reply makes a response with the tag of the call, which is that of an earlier run
// of the program if it was restored.
func (in *Invitation) reply(status sip.Status, edits ...sip.Edit) *sip.Response {
	resp := in.req.Reply(status, edits...)
	if to, tag := resp.To(), in.s.d.id.LocalTag; to.Tag() != tag {
		return resp.With(to.WithTag(tag))
	}
	return resp
}

// keepRinging sends a provisional response again every minute until the next
// one. It is called with the lock of the Session held.
func (in *Invitation) keepRinging(resp *sip.Response) {
	if in.final {
		return
	}
	if in.repeat != nil {
		in.repeat.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(ringAgain, func() {
		if in.tx.Respond(resp) != nil {
			return
		}
		in.s.mu.Lock()
		defer in.s.mu.Unlock()
		if in.repeat == timer {
			timer.Reset(ringAgain)
		}
	})
	in.ringing, in.repeat = resp, timer
}

// finish reports whether the caller is the one to give the final response. It
// is called with the lock of the Session held.
func (in *Invitation) finish() bool {
	if in.final {
		return false
	}
	in.final = true
	if in.s.pending == in {
		in.s.pending = nil
	}
	if in.repeat != nil {
		in.repeat.Stop()
		in.ringing, in.repeat = nil, nil
	}
	return true
}

// Reject refuses the call with a final response, 300 to 699. A call that the
// peer has given up is answered with 487 whatever status says.
func (in *Invitation) Reject(status sip.Status, edits ...sip.Edit) error {
	if status < 300 || status > 699 {
		return fmt.Errorf("reject with %d: %w", status, transaction.ErrStatus)
	}
	return in.refuse(in.req.Reply(status, edits...))
}

// Refuse refuses the call for an error that reading the INVITE gave, with the
// response that Refuse of a sip.Request makes. It is like Reject otherwise.
func (in *Invitation) Refuse(err error, edits ...sip.Edit) error {
	return in.refuse(in.req.Refuse(err, edits...))
}

// refuse gives the final response.
func (in *Invitation) refuse(resp *sip.Response) error {
	if err := resp.Err(); err != nil {
		return err
	}
	in.s.mu.Lock()
	first := in.finish()
	if first {
		in.s.refusing = in
	}
	in.s.mu.Unlock()
	if !first {
		return transaction.ErrCompleted
	}
	defer in.refused()
	reason := ErrEnded
	if in.ctx.Err() != nil {
		resp, reason = in.req.Reply(sip.StatusRequestTerminated), context.Cause(in.ctx)
	}
	err := in.tx.Respond(resp)
	if !in.re {
		in.s.terminate(reason)
	}
	return err
}

// refused says that the refusal was given, or will not be.
func (in *Invitation) refused() {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	if in.s.refusing == in {
		in.s.refusing = nil
	}
}

// awaited is the wait for the ACK of a 2xx of ours.
type awaited struct {
	in    *Invitation
	resp  *sip.Response     // the 2xx
	until time.Time         // when there is no more hope
	ack   chan *sip.Request // has room for one: the ACK, or nil if none is needed any more
	over  chan struct{}     // closed when the wait is over, however it ended
}

func newAwaited(in *Invitation, resp *sip.Response, until time.Time) *awaited {
	return &awaited{in, resp, until, make(chan *sip.Request, 1), make(chan struct{})}
}

// seq returns the number that the ACK has, that of the INVITE.
func (a *awaited) seq() uint32 { return a.in.req.CSeq().Seq }

// Accept answers with 200 and waits for the ACK, which it returns: its body is
// the answer if the offer was in the 200. Meanwhile the 200 is sent again and
// again (RFC 3261 section 13.3.1.4). If no ACK comes within 64*T1, 32 seconds,
// the call is ended with BYE, and the error is ErrNoACK. If the peer has given
// up before, the INVITE gets 487, and the error wraps the cause, such as
// transaction.ErrCancelled. If the call is ended meanwhile, by Bye or by the
// peer, the error is that of Session.Err.
//
// Of an Invitation that was restored with its Answer it does the waiting alone:
// that very answer is sent again, and edits say nothing.
func (in *Invitation) Accept(edits ...sip.Edit) (*sip.Request, error) {
	s := in.s
	if in.answer != nil {
		<-in.waited
		return in.ack, in.err
	}
	resp := in.reply(sip.StatusOK, append([]sip.Edit{in.Contact(), s.l.allow()}, edits...)...)
	if err := resp.Err(); err != nil {
		return nil, err
	}
	await := newAwaited(in, resp, time.Now().Add(64*in.tx.Layer().Timers().T1))
	s.mu.Lock()
	if !in.finish() {
		s.mu.Unlock()
		return nil, transaction.ErrCompleted
	}
	gone := s.over || in.ctx.Err() != nil
	if gone {
		s.refusing = in
	} else {
		s.began, s.await = true, await
		s.d.refresh(in.req)
	}
	s.mu.Unlock()
	if gone {
		defer in.refused()
		err := context.Cause(in.ctx)
		if err == nil {
			err = s.Err()
		}
		in.tx.Reply(sip.StatusRequestTerminated)
		if !in.re {
			s.terminate(err)
		}
		return nil, fmt.Errorf("answer %s: %w", in.req.From().URI, err)
	}
	return in.finishWait(await)
}

// finishWait waits for the ACK and does what follows if none comes.
func (in *Invitation) finishWait(await *awaited) (*sip.Request, error) {
	s := in.s
	ack, err := in.sendUntilACK(await)
	s.mu.Lock()
	if s.await == await {
		s.await = nil
	}
	s.mu.Unlock()
	close(await.over)
	if errors.Is(err, ErrNoACK) {
		s.hangUp(ErrNoACK)
	}
	if err != nil {
		return nil, fmt.Errorf("answer %s: %w", in.req.From().URI, err)
	}
	return ack, nil
}

// sendUntilACK sends the 2xx until its ACK comes, the call is over, or nothing
// came for 64*T1. A call that we have ended ourselves waits for the ACK like
// any other: only then may the BYE go out.
func (in *Invitation) sendUntilACK(await *awaited) (*sip.Request, error) {
	s := in.s
	err := in.tx.Respond(await.resp)
	if err != nil && in.answer == nil && (!errors.Is(err, transaction.ErrTransport) || errors.Is(err, transport.ErrClosed)) {
		// What the network did not take goes out with the next one.
		s.terminate(err)
		return nil, err
	}
	timers := in.tx.Layer().Timers()
	interval := timers.T1
	giveUp := time.NewTimer(time.Until(await.until))
	defer giveUp.Stop()
	again := time.NewTimer(interval)
	defer again.Stop()
	for {
		select {
		case ack := <-await.ack:
			if err := s.Err(); ack == nil || errors.Is(err, ErrEnded) {
				return nil, err
			}
			return ack, nil // though a BYE may have come right behind it
		case <-again.C:
			// Over any transport: a hop further on may be UDP.
			in.tx.Respond(await.resp)
			interval = min(2*interval, timers.T2)
			again.Reset(interval)
		case <-giveUp.C:
			s.mu.Lock()
			came := s.await != await
			s.mu.Unlock()
			if came {
				continue
			}
			return nil, ErrNoACK
		case <-s.l.ctx.Done():
			s.terminate(transport.ErrClosed)
			return nil, s.Err()
		}
	}
}
