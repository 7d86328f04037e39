package msrp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
	"github.com/goparley/parley/sdp"
)

// SessionConfig says what a Session takes. The zero value is for a chat in plain text.
type SessionConfig struct {
	// AcceptTypes are the media types that we take, the preferred first: "text/plain",
	// "image/*", "*". Nil is text/plain alone. AcceptWrappedTypes are those that we take inside
	// of containers, such as message/cpim, alone (RFC 4975 section 8.6).
	AcceptTypes, AcceptWrappedTypes []string

	// MaxSize is how many bytes a message may have that we take; 0: as many as it likes.
	MaxSize int64

	// MaxChunk is how many bytes a chunk of ours has at most. 0 is 8,192 where a relay is on the way,
	// for there are relays that take no more, and else no limit: a chunk is interrupted when another
	// wants to be sent.
	MaxChunk int64

	// TLS has the peer connect by TLS, or us to the peer, and refuses an offer without. What is
	// offered with TLS is answered with TLS in any case.
	TLS bool

	// CEMA offers to connect to the address in the session description that middleboxes have put there, in
	// place of that in the path (RFC 6714). What a peer offers of it is answered in any case.
	CEMA bool

	// Attributes are further ones of the section in the session description: chatroom:nickname of who would join a
	// room (RFC 7701 section 8), say.
	Attributes []sdp.Attribute

	// AnyAuthority takes a request for this session by the session-id alone, whatever host and port its
	// URI has: for peers behind gateways that change them, as RCS has it.
	AnyAuthority bool

	// DataChannel has the session run over a WebRTC data channel (RFC 8873), which Open gives it. Its sections are
	// those of DataChannel.Attributes and DataChannel.Section.
	DataChannel bool

	// OnExpiring is called when the path by which a relay lets the peer reach us is about to end: a new offer gets
	// another one (RFC 4976 section 9.4). nil: the session is lost with it, and gets another one then.
	OnExpiring func()

	// OnRequest serves requests of other methods than SEND and REPORT: it returns the status to answer. It is
	// called by the goroutine that reads the connection. nil: they get 501.
	OnRequest func(h *frame.Head, body []byte) frame.Status

	// OnMessage takes the messages in place of Messages, each when all of it is there, with its body, which
	// is the func's to keep, and returns the status that its sender is told. It is called by the goroutine
	// that reads the connection, and is not to wait. MaxSize is 256 KB then, if it is 0, and no more than 8
	// messages arrive at a time; Messages tells of a lost connection alone. nil: they go to Messages.
	OnMessage func(m *Incoming, body []byte) frame.Status

	// OnRoom is called when there is room for another Post, after one was refused with ErrFull, by the
	// goroutine that writes the connection. nil: nobody is told.
	OnRoom func()
}

// What is in the way of a session.
var (
	// ErrHeld says that the peer does not want to receive now.
	ErrHeld = errors.New("msrp: the peer does not receive now")
	// ErrLost says that the connection of the session is lost. A new offer makes another one.
	ErrLost = errors.New("msrp: connection lost")
	// ErrNotConnected says that there is no peer yet.
	ErrNotConnected = errors.New("msrp: no peer yet")
)

// A Session is an exchange of messages with one peer (RFC 4975). It is a stream of a call,
// which describes itself in SDP, and can be connected without that by Path and Connect.
// Its methods may be called from any goroutine.
type Session struct {
	e   *Endpoint
	cfg SessionConfig

	making sync.Mutex // while there may be a new leg

	mu      sync.Mutex
	changed sync.Cond // for who waits
	current *leg      // nil: not begun
	next    *leg      // offered, and not agreed yet
	peer    peer
	held    bool // the peer does not receive
	closed  bool
	address netip.Addr // where the peer reaches us, as we were told

	offered     bool  // the last description of ours was an offer
	answerRoute route // of the last offer of the peer
	plain       bool  // a middlebox does not do with CEMA

	arrived     []*Incoming // that Messages has not given out
	deaf        bool        // nobody has read for 20 seconds what waited
	incoming    map[string]*Incoming
	done        []done // messages that are over, the newest last
	window      int    // bytes of a message that wait to be read
	maxIncoming int    // messages that are not complete
	reaper      *time.Timer
	outgoing    map[string]*outgoing
	told        []*outgoing // that are over and still hear of REPORTs, the newest last
	refused     []string    // media types that the peer has listed, and has not taken
	parked      int         // bytes in messages that Messages has not given out

	lastSent time.Time
	alive    *time.Timer
}

