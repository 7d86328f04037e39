package link

import (
	"errors"
	"io"
	"sync"

	"github.com/goparley/parley/msrp/frame"
)

// A Stream is a message, or a part of one, on its way out in as many chunks as it takes.
type Stream struct {
	c     *Conn
	owner Owner

	paths, rest []byte // of the head of each chunk: To-Path and From-Path, and what follows Byte-Range
	report      frame.FailureReport
	total       int64
	limit       int64 // bytes in a chunk; 0: as many as there are

	// Under the lock of the Conn.
	free    sync.Cond  // for who waits until data is taken
	data    []byte     // to be written
	spare   []byte     // a buffer that is not in use
	end     frame.Flag // of the last chunk; 0: more is to come
	queued  bool       // in Conn.streams
	ended   bool       // the last chunk is in the hands of the writer
	written bool       // and has been written
	waiting int        // chunks that expect a response, so far
	err     error      // why nothing more is written

	// Of the goroutine that writes.
	pos   int64 // of the next byte
	id    [idLen]byte
	room  int64  // in the open chunk
	start int64  // of the open chunk
	begun bool   // a chunk has been written
	tail  []byte // the last bytes of it, if it was left open
}

// StreamConfig says what a Stream is to be.
type StreamConfig struct {
	Head  *frame.Head // of each chunk; ID, Range.End and HasBody do not count
	Limit int64       // bytes in a chunk at most; 0: as many as there are
	Owner Owner       // hears of each chunk that expects a response; nil if none does
}

// NewStream begins a message with the byte Head.Range.Start, or 1 if that is 0. The error is a
// *frame.SyntaxError for a head that cannot be written.
func (c *Conn) NewStream(cfg *StreamConfig) (*Stream, error) {
	h := *cfg.Head
	s := &Stream{c: c, owner: cfg.Owner, report: h.FailureReport, pos: max(1, h.Range.Start), total: h.Range.Total, limit: cfg.Limit}
	if h.Range == (frame.Range{}) {
		s.total = frame.Unknown
	}
	var err error
	if s.paths, s.rest, err = headAround(&h); err != nil {
		return nil, err
	}
	s.free.L = &c.mu
	return s, nil
}

// headAround writes the head of a chunk without what differs from chunk to chunk: To-Path and
// From-Path, and what follows Byte-Range.
func headAround(h *frame.Head) (paths, rest []byte, err error) {
	h.ID, h.HasBody, h.Range = "xxxx", true, frame.Range{}
	text, err := h.Append(nil)
	if err != nil {
		return nil, nil, err
	}
	at := 0
	for range 3 { // the start line and two paths
		for text[at] != '\n' {
			at++
		}
		at++
	}
	first := len("MSRP xxxx SEND\r\n")
	return text[first:at], text[at:], nil
}

// Write writes a piece of the message. It waits while more than 64 KB wait before it.
func (s *Stream) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), turn)
		buf := s.buffer(k)
		buf = append(buf, p[:k]...)
		if err := s.put(buf); err != nil {
			return n, err
		}
		n, p = n+k, p[k:]
	}
	return n, nil
}

// ReadFrom writes what a reader gives, to its end.
func (s *Stream) ReadFrom(r io.Reader) (n int64, err error) {
	size := 4 << 10
	if known, ok := r.(interface{ Len() int }); ok {
		size = min(max(known.Len(), 1)+1, turn)
	}
	for {
		buf := s.buffer(size)
		k, err := r.Read(buf[:size])
		if k > 0 {
			if perr := s.put(buf[:k]); perr != nil {
				return n, perr
			}
			n += int64(k)
			if k == size {
				size = turn
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// buffer returns an empty buffer for size bytes.
func (s *Stream) buffer(size int) []byte {
	s.c.mu.Lock()
	buf := s.spare
	s.spare = nil
	s.c.mu.Unlock()
	if cap(buf) < size {
		return make([]byte, 0, size)
	}
	return buf[:0]
}

// put hands data over to be written. It belongs to the Stream then.
func (s *Stream) put(data []byte) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(s.data) > 0 && s.err == nil && s.end == 0 && c.err == nil {
		if len(s.data)+len(data) <= cap(s.data) {
			s.data = append(s.data, data...)
			s.spare = data[:0]
			return nil
		}
		s.free.Wait()
	}
	switch {
	case s.err != nil:
		return s.err
	case c.err != nil:
		return c.err
	case s.end != 0 || c.closing:
		return ErrClosed
	}
	s.data = data
	s.enqueue()
	return nil
}

// enqueue has the writer look at the stream. The lock is held.
func (s *Stream) enqueue() {
	if !s.queued {
		s.queued = true
		s.c.streams = append(s.c.streams, s)
		s.c.work.Signal()
	}
}

// End says that nothing more comes: with Complete at the end of the message, with Continued if
// the rest is for another Stream. Aborted ends the message where it is on the wire. It does not wait.
func (s *Stream) End(flag frame.Flag) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.ended || s.err != nil || c.err != nil || s.end == frame.Aborted || s.end != 0 && flag != frame.Aborted {
		return
	}
	s.end = flag
	if flag == frame.Aborted {
		s.data = nil
		s.err = ErrClosed
	}
	s.free.Broadcast()
	s.enqueue()
}

// Wait waits until the last chunk is written, and returns how many there were that expect a
// response.
func (s *Stream) Wait() (chunks int, err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for !s.written && s.err == nil && c.err == nil {
		s.free.Wait()
	}
	switch {
	case s.written:
		return s.waiting, nil
	case s.err != nil:
		return s.waiting, s.err
	}
	return s.waiting, c.err
}

// lost says that the connection is. The lock is held.
func (s *Stream) lost(err error) {
	if s.err == nil {
		s.err = err
	}
	s.queued, s.data, s.spare = false, nil, nil
	s.free.Broadcast()
}
