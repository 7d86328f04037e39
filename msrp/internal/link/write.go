package link

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/goparley/parley/msrp/frame"
)

// write is the goroutine that writes. It ends when the connection does.
func (c *Conn) write() {
	defer close(c.writeEnded)
	var b batch
	for c.collect(&b) {
		if !b.empty() {
			if err := c.wire.write(&b); err != nil {
				c.fail(err)
				return
			}
		}
		for _, o := range c.release(&b) {
			o.room()
		}
	}
}

// collect waits for something to write, or to tell, and puts it together. It returns false when nothing more
// is to be written.
func (c *Conn) collect(b *batch) bool {
	c.mu.Lock()
	for c.err == nil && len(c.control) == 0 && len(c.posts) == 0 && len(c.roomy) == 0 && c.closing == nil && !c.streamMay() {
		c.work.Wait()
	}
	if c.err != nil {
		c.mu.Unlock()
		return false
	}
	b.reset()
	var s *Stream
	if c.streamMay() {
		s = c.streams[0]
		c.streams, s.queued = slices.Delete(c.streams, 0, 1), false
	}
	if c.open != nil && (len(c.control) > 0 || len(c.posts) > 0 || s != nil && s != c.open || s == nil && c.closing != nil) {
		c.open.endChunk(b, frame.Continued)
	}
	if len(c.control) >= c.most {
		c.drained.Broadcast()
	}
	c.control, c.ends = b.whole(c.control, c.ends), c.ends[:0]
	c.gatherPosts(b)
	if s != nil {
		b.stream = s
		s.gather(b)
	}
	b.number, c.pending.batch = c.pending.batch, c.pending.batch+1
	over := b.empty() && s == nil && len(c.roomy) == 0
	c.mu.Unlock()
	if over {
		c.fail(ErrClosed)
	}
	return !over
}

// streamMay reports whether a stream may write. The lock is held.
func (c *Conn) streamMay() bool { return len(c.streams) > 0 && !c.pending.full() }

// release says that a batch is written. It returns who is to hear that there is room.
func (c *Conn) release(b *batch) (roomy []*Outlet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written(b.number)
	if s := b.stream; s != nil {
		freeBuffer(b.data)
		if s.ended && s.end != frame.Aborted {
			close(s.over)
		}
	}
	roomy, c.roomy = c.roomy, nil
	return roomy
}

// gather takes a turn: it puts the chunks together that there is something of. The lock is held.
func (s *Stream) gather(b *batch) {
	c := s.c
	if s.end == frame.Aborted {
		if s.begun && c.open != s {
			s.beginChunk(b, 0)
		}
		if c.open == s {
			s.endChunk(b, frame.Aborted)
		}
		s.ended = true
		return
	}
	data, most := s.data[s.at:], len(b.text)+turn
	for !s.ended && (len(data) > 0 || s.end != 0) {
		if c.open == s && s.collides(data) {
			s.endChunk(b, frame.Continued)
		}
		if c.open != s {
			if c.pending.full() || len(b.text) > most {
				// The rest of its turn comes before those of others, for who writes two Streams one behind the other has
				// their chunks stay in that order (RFC 4976 section 3).
				s.queued, c.streams = true, slices.Insert(c.streams, 0, s)
				return
			}
			s.beginChunk(b, len(data))
		}
		n := min(int64(len(data)), s.room)
		piece := data[:n]
		b.body(piece)
		s.pos, s.room, data, s.at = s.pos+n, s.room-n, data[n:], s.at+int(n)
		switch {
		case len(data) == 0 && s.end != 0:
			s.endChunk(b, s.end)
			s.ended = true
		case s.room == 0, c.wire.limitFrame() > 0:
			s.endChunk(b, frame.Continued)
		default:
			s.remember(piece)
		}
	}
	b.data, s.data, s.at = s.data, nil, 0
	s.free.Broadcast()
}

// beginChunk writes the head of a chunk, of which n bytes are there.
func (s *Stream) beginChunk(b *batch, n int) {
	s.room, s.start = s.limit, s.pos
	r := frame.Range{Start: s.pos, End: frame.Unknown, Total: s.total}
	// More than 2048 bytes can be interrupted, and say so (RFC 4975 section 7.1.1).
	if body := min(int64(n), s.room); body <= 2048 && (body == s.room || s.end != 0) {
		r.End = s.pos + body - 1
	}
	frame.AppendID(s.id[:0])
	b.text = append(append(append(b.text, "MSRP "...), s.id[:]...), " SEND\r\n"...)
	b.text = append(b.text, s.paths...)
	b.text = append(append(r.Append(append(b.text, "Byte-Range: "...)), '\r', '\n'), s.rest...)
	s.c.open, s.begun, s.tail = s, true, s.tail[:0]
	if s.report == frame.FailureReportNo || s.owner == nil {
		return
	}
	s.waiting++
	s.c.pending.add(transaction{
		id: s.id, owner: s.owner, partial: s.report == frame.FailureReportPartial, weight: weigh(len(s.paths)),
		r: frame.Range{Start: s.start, Total: s.total}, open: s,
	})
}

