package link

import (
	"math"

	"github.com/goparley/parley/msrp/frame"
)

const (
	maxPosts  = 16       // of an Outlet that wait
	maxPosted = 64 << 10 // bytes of them, unless it is one alone; and of those that are written in one go
	smallBody = 1 << 10  // is put beside the heads rather than into a buffer of its own
)

// A Post is a whole message, encoded once, that any number of connections write: what each keeps of
// it is a reference. It is never answered, and interrupted each 64 KB if it is longer than that.
type Post struct {
	rest []byte // of the head of each chunk: what follows Byte-Range
	head int    // how long it may become without its paths
	body []byte
}

// NewPost makes a Post of what is the same on all connections. Of h the paths, ID and Range do not
// count. The error is a *frame.SyntaxError for a head that cannot be written.
func NewPost(h *frame.Head, body []byte) (*Post, error) {
	c := *h
	c.FailureReport = frame.FailureReportNo
	_, rest, err := headAround(c)
	return &Post{rest: rest, head: longest(&c), body: body}, err
}

// An Outlet is where the Posts of one session enter a connection.
type Outlet struct {
	c     *Conn
	paths []byte // of the head: To-Path and From-Path
	head  int    // bytes of their values
	limit int64  // bytes in a chunk
	room  func() // is told that there is room again

	// Under the lock of the Conn.
	posts, bytes int  // that wait
	full         bool // Put has said so, and nobody that there is room
}

// A posted is a Post that waits to be written, or the rest of one.
type posted struct {
	o  *Outlet
	p  *Post
	at int // bytes of it that are written
}

// NewOutlet makes an Outlet. limit is that of a StreamConfig. room is called, by the goroutine
// that writes, when there is room after Put has returned false.
func (c *Conn) NewOutlet(to, from string, limit int64, room func()) (*Outlet, error) {
	paths, _, err := headAround(frame.Head{To: to, From: from, MessageID: "x", ContentType: "x/x"})
	if limit <= 0 {
		limit = math.MaxInt64
	}
	return &Outlet{c: c, paths: paths, head: len(to) + len(from), limit: limit, room: room}, err
}

// Put has a Post written after those before it, and does not wait. It reports false if 16 of them, or
// 64 KB, wait already. frame.ErrTooLong is that of NewStream.
func (o *Outlet) Put(p *Post) (bool, error) {
	c := o.c
	if o.head+p.head > maxHead {
		return false, frame.ErrTooLong
	}
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
	c.posts = append(c.posts, posted{o: o, p: p})
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

// gatherPosts puts Posts into what is written: 64 KB, and what the last chunk has beyond that. What else
// waits goes next (RFC 4975 section 7.1.1). The lock is held.
func (c *Conn) gatherPosts(b *batch) {
	n := 0
	for size := 0; n < len(c.posts) && size < maxPosted; {
		w := &c.posts[n]
		k, over := w.write(b)
		if size += k; !over {
			continue
		}
		n++
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

// write writes a chunk, of 64 KB at most. It returns how many bytes it has, and whether it was the last.
func (w *posted) write(b *batch) (size int, over bool) {
	o, p := w.o, w.p
	room, _ := o.c.roomIn(o.limit, o.paths, p.rest)
	body := p.body[w.at:]
	piece := body[:min(room, maxPosted, int64(len(body)))]
	r := frame.Range{Start: int64(w.at) + 1, End: frame.Unknown, Total: int64(len(p.body))}
	w.at += len(piece)
	if len(piece) <= 2048 { // RFC 4975 section 7.1.1
		r.End = int64(w.at)
	}
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
	flag := frame.Continued
	if over = w.at == len(p.body); over {
		flag = frame.Complete
	}
	b.text = append(b.text, "\r\n-------"...)
	b.text = append(append(b.text, b.text[id:id+idLen]...), byte(flag), '\r', '\n')
	b.endFrame()
	return len(o.paths) + len(p.rest) + len(piece), over
}
