package msrp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// A route says how a leg gets to its peer.
type route struct {
	remote  frame.Path
	active  bool
	address string        // to connect to in place of that of the first hop; "" none
	verify  []fingerprint // of its certificate, unless a relay is at the other end
}

// byTCP reports whether what is to be connected to is reached by TCP: the first hop by its transport (RFC 4975 section
// 5.4), a middlebox always. Others are for somebody else to connect to (RFC 7977 section 5.2.2).
func (r route) byTCP() bool {
	return r.address != "" || strings.EqualFold(r.remote[0].Transport, "tcp")
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
	var left []*connection
	moved := !l.remote.Equal(r.remote)
	l.remote, l.verify, l.failed = slices.Clone(r.remote), r.verify, nil
	s.changed.Broadcast()
	l.to = append(slices.Clone(l.relays), r.remote...).String()
	if moved {
		l.outlet = nil
	}
	if l.conn != nil && (moved || !l.shows(l.conn)) { // to another peer
		left, l.conn = append(left, l.conn), nil
	}
	left = append(left, l.settle()...)
	c := l.conn
	var old *leg
	if c != nil {
		old = s.bound(l)
	}
	s.mu.Unlock()
	for _, c := range left {
		c.leave(l)
	}
	if old != nil {
		old.end(errMoved)
	}
	if c != nil || !r.active {
		s.keepAlive()
		return nil
	}
	first := r.remote[0]
	if !r.byTCP() {
		return fmt.Errorf("msrp: connect to %s: %w", first, net.UnknownNetworkError(first.Transport))
	}
	key := peerKey{secure: first.Secure, address: hostPort(first)}
	if r.address != "" {
		key.address = r.address
	}
	var check func(tls.ConnectionState) error
	switch {
	case !key.secure:
	case r.verify == nil, len(r.remote) > 1: // a relay is who its name says (RFC 4976 section 9.2)
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
	s := l.s
	s.mu.Lock()
	if err := c.join(l); err != nil {
		s.mu.Unlock()
		return link.ErrClosed
	}
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
