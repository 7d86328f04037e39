package dialog

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Relay answers the INVITE as another one was answered that was sent on its behalf: s
// is the call of that one, resp a response to it, or err what Invite has returned in
// place of a final one. It ties the two calls to each other, see Other of Dialog.
//
//	callee, resp, err := layer.Invite(ctx, out, func(branch *dialog.Session, resp *sip.Response) {
//		in.Relay(branch, resp, nil)
//	})
//	in.Relay(callee, resp, err)
//
// A provisional response is sent as Reliable does if it came so and the peer supports
// it, but it is not waited for the answer to the PRACK, or else as Provisional does. Then
// it gets its PRACK from here, unless it has an offer: that is for the program to answer.
// The peer has one dialog, also if the INVITE has forked: it shares it with the first
// branch that describes a session or rings reliably, and hears of the others that they
// ring. A 2xx is sent as Accept does. When the ACK has come, s gets it, before any request
// that follows it is served unless that takes longer than T2, 4 seconds; and if none does,
// or the peer has given up, s is ended. Within a call a 2xx is sent also if the peer has
// given up, for what is agreed on holds (RFC 6141 section 3.8); where it cannot be sent
// any more, as when the peer was refused for want of a PRACK, s gets an ACK, and both
// calls stay.
// If another branch answers than the one that the peer has heard, both sides are
// invited once more, to describe their sessions to each other (RFC 3725).
//
// Invite is to have the context of this Invitation. Then a peer that gives up gets its 487
// at once, whatever becomes of the CANCEL on the other side, and a call does not ring for
// ever, see there: after 200 s without a word of the callee it is 408.
//
// A challenge that Config.Auth has no answer to is for the peer. A 503 would say that we
// cannot be reached, and is passed on as 500 without its Retry-After (RFC 3261 section
// 16.7); so is a 422, by a Layer with session timers of its own. For any other err the
// answer is 491 if that is ErrPending, 408 if nobody has answered, 481 if the other call is
// over, or 480 if this one is to begin, 483 if the Max-Forwards of the INVITE was 0, and
// 500 for all else. The error is that of Provisional, Reliable, Reject, Accept or Ack:
// transaction.ErrCompleted if the peer has given up.
func (in *Invitation) Relay(s *Session, resp *sip.Response, err error) error {
	switch {
	case err != nil && !isChallenge(resp):
		status := statusOf(in.req, err)
		if status == sip.StatusCallDoesNotExist && !in.re {
			status = sip.StatusTemporarilyUnavailable
		}
		return in.Reject(status)
	case !resp.Status().Final():
		return in.relayProvisional(s, resp)
	case !resp.Status().Success():
		status, edits := in.s.l.relayedAnswer(resp)
		return in.Reject(status, edits...)
	}
	if err := in.relayAnswer(s, resp); err != nil {
		return err
	}
	if in.heard != nil && in.heard != s {
		agree(in.s, s)
	}
	return nil
}

// relayAnswer sends a 2xx, and passes its ACK on before the peer's next request is served.
func (in *Invitation) relayAnswer(s *Session, resp *sip.Response) error {
	tie(&in.s.Dialog, &s.Dialog)
	if s.Err() != nil { // its end was told when nobody could know whose end that is, too
		return in.Reject(sip.StatusTemporarilyUnavailable, s.Farewell()...)
	}
	in.agreed = in.re
	in.relayed = make(chan struct{})
	defer close(in.relayed)
	ack, err := in.Accept(in.s.l.Relayed(resp)...)
	return in.relayACK(s, ack, err)
}

// relayACK gives s the ACK that the 2xx has got, or ends it for the error in place of one.
func (in *Invitation) relayACK(s *Session, ack *sip.Request, err error) error {
	if err != nil {
		if in.re && in.s.Err() == nil {
			s.Ack(s.l.ctx)
		} else {
			s.hangUp(ErrEnded, reasonOf(cmp.Or(in.ctx.why(), err))...)
		}
		return err
	}
	if err := s.Ack(s.l.ctx, s.l.Relayed(ack)...); err != nil {
		s.hangUp(ErrLost) // where the INVITE went, and so may the ACK
		return err
	}
	return nil
}

