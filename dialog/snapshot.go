package dialog

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

var (
	// ErrSnapshot says that data is no snapshot of a dialog, or not a whole
	// one.
	ErrSnapshot = transaction.ErrSnapshot
	// ErrSnapshotVersion says that a snapshot has a format that this version of
	// the library does not read.
	ErrSnapshotVersion = transaction.ErrSnapshotVersion
	// ErrExists says that a dialog is there already, or the transaction of its
	// INVITE.
	ErrExists = transaction.ErrExists
)

// Dialogs yields the dialogs that there are when it is called, in no order. When
// the Layer is closed they are those that there were at that moment, of which each
// has a Snapshot: close, then write. Those of an INVITE of ours that is not answered
// are not among them.
//
// A request that no call had taken by then is one of Servers of the transaction
// layer, which have what belongs to calls, too. So a program that writes both, and
// restores first the dialogs and then the transactions that are not there yet
// (ErrExists), loses neither.
func (l *Layer) Dialogs() iter.Seq[*Dialog] {
	l.mu.Lock()
	all := l.frozen
	if all == nil {
		all = slices.Collect(maps.Values(l.dialogs))
	}
	l.mu.Unlock()
	return func(yield func(*Dialog) bool) {
		for _, d := range all {
			if !d.ours() && !yield(d) {
				return
			}
		}
	}
}

// ours reports whether it is one of an INVITE of ours that is not answered.
func (d *Dialog) ours() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.session
	return s != nil && s.inviting && !s.began && !s.over
}

// freeze sets the dialogs aside as they are. It is called when nothing comes in or
// goes out any more, and before anybody is told of it: what programs make of that
// is no part of them.
func (l *Layer) freeze() {
	all := []*Dialog{} // not nil: it says that it was set
	for d := range l.Dialogs() {
		if d.freeze() {
			all = append(all, d)
		}
	}
	l.mu.Lock()
	l.frozen = all
	l.mu.Unlock()
	if l.cfg.Transaction.Frozen != nil {
		l.cfg.Transaction.Frozen()
	}
}

// freeze notes the dialog as it is, unless it is over.
func (d *Dialog) freeze() bool {
	other := d.pair()
	unlock, acked := d.lockWithLeg()
	defer unlock()
	var pending *Invitation
	if s := d.session; s != nil {
		if pending = s.pending; pending == nil {
			// Its refusal waits, and will not go out any more. Should it have gone out
			// at the last moment, whoever answers again gets ErrCompleted.
			pending = s.refusing
		}
	}
	m, err := d.at(time.Now(), acked, pending)
	if err != nil {
		return false
	}
	m.other = other
	d.frozen = m
	return true
}

// Snapshot returns all that a Layer needs to go on with the dialog: after a restart
// of the program, or on another node. It holds the state of the dialog, which
// subscriptions use it, which is its Other, of a call what its next ACK needs and its session timer, and
// for an INVITE of the peer that is not answered or not acknowledged yet a Snapshot of
// its transaction: nothing secret but what is in messages, as credentials are. The
// dialog goes on here all the same, until Close cuts it off without a word; then it is
// what was there at that moment.
//
// The error is that of Err for a call that is over, ErrEnded for one that is
// being refused.
func (d *Dialog) Snapshot() ([]byte, error) {
	other := d.pair()
	unlock, acked := d.lockWithLeg()
	defer unlock()
	m, err := d.frozen, error(nil)
	if m == nil {
		var pending *Invitation
		if d.session != nil {
			pending = d.session.pending
		}
		if m, err = d.at(time.Now(), acked, pending); err == nil {
			m.other = other
		}
	}
	if err == nil {
		var data []byte
		if data, err = m.write(); err == nil {
			return data, nil
		}
	}
	return nil, fmt.Errorf("snapshot of a dialog: %w", err)
}

