package msrp

import (
	"slices"

	"github.com/goparley/parley/msrp/frame"
)

// A claim is of somebody who has come for a leg whose peer is not known yet, for a connection may be faster than
// the answer. What comes is answered, and kept from the program until the answer tells whether this is the peer: by its
// URI, and where it says a fingerprint, by that (RFC 8122 section 6.2). There may be several, so that a
// stranger, or another phone that rings, does not keep the peer out.
type claim struct {
	c    *connection
	from frame.Path

	// Under the lock of the session.
	messages []*Incoming
	bytes    int // of them, that wait
}

// What is kept for all claims to a leg is as much as for a session whose messages nobody reads.
const (
	maxClaims  = 16                     // to a leg
	maxClaimed = maxArrived / maxClaims // messages of one
	claimSize  = maxParked / maxClaims  // bytes of them
)

// claim returns the claim of who speaks on a connection, and adds one that is new. The lock is held.
func (l *leg) claim(c *connection, from frame.Path) (*claim, frame.Status) {
	for _, cl := range l.claims {
		if cl.c == c && cl.from[len(cl.from)-1].Equal(from[len(from)-1]) {
			return cl, frame.StatusOK
		}
	}
	if len(l.claims) == maxClaims {
		return nil, frame.StatusSessionBoundElsewhere
	}
	if err := c.join(l); err != nil {
		return nil, frame.StatusNoSession
	}
	cl := &claim{c: c, from: from}
	l.claims = append(l.claims, cl)
	return cl, frame.StatusOK
}

// settle has the claim of the peer, which is known now, stand: the leg is bound to its connection. The others fall. It
// returns the connections that the leg may have left. The lock is held.
func (l *leg) settle() (left []*connection) {
	claims := l.claims
	l.claims = nil
	for _, cl := range claims {
		if l.conn == nil && !l.given && l.comesFrom(cl.from) && l.shows(cl.c) {
			l.conn = cl.c
		}
		if l.conn == cl.c && l.comesFrom(cl.from) {
			cl.stand(l.s)
			l.spoke = cl.from
		} else {
			cl.fall()
			left = append(left, cl.c)
		}
	}
	return left
}

// stand gives the program what has come. The lock is held.
func (cl *claim) stand(s *Session) {
	for _, m := range cl.messages {
		m.claim = nil
		if m.err == nil {
			s.begin(m)
		} else {
			s.over(m)
		}
	}
	s.arrived = append(s.arrived, cl.messages...)
	s.parked += cl.bytes
	s.changed.Broadcast()
}

// fall drops what has come. The lock is held.
func (cl *claim) fall() {
	for _, m := range cl.messages {
		m.fail(ErrLost) // which a chunk in the middle hears
	}
	cl.messages = nil
}

// find returns the message with an identifier, nil if there is none. The lock is held.
func (cl *claim) find(id string) *Incoming {
	for _, m := range cl.messages {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// abandoned has the claims on a connection that is lost fall. The lock is held.
func (l *leg) abandoned(c *connection) {
	l.claims = slices.DeleteFunc(l.claims, func(cl *claim) bool {
		if cl.c == c {
			cl.fall()
		}
		return cl.c == c
	})
}

// on reports whether a leg is bound to a connection, or claimed on it. The lock is held.
func (l *leg) on(c *connection) bool {
	return l.conn == c || slices.ContainsFunc(l.claims, func(cl *claim) bool { return cl.c == c })
}
