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

// awaited is the wait for the ACK of a 2xx of ours (RFC 3261 section 13.3.1.4). Nobody
// needs to be there for it: the timer of the Invitation sends the 2xx again.
type awaited struct {
	over chan struct{} // closed when the wait is, however it ended; nil before the 2xx

	// Under the lock of the Session, but for ack and err once over is closed.
	resp  *sip.Response // the 2xx
	again time.Duration // until it is sent again
	until time.Time     // when there is no more hope
	ack   *sip.Request  // nil if none is needed any more
	err   error         // ErrNoACK, or nil
	done  func()        // called then, unless nil
}

// seq returns the number that the ACK has, that of the INVITE.
func (in *Invitation) seq() uint32 { return in.req.CSeq().Seq }

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
	if in.answer == nil {
		if err := in.accept(edits, nil); err != nil {
			return nil, err
		}
	}
	return in.Acknowledged(context.Background())
}

// Start answers with 200 as Accept does, and returns at once: that the 200 is sent again,
// and the call ended if no ACK comes, goes on by itself, and Config.OnEnd tells of it.
// It is for a program to which the ACK says nothing, because the answer is in the 200, or
// which waits for it by Acknowledged. That nobody has to wait is most of what a call costs
// its callee. The error is that of Accept when nothing was waited for yet.
func (in *Invitation) Start(edits ...sip.Edit) error {
	if in.answer != nil {
		return nil
	}
	done := in.tx.Layer().Busy() // until the ACK, or the BYE
	err := in.accept(edits, done)
	if err != nil {
		done()
	}
	return err
}

// Acknowledged returns the ACK of the 200 that Start has sent, and the errors that Accept
// has then. When ctx ends before that the error is its cause, and the call goes on.
func (in *Invitation) Acknowledged(ctx context.Context) (*sip.Request, error) {
	in.tx.Detach()
	select {
	case <-in.wait.over:
	case <-ctx.Done():
		return nil, in.answering(context.Cause(ctx))
	}
	if in.wait.err != nil {
		return nil, in.answering(in.wait.err)
	}
	if err := in.s.Err(); err != nil && (in.wait.ack == nil || errors.Is(err, ErrEnded)) {
		return nil, in.answering(err)
	}
	return in.wait.ack, nil // though a BYE may have come right behind it
}

// answering says what was being done.
func (in *Invitation) answering(err error) error {
	return fmt.Errorf("answer %s: %w", in.req.From().URI, err)
}

// accept sends the 2xx, which is sent again from here on until its ACK comes. done,
// unless nil, is called then.
func (in *Invitation) accept(edits []sip.Edit, done func()) error {
	s := in.s
	resp := in.reply(sip.StatusOK, edits)
	if err := resp.Err(); err != nil {
		return err
	}
	in.awaitPRACK()
	s.mu.Lock()
	if !in.finish() {
		s.mu.Unlock()
		return transaction.ErrCompleted
	}
	gone := s.over || in.ctx.Err() != nil && !in.agreed
	if gone {
		s.refusing = in
		s.offers.response(local, in.req.CSeq(), sip.StatusRequestTerminated, false, true)
	} else {
		resp = s.timedAnswer(in.req, resp)
		s.timerAgreed(resp, remote)
		s.offers.response(local, in.req.CSeq(), resp.Status(), describes(resp), true)
		s.began = true
		s.d.refresh(in.req)
		in.beginWait(resp, 64*in.tx.Layer().Timers().T1)
		in.wait.done = done
	}
	s.mu.Unlock()
	if gone {
		defer in.refused()
		err := in.ctx.why()
		if err == nil {
			err = s.Err()
		}
		in.tx.Respond(in.terminated(resp))
		if !in.re {
			s.terminate(err)
		}
		return in.answering(err)
	}
	err := in.tx.Respond(resp)
	if err != nil && (!errors.Is(err, transaction.ErrTransport) || errors.Is(err, transport.ErrClosed)) {
		// What the network did not take goes out with the next one.
		s.terminate(err)
		return in.answering(err)
	}
	return nil
}

// beginWait begins the wait for the ACK of a 2xx. It is called with the lock of the
// Session held.
func (in *Invitation) beginWait(resp *sip.Response, while time.Duration) {
	t1 := in.tx.Layer().Timers().T1
	in.wait = awaited{over: make(chan struct{}), resp: resp, again: t1, until: time.Now().Add(while)}
	in.s.await = in
	in.wake(min(t1, while))
}

// endWait ends the wait, if there is one, for which waited is to be called. From here on
// the INVITE is done: the next one may be right behind. A call that we have ended
// ourselves waits for the ACK like any other: only then may the BYE go out. It is called
// with s.mu held.
func (s *Session) endWait(ack *sip.Request) *Invitation {
	in := s.await
	if in == nil {
		return nil
	}
	s.await = nil
	in.hush()
	in.wait.ack = ack
	return in
}

// waited tells those who wait that the wait is over.
func (in *Invitation) waited() {
	if in == nil {
		return
	}
	close(in.wait.over)
	if in.wait.done != nil {
		in.wait.done()
	}
}

// awaitRelay keeps what follows an ACK from overtaking it on the other leg, where it would
// meet a call whose offer is not answered. A leg that takes longer than T2 to send it, as
// for a connection, does not keep the peer's BYE.
func (in *Invitation) awaitRelay(tx *transaction.Server) {
	tx.Detach()
	late := time.NewTimer(in.tx.Layer().Timers().T2)
	defer late.Stop()
	select {
	case <-in.relayed:
	case <-late.C:
	}
}

// wake has what was sent last sent again by then. It is called with the lock of the
// Session held.
func (in *Invitation) wake(after time.Duration) {
	in.due = time.Now().Add(after)
	if in.repeat == nil {
		in.repeat = time.AfterFunc(after, in.again)
		return
	}
	in.repeat.Reset(after)
}

// hush has nothing sent again. It is called with the lock of the Session held.
func (in *Invitation) hush() {
	if in.repeat != nil {
		in.repeat.Stop()
	}
	in.due = time.Time{}
}

// again is called when something is to be sent again, or there is no more hope.
func (in *Invitation) again() {
	s := in.s
	s.mu.Lock()
	now := time.Now()
	switch {
	case in.due.IsZero(), now.Before(in.due): // stopped, or set anew, in this moment
		s.mu.Unlock()
	case s.await != in:
		s.mu.Unlock()
		in.ringAgain()
	case now.Before(in.wait.until):
		in.wait.again = min(2*in.wait.again, in.tx.Layer().Timers().T2)
		in.wake(min(in.wait.again, in.wait.until.Sub(now)))
		resp := in.wait.resp
		s.mu.Unlock()
		// Over any transport: a hop further on may be UDP.
		in.tx.Respond(resp)
	default:
		s.await, in.due = nil, time.Time{}
		s.mu.Unlock()
		in.wait.err = ErrNoACK
		defer in.waited()
		s.hangUp(ErrNoACK)
	}
}