// A peer is what the peer has said of itself.
type peer struct {
	types, wrapped []string
	maxSize        int64 // 0: not said
}

const (
	maxIncoming = 64  // messages that are not complete
	maxWhole    = 8   // of them with OnMessage, for which all that has come is kept
	maxArrived  = 256 // that nobody has asked for
	maxDone     = 256 // that are over and remembered
	maxTold     = 256 // of ours that hear of REPORTs
	maxRefused  = 64  // media types
)

// NewSession makes a session on an endpoint. cfg may be nil.
func NewSession(e *Endpoint, cfg *SessionConfig) *Session {
	s := &Session{e: e, incoming: map[string]*Incoming{}, outgoing: map[string]*outgoing{}}
	if cfg != nil {
		s.cfg = *cfg
	}
	if s.cfg.AcceptTypes == nil {
		s.cfg.AcceptTypes = []string{"text/plain"}
	}
	s.maxIncoming, s.window = maxIncoming, window
	if s.cfg.OnMessage != nil {
		if s.cfg.MaxSize == 0 {
			s.cfg.MaxSize = window
		}
		s.maxIncoming, s.window = maxWhole, int(s.cfg.MaxSize)
	}
	s.changed.L = &s.mu
	return s
}

// A leg is a pair of URIs with the connection that they are bound to. A session that is
// described anew may have another one.
type leg struct {
	s      *Session
	local  frame.URI
	path   frame.Path // by which the peer reaches us: relays, and local last
	secure bool

	// Under the lock of the session.
	relays  frame.Path // of ours, the nearest first
	remote  frame.Path // of the peer: its first hop first; nil: not known
	to      string     // To-Path
	from    string     // From-Path
	conn    *connection
	outlet  *link.Outlet  // for Posts; nil: there were none
	outlets *connection   // of the outlet
	claimed frame.Path    // who has bound it before remote was known
	verify  []fingerprint // that the peer may have; nil: not looked at
	err     error         // why it is over
	failed  error         // why we could not connect; it may be tried again

	fingerprint string // ours; "" if others vouch for us
	given       bool   // what it runs over is no matter of descriptions: a relay of ours, or a data channel

	// Of a given one, under the lock of the session.
	active bool        // we are who sends first
	opened bool        // and the one who is has done so
	heard  string      // From-Path of the last request that was in order
	stale  bool        // another path is wanted
	until  time.Time   // when the path ends; zero: nobody says
	expiry *time.Timer // for that
}

// newLeg makes URIs for the session and has requests for them find it.
func (s *Session) newLeg(ctx context.Context, secure bool) (*leg, error) {
	switch e := s.e; {
	case s.cfg.DataChannel:
		return s.newChannelLeg()
	case len(e.relays) > 0:
		return s.newRelayedLeg(ctx)
	}
	e := s.e
	s.mu.Lock()
	known := s.address
	s.mu.Unlock()
	host, port, err := e.here(secure, known)
	if err != nil {
		return nil, err
	}
	l := &leg{s: s, secure: secure}
	if secure {
		id, err := e.own()
		if err != nil {
			return nil, err
		}
		l.fingerprint = id.fingerprint
	}
	l.local = frame.URI{Secure: secure, Host: host, Port: port, SessionID: frame.NewSessionID(), Transport: "tcp"}
	l.from = l.local.String()
	l.path = frame.Path{l.local}
	if err := e.register(l); err != nil {
		return nil, err
	}
	return l, nil
}

// register has requests for a leg find it.
func (e *Endpoint) register(l *leg) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return ErrClosed
	case len(e.legs) >= e.cfg.MaxSessions:
		return fmt.Errorf("msrp: more than %d sessions", e.cfg.MaxSessions)
	}
	e.legs[l.local.SessionID] = l
	return nil
}

// UseAddress says which of our addresses the peer reaches. It counts where Config.Host does not say it,
// nor the address that is bound.
func (s *Session) UseAddress(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address = a
}

