package msrp

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/goparley/parley/internal/mediatype"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// ErrFull says that 16 Posts of a session, or 64 KB of them, wait already to be written.
var ErrFull = errors.New("msrp: too much waits to be written")

// A Post is a message that goes to many sessions, in a room say. It is encoded once, and what a
// session keeps of it until it is written is a reference.
type Post struct {
	contentType string
	body        []byte
	p           *link.Post
}

// NewPost makes a Post of a body, which is not to change any more, with a Message-ID of its own. The
// error is a *frame.SyntaxError for a contentType that is none.
func NewPost(contentType string, body []byte) (*Post, error) {
	p, err := link.NewPost(&frame.Head{
		Method: frame.SEND, To: "msrp://localhost:9/x;tcp", From: "msrp://localhost:9/x;tcp",
		MessageID: newMessageID(), ContentType: contentType,
	}, body)
	if err != nil {
		return nil, err
	}
	return &Post{contentType: contentType, body: body, p: p}, nil
}

// Post has a Post written, and does not wait. Each goes to a session once, for a peer that gets a
// Message-ID again takes nothing of it. The peer answers nothing (Failure-Report is no), so that
// nobody hears whether it has arrived.
//
// The error is ErrFull where too much waits already, ErrNotConnected where there is no connection yet, and
// ErrLost where there is none any more: SessionConfig.OnRoom is told then when there is room, on whatever
// connection. The others are those of Send.
func (s *Session) Post(p *Post) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.post(p)
	if err == ErrFull || err == ErrNotConnected || errors.Is(err, ErrLost) {
		s.roomWanted = true
	}
	return err
}

// post is Post. The lock is held.
func (s *Session) post(p *Post) error {
	l := s.current
	switch {
	case s.closed:
		return ErrClosed
	case l != nil && l.err != nil && s.next == nil:
		return l.err
	case l == nil || !l.usable():
		return ErrNotConnected
	case s.held && !notifies(p.contentType, bytes.NewReader(p.body)):
		return ErrHeld
	case !mediatype.In(s.peer.types, p.contentType):
		return frame.StatusUnsupportedType
	case s.peer.maxSize > 0 && int64(len(p.body)) > s.peer.maxSize:
		return frame.StatusStop
	}
	o, err := l.outletHere()
	if err != nil {
		return err
	}
	switch ok, err := o.Put(p.p); {
	case errors.Is(err, frame.ErrTooLong):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrLost, err)
	case !ok:
		return ErrFull
	}
	return nil
}

// outletHere returns where Posts go into the connection of a leg. The lock is held.
func (l *leg) outletHere() (*link.Outlet, error) {
	if l.outlet == nil || l.outlets != l.conn {
		o, err := l.conn.link.NewOutlet(l.to, l.from, l.maxChunk(), l.s.room)
		if err != nil {
			return nil, err
		}
		l.outlet, l.outlets = o, l.conn
	}
	return l.outlet, nil
}

// room tells the program that there is room.
func (s *Session) room() {
	s.mu.Lock()
	s.roomWanted = false
	s.mu.Unlock()
	if told := s.cfg.OnRoom; told != nil {
		told()
	}
}

// roomOn has who was refused be told that there is room, when a leg has its connection: one where they were refused
// may be over, and tells nobody any more. The lock is held.
func (s *Session) roomOn(l *leg) {
	if !s.roomWanted || !l.usable() {
		return
	}
	if o, err := l.outletHere(); err == nil {
		o.Tell()
	}
}

// maxChunk returns how many bytes a chunk has at most; 0: any number. The lock of the session is held.
func (l *leg) maxChunk() int64 {
	limit := l.s.cfg.MaxChunk
	if limit == 0 && len(l.relays)+len(l.remote) > 1 {
		limit = 8192
	}
	return limit
}
