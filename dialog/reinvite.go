package dialog

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Invite changes the call with an INVITE within it. If the answer is a 2xx,
// the caller must Ack it; another final response leaves the call as it was, but
// for 481 and 408, which end it, as does no answer at all. When ctx ends the
// INVITE is cancelled, and the error is its cause unless a 2xx came first.
//
// While another INVITE of the call is under way, in either direction and up to
// its ACK, the error is ErrPending. A 491 says that the peer has sent one at the
// same time: wait for RetryDelay and try again (RFC 3261 section 14.1).
func (s *Session) Invite(ctx context.Context, edits ...sip.Edit) (*sip.Response, error) {
	s.renewContact(ctx)
	s.mu.Lock()
	switch {
	case s.over:
		defer s.mu.Unlock()
		return nil, s.err
	case s.inviting || s.unacked || s.pending != nil || s.await != nil:
		s.mu.Unlock()
		return nil, ErrPending
	}
	s.inviting = true
	req := s.next(sip.INVITE, edits...)
	s.asked = s.d.localSeq
	s.mu.Unlock()

	defer s.l.tl.Busy()() // until it is known what to do with the answer
	var last *sip.Response
	req, err := s.l.roundTrip(s.towards(ctx), req, s.nextInvite, func(resp *sip.Response) { last = resp })
	accepted := err == nil && last.Status().Success()
	switch {
	case accepted:
		err = s.l.settle(req, last, nil)
	case gone(last, err):
		s.hangUp(ErrLost)
	case err == nil && ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	s.mu.Lock()
	s.inviting = false
	if accepted {
		s.d.refresh(last)
		s.invite, s.unacked = ackedBy(req), true
	}
	s.mu.Unlock()
	if err != nil {
		return last, wrap("re-INVITE", req, err)
	}
	return last, nil
}

// nextInvite returns the number of an INVITE that is sent again with credentials.
func (s *Session) nextInvite(*sip.Request) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d.localSeq++
	s.asked = s.d.localSeq
	return s.asked
}

// RetryDelay returns how long to wait after a 491 before an INVITE is sent
// again: 2.1 to 4 s for the side that began the call, up to 2 s for the other
// (RFC 3261 section 14.1). owner says that the Call-ID is ours.
func RetryDelay(owner bool) time.Duration {
	const unit = 10 * time.Millisecond
	if owner {
		return 2100*time.Millisecond + time.Duration(rand.IntN(191))*unit
	}
	return time.Duration(rand.IntN(201)) * unit
}

// reinvited takes an INVITE of the peer within the call (RFC 3261 section
// 14.2).
func (s *Session) reinvited(tx *transaction.Server, req *sip.Request) {
	if _, err := contactOf(req); err != nil && !errors.Is(err, sip.ErrMissing) {
		tx.Refuse(err)
		return
	}
	s.renewContactOn(tx.Flow())
	in := newInvitation(tx, req, s)
	in.re = true
	s.mu.Lock()
	second := s.pending != nil
	// Our 2xx without an ACK is no reason for a 500: RFC 5407 section 3.1.5.
	glare := s.inviting || s.unacked || s.await != nil
	if !second && !glare && s.l.cfg.OnInvite != nil {
		s.pending = in
	}
	s.mu.Unlock()
	switch {
	case second:
		tx.Reply(sip.StatusServerInternalError, sip.RetryAfter{Seconds: uint32(rand.IntN(11))})
	case glare:
		tx.Reply(sip.StatusRequestPending)
	case s.l.cfg.OnInvite == nil:
		tx.Reply(sip.StatusNotAcceptableHere)
	default:
		in.run()
	}
}
