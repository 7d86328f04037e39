package transport

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// byeTimeout is how long the farewell of a connection may take.
const byeTimeout = time.Second

// socket is the stream socket under a connection. Under a stream it waits for
// the peer as long as the connection allows for.
type socket struct {
	net.Conn
	opened  time.Time
	shaken  atomic.Bool // the handshakes are done, and somebody else sees to deadlines
	release func()      // gives back what admit has taken; nil: nothing
	chosen  *tls.Config // for this client by GetConfigForClient; nil: none, or the handshake is over
	closed  atomic.Bool
	until   atomic.Int64 // a deadline for writes that was asked for, as UnixNano; 0: none
	leaving atomic.Bool  // what is written is the farewell
	partial atomic.Bool  // part of a message has been read, and the rest is waited for

	// The reading goroutine's, once it is attached; before that, who shakes
	// hands sees to deadlines.
	conn     *conn
	buffered func() int // bytes of that message
	begun    time.Time  // when that message began; zero: there is none
}

// attach has reads wait as c allows for, and take the room that there is. It is
// called by who will read.
func (s *socket) attach(c *conn, buffered func() int) { s.conn, s.buffered = c, buffered }

// beginning notes when the message being read began.
func (s *socket) beginning(at time.Time) {
	s.begun = at
	s.partial.Store(!at.IsZero())
}

// Read reads until the expiry of the connection.
func (s *socket) Read(b []byte) (int, error) {
	c := s.conn
	if c == nil {
		// A handshake may be asked to wait for each of its parts, but not for
		// more and more of them.
		if !s.shaken.Load() && time.Since(s.opened) > 2*handshakeTimeout {
			return 0, os.ErrDeadlineExceeded
		}
		return s.Conn.Read(b)
	}
	// A message may begin in the same read as the one before it ends.
	buffered := s.buffered()
	if buffered == 0 {
		s.beginning(time.Time{})
	} else if s.begun.IsZero() {
		s.beginning(time.Now())
	}
	if err := c.holdPart(s.sizeOf(buffered, b)); err != nil {
		return 0, err
	}
	for {
		s.setDeadline()
		n, err := s.Conn.Read(b)
		if n > 0 || err == nil {
			return n, err
		}
		if err = s.outlasted(err); err != nil {
			return n, err
		}
	}
}

// sizeOf returns what a message takes of which there are so many bytes: those and
// what is free in their buffer. That is what is read into, but for TLS, which has
// a buffer of its own: then there may be as much again.
func (s *socket) sizeOf(buffered int, into []byte) int {
	switch {
	case buffered == 0:
		return 0
	case isSecure(s.conn.kind):
		return 2 * buffered
	}
	return buffered + len(into)
}

func (s *socket) setDeadline() {
	at, _ := s.conn.expiry(s.begun)
	s.Conn.SetReadDeadline(at)
}

// outlasted returns what the error of a read comes to: nil if the peer has more
// time by now, because something was sent to it.
func (s *socket) outlasted(err error) error {
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		return err
	}
	at, why := s.conn.expiry(s.begun)
	if !time.Now().Before(at) {
		return fmt.Errorf("transport: %s: %w", why, err)
	}
	return nil
}

// serverConfig returns the configuration of the program under which the client
// has shaken hands: base, or what was chosen, which is then let go.
func (s *socket) serverConfig(base *tls.Config) *tls.Config {
	cfg := cmp.Or(s.chosen, base)
	s.chosen = nil
	return cfg
}

// Write writes what the peer takes within writeTimeout, or by a deadline before
// that. TLS writes from its reads too, in answer to KeyUpdate: a deadline that
// an older write has left behind must not fail that, and it must not wait
// without one.
func (s *socket) Write(b []byte) (int, error) {
	now := time.Now()
	at := now.Add(writeTimeout)
	if s.leaving.Load() {
		at = now.Add(byeTimeout)
	}
	if until := time.Unix(0, s.until.Load()); until.After(now) && until.Before(at) {
		at = until
	}
	s.Conn.SetWriteDeadline(at)
	return s.Conn.Write(b)
}

// SetWriteDeadline sets a deadline for the writes up to then. When it has passed
// it counts no more, but for a write that it finds under way.
func (s *socket) SetWriteDeadline(t time.Time) error {
	s.until.Store(0)
	if !t.IsZero() {
		s.until.Store(t.UnixNano())
	}
	return s.Conn.SetWriteDeadline(t)
}

// SetDeadline sets that for reads too.
func (s *socket) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// leave gives what is being written, and the farewell, a moment.
func (s *socket) leave() {
	s.leaving.Store(true)
	s.Conn.SetWriteDeadline(time.Now().Add(byeTimeout))
}

func (s *socket) Close() error {
	if s.closed.Swap(true) {
		return net.ErrClosed
	}
	if s.release != nil {
		s.release()
	}
	return s.Conn.Close()
}
