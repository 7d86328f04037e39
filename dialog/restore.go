package dialog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Restore goes on with a call where Snapshot has left it, on whichever Layer:
// requests within the dialog are served and sent as before, numbers go on, and a
// 2xx to our last INVITE that comes again gets its ACK again.
//
// An INVITE of the peer that was not answered is given to Config.OnInvite, whose
// Invitation says that it was restored. So is one whose 2xx has no ACK yet: that
// 2xx is sent again until the ACK comes, whatever OnInvite does. An INVITE of ours
// that was under way is not sent again; should it be accepted after all, it gets
// an ACK without a body, and the call stays: what became of the change is to be
// found out by another INVITE. Other requests that were under way are not known
// any more. A call that waits for our ACK waits for Ack.
//
// The Contact of a call is made anew, if it was made by the Layer of then, the
// next time that it is sent: where that was another node, the peer learns from it
// where the call is now. Until then, what the peer sends to the old one has to
// come here by other means, such as an address that moves or a proxy.
//
// ErrSnapshot and ErrSnapshotVersion are for data that cannot be read, ErrExists
// for a call that is there; else the errors are those of Restore of a
// transaction.Layer. Config.Restore is where to call it before messages come.
func (l *Layer) Restore(data []byte) (*Session, error) {
	k, err := l.read(data)
	if err == nil {
		err = l.restore(k)
	}
	if err != nil {
		return nil, fmt.Errorf("restore a call: %w", err)
	}
	return k.s, nil
}

func (l *Layer) restore(k *kept) error {
	s := k.s
	l.mu.Lock()
	err := l.addLocked(s)
	if err == nil && k.leg.known {
		a := l.answersFor(s.keyOf(s.invite.seq), k.leg.left)
		a.settled = true
		if a.leg(s.d.id.RemoteTag) == nil {
			known := leg{tag: s.d.id.RemoteTag, ack: k.leg.ack}
			if k.leg.strict && k.leg.ack != nil {
				known.hop = k.leg.ack.URI()
			}
			a.legs = append(a.legs, known)
		}
	}
	l.mu.Unlock()
	switch {
	case errors.Is(err, errInUse):
		return ErrExists
	case err != nil || k.tx == nil:
		return err
	}

	in := &Invitation{s: s, re: k.re, restored: true, answer: k.answer}
	ready := make(chan struct{})
	tx, err := l.tl.Restore(k.tx, func(tx *transaction.Server, _ *sip.Request) {
		<-ready
		if in.tx == tx {
			in.run()
		}
	})
	if err == nil {
		in.continueOn(tx, k)
	}
	close(ready)
	if err != nil {
		l.remove(s)
	}
	return err
}

// belongs reports whether an INVITE of the peer is of this call.
func (s *Session) belongs(invite *sip.Request) bool {
	return invite.Method() == sip.INVITE && invite.CallID() == s.d.id.CallID && invite.From().Tag() == s.d.id.RemoteTag
}

// continueOn gives an Invitation the transaction that was restored for it.
func (in *Invitation) continueOn(tx *transaction.Server, k *kept) {
	s := in.s
	in.tx, in.req = tx, tx.Request()
	in.ctx, in.end = context.WithCancelCause(tx.Context())
	if k.limited {
		in.expires = time.Now().Add(k.expires)
	}
	s.renewContactOn(tx.Flow())
	s.mu.Lock()
	over, why := s.over, s.err // its BYE may have come by now
	if in.answer != nil {
		in.final, in.waited = true, make(chan struct{})
		in.resume = newAwaited(in, in.answer, time.Now().Add(k.left))
		s.await = in.resume
		if over {
			s.endWait(nil)
		}
	} else {
		s.pending = in
		if k.ringing != nil {
			in.keepRinging(k.ringing)
		}
	}
	s.mu.Unlock()
	if over {
		in.end(why)
	}
}

