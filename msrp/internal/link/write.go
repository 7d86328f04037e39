package link

import (
	"bytes"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// write is the goroutine that writes. It ends when the connection does.
func (c *Conn) write() {
	defer close(c.writeEnded)
	var b batch
	var text []byte // the other buffer of control
	for {
		c.mu.Lock()
		for c.err == nil && len(c.control) == 0 && len(c.posts) == 0 && !c.closing && c.next() < 0 {
			c.work.Wait()
		}
		if c.err != nil {
			c.mu.Unlock()
			return
		}
		b.reset()
		frames, ends := c.control, c.ends
		s, data := (*Stream)(nil), []byte(nil)
		c.control, c.ends = text[:0], nil
		if len(frames) >= maxControl {
			c.drained.Broadcast()
		}
		end, more := frame.Flag(0), false
		if i := c.next(); i >= 0 {
			s = c.streams[i]
			c.streams = append(c.streams[:i], c.streams[i+1:]...)
			data, end, s.data, s.queued = s.data, s.end, nil, false
			more = len(c.streams) > 0
			s.free.Broadcast()
		}
		over := c.closing && s == nil && len(frames) == 0 && len(c.posts) == 0
		c.gather(&b, frames, ends, s, data, end, more)
		c.mu.Unlock()

		if over && b.empty() {
			c.fail(ErrClosed)
			return
		}
		if err := c.wire.write(&b); err != nil {
			c.fail(err)
			return
		}
		c.mu.Lock()
		c.written(time.Now())
		if s != nil {
			if cap(data) <= turn {
				s.spare = data[:0]
			}
			if s.ended {
				s.written, s.spare = true, nil
				s.free.Broadcast()
			}
		}
		roomy := len(c.roomy) > 0
		c.mu.Unlock()
		if roomy {
			c.tellRoom()
		}
		if text = frames; cap(text) > maxControl/4 {
			text = nil
		}
	}
}

// next returns which stream has its turn, -1 if none may write. The lock is held.
func (c *Conn) next() int {
	if c.pending.live >= maxPending {
		return -1
	}
	if len(c.streams) == 0 {
		return -1
	}
	return 0
}

// gather puts together what is to be written. The lock is held.
func (c *Conn) gather(b *batch, frames []byte, ends []int, s *Stream, data []byte, end frame.Flag, more bool) {
	if c.open != nil && (len(frames) > 0 || len(c.posts) > 0 || s != nil && s != c.open || c.closing) {
		c.open.endChunk(b, frame.Continued)
	}
	at := 0
	for _, to := range ends {
		b.text = append(b.text, frames[at:to]...)
		b.endFrame()
		at = to
	}
	c.gatherPosts(b)
	if s == nil {
		return
	}
	if end == frame.Aborted {
		switch {
		case c.open == s:
			s.endChunk(b, frame.Aborted)
		case s.begun && !s.ended:
			s.beginChunk(b, 0, true)
			s.endChunk(b, frame.Aborted)
		}
		s.ended = true
		return
	}
	whole := c.wire.limitFrame()
	for len(data) > 0 || end != 0 && !s.ended {
		if c.open == s && s.collides(data) {
			s.endChunk(b, frame.Continued)
		}
		if c.open != s {
			s.beginChunk(b, len(data), end != 0)
		}
		n := min(int64(len(data)), s.room)
		piece := data[:n]
		b.body(piece)
		s.pos, s.room, data = s.pos+n, s.room-n, data[n:]
		switch {
		case len(data) == 0 && end != 0:
			s.endChunk(b, end)
			s.ended = true
		case s.room == 0, whole > 0, more && len(data) == 0:
			s.endChunk(b, frame.Continued)
		default:
			s.remember(piece)
		}
	}
}

// beginChunk writes the head of a chunk, of which n bytes are there; last says that they are the rest.
func (s *Stream) beginChunk(b *batch, n int, last bool) {
	s.room = s.limit
	if s.room <= 0 {
		s.room = 1 << 62
	}
	if whole := s.c.wire.limitFrame(); whole > 0 {
		// The start line, Byte-Range and the end-line take no more than 160 bytes.
		s.room = min(s.room, max(1, int64(whole-160-len(s.paths)-len(s.rest))))
	}
	s.start = s.pos
	r := frame.Range{Start: s.pos, End: frame.Unknown, Total: s.total}
	// More than 2048 bytes can be interrupted, and say so (RFC 4975 section 7.1.1).
	if body := min(int64(n), s.room); body <= 2048 && (body == s.room || last) {
		r.End = s.pos + body - 1
	}
	frame.AppendID(s.id[:0])
	b.text = append(append(append(b.text, "MSRP "...), s.id[:]...), " SEND\r\n"...)
	b.text = append(b.text, s.paths...)
	b.text = append(append(r.Append(append(b.text, "Byte-Range: "...)), '\r', '\n'), s.rest...)
	s.c.open, s.begun, s.tail = s, true, s.tail[:0]
}

// endChunk writes the end of the open chunk, from when on its response is waited for.
func (s *Stream) endChunk(b *batch, flag frame.Flag) {
	b.text = append(append(append(b.text, "\r\n-------"...), s.id[:]...), byte(flag), '\r', '\n')
	b.endFrame()
	s.c.open = nil
	if s.report == frame.FailureReportNo || s.owner == nil {
		return
	}
	s.waiting++
	t := s.c.pending.add(s.owner, frame.Range{Start: s.start, End: s.pos - 1, Total: s.total}, s.report == frame.FailureReportPartial)
	t.id = s.id
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

// Send writes a whole frame before all chunks. It waits while a megabyte of them waits.
func (c *Conn) Send(text []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(text)
}

func (c *Conn) send(text []byte) error {
	for len(c.control) >= maxControl && c.err == nil {
		c.drained.Wait()
	}
	switch {
	case c.err != nil:
		return c.err
	case c.closing:
		return ErrClosed
	}
	c.control = append(c.control, text...)
	c.ends = append(c.ends, len(c.control))
	c.work.Signal()
	return nil
}

// Respond writes a response.
func (c *Conn) Respond(h *frame.Head) error {
	text, err := h.Append(nil)
	if err != nil {
		return err
	}
	return c.Send(h.AppendEnd(text, frame.Complete))
}

// Request writes a request in one frame. With an owner, its response is waited for: 30 seconds.
func (c *Conn) Request(h *frame.Head, body []byte, owner Owner) error {
	req := *h
	c.mu.Lock()
	defer c.mu.Unlock()
	var id [idLen]byte
	frame.AppendID(id[:0])
	req.ID = string(id[:])
	text, err := req.Append(nil)
	if err != nil {
		return err
	}
	if req.HasBody {
		text = append(text, body...)
	}
	if err := c.send(req.AppendEnd(text, frame.Complete)); err != nil {
		return err
	}
	if owner != nil {
		c.pending.add(owner, req.Range, req.FailureReport == frame.FailureReportPartial).id = id
	}
	return nil
}
