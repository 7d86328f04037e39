package link

import (
	"errors"
	"io"
	"math"
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

	over chan struct{} // closed when the last chunk is written, or the message aborted

	// Under the lock of the Conn.
	free    sync.Cond  // for who waits until data is taken
	data    []byte     // to be written
	at      int        // of data: what is before it is in the hands of the writer
	end     frame.Flag // of the last chunk; 0: more is to come
	queued  bool       // in Conn.streams
	ended   bool       // the last chunk is in the hands of the writer
	waiting int        // chunks that expect a response, so far

	// Of the writer, under the lock as well.
	pos   int64 // of the next byte
	id    [idLen]byte
	room  int64  // in the open chunk
	start int64  // of the open chunk
	begun bool   // the peer knows of the message
	tail  []byte // the last bytes of it, if it was left open
}

// StreamConfig says what a Stream is to be.
type StreamConfig struct {
	Head  *frame.Head // of each chunk; ID, Range.End and HasBody do not count
	Limit int64       // bytes in a chunk at most; 0: as many as there are
	Owner Owner       // hears of each chunk that expects a response; nil if none does
}

// NewStream begins a message with the byte Head.Range.Start, or 1 if that is 0. The error is a
// *frame.SyntaxError for a head that cannot be written, and frame.ErrTooLong for one that others would
// not read, or that leaves no room for a body in a message of the connection.
func (c *Conn) NewStream(cfg *StreamConfig) (*Stream, error) {
	h := *cfg.Head
	s := &Stream{
		c: c, owner: cfg.Owner, report: h.FailureReport, total: h.Range.Total, limit: cfg.Limit,
		pos: max(1, h.Range.Start), begun: h.Range.Start > 1, over: make(chan struct{}),
	}
	if h.Range == (frame.Range{}) {
		s.total = frame.Unknown
	}
	if s.limit <= 0 {
		s.limit = math.MaxInt64
	}
	var err error
	if s.paths, s.rest, err = headAround(h); err != nil {
		return nil, err
	}
	if !Fits(&h) {
		return nil, frame.ErrTooLong
	}
	if s.limit, err = c.roomIn(s.limit, s.paths, s.rest); err != nil {
		return nil, err
	}
	s.free.L = &c.mu
	return s, nil
}

const (
	maxHead = 16 << 10 // bytes of a head that others read: what a frame.Reader does
	beside  = 320      // bytes of a frame, at most, that are not of the values that longest counts
)

// Fits reports whether a request can be written, here and by each relay after us: a head of 16 KB that has
// come here may become longer by a Byte-Range, by a longer identifier, or by white space. What is
// counted stays the same on the way, as each relay moves a URI from To-Path to From-Path (RFC 4976
// section 6.4.2).
func Fits(h *frame.Head) bool { return len(h.To)+len(h.From)+longest(h) <= maxHead }

// longest returns how long a head may become without its paths.
func longest(h *frame.Head) int {
	n := beside + len(h.Comment) + len(h.MessageID) + len(h.ContentType)
	for _, f := range h.Fields {
		n += len(f.Name) + len(": \r\n") + len(f.Value)
	}
	return n
}

// headAround returns the head of each chunk but for what differs from one to the next: To-Path and
// From-Path, and what follows Byte-Range.
func headAround(h frame.Head) (paths, rest []byte, err error) {
	h.ID, h.Method, h.HasBody, h.Range = "xxxx", frame.SEND, true, frame.Range{}
	text, err := h.Append(nil)
	if err != nil {
		return nil, nil, err
	}
	first := len("MSRP xxxx SEND\r\n")
	at := first + len("To-Path: ") + len(h.To) + len("\r\nFrom-Path: ") + len(h.From) + len("\r\n")
	return text[first:at], text[at:], nil
}

// roomIn returns how many bytes a chunk with such a head can have, limit at most.
func (c *Conn) roomIn(limit int64, paths, rest []byte) (int64, error) {
	whole := c.wire.limitFrame()
	if whole == 0 {
		return limit, nil
	}
	// The start line, Byte-Range and the end-line take no more than 160 bytes.
	room := whole - 160 - len("MSRP xxxx SEND\r\n") - len(paths) - len(rest)
	if room < 1 {
		return 0, frame.ErrTooLong
	}
	return min(limit, int64(room)), nil
}

// Write writes a piece of the message. It waits while 128 KB wait before it. When all bytes of a
// message are there whose total is known, what is left of them goes with its End.
func (s *Stream) Write(p []byte) (n int, err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(p) > 0 {
		if err := s.wait(1); err != nil {
			return n, err
		}
		k := min(len(p), turn-len(s.data))
		if len(s.data)+k > cap(s.data) {
			data := append(newBuffer(len(s.data)+k), s.data...)
			freeBuffer(s.data)
			s.data = data
		}
		s.data = append(s.data, p[:k]...)
		n, p = n+k, p[k:]
		s.enqueue()
	}
	return n, nil
}

// ReadFrom writes what a reader gives, to its end.
func (s *Stream) ReadFrom(r io.Reader) (n int64, err error) {
	size, read := 4<<10, io.Reader.Read
	if known, ok := r.(interface{ Len() int }); ok { // it is all there
		size, read = min(known.Len()+1, turn), readFull
	}
	for {
		buf := newBuffer(size)
		k, err := read(r, buf[:size])
		if perr := s.put(buf[:k]); perr != nil {
			return n, perr
		}
		if n += int64(k); k == size {
			size = turn
		}
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

func readFull(r io.Reader, buf []byte) (int, error) {
	n, err := io.ReadFull(r, buf)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// put hands a buffer over to be written.
func (s *Stream) put(data []byte) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.wait(len(data)); err != nil {
		return err
	}
	if len(s.data) == 0 {
		s.data = data
	} else {
		s.data = append(s.data, data...)
		freeBuffer(data)
	}
	s.enqueue()
	return nil
}

// wait waits until there is room for n bytes. The lock is held.
func (s *Stream) wait(n int) error {
	c := s.c
	for s.end == 0 && c.err == nil && len(s.data) > 0 && len(s.data)+n > turn {
		s.push()
		s.free.Wait()
	}
	switch {
	case c.err != nil:
		return c.err
	case s.end != 0 || c.closing != nil:
		return ErrClosed
	}
	return nil
}

// enqueue has the writer look at the stream. When all bytes of the message are there it waits for
// End, so that they go in one chunk with their end. The lock is held.
func (s *Stream) enqueue() {
	if len(s.data) > 0 && s.pos+int64(len(s.data)-s.at)-1 != s.total {
		s.push()
	}
}

func (s *Stream) push() {
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
	if s.ended || c.err != nil || s.end == frame.Aborted || s.end != 0 && flag != frame.Aborted {
		return
	}
	s.end = flag
	if flag == frame.Aborted {
		s.data, s.at = nil, 0
		close(s.over)
	}
	s.free.Broadcast()
	s.push()
}

// Wait waits until the last chunk is written, and returns how many there were that expect a
// response. The error is ErrClosed, at once, for a message that is aborted.
func (s *Stream) Wait() (chunks int, err error) {
	select {
	case <-s.over:
	case <-s.c.lost:
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-s.over:
		if s.end == frame.Aborted {
			err = ErrClosed
		}
	default:
		err = c.err
	}
	return s.waiting, err
}
