package dialog

import (
	"errors"
	"fmt"
	"strings"
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
	ctx givenUp

	expires time.Time // when the INVITE does; zero: never

	// Of a call that was restored.
	restored bool
	answer   *sip.Response // the 2xx, if it was sent before

	heard  *Session // the branch that Relay shares the peer's early dialog with
	agreed bool     // the other leg has changed its call: no CANCEL undoes that

	relayed chan struct{} // closed when Relay has passed the ACK on; nil: it does not

	wait awaited // for the ACK of our 2xx

	// Under the lock of the Session.
	final   bool
	rseq    sip.RSeq      // of the last reliable provisional response; 0: none
	ringing *sip.Response // the last provisional one, nil before that
	repeat  *time.Timer   // sends that again, and then the 2xx; nil before there was one
	due     time.Time     // when that fires; zero: never
	turn    chan struct{} // full: a reliable provisional response waits for its PRACK; nil: there was none
	done    chan struct{} // closed when the final response is given; made with turn
}

func newInvitation(tx *transaction.Server, req *sip.Request, s *Session) *Invitation {
	in := &Invitation{tx: tx, req: req, s: s}
	in.ctx.tx, in.ctx.in = tx, in
	return in
}

// end ends the context.
func (in *Invitation) end(cause error) { in.ctx.end(cause) }

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
	own, err := l.calledAt(tx)
	if err != nil {
		tx.Reply(sip.StatusServerInternalError)
		return
	}
	s.contact, s.made = textOf(own), true
	in := newInvitation(tx, req, s)
	if limited {
		in.expires = tx.Arrived().Add(time.Duration(expires) * time.Second)
	}
	s.pending = in
	s.learn(req)
	s.offers.request(remote, req.CSeq(), describes(req))
	if s.tooShort(req) {
		tx.Reply(sip.StatusSessionIntervalTooSmall, l.minSE())
		return
	}
	switch err := l.add(&s.Dialog); {
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
		in.s.l.cfg.OnInvite(&in.ctx, in)
	}
	status = sip.StatusTemporarilyUnavailable
}

// Request returns the INVITE.
func (in *Invitation) Request() *sip.Request { return in.req }

// Flow returns where the INVITE came from.
func (in *Invitation) Flow() transport.Flow { return in.tx.Flow() }

// Session returns the call: one that is to begin when the INVITE is accepted,
// or, if Re says so, one that it changes.
func (in *Invitation) Session() *Session { return in.s }

// Contact returns the Contact that our responses carry: where the peer reaches
// us.
func (in *Invitation) Contact() sip.Contact { return in.s.Contact() }

// Re reports whether the INVITE is part of a call that is there already.
func (in *Invitation) Re() bool { return in.re }

// reply makes a response that may make a dialog, with the tag of the call, which is that
// of an earlier run of the program if it was restored.
func (in *Invitation) reply(status sip.Status, edits []sip.Edit) *sip.Response {
	all := make([]sip.Edit, 0, 8)
	in.s.mu.Lock()
	all = append(all, in.s.contactField())
	in.s.mu.Unlock()
	all = append(append(all, in.s.l.allowed), edits...)
	resp := in.req.Reply(status, all...)
	if !in.restored {
		return resp
	}
	if to, tag := resp.To(), in.s.d.id.LocalTag; to.Tag() != tag {
		return resp.With(to.WithTag(tag))
	}
	return resp
}

// finish reports whether the caller is the one to give the final response. It
// is called with the lock of the Session held.
func (in *Invitation) finish() bool {
	if in.final {
		return false
	}
	in.final = true
	if in.done != nil {
		close(in.done)
	}
	if in.s.pending == in {
		in.s.pending = nil
	}
	in.rings(nil)
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
		in.s.offers.response(local, in.req.CSeq(), resp.Status(), false, true)
	}
	in.s.mu.Unlock()
	if !first {
		return transaction.ErrCompleted
	}
	defer in.refused()
	reason := ErrEnded
	if why := in.ctx.why(); why != nil {
		resp, reason = in.terminated(resp), why
	}
	err := in.tx.Respond(resp)
	if !in.re {
		in.s.terminate(reason)
	}
	return err
}

// terminated returns the 487 that goes out in place of a response which comes too late. What
// that says of the history of the call any response says (RFC 7044 section 9.4).
func (in *Invitation) terminated(late *sip.Response) *sip.Response {
	var edits []sip.Edit
	for f := range late.Fields() {
		if strings.EqualFold(f.Name, "History-Info") {
			edits = append(edits, sip.Add(f))
		}
	}
	return in.req.Reply(sip.StatusRequestTerminated, edits...)
}

// refused says that the refusal was given, or will not be.
func (in *Invitation) refused() {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	if in.s.refusing == in {
		in.s.refusing = nil
	}
}
