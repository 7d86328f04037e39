package transaction

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/goparley/parley/internal/snapshot"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

var (
	// ErrSnapshot says that data is no snapshot of a server transaction, or not
	// a whole one.
	ErrSnapshot = snapshot.ErrDamaged
	// ErrSnapshotVersion says that a snapshot has a format that this version of
	// the library does not read.
	ErrSnapshotVersion = snapshot.ErrVersion
	// ErrExists says that a transaction is there already: it was restored
	// before, or its request has come again and began a new one.
	ErrExists = errors.New("transaction: is there already")
	// ErrFull says that Config.MaxBytes or Config.MaxHandlers is reached.
	ErrFull = errors.New("transaction: limit reached")
)

const (
	snapshotKind    = 't'
	snapshotVersion = 2

	maxIdentities = 1000 // of a certificate, in a snapshot
)

// Servers yields the server transactions that there are when it is called, in no
// order. When the Layer is closed they are those that there were at that moment:
// the peers have heard of nothing that a Snapshot of each does not know, and
// whatever comes later, comes to who restores them.
//
//	layer.Close()
//	for tx := range layer.Servers() {
//		data, err := tx.Snapshot()
//		...
//	}
func (l *Layer) Servers() iter.Seq[*Server] {
	var all []*Server
	for _, t := range l.tables.tables {
		t.mu.Lock()
		all = slices.AppendSeq(all, maps.Values(t.servers.m))
		t.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen != nil {
		all = l.frozen
	}
	return slices.Values(all)
}

// Snapshot returns all that a Layer needs to go on with the transaction: after a
// restart of the program, or on another node. It holds the request, the response
// that retransmissions get, the state with what is left of its timers, and where
// the request came from: nothing secret but what is in those messages, some of
// which have credentials. Time that passes before Restore does not count. The
// transaction goes on here all the same, until Close ends it without a word; then
// it is what was there at that moment.
//
// ErrCompleted means that the transaction is over. The ACK of a 2xx is none.
func (s *Server) Snapshot() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine == nil || s.done {
		return nil, fmt.Errorf("snapshot of %s: %w", s.req.Method(), ErrCompleted)
	}
	var w snapshot.Writer
	flow := s.in.Flow
	w.Text(flow.Transport())
	w.Addr(flow.LocalAddr())
	w.Addr(flow.RemoteAddr())
	identities := flow.Identities()
	w.Uint(uint64(len(identities)))
	for _, name := range identities {
		w.Text(name)
	}
	w.Text(s.req.String())
	w.Bool(s.last != nil)
	if s.last != nil {
		w.Text(s.last.String())
	}
	w.Bool(s.cancelled)
	w.Bool(s.first)
	w.Text(s.saidTag())
	w.Bool(s.resumed || s.wasHeld || isProvisional(s.last) && s.last.Status() > sip.StatusTrying)
	now := time.Now()
	if s.frozen {
		now = s.l.frozenAt
	}
	writeMachine(&w, now, s.machine)
	return w.Seal(snapshotKind, snapshotVersion), nil
}

// Restore goes on with a transaction where Snapshot has left it, on whichever
// Layer: retransmissions of the request get the same answer as before, or none,
// its ACK ends it, its CANCEL ends the context, and timers run for what was left
// of them, but never for longer than Timers says here.
//
// handler goes on with the request where the handler of then was: in a goroutine
// of its own, like Config.Handler, and with the same care for what it leaves
// open. nil means Config.Handler for a request without a final response, as if
// it had just come, and nobody for any other. It holds no place in the order of
// its call.
//
// Responses leave by the UDP socket with the local address of then, by another
// one where there is none, and for a connection, which is gone, by a new one to
// the port that the Via names (RFC 3261 section 18.2.2).
//
// ErrSnapshot and ErrSnapshotVersion are for data that cannot be read, ErrExists
// for a transaction that is there, ErrFull for one beyond the limits, which
// count those restored like any other, transport.ErrNoFlow for one by a
// transport that there is no socket for, and transport.ErrClosed for a Layer
// that is closed or shutting down. Config.Restore is where to call it before
// messages come.
func (l *Layer) Restore(data []byte, handler func(tx *Server, req *sip.Request)) (*Server, error) {
	r, err := l.readServer(data)
	if err != nil {
		return nil, fmt.Errorf("restore a transaction: %w", err)
	}
	s := r.s
	open := !s.final
	if err := l.admit(r); err != nil {
		return nil, fmt.Errorf("restore a transaction: %w", err)
	}
	s.step(input{event: inTimer}, nil) // what is due, and sets the timer
	if handler == nil && open {
		handler = l.cfg.Handler
	}
	if handler == nil {
		s.conclude()
	} else {
		go s.serve(handler) // ends when the handler returns
	}
	return s, nil
}

