package dialog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/transaction"
)

// Invitation is an INVITE that arrived and is not answered yet.
type Invitation struct {
	tx  *transaction.Server
	req *sip.Request
	s   *Session
	re  bool // within a call that was there before

	mu    sync.Mutex
	final bool
}

// invited runs OnInvite for an INVITE. s is the call that it is part of, nil
// for a new one.
func (l *Layer) invited(tx *transaction.Server, req *sip.Request, s *Session) {
	in := &Invitation{tx: tx, req: req, s: s, re: s != nil}
	ctx := tx.Context()
	if s == nil {
		d, err := newCallee(req, req.Reply(sip.StatusOK).To().Tag())
		if err != nil || d.id.RemoteTag == "" {
			tx.Reply(sip.StatusBadRequest, sip.ReasonPhrase("Bad Contact or From"))
			return
		}
		in.s = newSession(l, d)
	}
	// The peer reaches us as it did just now.
	from := tx.Flow()
	contact, err := l.contact(ctx, req.To().URI.User, resolve.Target{
		Transport: from.Transport(), Addr: from.RemoteAddr(),
	})
	if err != nil {
		tx.Reply(sip.StatusServerInternalError)
		return
	}
	in.s.mu.Lock()
	in.s.contact = contact
	in.s.mu.Unlock()
	l.cfg.OnInvite(ctx, in)
	in.Reject(sip.StatusTemporarilyUnavailable) // no effect if it is answered
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

// Provisional sends a provisional response, 101 to 199.
func (in *Invitation) Provisional(status sip.Status, edits ...sip.Edit) error {
	return in.tx.Reply(status, append([]sip.Edit{in.Contact()}, edits...)...)
}

// Reject refuses the call with a final response, 300 to 699. A call that the
// peer has cancelled is answered with 487 whatever status says.
func (in *Invitation) Reject(status sip.Status, edits ...sip.Edit) error {
	if !in.finish() {
		return transaction.ErrCompleted
	}
	if in.tx.Context().Err() != nil {
		status, edits = sip.StatusRequestTerminated, nil
	}
	return in.tx.Reply(status, edits...)
}

// finish reports whether the caller is the one to give the final response.
func (in *Invitation) finish() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.final {
		return false
	}
	in.final = true
	return true
}

// Accept answers with 200 and waits for the ACK, which it returns: its body is
// the answer if the offer was in the 200. Meanwhile the 200 is sent again and
// again (RFC 3261 section 13.3.1.4). If no ACK comes within 64*T1, 32 seconds,
// the call is ended with BYE, and the error is ErrNoACK. If the peer has
// cancelled, the INVITE gets 487, and the error wraps
// transaction.ErrCancelled.
func (in *Invitation) Accept(edits ...sip.Edit) (*sip.Request, error) {
	s := in.s
	if !in.finish() {
		return nil, transaction.ErrCompleted
	}
	if ctx := in.tx.Context(); ctx.Err() != nil {
		in.tx.Reply(sip.StatusRequestTerminated)
		return nil, fmt.Errorf("answer %s: %w", in.req.From().URI, context.Cause(ctx))
	}
	resp := in.req.Reply(sip.StatusOK, append([]sip.Edit{in.Contact(), s.l.allow()}, edits...)...)
	if err := resp.Err(); err != nil {
		in.tx.Reply(sip.StatusServerInternalError)
		return nil, err
	}
	ack := s.expectACK(in.req.CSeq().Seq)
	if !in.re {
		if err := s.l.add(s); err != nil {
			in.tx.Reply(sip.StatusLoopDetected)
			return nil, err
		}
	}
	s.mu.Lock()
	s.d.refresh(in.req)
	s.mu.Unlock()
	if err := in.tx.Respond(resp); err != nil {
		s.terminate(err)
		return nil, fmt.Errorf("answer %s: %w", in.req.From().URI, err)
	}

	timers := in.tx.Layer().Timers()
	interval := timers.T1
	giveUp := time.NewTimer(64 * timers.T1)
	defer giveUp.Stop()
	again := time.NewTimer(interval)
	defer again.Stop()
	for {
		select {
		case req := <-ack:
			return req, nil
		case <-again.C:
			// Over any transport: a hop further on may be UDP.
			in.tx.Respond(resp)
			interval = min(2*interval, timers.T2)
			again.Reset(interval)
		case <-giveUp.C:
			s.l.background(func() { // ends with the transaction of the BYE
				s.do(context.Background(), s.next(sip.BYE))
			})
			s.terminate(ErrNoACK)
			return nil, fmt.Errorf("answer %s: %w", in.req.From().URI, ErrNoACK)
		case <-s.done:
			return nil, fmt.Errorf("answer %s: %w", in.req.From().URI, s.Err())
		}
	}
}