// lockWithLeg takes the lock of the Dialog, with what is kept of the answer to
// the last INVITE of its call, which is under that of the Layer.
func (d *Dialog) lockWithLeg() (unlock func(), acked keptLeg) {
	s := d.session
	if s == nil {
		d.mu.Lock()
		return d.mu.Unlock, acked
	}
	for {
		s.mu.Lock()
		seq := s.invite.seq
		s.mu.Unlock()
		acked = s.l.legOf(s.keyOf(seq), s.d.id.RemoteTag)
		s.mu.Lock()
		if s.invite.seq == seq { // else it answers for another INVITE
			return s.mu.Unlock, acked
		}
		s.mu.Unlock()
	}
}

// keptLeg is what is kept of an answer to an INVITE of ours.
type keptLeg struct {
	known  bool
	until  time.Time
	strict bool         // the ACK goes to a strict router
	ack    *sip.Request // nil: not sent yet
}

func (l *Layer) legOf(key inviteKey, tag string) (kept keptLeg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.answers[key]
	if known := a.leg(tag); known != nil {
		kept = keptLeg{true, a.until, known.hop.Host != "", known.ack}
	}
	return kept
}

// moment is what a dialog is at one time, to be written or as it was read.
type moment struct {
	now     time.Time
	d       state
	contact string
	made    bool
	other   ID // the other leg; the zero ID without one
	subs    []subscription
	call    *callMoment // nil: none, or it is over
	over    bool        // there was a call, and it is over
}

// callMoment is what a call is at one time.
type callMoment struct {
	began   bool
	minSE   time.Duration
	updates bool
	offer   side // whose offer in an INVITE of the peer, or its answers, is open
	due     side

	// The session timer; interval is 0 without one.
	interval time.Duration
	refresh  bool
	since    time.Time

	// Our last INVITE, and its ACK. What is on its way will be lost, or what comes
	// back.
	lost    lostInvite
	invite  acked
	unacked bool
	acked   keptLeg

	// The INVITE of the peer that is to be answered or acknowledged, nil for none.
	in      *Invitation
	tx      []byte // its transaction, as it was read
	rseq    sip.RSeq
	ringing *sip.Response
	waiting bool // ringing has no PRACK yet
	answer  *sip.Response
	until   time.Time
}

// at returns the dialog as it is, with an INVITE that is not answered. It is called
// with d.mu held.
func (d *Dialog) at(now time.Time, acked keptLeg, pending *Invitation) (*moment, error) {
	m := &moment{now: now, d: d.d, contact: d.contact, made: d.made}
	for _, sub := range d.subs {
		m.subs = append(m.subs, *sub)
	}
	err := ErrEnded
	if d.session != nil {
		m.call, err = d.session.at(acked, pending)
		m.over = err != nil
	}
	if err != nil && len(m.subs) == 0 {
		return nil, err
	}
	return m, nil
}

func (s *Session) at(acked keptLeg, pending *Invitation) (*callMoment, error) {
	switch {
	case s.over:
		return nil, s.err
	case !s.began && pending == nil:
		return nil, ErrEnded
	}
	c := &callMoment{began: s.began, minSE: s.minSE, updates: s.updates,
		lost: s.lost, invite: s.invite, unacked: s.unacked, acked: acked}
	if t := s.timer; t != nil {
		c.interval, c.refresh, c.since = t.interval, t.refresh, t.since
	}
	if s.offers.by.Method == sip.INVITE {
		c.offer = s.offers.from
	}
	c.due = s.offers.due
	switch {
	case s.inviting:
		c.lost = lostInvite{true, s.asked}
		c.offer, c.due = nobody, nobody
	case acked.known && acked.ack == nil && !s.unacked:
		c.lost = lostInvite{true, s.invite.seq}
	}
	c.acked.known = acked.known && (acked.ack != nil || s.unacked)
	if c.in = pending; c.in != nil {
		c.rseq, c.ringing = c.in.rseq, c.in.ringing
		c.waiting = c.ringing != nil && s.unpracked != nil // a call that is being refused rings no more
	}
	if s.await != nil {
		c.in, c.rseq, c.ringing, c.waiting = s.await, 0, nil, false
		c.answer, c.until = s.await.wait.resp, s.await.wait.until
	}
	return c, nil
}