// SnapshotRequest returns the request of the transaction in a snapshot, and makes
// nothing of it: for who has to know what it is before Restore. The errors are
// ErrSnapshot and ErrSnapshotVersion.
func SnapshotRequest(data []byte) (*sip.Request, error) {
	r, err := snapshot.Open(data, snapshotKind, snapshotVersion)
	if err != nil {
		return nil, fmt.Errorf("request of a snapshot: %w", err)
	}
	_, _, _, _, req := readOrigin(r)
	if req == nil {
		return nil, fmt.Errorf("request of a snapshot: %w", ErrSnapshot)
	}
	return req, nil
}

// readOrigin reads what a snapshot begins with: where the request came from, and
// the request, nil if it is none.
func readOrigin(r *snapshot.Reader) (kind string, local, remote netip.AddrPort, identities []string, req *sip.Request) {
	kind, local, remote = r.Text(), r.Addr(), r.Addr()
	for range r.Uint(maxIdentities) {
		identities = append(identities, r.Text())
	}
	req, _ = readMessage(r).(*sip.Request)
	return kind, local, remote, identities, req
}

// restored is a transaction that was read and is in no table yet.
type restored struct {
	s     *Server
	last  *sip.Response
	merge bool   // it is the first of those that are merged
	tag   string // that its responses have; "" if it has none yet, or its request has one
}

// readServer reads a snapshot.
func (l *Layer) readServer(data []byte) (all restored, err error) {
	r, err := snapshot.Open(data, snapshotKind, snapshotVersion)
	if err != nil {
		return all, err
	}
	kind, local, remote, identities, req := readOrigin(r)
	if r.Bool() {
		if all.last, _ = readMessage(r).(*sip.Response); all.last == nil {
			r.Fail()
		}
	}
	cancelled := r.Bool()
	all.merge = r.Bool()
	all.tag = r.Text()
	resumed := r.Bool()
	if req == nil || req.Method() == sip.ACK || cancelled && req.Method() != sip.INVITE ||
		all.tag != "" && (!isToken(all.tag) || req.To().Tag() != "") {
		return all, ErrSnapshot
	}
	flow, err := l.ep.FormerFlow(kind, local, remote, identities)
	if err != nil {
		return all, err
	}
	in := &transport.Inbound{Message: req, Flow: flow, Time: time.Now()}
	key := serverKeyOf(req)
	s := newServer(l, l.table(key.branch), in, req, key)
	s.final = readMachine(r, time.Now(), s.machine, all.last)
	s.cancelled, s.resumed = cancelled, resumed
	all.s = s
	return all, r.Close()
}

// tagOfThen is the key by which the context of a transaction that was restored has
// the tag of its responses, which few transactions need room for.
type tagOfThen struct{}

// Tag returns the tag that the To of our responses has: that of the request, or else
// the one that Reply gives. Of a transaction that was restored it is the one that
// responses had before, where Reply of a sip.Request gives another one in each run of
// the program: Respond exchanges the two, for the peer has one dialog with us (RFC 3261
// sections 8.2.6.2 and 12.1.1).
func (s *Server) Tag() string {
	if s.tagged {
		tag, _ := s.context().Value(tagOfThen{}).(string)
		return tag
	}
	return s.req.Reply(sip.StatusOK).To().Tag()
}

// saidTag returns the tag to be written down: "" if nobody has heard of it.
func (s *Server) saidTag() string {
	switch {
	case s.tagged:
		tag, _ := s.ctx.Value(tagOfThen{}).(string)
		return tag
	case s.req.To().Tag() != "", !s.final && (s.last == nil || s.last.To().Tag() == ""):
		return ""
	}
	return s.req.Reply(sip.StatusOK).To().Tag()
}

// withTagOfThen returns a response of ours with the tag that those before it had.
// One that somebody further on has given is not ours to change.
func (s *Server) withTagOfThen(resp *sip.Response) *sip.Response {
	to := resp.To()
	if to.Tag() == "" || to.Tag() != s.req.Reply(sip.StatusOK).To().Tag() {
		return resp
	}
	return resp.With(to.WithTag(s.Tag()))
}

func readMessage(r *snapshot.Reader) sip.Message {
	m, err := sip.Parse(r.Text())
	if err != nil {
		r.Fail()
		return nil
	}
	return m
}