// relayProvisional is called for one response after the other.
func (in *Invitation) relayProvisional(s *Session, resp *sip.Response) error {
	status := resp.Status()
	_, reliable := resp.Value("RSeq")
	switch {
	case status == sip.StatusEarlyDialogTerminated: // of one branch (RFC 6228), and not of the peer's dialog
		return nil
	case s == nil: // it has no tag
		return in.Provisional(status)
	case in.heard != nil && in.heard != s:
		if other := in.s.Other(); other == nil || other.session.Err() != nil {
			tie(&in.s.Dialog, &s.Dialog) // requests of the peer are for a branch that is there
		}
		if reliable {
			s.acknowledgeRinging()
		}
		return in.Provisional(status)
	case reliable || describes(resp):
		in.heard = s
	}
	tie(&in.s.Dialog, &s.Dialog)
	edits := s.l.Relayed(resp)
	if reliable {
		if err := in.ringReliably(status, edits); !errors.Is(err, Err100rel) {
			return err
		}
		if !s.hasOffered(resp.CSeq()) {
			s.acknowledgeRinging()
		}
	}
	return in.Provisional(status, edits...)
}

// acknowledgeRinging sends the PRACK of a response that the peer of the other leg has none
// for.
func (s *Session) acknowledgeRinging() {
	// Ends with the answer.
	go func() {
		defer s.l.fence()
		s.Do(s.l.ctx, sip.PRACK)
	}()
}

// agree has the callee make an offer and the caller answer it, each when its peer has no
// INVITE of its own under way. Where that fails, they
// have nothing to say to each other.
func agree(caller, callee *Session) {
	ctx := callee.l.ctx
	offer, err := callee.inviteInTurn(ctx)
	if err == nil && offer.Status().Success() {
		answer, err := caller.inviteInTurn(ctx, bodyOf(offer))
		if err == nil && answer.Status().Success() {
			caller.Ack(ctx)
			callee.Ack(ctx, bodyOf(answer))
			return
		}
	}
	reason := sip.Reason{Protocol: "SIP", Cause: int(sip.StatusNotAcceptableHere)}
	caller.hangUp(ErrEnded, reason)
	callee.hangUp(ErrEnded, reason)
}

// maxGlares bounds how often an INVITE gives way to one of the peer.
const maxGlares = 4

// inviteInTurn changes the call as Invite does, and tries again where the peer is about to
// change it, too (RFC 3261 section 14.1).
func (s *Session) inviteInTurn(ctx context.Context, edits ...sip.Edit) (*sip.Response, error) {
	for try := 1; ; try++ {
		resp, err := s.Invite(ctx, nil, edits...)
		glare := errors.Is(err, ErrPending) || err == nil && resp.Status() == sip.StatusRequestPending
		if !glare || try == maxGlares {
			return resp, err
		}
		select {
		case <-time.After(s.RetryDelay()):
		case <-s.Done(): // which Invite says
		}
	}
}

// Relay answers the request as another one was answered that was sent on its behalf,
// or for the error that came in place of that answer, as Relay of an Invitation does: a
// 503 is 500, too.
// A PRACK for which there was ErrNothing, or whose branch of a fork is over, has done
// what it is for, and gets 200; or 488 if it has an offer, for nobody is there to
// answer that (RFC 6337 section 2.3). Before the INVITE of the peer is answered, other
// branches may go on, or one has answered since: what would end its call, such as a 481,
// is 500 with a Retry-After.
func (t *Server) Relay(resp *sip.Response, err error) error {
	req := t.Request()
	var status sip.Status
	var edits []sip.Edit
	switch {
	case err == nil, isChallenge(resp):
		status, edits = t.l.relayedAnswer(resp)
	case req.Method() != sip.PRACK || !errors.Is(err, ErrNothing) && !isOver(err):
		status = statusOf(req, err)
	case t.d.hasOffered(req.CSeq()):
		status = sip.StatusNotAcceptableHere
	default:
		status = sip.StatusOK
	}
	if statusEnds(req.Method(), status) != endsNothing && (t.d.rings() || ofSession(req.Method()) && t.d.isWanted()) {
		status, edits = sip.StatusServerInternalError, []sip.Edit{retryAfter()}
	}
	return t.Reply(status, edits...)
}

