package msrp

import (
	"errors"
	"fmt"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// ErrFull says that 16 Posts of a session, or 64 KB of them, wait already to be written.
var ErrFull = errors.New("msrp: too much waits to be written")

// A Post is a message that goes to many sessions, in a room say. It is encoded once, and what a
// session keeps of it until it is written is a reference.
type Post struct {
	contentType string
	size        int64
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
	return &Post{contentType: contentType, size: int64(len(body)), p: p}, nil
}

// Post has a Post written, and does not wait. Each goes to a session once, for a peer that gets a
// Message-ID again takes nothing of it. The peer answers nothing (Failure-Report is no), so that
// nobody hears whether it has arrived.
//
// The error is ErrFull where too much waits already, and then SessionConfig.OnRoom is told when
// there is room; ErrNotConnected where there is no connection yet, which Connected waits for; and
// else one of those of Send.
func (s *Session) Post(p *Post) error {
	s.mu.Lock()
	o, err := s.outletFor(p)
	s.mu.Unlock()
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

// outletFor returns where a Post goes in. The lock is held.
func (s *Session) outletFor(p *Post) (*link.Outlet, error) {
	l := s.current
	switch {
	case s.closed:
		return nil, ErrClosed
	case l != nil && l.err != nil && s.next == nil:
		return nil, l.err
	case l == nil || !l.usable():
		return nil, ErrNotConnected
	case s.held:
		return nil, ErrHeld
	case !accepts(s.peer.types, p.contentType):
		return nil, frame.StatusUnsupportedType
	case s.peer.maxSize > 0 && p.size > s.peer.maxSize:
		return nil, frame.StatusStop
	}
	if l.outlet == nil || l.outlets != l.conn {
		told := s.cfg.OnRoom
		if told == nil {
			told = func() {}
		}
		o, err := l.conn.link.NewOutlet(l.to, l.from, l.maxChunk(), told)
		if err != nil {
			return nil, err
		}
		l.outlet, l.outlets = o, l.conn
	}
	return l.outlet, nil
}

// maxChunk returns how many bytes a chunk has at most; 0: any number. The lock of the session is held.
func (l *leg) maxChunk() int64 {
	limit := l.s.cfg.MaxChunk
	if limit == 0 && len(l.relays)+len(l.remote) > 1 {
		limit = 8192
	}
	return limit
}