// admit puts a transaction that was read into the tables.
func (l *Layer) admit(r restored) error {
	s := r.s
	s.mu.Lock() // until it is complete, should its request come
	defer s.mu.Unlock()
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	switch {
	case l.closed.Load(), l.draining.Load():
		return transport.ErrClosed
	case s.t.servers.m[s.key] != nil:
		return ErrExists
	case l.isFull(), !s.final && l.open.Load() >= int64(l.cfg.MaxHandlers):
		return ErrFull
	}
	s.t.servers.set(s.key, s)
	if s.tagged = r.tag != ""; s.tagged {
		s.setContext(context.WithValue(l.ctx, tagOfThen{}, r.tag))
		if s.cancelled {
			s.end(ErrCancelled)
		}
	}
	s.hold()
	s.keep(r.last)
	if r.merge && !l.cfg.Merged {
		l.isFirst(s) // should it not be, the other one stands for both
	}
	l.handlers.Add(1)
	s.started, s.released = true, true
	s.queued = true // it has waited before, and not here
	if !s.final {
		s.place.Store(anyPlace)
		l.open.Add(1)
	}
	return nil
}

// stateOf returns what there is to a server machine: flag is responded of an
// INVITE, and silent of any other.
func stateOf(m machine) (b *base, flag *bool) {
	switch m := m.(type) {
	case *inviteServer:
		return &m.base, &m.responded
	case *nonInviteServer:
		return &m.base, &m.silent
	}
	return nil, nil
}

// writeMachine writes a server machine. Its timers are written as what is left of
// them: two nodes have two clocks, and a client that is to be answered once more
// is worse off with a timer that has jumped than with one that stood still.
func writeMachine(w *snapshot.Writer, now time.Time, m machine) {
	b, flag := stateOf(m)
	w.Uint(uint64(b.state))
	w.Bool(*flag)
	for _, at := range [...]time.Time{b.deadline, b.resend} {
		w.Bool(!at.IsZero())
		if !at.IsZero() {
			w.Duration(at.Sub(now))
		}
	}
	w.Duration(b.interval)
}

// readMachine reads the state of a server machine that is new, and reports
// whether it has its final response. last is the response that is kept. What no
// machine can have come to is a fault.
func readMachine(r *snapshot.Reader, now time.Time, m machine, last *sip.Response) (final bool) {
	b, flag := stateOf(m)
	t := b.timers
	b.state = state(r.Uint(uint64(stateTerminated)))
	*flag = r.Bool()

	// What each state has, and for how long at most.
	var lasts, resends time.Duration // 0: no such timer
	mayRest := false                 // it may have none to send again
	ok := true
	machine, invite := m.(*inviteServer)
	switch {
	case invite && b.state == stateProceeding:
		ok = isProvisional(last) == *flag
		if !*flag {
			resends = max(t.Trying, 1)
		}
	case invite && b.state == stateCompleted:
		ok = isRefusal(last)
		lasts = t.H
		if !b.reliable {
			resends, mayRest = max(t.T1, t.T2), true
		}
		if ok {
			machine.challenge = isChallenge(int(last.Status()))
		}
	case invite && b.state == stateConfirmed:
		ok = isRefusal(last) && !b.reliable
		lasts = t.T4
	case invite && b.state == stateAccepted:
		ok = last == nil
		lasts = t.L
	case !invite && b.state == stateTrying:
		ok = last == nil && !*flag
		resends = t.untilT2()
	case !invite && b.state == stateProceeding:
		ok = isProvisional(last) && !*flag
	case !invite && b.state == stateCompleted:
		ok = *flag || last != nil && last.Status().Final()
		lasts = t.keptFor(b.reliable)
	default:
		ok = false
	}
	read := func(at *time.Time, limit time.Duration, mayRest bool) {
		switch has := r.Bool(); {
		case has && limit > 0:
			*at = now.Add(r.Duration(limit))
		case has, limit > 0 && !mayRest:
			ok = false
		}
	}
	read(&b.deadline, lasts, false)
	read(&b.resend, resends, mayRest)
	b.interval = r.Duration(max(t.T1, t.T2))
	if lasts > 0 && resends > 0 {
		b.interval = max(b.interval, min(t.T1, t.T2)) // nothing would stop a timer of nothing
	}
	if !ok {
		r.Fail()
	}
	return lasts > 0
}

func isProvisional(resp *sip.Response) bool { return resp != nil && !resp.Status().Final() }

func isRefusal(resp *sip.Response) bool { return resp != nil && resp.Status() >= 300 }
