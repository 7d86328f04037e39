package dialog

import (
	"context"
	"errors"
	"fmt"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Invite changes the call with an INVITE within it. If the answer is a 2xx,
// the caller must Ack it; another final response leaves the call as it was, but
// for those that say that there is none, such as 481 and 408, which end it, as does
// no answer at all. When ctx ends the INVITE is cancelled as that of Layer.Invite is, and
// the error is its cause unless a 2xx came first. Should a peer that has sent more than 100
// say nothing to that for 64*T1, 32 seconds, the INVITE counts as cancelled (RFC 3261 section
// 9.1), and the call stays. When the call ends, it is cancelled likewise, and the error is
// that of Err. provisional, unless nil, is called as that of Layer.Invite is, for the peer
// may ask its user.
//
// While another INVITE of the call is under way, in either direction and up to
// its ACK, the error is ErrPending. A 491 says that the peer has sent one at the
// same time: wait for RetryDelay and try again (RFC 3261 section 14.1).
func (s *Session) Invite(ctx context.Context, provisional func(*sip.Response), edits ...sip.Edit) (*sip.Response, error) {
	s.renewContact(ctx)
	for try := 1; ; try++ {
		resp, ours, err := s.tryInvite(ctx, provisional, edits)
		if (s.longer(ours, resp, err) || err == nil && s.overtaken(resp)) && try < maxIntervals && ctx.Err() == nil {
			continue
		}
		return resp, err
	}
}

func (s *Session) tryInvite(ctx context.Context, provisional func(*sip.Response), edits []sip.Edit) (_ *sip.Response, ours bool, _ error) {
	req, ours, err := s.prepareInvite(edits)
	if err != nil {
		return nil, false, err
	}
	defer s.l.tl.Busy()()      // until it is known what to do with the answer
	ctx, stop := s.during(ctx) // a peer that has said BYE need not answer
	defer stop()
	var last *sip.Response
	heard := false // of the peer, not only of the next hop
	offered100rel := offers100rel(req)
	returned := false
	defer func() {
		if !returned { // for a panic of provisional: it is given up
			s.mu.Lock()
			defer s.mu.Unlock()
			s.inviting = false
			s.offers.answered(req, nil, nil)
		}
	}()
	ctx, rings, done := s.l.onBehalf(ctx)
	defer done()
	req, err = s.l.roundTrip(s.towards(ctx), req, s.nextSeq, func(resp *sip.Response) {
		if resp.Status().Final() {
			last = resp
			return
		}
		heard = true
		rings()
		if s.provisional(resp, offered100rel, false) && provisional != nil {
			provisional(resp)
		}
	})
	returned = true
	accepted := err == nil && last.Status().Success()
	failed := err
	switch {
	case accepted:
		err = s.l.settle(req, last, nil, nil)
	case err == nil && ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	s.mu.Lock()
	s.inviting = false
	s.offers.answered(req, last, failed)
	if accepted {
		s.d.refresh(last)
		s.learn(last)
		s.timerAgreed(last, local)
		s.invite, s.unacked = ackedBy(req), true
	}
	s.mu.Unlock()
	cancelled := heard && ctx.Err() != nil && timedOut(failed)
	if !accepted && !cancelled {
		s.fail(req, last, failed)
	}
	if err != nil {
		return last, ours, wrap("re-INVITE", req, err)
	}
	return last, ours, nil
}

// prepareInvite makes an INVITE and notes that it is on its way. ours is that of timed.
func (s *Session) prepareInvite(edits []sip.Edit) (req *sip.Request, ours bool, err error) {
	req, _ = s.draft(sip.INVITE, edits)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return nil, false, s.err
	case s.inviting || s.unacked || s.pending != nil || s.await != nil:
		return nil, false, ErrPending
	}
	req, ours = s.timed(s.number(req))
	if err := req.Err(); err != nil {
		return nil, false, fmt.Errorf("re-INVITE %s: %w", s.Remote().URI, err)
	}
	if s.offers.request(local, req.CSeq(), describes(req)) != nil {
		return nil, false, ErrPending
	}
	s.inviting, s.rel1xx = true, nil
	s.asked = s.d.localSeq
	return req, ours, nil
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
	second := s.pending != nil || s.offers.from == remote && s.offers.by.Method == sip.UPDATE
	// Our 2xx without an ACK is no reason for a 500: RFC 5407 section 3.1.5.
	glare := s.inviting || s.unacked || s.await != nil || s.offers.from == local
	brief := s.tooShort(req)
	if !second && !glare && !brief && s.l.cfg.OnInvite != nil {
		s.pending, s.unpracked, s.pracking, s.refused = in, nil, nil, nil
		s.learn(req)
		s.offers.request(remote, req.CSeq(), describes(req))
	}
	s.mu.Unlock()
	switch {
	case second:
		tx.Reply(sip.StatusServerInternalError, retryAfter())
	case glare:
		tx.Reply(sip.StatusRequestPending)
	case brief:
		tx.Reply(sip.StatusSessionIntervalTooSmall, s.l.minSE())
	case s.l.cfg.OnInvite == nil:
		tx.Reply(sip.StatusNotAcceptableHere)
	default:
		in.run()
	}
}
