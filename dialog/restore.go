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

// Restore goes on with a dialog where Snapshot has left it, on whichever Layer:
// requests within it are served and sent as before, numbers go on, a call is refreshed
// by its session timer, and a 2xx to our last INVITE that comes again gets its ACK
// again. Its Value is gone, and Other is there when both of them are. A call that was over
// is over, with ErrEnded, where a subscription has kept its dialog.
//
// An INVITE of the peer that was not answered is given to Config.OnInvite, whose
// Invitation says that it was restored; not before Config.Restore has returned, which may
// have the Other still to restore. So is one whose 2xx has no ACK yet: that
// 2xx is sent again until the ACK comes, whatever OnInvite does. But where the call has an
// Other, OnInvite is not called for it: Relay goes on by itself, and the other leg gets
// that ACK. An INVITE of ours that was under way is not sent again; should it be accepted
// after all, it gets an ACK without a body, and the call stays: what became of the change
// is to be found out by another INVITE. Other requests that were under way are not known
// any more. A call that waits for our ACK waits for Ack.
//
// The Contact of a call is made anew, if it was made by the Layer of then, the
// next time that it is sent: where that was another node, the peer learns from it
// where the call is now. Until then, what the peer sends to the old one has to
// come here by other means, such as an address that moves or a proxy.
//
// ErrSnapshot and ErrSnapshotVersion are for data that cannot be read, ErrExists
// for a dialog that is there; else the errors are those of Restore of a
// transaction.Layer. Config.Restore is where to call it before messages come.
func (l *Layer) Restore(data []byte) (*Dialog, error) {
	m, err := readMoment(data, 64*l.tl.Timers().T1)
	var d *Dialog
	if err == nil {
		d, err = l.restore(m)
	}
	if err != nil {
		return nil, fmt.Errorf("restore a dialog: %w", err)
	}
	return d, nil
}

func (l *Layer) restore(m *moment) (*Dialog, error) {
	d, c := m.dialog(l), m.call
	s := d.session
	l.mu.Lock()
	err := errInUse
	if l.lookup(d.d.id) == nil {
		err = l.addLocked(d)
	}
	if err == nil && c != nil && c.acked.known {
		a := l.answersFor(s.keyOf(s.invite.seq), c.acked.until.Sub(m.now))
		a.settled = true
		if a.leg(s.d.id.RemoteTag) == nil {
			known := leg{tag: s.d.id.RemoteTag, ack: c.acked.ack}
			if c.acked.strict && c.acked.ack != nil {
				known.hop = c.acked.ack.URI()
			}
			a.legs = append(a.legs, known)
		}
	}
	l.mu.Unlock()
	switch {
	case errors.Is(err, errInUse):
		return nil, ErrExists
	case err != nil:
		return nil, err
	}
	d.resubscribe(m.subs)
	if c == nil || c.in == nil {
		l.tieAgain(d)
		s.resume(c)
		return d, nil
	}

	in := c.in
	in.s = s
	ready := make(chan struct{})
	tx, err := l.tl.Restore(c.tx, func(tx *transaction.Server, _ *sip.Request) {
		<-ready
		<-l.ready
		if in.tx == tx {
			in.run()
		}
	})
	if err == nil {
		l.tieAgain(d)
		s.resume(c)
		in.continueOn(tx, c)
	}
	close(ready)
	if err != nil {
		d.unsubscribeAll()
		s.forget()
		return nil, err
	}
	return d, nil
}

// dialog makes a dialog of what was read. Nobody knows it yet.
func (m *moment) dialog(l *Layer) *Dialog {
	d := &Dialog{l: l, d: m.d}
	if m.over {
		s := newSession(l, m.d)
		s.gone = true
		s.stop(ErrEnded, nil)
		d = &s.Dialog
	}
	if c := m.call; c != nil {
		s := newSession(l, m.d)
		s.began, s.minSE, s.updates = c.began, c.minSE, c.updates
		s.lost, s.invite, s.unacked = c.lost, c.invite, c.unacked
		s.offers.opens(c.offer, sip.INVITE, 0)
		s.offers.due = c.due
		d = &s.Dialog
	}
	d.contact, d.made, d.moved = m.contact, m.made, m.made
	if other := m.other; other != (ID{}) {
		d.mate = &other
	}
	return d
}

