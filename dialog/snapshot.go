package dialog

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/goparley/parley/internal/snapshot"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

var (
	// ErrSnapshot says that data is no snapshot of a Session, or not a whole
	// one.
	ErrSnapshot = transaction.ErrSnapshot
	// ErrSnapshotVersion says that a snapshot has a format that this version of
	// the library does not read.
	ErrSnapshotVersion = transaction.ErrSnapshotVersion
	// ErrExists says that a call is there already, or the transaction of its
	// INVITE.
	ErrExists = transaction.ErrExists
)

const (
	snapshotKind    = 'd'
	snapshotVersion = 1
)

// Sessions yields the calls that there are when it is called, in no order. When
// the Layer is closed they are those that there were at that moment, of which each
// has a Snapshot: close, then write.
//
// A request that no call had taken by then is one of Servers of the transaction
// layer, which have what belongs to calls, too. So a program that writes both, and
// restores first the calls and then the transactions that are not there yet
// (ErrExists), loses neither.
func (l *Layer) Sessions() iter.Seq[*Session] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen != nil {
		return slices.Values(l.frozen)
	}
	return slices.Values(slices.Collect(maps.Values(l.sessions)))
}

// freeze sets the calls aside as they are. It is called when nothing comes in or
// goes out any more, and before anybody is told of it: what programs make of that
// is no part of the call.
func (l *Layer) freeze() {
	all := []*Session{} // not nil: it says that it was set
	for s := range l.Sessions() {
		if s.freeze() {
			all = append(all, s)
		}
	}
	l.mu.Lock()
	l.frozen = all
	l.mu.Unlock()
	if l.cfg.Transaction.Frozen != nil {
		l.cfg.Transaction.Frozen()
	}
}

// freeze notes the call as it is, unless it is over.
func (s *Session) freeze() bool {
	unlock, acked := s.lockWithLeg()
	defer unlock()
	pending := s.pending
	if pending == nil {
		// Its refusal waits, and will not go out any more. Should it have gone out
		// at the last moment, whoever answers again gets ErrCompleted.
		pending = s.refusing
	}
	m, err := s.at(time.Now(), acked, pending)
	s.frozen = m
	return err == nil
}

// Snapshot returns all that a Layer needs to go on with the call: after a restart
// of the program, or on another node. It holds the state of the dialog, what its
// next ACK needs, and for an INVITE of the peer that is not answered or not
// acknowledged yet a Snapshot of its transaction: nothing secret but what is in
// messages, as credentials are. The call goes on here all the same, until Close
// cuts it off without a word; then it is what was there at that moment.
//
// The error is that of Err for a call that is over, ErrEnded for one that is
// being refused.
func (s *Session) Snapshot() ([]byte, error) {
	unlock, acked := s.lockWithLeg()
	defer unlock()
	m, err := s.frozen, error(nil)
	if m == nil {
		m, err = s.at(time.Now(), acked, s.pending)
	}
	if err == nil {
		var data []byte
		if data, err = m.write(); err == nil {
			return data, nil
		}
	}
	return nil, fmt.Errorf("snapshot of a call: %w", err)
}

