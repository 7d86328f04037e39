package msrp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

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
	claims  []*claim      // before remote is known
	verify  []fingerprint // that the peer may have; nil: not looked at
	err     error         // why it is over
	failed  error         // why we could not connect; it may be tried again

	fingerprint string // ours; "" if others vouch for us
	given       bool   // what it runs over is no matter of descriptions: a relay of ours, or a data channel

	// Of a given one, under the lock of the session.
	active bool        // we are who sends first
	opened bool        // and the one who is has done so
	heard  string      // From-Path of the last request that was in order
	spoke  frame.Path  // and of the last one, whoever was awaited then
	stale  bool        // another path is wanted
	until  time.Time   // when the path ends; zero: nobody says
	expiry *time.Timer // for that
}

var errMoved = fmt.Errorf("%w: the session has moved", ErrLost)

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

// end takes a leg out of service, and with it the messages under way on it.
func (l *leg) end(err error) {
	s := l.s
	s.mu.Lock()
	left := []*connection{l.conn}
	for _, cl := range l.claims {
		cl.fall()
		left = append(left, cl.c)
	}
	if l.err == nil {
		l.err = err
	}
	err, l.conn, l.claims = l.err, nil, nil
	if l.expiry != nil {
		l.expiry.Stop()
	}
	if s.next == l {
		s.next = nil
	}
	current := s.current
	heir := current != nil && current != l && current.local.SessionID == l.local.SessionID && current.err == nil && !s.closed
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
	if id := l.local.SessionID; s.e.legs[id] == l {
		if delete(s.e.legs, id); heir {
			s.e.legs[id] = current // which was to be followed
		}
	}
	s.e.mu.Unlock()
	if heir {
		current.unregister() // if it has ended meanwhile
	}
	for _, c := range left {
		if c != nil {
			c.leave(l)
		}
	}
}

// unregister has requests find a leg no more that has ended.
func (l *leg) unregister() {
	l.s.mu.Lock()
	over := l.err != nil
	l.s.mu.Unlock()
	l.s.e.mu.Lock()
	defer l.s.e.mu.Unlock()
	if over && l.s.e.legs[l.local.SessionID] == l {
		delete(l.s.e.legs, l.local.SessionID)
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
	return l.conn == c && l.err == nil && l.remote != nil && (!l.given || l.heard == from)
}

// uses reports whether the leg is bound to a connection, whoever speaks on it.
func (l *leg) uses(c *connection) bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.conn == c && l.err == nil
}

// before returns the leg that this one is to take the place of, if a request on a connection is for that still; else nil.
func (l *leg) before(c *connection, from frame.Path, report bool) *leg {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	b := l.s.current
	followed := l.remote != nil && from[len(from)-1].Equal(l.remote[len(l.remote)-1])
	if b == nil || b == l || b.conn != c || b.err != nil || b.remote == nil || !report && followed || b.local.SessionID != l.local.SessionID || !report && !b.comesFrom(from) {
		return nil
	}
	return b
}

// bind takes a request on a connection for the beginning of the leg on it (RFC 4975 section
// 5.4), or for a claim to it while nobody knows who the peer is: that waits for nothing, for there are
// other sessions on the connection.
func (l *leg) bind(c *connection, from frame.Path, written string) (*claim, frame.Status) {
	s := l.s
	s.mu.Lock()
	cl, old, status := l.tryBind(c, from, written)
	s.mu.Unlock()
	if old != nil {
		old.end(errMoved)
	}
	return cl, status
}

// tryBind does it. It returns a leg, too, that this one takes the place of. The lock is held.
func (l *leg) tryBind(c *connection, from frame.Path, written string) (cl *claim, old *leg, status frame.Status) {
	s := l.s
	switch {
	case l.err != nil || s.closed, l.given && l.conn == nil:
		return nil, nil, frame.StatusNoSession
	case l.conn != nil && l.conn != c: // whoever it is (RFC 4975 section 5.4)
		return nil, nil, frame.StatusSessionBoundElsewhere
	case l.remote != nil && !l.comesFrom(from):
		return nil, nil, frame.StatusNoSession
	case l.given:
		old = l.hear(from, written)
	}
	switch {
	case l.remote == nil:
		cl, status = l.claim(c, from)
		return cl, old, status
	case l.conn == c:
		return nil, old, frame.StatusOK
	case !l.shows(c):
		return nil, nil, frame.StatusForbidden
	case c.join(l) != nil:
		return nil, nil, frame.StatusNoSession
	}
	l.conn = c
	return nil, s.bound(l), frame.StatusOK
}

// comesFrom reports whether a request is from the peer: its own URI is the last.
func (l *leg) comesFrom(from frame.Path) bool {
	own, peer := from[len(from)-1], l.remote[len(l.remote)-1]
	return own.Equal(peer) || l.s.cfg.AnyAuthority && own.SessionID == peer.SessionID
}

// shows reports whether a connection is by TLS, if our URI says so (RFC 4975 section 6), and shows the certificate that
// the peer has said, whoever made it: one that shows none does not (RFC 8122 section 6.2). Where a relay is at the other
// end the certificate is the relay's matter.
func (l *leg) shows(c *connection) bool {
	state := c.link.TLS()
	switch {
	case l.given:
		return true
	case l.secure && state == nil:
		return false
	case l.verify == nil, len(l.remote) > 1:
		return true
	}
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
	s.roomOn(l)
	s.changed.Broadcast()
	return old
}

// lost says that the connection of a leg is.
func (l *leg) lost(c *connection, err error) {
	s := l.s
	s.mu.Lock()
	if l.conn != c {
		l.abandoned(c)
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

// refused ends a leg that the peer says is none.
func (l *leg) refused(status frame.Status) {
	switch status {
	case frame.StatusNoSession, frame.StatusSessionBoundElsewhere:
		l.end(fmt.Errorf("%w: %w", ErrLost, status))
	}
}

// doubt has the next description have another path, after a message that nobody has answered for, which may be sent
// again by that (RFC 4975 section 7.3.2).
func (l *leg) doubt() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.stale = true
}

// head returns the head of a request of ours. The lock is held.
func (l *leg) head(method frame.Method) *frame.Head {
	return &frame.Head{Method: method, To: l.to, From: l.from}
}

// usable reports whether the peer can be sent to. The lock is held.
func (l *leg) usable() bool { return l.conn != nil && l.remote != nil && (!l.given || l.opened) }
