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

// Sessions yields the calls that there are when it is called, in no order: for
// who takes a Snapshot of each before Close.
func (l *Layer) Sessions() iter.Seq[*Session] {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Values(slices.Collect(maps.Values(l.sessions)))
}

// Snapshot returns all that a Layer needs to go on with the call: after a restart
// of the program, or on another node. It holds the state of the dialog, what its
// next ACK needs, and for an INVITE of the peer that is not answered or not
// acknowledged yet a Snapshot of its transaction: nothing secret but what is in
// messages, as credentials are. The call goes on here all the same, until Close
// cuts it off without a word.
//
// The error is that of Err for a call that is over, ErrEnded for one that is
// being refused.
func (s *Session) Snapshot() ([]byte, error) {
	for {
		s.mu.Lock()
		seq := s.invite.seq
		s.mu.Unlock()
		acked := s.l.legOf(s.keyOf(seq), s.d.id.RemoteTag)
		s.mu.Lock()
		if s.invite.seq == seq { // else it answers for another INVITE
			defer s.mu.Unlock()
			data, err := s.snapshot(acked)
			if err != nil {
				return nil, fmt.Errorf("snapshot of a call: %w", err)
			}
			return data, nil
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

// snapshot does it with s.mu held.
func (s *Session) snapshot(acked keptLeg) ([]byte, error) {
	switch {
	case s.over:
		return nil, s.err
	case !s.began && s.pending == nil:
		return nil, ErrEnded
	}
	var w snapshot.Writer
	now := time.Now()
	w.Text(s.d.id.CallID)
	w.Text(s.d.local.String())
	w.Text(s.d.remote.String())
	w.Text(s.d.target.String())
	writeRoutes(&w, s.d.routes)
	w.Uint(uint64(s.d.localSeq))
	w.Bool(s.d.remoteSet)
	w.Uint(uint64(s.d.remoteSeq))
	w.Text(string(s.contact.AppendValue(nil)))
	w.Bool(s.made)
	w.Bool(s.began)

	// Our last INVITE and its ACK. What is on its way will be lost, or what comes
	// back.
	lost := s.lost
	switch {
	case s.inviting:
		lost = lostInvite{true, s.asked}
	case acked.known && acked.ack == nil && !s.unacked:
		lost = lostInvite{true, s.invite.seq}
	}
	w.Bool(lost.is)
	w.Uint(uint64(lost.seq))
	w.Uint(uint64(s.invite.seq))
	w.Bool(s.unacked)
	if s.unacked {
		w.Uint(uint64(len(s.invite.credentials)))
		for _, f := range s.invite.credentials {
			w.Text(f.Name)
			w.Text(f.Value)
		}
		w.Text(s.invite.target.String())
		writeRoutes(&w, s.invite.routes)
	}
	acked.known = acked.known && (acked.ack != nil || s.unacked)
	w.Bool(acked.known)
	if acked.known {
		w.Duration(acked.until.Sub(now))
		w.Bool(acked.strict)
		writeMessage(&w, acked.ack)
	}

	in, answer, until := s.pending, (*sip.Response)(nil), time.Time{}
	if s.await != nil {
		in, answer, until = s.await.in, s.await.resp, s.await.until
	}
	w.Bool(in != nil)
	if in != nil {
		tx, err := in.tx.Snapshot()
		if err != nil {
			return nil, err
		}
		w.Text(string(tx))
		w.Bool(in.re)
		w.Bool(!in.expires.IsZero())
		w.Duration(in.expires.Sub(now))
		writeMessage(&w, in.ringing)
		writeMessage(&w, answer)
		w.Duration(until.Sub(now))
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