// runAnswered has the 2xx of an Invitation sent again until its ACK comes, and
// tells the user meanwhile.
func (in *Invitation) runAnswered() {
	go func() { // ends with the ACK, the call, or 64*T1
		defer close(in.waited)
		in.ack, in.err = in.finishWait(in.resume)
	}()
	defer func() {
		<-in.waited
		in.end(nil)
	}()
	if in.s.l.cfg.OnInvite != nil {
		in.s.l.cfg.OnInvite(in.ctx, in)
	}
}

// Restored reports whether the INVITE came in an earlier run of the program, or
// to another node, and the call was restored.
func (in *Invitation) Restored() bool { return in.restored }

// Answer returns the 2xx that was sent before the call was restored; Accept then
// waits for its ACK. It is nil if the INVITE is still to be answered.
func (in *Invitation) Answer() *sip.Response { return in.answer }

// lostInvite is an INVITE of ours, within a call that was restored, whose answer
// is not known, or whose ACK: a 2xx to it gets one without a body.
type lostInvite struct {
	is  bool
	seq uint32
}

// renewContact makes the Contact of a call that was restored anew, for where its
// requests go.
func (s *Session) renewContact(ctx context.Context) {
	s.mu.Lock()
	moved := s.moved
	req := s.d.request(sip.OPTIONS, 1)
	s.mu.Unlock()
	if moved {
		self, err := s.l.tl.Contact(s.towards(ctx), req)
		s.setContact(self, err)
	}
}

// renewContactOn does so for the peer of a flow.
func (s *Session) renewContactOn(f transport.Flow) {
	s.mu.Lock()
	moved := s.moved
	s.mu.Unlock()
	if moved {
		self, err := s.l.tl.Endpoint().ContactOn(s.l.ctx, f)
		s.setContact(self, err)
	}
}

// setContact takes the address of the new Contact. Without one the old stays.
func (s *Session) setContact(self sip.URI, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.moved {
		s.contact = contact(self, s.contact.URI.User, s.contact.URI.Scheme == "sips")
		s.moved = false
	}
}

// stray takes a 2xx to an INVITE that an earlier run has sent: there is no
// transaction here that would hand it to accepted.
func (l *Layer) stray(in *transport.Inbound) bool {
	<-l.ready
	if resp, ok := in.Message.(*sip.Response); ok && resp.CSeq().Method == sip.INVITE && resp.Status().Success() {
		id := ID{resp.CallID(), resp.From().Tag(), resp.To().Tag()}
		if l.answeredBefore(id, resp.CSeq().Seq) {
			return true
		}
	}
	return l.cfg.Transaction.Stateless != nil && l.cfg.Transaction.Stateless(in)
}

// answeredBefore acknowledges it if it is known.
func (l *Layer) answeredBefore(id ID, seq uint32) bool {
	key := inviteKey{id.CallID, id.LocalTag, seq}
	l.mu.Lock()
	s := l.sessions[id]
	known := l.answers[key].leg(id.RemoteTag)
	switch {
	case known != nil:
		known.owed = known.ack == nil
		again := *known
		l.mu.Unlock()
		if again.ack != nil {
			l.ackAgain(key, again)
		}
		return true
	case s == nil || l.closed:
		l.mu.Unlock()
		return false
	}
	l.mu.Unlock()

	s.mu.Lock()
	lost := s.lost
	req := s.d.request(sip.ACK, seq)
	s.mu.Unlock()
	if lost != (lostInvite{true, seq}) {
		return false
	}
	l.mu.Lock()
	a := l.answersFor(key, 64*l.tl.Timers().T1)
	first := a.leg(id.RemoteTag) == nil
	if first {
		a.settled = true
		a.legs = append(a.legs, leg{tag: s.d.id.RemoteTag})
	}
	l.mu.Unlock()
	if first {
		l.background(func() { // ends with the dial
			flow, ack, err := l.tl.Send(s.towards(l.ctx), req)
			if err == nil {
				s.acknowledged(seq, flow, ack)
				return
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			a.legs = slices.DeleteFunc(a.legs, func(known leg) bool { return known.tag == id.RemoteTag }) // the next 2xx tries again
		})
	}
	return true
}
