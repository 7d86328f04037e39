package transport

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// byeTimeout is how long the farewell of a connection may take.
const byeTimeout = time.Second

// socket is the stream socket under a connection. Under a stream it waits for
// the peer as long as the connection allows for.
type socket struct {
	net.Conn
	release func() // gives back what admit has taken; nil: nothing
	closed  atomic.Bool
	partial atomic.Bool // part of a message has been read, and the rest is waited for

	// The reading goroutine's, once it is attached; before that, who shakes
	// hands sees to deadlines.
	conn      *conn
	isPartial func() bool
	begun     time.Time // when that message began; zero: there is none
}

// attach has reads wait as c allows for. It is called by who will read.
func (s *socket) attach(c *conn, isPartial func() bool) { s.conn, s.isPartial = c, isPartial }

// beginning notes when the message being read began.
func (s *socket) beginning(at time.Time) {
	s.begun = at
	s.partial.Store(!at.IsZero())
}

// Read reads until the expiry of the connection.
func (s *socket) Read(b []byte) (int, error) {
	c := s.conn
	if c == nil {
		return s.Conn.Read(b)
	}
	// A message may begin in the same read as the one before it ends.
	if !s.isPartial() {
		s.beginning(time.Time{})
	} else if s.begun.IsZero() {
		s.beginning(time.Now())
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

func (s *socket) Close() error {
	if s.closed.Swap(true) {
		return net.ErrClosed
	}
	if s.release != nil {
		s.release()
	}
	return s.Conn.Close()
}
