package msrp

import (
	"fmt"
	"slices"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// given reports whether what the session runs over is no matter of descriptions.
func (s *Session) given() bool { return s.relayed() || s.cfg.DataChannel }

// meet takes the peer of a leg whose connection is not made for it, and may not be there yet. The side that is active
// sends the first request, for which the other one waits (RFC 6135 section 4.5, RFC 8873 section 5.2).
func (l *leg) meet(r route) error {
	s := l.s
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return ErrClosed
	case l.err != nil:
		s.mu.Unlock()
		return l.err
	}
	if !l.remote.Equal(r.remote) {
		l.outlet = nil
	}
	l.remote, l.active, l.heard = slices.Clone(r.remote), r.active, ""
	l.to = append(slices.Clone(l.relays), r.remote...).String()
	l.settle() // none of which is on another connection
	s.mu.Unlock()
	s.keepAlive()
	return l.open()
}

// open begins the exchange when everything is there for it.
func (l *leg) open() error {
	s := l.s
	s.mu.Lock()
	early := l.spoke != nil && l.remote != nil && l.comesFrom(l.spoke) // its first request came before its answer
	if l.opened || l.conn == nil || l.remote == nil || !l.active && !early {
		s.mu.Unlock()
		return nil
	}
	l.opened = true
	old, active := s.bound(l), l.active
	s.mu.Unlock()
	if old != nil {
		old.end(errMoved)
	}
	if !active {
		return nil
	}
	return s.announce(l)
}

// hear takes note of a request, the first of which opens the exchange. It returns the leg that this one takes
// the place of. The lock is held.
func (l *leg) hear(from frame.Path, written string) (old *leg) {
	l.spoke, l.heard = from, written
	if l.remote == nil || l.opened {
		return nil
	}
	l.opened = true
	return l.s.bound(l)
}

// succeed has a leg go on with what another one runs over.
func (l *leg) succeed(old *leg) {
	if !old.given {
		return
	}
	s := l.s
	s.mu.Lock()
	c, err, spoke, until := old.conn, old.err, old.spoke, old.until
	s.mu.Unlock()
	if c != nil && err == nil {
		if err = l.take(c); err != nil {
			err = fmt.Errorf("%w: %w", ErrLost, err)
		}
	}
	if err != nil {
		l.end(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.spoke = spoke
	if !until.IsZero() {
		l.lastFor(time.Until(until))
	}
}
