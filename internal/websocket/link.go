package websocket

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	closeTimeout   = time.Second
	controlTimeout = 5 * time.Second // for a pong to leave

	// No peer has reason to send more pings and pongs than these in this time.
	maxControls   = 100
	controlWindow = 10 * time.Second
)

var errFlood = errors.New("flood")

// networkError carries what the network returned past the reader of frames,
// which takes an io.EOF for the end of a message: nothing can be unwrapped.
type networkError struct{ err error }

func (e *networkError) Error() string { return e.err.Error() }

// link is what the frames are read from and written to: the connection, with
// the deadlines.
type link struct {
	nc       net.Conn
	patience func(begun, heard time.Time) time.Time

	// The reader of frames has these, whoever calls it.
	early   []byte // came with the handshake
	flooded bool

	// Whoever calls Conn.Read has these to itself. When all is to end, Close
	// reads as well, and leaves them alone.
	begun   time.Time // when the message or control frame began that is not complete
	heard   time.Time // when the last byte came
	message bool      // a message is not complete
	window  time.Time // since when controls counts
	count   int       // control frames read

	// Those who write frames, one after the other, have these.
	deadline time.Time // of the data frame
	out      *buffer   // a frame that is not complete
	size     int       // of that frame

	mu     sync.Mutex
	ending time.Time // by then all ends; zero: not yet
}

func newLink(nc net.Conn, cfg *Config) *link {
	return &link{nc: nc, patience: cfg.Patience, heard: time.Now()}
}

// Read reads as long as patience lasts.
func (l *link) Read(p []byte) (int, error) {
	if l.flooded {
		return 0, errFlood
	}
	if n := copy(p, l.early); n > 0 {
		if l.early = l.early[n:]; len(l.early) == 0 {
			l.early = nil
		}
		l.arrived()
		return n, nil
	}
	for {
		l.setDeadline(l.nc.SetReadDeadline, l.until())
		n, err := l.nc.Read(p)
		if n > 0 {
			l.arrived()
			return n, nil // the error comes again
		}
		if err == nil {
			continue
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && !l.isEnding() {
			if until := l.until(); until.IsZero() || time.Now().Before(until) {
				continue
			}
		}
		return 0, &networkError{err}
	}
}

func (l *link) until() time.Time {
	if l.patience == nil || l.isEnding() {
		return time.Time{}
	}
	return l.patience(l.begun, l.heard)
}

func (l *link) arrived() {
	if l.isEnding() {
		return
	}
	l.heard = time.Now()
	if l.begun.IsZero() {
		l.begun = l.heard
	}
}

// control counts a ping or pong that was read, and says whether to answer it:
// not if there are too many, nor after a close frame.
func (l *link) control() bool {
	if l.isEnding() {
		return false
	}
	if !l.message {
		l.begun = time.Time{}
	}
	now := time.Now()
	if now.Sub(l.window) > controlWindow {
		l.window, l.count = now, 0
	}
	l.count++
	l.flooded = l.flooded || l.count > maxControls
	return !l.flooded
}

// Write writes the pieces of a frame as one, for each piece would be a segment
// or a TLS record of its own. A whole frame header is in the first piece.
func (l *link) Write(p []byte) (int, error) {
	if l.out == nil {
		var until time.Time
		if p[0]&0x08 != 0 { // a control frame, by whoever reads or writes
			until = time.Now().Add(controlTimeout)
		} else {
			until = l.deadline
		}
		l.setDeadline(l.nc.SetWriteDeadline, until)
		l.size = frameSize(p)
		if len(p) >= l.size {
			return l.write(p)
		}
		l.out = getBuffer()
	}
	l.out.b = append(l.out.b, p...)
	if len(l.out.b) < l.size {
		return len(p), nil
	}
	_, err := l.write(l.out.b)
	l.out.put()
	l.out = nil
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (l *link) write(p []byte) (int, error) {
	n, err := l.nc.Write(p)
	if err != nil {
		err = &networkError{err}
	}
	return n, err
}

// frameSize returns how many bytes the frame has that begins with p, a whole
// header (RFC 6455 section 5.2).
func frameSize(p []byte) int {
	size := 2
	if p[1]&0x80 != 0 {
		size += 4
	}
	switch n := int(p[1] & 0x7f); n {
	case 126:
		return size + 2 + int(binary.BigEndian.Uint16(p[2:]))
	case 127:
		return size + 8 + int(binary.BigEndian.Uint64(p[2:]))
	default:
		return size + n
	}
}

func (l *link) setDeadline(set func(time.Time) error, t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ending.IsZero() && (t.IsZero() || l.ending.Before(t)) {
		t = l.ending
	}
	set(t)
}

// end bounds whatever is under way and whatever follows, and says whether it is
// the first to do so.
func (l *link) end(by time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ending.IsZero() {
		return false
	}
	l.ending = by
	l.nc.SetDeadline(by)
	return true
}

func (l *link) isEnding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ending.IsZero()
}

// Close closes the connection. That of TLS says goodbye first, which takes five
// seconds if the peer does not read: no more than closeTimeout of them here.
func (l *link) Close() error {
	if _, ok := l.nc.(secured); ok {
		l.mu.Lock()
		wait := closeTimeout
		if !l.ending.IsZero() {
			wait = min(wait, time.Until(l.ending))
		}
		l.mu.Unlock()
		defer time.AfterFunc(wait, l.abort).Stop()
	}
	return l.nc.Close()
}

// abort closes the connection without a word.
func (l *link) abort() {
	if s, ok := l.nc.(secured); ok {
		s.NetConn().Close()
		return
	}
	l.nc.Close()
}

// secured is a *tls.Conn, or what has one in it.
type secured interface{ NetConn() net.Conn }
