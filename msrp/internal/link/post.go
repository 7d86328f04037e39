package link

import (
	"math"

	"github.com/goparley/parley/msrp/frame"
)

const (
	maxPosts  = 16       // of an Outlet that wait
	maxPosted = 64 << 10 // bytes of them, unless it is one alone
	smallBody = 1 << 10  // is put beside the heads rather than into a buffer of its own
)

// A Post is a whole message, encoded once, that any number of connections write: what each keeps of
// it is a reference. It is never answered, and never interrupted.
type Post struct {
	rest []byte // of the head of each chunk: what follows Byte-Range
	body []byte
}

// NewPost makes a Post of what is the same on all connections. Of h the paths, ID and Range do not
// count. The error is a *frame.SyntaxError for a head that cannot be written.
func NewPost(h *frame.Head, body []byte) (*Post, error) {
	c := *h
	c.FailureReport = frame.FailureReportNo
	_, rest, err := headAround(c)
	return &Post{rest: rest, body: body}, err
}

// An Outlet is where the Posts of one session enter a connection.
type Outlet struct {
	c     *Conn
	paths []byte // of the head: To-Path and From-Path
	limit int64  // bytes in a chunk
	room  func() // is told that there is room again

	// Under the lock of the Conn.
	posts, bytes int  // that wait
	full         bool // Put has said so, and nobody that there is room
}

// A posted is a Post that waits to be written.
type posted struct {
	o *Outlet
	p *Post
}

// NewOutlet makes an Outlet. limit is that of a StreamConfig. room is called, by the goroutine
// that writes, when there is room after Put has returned false.
func (c *Conn) NewOutlet(to, from string, limit int64, room func()) (*Outlet, error) {
	paths, _, err := headAround(frame.Head{To: to, From: from, MessageID: "x", ContentType: "x/x"})
	if limit <= 0 {
		limit = math.MaxInt64
	}
	return &Outlet{c: c, paths: paths, limit: limit, room: room}, err
}

// Put has a Post written after those before it, and does not wait. It reports false if 16 of them, or
// 64 KB, wait already. frame.ErrTooLong is that of NewStream.
func (o *Outlet) Put(p *Post) (bool, error) {
	c := o.c
	if _, err := c.roomIn(o.limit, o.paths, p.rest); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return false, c.err
	case c.closing != nil:
		return false, ErrClosed
	case o.posts >= maxPosts || o.posts > 0 && o.bytes+len(p.body) > maxPosted:
		o.full = true
		return false, nil
	}
	o.posts++
	o.bytes += len(p.body)
	c.posts = append(c.posts, posted{o, p})
	c.work.Signal()
	return true, nil
}

// Tell has the goroutine that writes call room, of which there is some from the beginning: for who was refused where
// the session was before. Nobody is called on a connection that has ended.
func (o *Outlet) Tell() {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.roomy = append(c.roomy, o)
		c.work.Signal()
	}
}

// gatherPosts puts Posts into what is written, as many as may go at a time. The lock is held.
func (c *Conn) gatherPosts(b *batch) {
	n := 0
	for size := 0; n < len(c.posts) && size < turn; n++ {
		w := c.posts[n]
		w.o.write(b, w.p)
		size += len(w.p.body) + len(w.o.paths) + len(w.p.rest)
		w.o.posts--
		w.o.bytes -= len(w.p.body)
		if w.o.full {
			w.o.full = false
			c.roomy = append(c.roomy, w.o)
		}
	}
	left := copy(c.posts, c.posts[n:])
	clear(c.posts[left:])
	c.posts = c.posts[:left]
	if left == 0 && cap(c.posts) > 4*maxPosts {
		c.posts = nil
	}
}

// write writes a Post in as many chunks as it takes, each of them whole.
func (o *Outlet) write(b *batch, p *Post) {
	room, _ := o.c.roomIn(o.limit, o.paths, p.rest)
	total := int64(len(p.body))
	for pos, body := int64(1), p.body; ; {
		piece := body[:min(room, int64(len(body)))]
		body = body[len(piece):]
		r := frame.Range{Start: pos, End: frame.Unknown, Total: total}
		if len(piece) <= 2048 { // RFC 4975 section 7.1.1
			r.End = pos + int64(len(piece)) - 1
		}
		pos += int64(len(piece))
		// The identifier is chosen after the body, which nobody could have put it into.
		b.text = append(b.text, "MSRP "...)
		id := len(b.text)
		b.text = append(frame.AppendID(b.text), " SEND\r\n"...)
		b.text = append(append(b.text, o.paths...), "Byte-Range: "...)
		b.text = append(append(r.Append(b.text), '\r', '\n'), p.rest...)
		if len(piece) <= smallBody {
			b.text = append(b.text, piece...)
		} else {
			b.body(piece)
		}
		b.text = append(b.text, "\r\n-------"...)
		b.text = append(b.text, b.text[id:id+idLen]...)
		flag := frame.Continued
		if len(body) == 0 {
			flag = frame.Complete
		}
		b.text = append(b.text, byte(flag), '\r', '\n')
		b.endFrame()
		if len(body) == 0 {
			return
		}
	}
}