// end takes a leg out of service, and with it the messages under way on it.
func (l *leg) end(err error) {
	s := l.s
	s.mu.Lock()
	c := l.conn
	if l.err == nil {
		l.err = err
	}
	err, l.conn = l.err, nil
	if l.expiry != nil {
		l.expiry.Stop()
	}
	if s.next == l {
		s.next = nil
	}
	for id, m := range s.incoming {
		if m.l == l {
			delete(s.incoming, id)
			m.fail(err)
		}
	}
	var out []*outgoing
	for _, o := range s.outgoing {
		if o.l == l {
			out = append(out, o)
		}
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	for _, o := range out {
		o.fail(err)
	}
	s.e.mu.Lock()
	if s.e.legs[l.local.SessionID] == l {
		delete(s.e.legs, l.local.SessionID)
	}
	s.e.mu.Unlock()
	if c != nil {
		c.leave(l)
	}
}

// is reports whether a URI is that of the leg.
func (l *leg) is(u frame.URI) bool {
	return l.s.cfg.AnyAuthority && u.SessionID == l.local.SessionID || u.Equal(l.local)
}

// bound reports whether the leg is bound to a connection, and is spoken to by who was there before. Others can
// only be there behind a relay.
func (l *leg) bound(c *connection, from string) bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.conn == c && l.err == nil && (!l.given || l.heard == from)
}

// uses reports whether the leg is bound to a connection, whoever speaks on it.
func (l *leg) uses(c *connection) bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.conn == c && l.err == nil
}

// bind takes a request on a connection for the beginning of the leg on it (RFC 4975 section
// 5.4).
func (l *leg) bind(c *connection, from frame.Path, written string) frame.Status {
	s := l.s
	s.mu.Lock()
	if l.secure && !l.given && c.key == nil && !s.await(func() bool { return l.remote != nil || l.err != nil }) {
		// Nothing that comes by TLS counts before the fingerprint is known that goes with it (RFC 8122
		// section 6.2).
		s.mu.Unlock()
		return frame.StatusNoSession
	}
	switch {
	case l.err != nil || s.closed:
		s.mu.Unlock()
		return frame.StatusNoSession
	case l.remote != nil && !l.comesFrom(from):
		s.mu.Unlock()
		return frame.StatusNoSession
	case l.given && l.conn == c:
		old := l.hear(from, written)
		s.mu.Unlock()
		if old != nil {
			old.end(errMoved)
		}
		return frame.StatusOK
	case l.given && l.conn == nil:
		s.mu.Unlock()
		return frame.StatusNoSession
	case l.conn == c:
		s.mu.Unlock()
		return frame.StatusOK
	case l.conn != nil:
		s.mu.Unlock()
		return frame.StatusSessionBoundElsewhere
	case l.remote != nil && !l.shows(c):
		s.mu.Unlock()
		return frame.StatusForbidden
	}
	l.conn, l.claimed = c, from
	old := s.bound(l)
	s.mu.Unlock()
	if err := c.join(l); err != nil {
		l.lost(c, err)
		return frame.StatusNoSession
	}
	if old != nil {
		old.end(errMoved)
	}
	return frame.StatusOK
}

var errMoved = fmt.Errorf("%w: the session has moved", ErrLost)

// comesFrom reports whether a request is from the peer: its own URI is the last.
func (l *leg) comesFrom(from frame.Path) bool {
	own, peer := from[len(from)-1], l.remote[len(l.remote)-1]
	return own.Equal(peer) || l.s.cfg.AnyAuthority && own.SessionID == peer.SessionID
}

// shows reports whether a connection that the peer has made shows the certificate that it has said: one
// that shows none does not (RFC 8122 section 6.2). Where a relay made it that is the relay's matter.
func (l *leg) shows(c *connection) bool {
	if l.verify == nil || c.key != nil || len(l.remote) > 1 {
		return true
	}
	state := c.link.TLS()
	return state != nil && shows(l.verify)(*state) == nil
}

// bound is called when a leg has its connection; it returns one that it takes the place of. The lock is
// held.
func (s *Session) bound(l *leg) (old *leg) {
	if l.remote != nil && s.current != l {
		if s.next == l {
			s.next = nil
		}
		old, s.current = s.current, l
	}
	s.changed.Broadcast()
	return old
}