// resubscribe gives a dialog its subscriptions, which end by themselves.
func (d *Dialog) resubscribe(subs []subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, sub := range subs {
		sub.most = time.Until(sub.until)
		sub.end = time.AfterFunc(time.Until(sub.until), func() { d.expired(&sub) })
		d.subs = append(d.subs, &sub)
	}
}

// resume starts the session timer of a call, unless the peer has done so meanwhile. It
// sends requests: only a call that is there to stay has one.
func (s *Session) resume(c *callMoment) {
	if c == nil || c.interval == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && s.timer == nil {
		s.timer = &timer{interval: c.interval, refresh: c.refresh && s.l.cfg.SessionTimer != nil, since: c.since}
		s.startTimer()
	}
}

// belongs reports whether an INVITE of the peer is of this dialog.
func (d *state) belongs(invite *sip.Request) bool {
	return invite.Method() == sip.INVITE && invite.CallID() == d.id.CallID &&
		tagKey(invite.From().Tag()) == tagKey(d.id.RemoteTag)
}

// continueOn gives an Invitation the transaction that was restored for it.
func (in *Invitation) continueOn(tx *transaction.Server, c *callMoment) {
	s := in.s
	in.tx, in.req = tx, tx.Request()
	in.ctx.tx, in.ctx.in = tx, in
	s.renewContactOn(tx.Flow())
	s.mu.Lock()
	over, why := s.over, s.err // its BYE may have come by now
	in.rseq = c.rseq
	if in.answer != nil {
		in.final = true
		in.beginWait(in.answer, time.Until(c.until))
		if over {
			s.endWait(nil).waited()
		}
	} else {
		s.pending = in
		switch {
		case c.waiting:
			u := newUnpracked(in.req, c.rseq, c.ringing)
			s.unpracked, in.ringing = u, c.ringing
			in.reliablyLocked()
			in.turn <- struct{}{}
			go func() { // ends with the PRACK, the call, or 64*T1
				in.sendUntilPRACK(u, c.ringing)
				<-in.turn
			}()
		case c.ringing != nil:
			in.keepRinging(c.ringing)
		}
	}
	s.mu.Unlock()
	if over {
		in.end(why)
	}
}

// runAnswered has the 2xx of an Invitation sent again until its ACK comes, and
// tells the user meanwhile. Where Relay has sent it, on behalf of the other leg, that is
// where the ACK goes, and there is nothing to tell: the user would begin anew.
func (in *Invitation) runAnswered() {
	in.s.mu.Lock()
	waiting := in.s.await == in
	in.s.mu.Unlock()
	if waiting {
		in.tx.Respond(in.answer)
	}
	if in.s.pair() != (ID{}) {
		ack, err := in.Acknowledged(context.Background())
		if other := in.s.Other(); other != nil { // it was restored meanwhile
			in.relayACK(other.session, ack, err)
		}
		in.end(nil)
		return
	}
	defer func() {
		in.Acknowledged(context.Background())
		in.end(nil)
	}()
	if in.s.l.cfg.OnInvite != nil {
		in.s.l.cfg.OnInvite(&in.ctx, in)
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

// renewContact makes the Contact of a dialog that was restored, or has moved, anew, for
// where its requests go.
func (d *Dialog) renewContact(ctx context.Context) {
	d.mu.Lock()
	var req *sip.Request
	if d.moved {
		req = d.d.request(sip.OPTIONS, 1)
	}
	d.mu.Unlock()
	if req != nil {
		self, err := d.l.tl.Contact(d.towards(ctx), req)
		d.renewedContact(self, err)
	}
}

// renewContactOn does so for the peer of a flow.
func (d *Dialog) renewContactOn(f transport.Flow) {
	d.mu.Lock()
	moved := d.moved
	secure := moved && d.ownContact().URI.Scheme == "sips"
	d.mu.Unlock()
	if moved {
		self, err := d.l.contactOn(d.l.ctx, f, secure)
		d.renewedContact(self, err)
	}
}

// renewedContact takes the address of the new Contact. Without one the old stays.
func (d *Dialog) renewedContact(self sip.URI, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && d.moved {
		d.contact = textOf(d.contactAt(self))
		d.moved = false
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
	var s *Session
	if d := l.lookup(id); d != nil {
		s = d.session
	}
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
	lost := s.lost == lostInvite{true, seq}
	var req *sip.Request
	if lost {
		req = s.d.request(sip.ACK, seq)
	}
	s.mu.Unlock()
	if !lost {
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