// endChunk writes the end of the open chunk, from when on the time for its response is counted.
func (s *Stream) endChunk(b *batch, flag frame.Flag) {
	b.text = append(append(append(b.text, "\r\n-------"...), s.id[:]...), byte(flag), '\r', '\n')
	b.endFrame()
	s.c.open = nil
	s.c.pending.whole(s)
}

// remember keeps the end of what was written of an open chunk, with which the beginning of what comes
// next could make an end-line.
func (s *Stream) remember(data []byte) {
	s.tail = append(s.tail, data[max(0, len(data)-endLine):]...)
	if extra := len(s.tail) - endLine; extra > 0 {
		s.tail = append(s.tail[:0], s.tail[extra:]...)
	}
}

const endLine = len("-------") + idLen

// collides reports whether data would make an end-line in the open chunk (RFC 4975 section 7.1),
// whose identifier others know by now. What is chosen after the data needs no look at it.
func (s *Stream) collides(data []byte) bool {
	line := append([]byte("-------"), s.id[:]...)
	edge := append(s.tail[:len(s.tail):len(s.tail)], data[:min(len(data), endLine)]...)
	return bytes.Contains(edge, line) || bytes.Contains(data, line)
}

// Answer writes the response to a SEND before all chunks: what it is made of has come with that, or is a URI of
// ours. It waits while as many whole frames wait as may.
func (c *Conn) Answer(id string, status frame.Status, to, from string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.room(); err != nil {
		return err
	}
	b := append(append(append(c.control, "MSRP "...), id...), ' ')
	b = append(append(strconv.AppendInt(b, int64(status), 10), ' '), status.String()...)
	b = append(append(b, "\r\nTo-Path: "...), to...)
	b = append(append(b, "\r\nFrom-Path: "...), from...)
	b = append(append(append(b, "\r\n-------"...), id...), "$\r\n"...)
	return c.queue(b)
}

// room waits until there is room in control. The lock is held.
func (c *Conn) room() error {
	for len(c.control) >= c.most && c.err == nil {
		c.drained.Wait()
	}
	switch {
	case c.err != nil:
		return c.err
	case c.closing != nil:
		return ErrClosed
	}
	return nil
}

// queue has a frame written that was appended to control. The lock is held.
func (c *Conn) queue(control []byte) error {
	if whole := c.wire.limitFrame(); whole > 0 && len(control)-len(c.control) > whole {
		return frame.ErrTooLong
	}
	c.control, c.ends = control, append(c.ends, len(control))
	c.work.Signal()
	return nil
}

// Respond writes a response.
func (c *Conn) Respond(h *frame.Head) error { return c.request(h, nil, frame.Complete, nil) }

// Request writes a request in one frame. With an owner, its response is waited for: 30 seconds.
func (c *Conn) Request(h *frame.Head, body []byte, owner Owner) error {
	return c.transact(h, body, frame.Complete, owner)
}

// Bodiless writes a SEND without a body as a Request, which may end with any flag. The error is ErrNoAnswer where so
// many requests have none that this one would be no different.
func (c *Conn) Bodiless(h *frame.Head, flag frame.Flag, owner Owner) error {
	c.mu.Lock()
	full := owner != nil && c.pending.load >= 2*maxPending
	c.mu.Unlock()
	if full {
		return ErrNoAnswer
	}
	return c.transact(h, nil, flag, owner)
}

func (c *Conn) transact(h *frame.Head, body []byte, flag frame.Flag, owner Owner) error {
	t := transaction{ // Failure-Report is of SENDs alone (RFC 4975 section 7.1.1)
		owner: owner, partial: h.Method == frame.SEND && h.FailureReport == frame.FailureReportPartial,
		weight: weigh(len(h.To) + len(h.From)), r: h.Range,
	}
	frame.AppendID(t.id[:0])
	req := *h
	req.ID = string(t.id[:])
	return c.request(&req, body, flag, &t)
}

// request writes a frame, of which t waits for the response if it has an owner.
func (c *Conn) request(h *frame.Head, body []byte, flag frame.Flag, t *transaction) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.room(); err != nil {
		return err
	}
	text, err := h.Append(c.control)
	if err != nil {
		return err
	}
	if h.HasBody {
		text = append(text, body...)
	}
	if err := c.queue(h.AppendEnd(text, flag)); err != nil {
		return err
	}
	if t != nil && t.owner != nil {
		c.pending.add(*t)
	}
	return nil
}