// lost says that the connection of a leg is.
func (l *leg) lost(c *connection, err error) {
	s := l.s
	s.mu.Lock()
	if l.conn != c {
		s.mu.Unlock()
		return
	}
	if errors.Is(err, link.ErrClosed) {
		l.err = ErrLost
	} else {
		l.err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	l.conn = nil
	s.mu.Unlock()
	l.end(nil)
}

// Path returns our path, by which the peer reaches the session: what it is told where there is no
// session description. A session that has lost its connection gets a new one.
func (s *Session) Path(ctx context.Context) (frame.Path, error) {
	l, err := s.legToDescribe(ctx, s.cfg.TLS)
	if err != nil {
		return nil, err
	}
	return slices.Clone(l.path), nil
}

// Connect has the session talk to a peer whose path is known, where there is no session description. The
// one of the two that is active connects to the other, which waits for that; the peer is taken to
// accept every type.
func (s *Session) Connect(ctx context.Context, remote frame.Path, active bool) error {
	l, err := s.legToDescribe(ctx, s.cfg.TLS)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.peer = peer{types: []string{"*"}, wrapped: []string{"*"}}
	s.mu.Unlock()
	return l.connect(ctx, route{remote: remote, active: active})
}

// A route says how a leg gets to its peer.
type route struct {
	remote  frame.Path
	active  bool
	address string        // to connect to in place of that of the first hop; "" none
	verify  []fingerprint // of its certificate
}

// connect makes the connection of a leg, or waits for nothing if the peer is to do that.
func (l *leg) connect(ctx context.Context, r route) error {
	err := l.tryConnect(ctx, r)
	if err != nil && !errors.Is(err, ErrClosed) {
		l.s.mu.Lock()
		l.failed = fmt.Errorf("%w: %w", ErrLost, err)
		l.s.changed.Broadcast()
		l.s.mu.Unlock()
	}
	return err
}

func (l *leg) tryConnect(ctx context.Context, r route) error {
	s := l.s
	if len(r.remote) == 0 {
		return &frame.SyntaxError{Where: "path", Msg: "empty"}
	}
	if l.given {
		return l.meet(r)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	l.remote, l.verify, l.failed = slices.Clone(r.remote), r.verify, nil
	s.changed.Broadcast()
	l.to = append(slices.Clone(l.relays), r.remote...).String()
	c := l.conn
	if c != nil && (!l.comesFrom(l.claimed) || !l.shows(c)) {
		// Somebody else was faster than the answer.
		l.conn = nil
		s.mu.Unlock()
		c.leave(l)
		s.mu.Lock()
		c = nil
	}
	var old *leg
	if c != nil {
		old = s.bound(l)
	}
	s.mu.Unlock()
	if old != nil {
		old.end(errMoved)
	}
	if c != nil || !r.active {
		s.keepAlive()
		return nil
	}
	first := r.remote[0]
	key := peerKey{secure: first.Secure, address: hostPort(first)}
	if r.address != "" {
		key.address = r.address
	}
	var check func(tls.ConnectionState) error
	switch {
	case !key.secure:
	case r.verify == nil:
		key.name = first.Host
	default:
		check = shows(r.verify)
		for _, f := range r.verify {
			key.fingerprint += f.algorithm + f.sum
		}
	}
	for tries := 0; ; tries++ {
		c, err := s.e.connect(ctx, key, check)
		if err == nil {
			err = l.take(c)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, link.ErrClosed) || tries == 3 {
			return fmt.Errorf("msrp: connect to %s: %w", first, err)
		}
		s.e.forget(c) // others have ended it in between
	}
	s.keepAlive()
	return s.announce(l)
}

// take binds a leg to a connection of ours.
func (l *leg) take(c *connection) error {
	if err := c.join(l); err != nil {
		return link.ErrClosed
	}
	s := l.s
	s.mu.Lock()
	err := l.err
	if s.closed {
		err = ErrClosed
	}
	if err != nil || l.conn != nil && l.conn != c { // or the peer was faster
		s.mu.Unlock()
		c.leave(l)
		return err
	}
	l.conn = c
	var old *leg
	if !l.given { // one that is has still to be opened
		old = s.bound(l)
	}
	s.mu.Unlock()
	if old != nil {
		old.end(errMoved)
	}
	if c.link.Err() != nil { // in between, so that the leg may not have been told
		s.mu.Lock()
		if l.conn == c {
			l.conn = nil
		}
		s.mu.Unlock()
		c.leave(l)
		return link.ErrClosed
	}
	return nil
}

// announce sends the SEND by which the peer learns which session the connection is for (RFC
// 4975 section 5.4). It has no body.
func (s *Session) announce(l *leg) error {
	s.mu.Lock()
	c, h := l.conn, l.head(frame.SEND)
	s.mu.Unlock()
	if c == nil {
		return ErrLost
	}
	h.MessageID, h.Range = newMessageID(), frame.Range{Start: 1, End: 0, Total: 0}
	return c.link.Request(h, nil, announcement{l})
}

// An announcement is an empty SEND of ours. What the peer says of it tells whether the session is
// there.
type announcement struct{ l *leg }

func (a announcement) Answered(_ frame.Range, h *frame.Head, err error) {
	switch {
	case errors.Is(err, link.ErrNoAnswer):
		a.l.end(fmt.Errorf("%w: %w", ErrLost, frame.StatusTimeout))
	case err == nil && failed(h.Status):
		a.l.refused(h.Status)
	}
}

// refused ends a leg that the peer says is none.
func (l *leg) refused(status frame.Status) {
	switch status {
	case frame.StatusNoSession, frame.StatusSessionBoundElsewhere:
		l.end(fmt.Errorf("%w: %w", ErrLost, status))
	}
}

// head returns the head of a request of ours. The lock is held.
func (l *leg) head(method frame.Method) *frame.Head {
	return &frame.Head{Method: method, To: l.to, From: l.from}
}

// keepAlive sends an empty SEND now and then where that is wanted.
func (s *Session) keepAlive() {
	period := s.e.cfg.KeepAlive
	if period <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.alive == nil {
		s.alive = time.AfterFunc(period, s.keepAliveNow)
	}
}

func (s *Session) keepAliveNow() {
	s.mu.Lock()
	wait, l := s.e.cfg.KeepAlive-time.Since(s.lastSent), s.current
	due := wait <= 0 && !s.closed
	if due {
		wait, s.lastSent = s.e.cfg.KeepAlive, time.Now()
	}
	if !s.closed {
		s.alive.Reset(wait)
	}
	due = due && l != nil && l.usable()
	s.mu.Unlock()
	if due {
		s.announce(l)
	}
}

// Connected waits until the session has its connection: until the peer, if that is to connect, has done
// so.
func (s *Session) Connected(ctx context.Context) error {
	_, _, err := s.ready(ctx)
	return err
}

// usable reports whether the peer can be sent to. The lock is held.
func (l *leg) usable() bool { return l.conn != nil && l.remote != nil && (!l.given || l.opened) }

// ready waits until something can be sent.
func (s *Session) ready(ctx context.Context) (*leg, *connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for waits := false; ; s.changed.Wait() {
		l := s.current
		switch {
		case s.ended():
			return nil, nil, ErrClosed
		case l != nil && l.usable():
			return l, l.conn, nil
		case s.lost() != nil:
			return nil, nil, s.lost()
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		}
		if !waits {
			defer s.wakes(ctx)()
			waits = true
		}
	}
}

// ended reports whether the session is closed, or its endpoint. The lock is held.
func (s *Session) ended() bool { return s.closed || s.e.ctx.Err() != nil }

// lost returns why there is no connection and none to come before another offer; nil if that is not so. The
// lock is held.
func (s *Session) lost() error {
	l, n := s.current, s.next
	switch {
	case l == nil || n != nil && n.failed == nil:
		return nil
	case l.err != nil:
		return l.err
	case l.conn == nil:
		return l.failed
	}
	return nil
}

// wakes has the end of a context, and of the endpoint, wake who waits. What it returns ends that.
func (s *Session) wakes(ctx context.Context) (stop func()) {
	wake := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	}
	one, other := context.AfterFunc(ctx, wake), context.AfterFunc(s.e.ctx, wake)
	return func() { one(); other() }
}

// Close ends the session: messages under way are cut off, and the connection is closed if no other session
// uses it.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, t := range []*time.Timer{s.alive, s.reaper} {
		if t != nil {
			t.Stop()
		}
	}
	legs := []*leg{s.current, s.next}
	for _, m := range s.incoming {
		m.fail(ErrClosed)
	}
	clear(s.incoming)
	var out []*outgoing
	for _, o := range s.outgoing {
		out = append(out, o)
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	for _, o := range out {
		o.fail(ErrClosed)
	}
	for _, l := range legs {
		if l != nil {
			l.end(ErrClosed)
		}
	}
	return nil
}

// Messages returns the messages that arrive, each when it begins. The loop ends when the session
// is closed; it yields the error of ctx last if that ends, and why if the connection is lost. A message
// is to be read, or Rejected: what is not read holds up the connection, and is refused after
// 20 seconds. Each message goes to one loop.
func (s *Session) Messages(ctx context.Context) iter.Seq2[*Incoming, error] {
	return func(yield func(*Incoming, error) bool) {
		defer s.wakes(ctx)()
		for {
			m, err := s.receive(ctx)
			if err == ErrClosed {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func (s *Session) receive(ctx context.Context) (*Incoming, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case len(s.arrived) > 0:
			m := s.arrived[0]
			s.arrived[0], s.deaf, m.given = nil, false, true
			s.parked -= m.unread() + m.held
			if s.arrived = s.arrived[1:]; len(s.arrived) == 0 {
				s.arrived = nil
			}
			s.changed.Broadcast()
			return m, nil
		case s.ended():
			return nil, ErrClosed
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case s.lost() != nil:
			return nil, s.lost()
		}
		s.changed.Wait()
	}
}