// lockWithLeg takes the lock of the Session, with what is kept of the answer to
// its last INVITE, which is under that of the Layer.
func (s *Session) lockWithLeg() (unlock func(), acked keptLeg) {
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

// moment is what a call is at one time.
type moment struct {
	now     time.Time
	d       state
	contact sip.Contact
	made    bool
	began   bool

	// Our last INVITE, and its ACK. What is on its way will be lost, or what comes
	// back.
	lost    lostInvite
	invite  acked
	unacked bool
	acked   keptLeg

	// The INVITE of the peer that is to be answered or acknowledged, nil for none.
	in      *Invitation
	ringing *sip.Response
	answer  *sip.Response
	until   time.Time
}

// at returns the call as it is, with an INVITE that is not answered. It is called
// with s.mu held.
func (s *Session) at(now time.Time, acked keptLeg, pending *Invitation) (*moment, error) {
	switch {
	case s.over:
		return nil, s.err
	case !s.began && pending == nil:
		return nil, ErrEnded
	}
	m := &moment{now: now, d: s.d, contact: s.contact, made: s.made, began: s.began,
		lost: s.lost, invite: s.invite, unacked: s.unacked, acked: acked}
	switch {
	case s.inviting:
		m.lost = lostInvite{true, s.asked}
	case acked.known && acked.ack == nil && !s.unacked:
		m.lost = lostInvite{true, s.invite.seq}
	}
	m.acked.known = acked.known && (acked.ack != nil || s.unacked)
	if m.in = pending; m.in != nil {
		m.ringing = m.in.ringing
	}
	if s.await != nil {
		m.in, m.ringing, m.answer, m.until = s.await.in, nil, s.await.resp, s.await.until
	}
	return m, nil
}

// write writes it down.
func (m *moment) write() ([]byte, error) {
	var w snapshot.Writer
	w.Text(m.d.id.CallID)
	w.Text(m.d.local.String())
	w.Text(m.d.remote.String())
	w.Text(m.d.target.String())
	writeRoutes(&w, m.d.routes)
	w.Uint(uint64(m.d.localSeq))
	w.Bool(m.d.remoteSet)
	w.Uint(uint64(m.d.remoteSeq))
	w.Text(string(m.contact.AppendValue(nil)))
	w.Bool(m.made)
	w.Bool(m.began)

	w.Bool(m.lost.is)
	w.Uint(uint64(m.lost.seq))
	w.Uint(uint64(m.invite.seq))
	w.Bool(m.unacked)
	if m.unacked {
		w.Uint(uint64(len(m.invite.credentials)))
		for _, f := range m.invite.credentials {
			w.Text(f.Name)
			w.Text(f.Value)
		}
		w.Text(m.invite.target.String())
		writeRoutes(&w, m.invite.routes)
	}
	w.Bool(m.acked.known)
	if m.acked.known {
		w.Duration(m.acked.until.Sub(m.now))
		w.Bool(m.acked.strict)
		writeMessage(&w, m.acked.ack)
	}

	w.Bool(m.in != nil)
	if m.in != nil {
		tx, err := m.in.tx.Snapshot()
		if err != nil {
			return nil, err
		}
		w.Text(string(tx))
		w.Bool(m.in.re)
		w.Bool(!m.in.expires.IsZero())
		w.Duration(m.in.expires.Sub(m.now))
		writeMessage(&w, m.ringing)
		writeMessage(&w, m.answer)
		w.Duration(m.until.Sub(m.now))
	}
	return w.Seal(snapshotKind, snapshotVersion), nil
}

func writeRoutes(w *snapshot.Writer, routes []sip.Route) {
	w.Uint(uint64(len(routes)))
	for _, r := range routes {
		w.Text(string(r.AppendValue(nil)))
	}
}

// writeMessage writes the text of a message, "" for none.
func writeMessage[M interface {
	*sip.Request | *sip.Response
	sip.Message
}](w *snapshot.Writer, m M) {
	if m == nil {
		w.Text("")
		return
	}
	w.Text(m.String())
}

// kept is a snapshot that was read.
type kept struct {
	s *Session

	leg struct {
		known, strict bool
		left          time.Duration
		ack           *sip.Request
	}

	tx      []byte // "" if no INVITE of the peer is to be answered or acknowledged
	re      bool
	limited bool
	expires time.Duration
	ringing *sip.Response
	answer  *sip.Response
	left    time.Duration
}

// maxExpires is the longest an Expires can say.
const maxExpires = (1<<32 - 1) * time.Second

// read reads a snapshot. The Session is not known to anybody yet.
func (l *Layer) read(data []byte) (*kept, error) {
	r, err := snapshot.Open(data, snapshotKind, snapshotVersion)
	if err != nil {
		return nil, err
	}
	wait := 64 * l.tl.Timers().T1
	var d state
	d.id.CallID = r.Text()
	from, to := value[sip.From](r), value[sip.To](r)
	d.id.LocalTag, d.id.RemoteTag = from.Tag(), to.Tag()
	d.local, d.remote = sip.Address(from), sip.Address(to)
	d.target = uri(r)
	d.routes = readRoutes(r)
	d.localSeq = uint32(r.Uint(1<<32 - 1))
	d.remoteSet = r.Bool()
	d.remoteSeq = uint32(r.Uint(1<<32 - 1))
	d.restored = true
	if d.id.CallID == "" || d.id.LocalTag == "" {
		r.Fail()
	}
	s := newSession(l, d)
	s.contact = value[sip.Contact](r)
	s.made = r.Bool()
	s.moved = s.made
	s.began = r.Bool()

	s.lost = lostInvite{r.Bool(), uint32(r.Uint(1<<32 - 1))}
	s.invite.seq = uint32(r.Uint(1<<32 - 1))
	if s.unacked = r.Bool(); s.unacked {
		for range r.Count() {
			f := sip.Field{Name: r.Text(), Value: r.Text()}
			if f.Name == "" {
				r.Fail()
				break
			}
			s.invite.credentials = append(s.invite.credentials, f)
		}
		s.invite.target = uri(r)
		s.invite.routes = readRoutes(r)
	}
	k := &kept{s: s}
	if k.leg.known = r.Bool(); k.leg.known {
		k.leg.left = r.Duration(wait)
		k.leg.strict = r.Bool()
		k.leg.ack = readMessage[*sip.Request](r)
		if k.leg.ack == nil != s.unacked || k.leg.ack != nil && k.leg.ack.Method() != sip.ACK {
			r.Fail()
		}
	}

	if r.Bool() {
		k.tx = []byte(r.Text())
		k.re = r.Bool()
		k.limited = r.Bool()
		k.expires = r.Duration(maxExpires)
		k.ringing = readMessage[*sip.Response](r)
		k.answer = readMessage[*sip.Response](r)
		k.left = r.Duration(wait)
		if len(k.tx) == 0 || k.ringing != nil && k.ringing.Status().Final() ||
			k.answer != nil && (k.ringing != nil || !k.answer.Status().Success()) ||
			s.began != (k.re || k.answer != nil) {
			r.Fail()
		}
	} else if !s.began {
		r.Fail()
	}
	if err := r.Close(); err != nil || k.tx == nil {
		return k, err
	}
	// Before anything is made of it, for what ends then would be answered.
	invite, err := transaction.SnapshotRequest(k.tx)
	if err == nil && !s.belongs(invite) {
		err = ErrSnapshot
	}
	return k, err
}

// value reads the value of a header field.
func value[H any, P interface {
	*H
	ParseValue(string) (H, error)
}](r *snapshot.Reader) H {
	var p P = new(H)
	h, err := p.ParseValue(r.Text())
	if err != nil {
		r.Fail()
	}
	return h
}

func uri(r *snapshot.Reader) sip.URI {
	u, err := sip.ParseURI(r.Text())
	if err != nil {
		r.Fail()
	}
	return u
}

func readRoutes(r *snapshot.Reader) (routes []sip.Route) {
	for range r.Count() {
		text := r.Text()
		route, err := sip.Route{}.ParseValue(text)
		if err != nil {
			r.Fail()
			return nil
		}
		routes = append(routes, route)
	}
	return routes
}

// readMessage reads what writeMessage has written.
func readMessage[M sip.Message](r *snapshot.Reader) (none M) {
	text := r.Text()
	if text == "" {
		return none
	}
	m, err := sip.Parse(text)
	is, ok := m.(M)
	if err != nil || !ok {
		r.Fail()
		return none
	}
	return is
}