// rings reports whether the INVITE of the peer that makes the dialog is not answered yet.
func (d *Dialog) rings() bool {
	if d == nil || d.session == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	in := d.session.pending
	return in != nil && !in.re
}

// isWanted reports whether there is another leg that is not over: a request which its branch
// did not survive was for one that has lost.
func (d *Dialog) isWanted() bool {
	if d == nil {
		return false
	}
	other := d.Other()
	return other != nil && other.session != nil && other.session.Err() == nil
}

// relayedAnswer returns how a final response is passed on. What is about us alone is no
// answer to the peer, who may be able to do something about it: a 503, after which the
// peer would avoid us, and go to another one of us at once (RFC 3261 section 16.7 step 6,
// RFC 3263 section 4.3), and a 422 where we have timers of our own, for ours is the
// interval that it refuses.
func (l *Layer) relayedAnswer(resp *sip.Response) (sip.Status, []sip.Edit) {
	status, edits := resp.Status(), l.Relayed(resp)
	switch {
	case status == sip.StatusServiceUnavailable:
		return sip.StatusServerInternalError, append(edits, sip.Del("Retry-After"))
	case status == sip.StatusSessionIntervalTooSmall && l.cfg.SessionTimer != nil:
		return sip.StatusServerInternalError, edits
	}
	return status, edits
}

// isChallenge reports whether there is a response that asks for credentials. One that
// comes with an error has asked for those of somebody else (RFC 3261 section 22.3).
func isChallenge(resp *sip.Response) bool { return resp != nil && challenges(resp) }

// hasOffered reports whether the peer has made an offer in a transaction that is not
// answered yet.
func (d *Dialog) hasOffered(in sip.CSeq) bool {
	if d == nil || d.session == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.session.offers.is(remote, in)
}

// Farewell returns what the BYE of the other leg of a call that is over is to say: what
// that of the peer has said, as Relayed has it but for Max-Forwards, for it ends a call
// that is there whatever way it goes, or why there was none, in a Reason (RFC 3326).
func (s *Session) Farewell() []sip.Edit {
	err := s.Err()
	var by *transaction.RequestError
	if errors.As(err, &by) && by.Request.Method() == sip.BYE {
		return slices.DeleteFunc(s.l.Relayed(by.Request), func(e sip.Edit) bool {
			_, hops := e.(sip.MaxForwards)
			return hops
		})
	}
	return reasonOf(err)
}

// reasonOf returns the Reason for an error that has ended a call; none where there is
// nothing to tell.
func reasonOf(err error) []sip.Edit {
	if err == nil || errors.Is(err, ErrEnded) || errors.Is(err, ErrBye) {
		return nil
	}
	if said := why(err); said != nil {
		return said
	}
	reason := sip.Reason{Protocol: "SIP", Cause: int(sip.StatusRequestTimeout)}
	switch {
	case errors.Is(err, transaction.ErrCancelled):
		reason.Cause = int(sip.StatusRequestTerminated)
	case errors.Is(err, ErrLost):
		reason.Cause = int(sip.StatusCallDoesNotExist)
	}
	for _, known := range []error{ErrNoACK, ErrNotRefreshed, ErrLost} {
		if errors.Is(err, known) {
			reason.Text = strings.TrimPrefix(known.Error(), "dialog: ")
		}
	}
	return []sip.Edit{reason}
}

// statusOf returns what to answer to a request on whose behalf another one has failed.
func statusOf(req *sip.Request, err error) sip.Status {
	switch {
	case isOver(err):
		return sip.StatusCallDoesNotExist
	case errors.Is(err, ErrPending):
		return sip.StatusRequestPending
	case errors.Is(err, transaction.ErrTimeout):
		return sip.StatusRequestTimeout
	case req.MaxForwards() == 0:
		return sip.StatusTooManyHops
	}
	return sip.StatusServerInternalError
}

// isOver reports whether an error says that a call is over.
func isOver(err error) bool {
	return slices.ContainsFunc([]error{ErrBye, ErrEnded, ErrLost, ErrNoACK, ErrNotRefreshed},
		func(over error) bool { return errors.Is(err, over) })
}
