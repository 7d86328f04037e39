package frame

import (
	"bytes"
	"io"
)

// A Reader reads frames from a stream, which may come in pieces of any size. Its buffer is
// of 4 KB while nothing comes, and grows up to 128 KB with what comes at once.
type Reader struct {
	src    io.Reader
	buf    []byte
	small  []byte // the buffer while nothing comes
	lo, hi int    // of what is read and not given out

	head   Head
	again  pattern // the head of a chunk that may come again
	echo   echo    // the response that may come again
	needle []byte  // the end-line of the frame with the CRLF before it, without its flag
	state  state
	flag   Flag
	size   int // bytes of the body so far
}

type state uint8

const (
	between    state = iota // frames
	fresh                   // at the beginning of a body
	inBody                  // further on
	bodyIsOver              // and the next frame not asked for
)

const maxNonSEND = 10240 // bytes of the body of a request that is no SEND (RFC 4975 section 7.1)

// NewReader returns a Reader of a stream.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Next reads the head of the next frame, and passes over what is left of the one before. The Head
// is good until Next is called again; its strings stay. io.EOF says that the stream has ended
// between two frames, a *SyntaxError or ErrTooLong that it is not MSRP, and then nothing that
// follows can be told apart.
func (r *Reader) Next() (*Head, error) {
	for r.state != between && r.state != bodyIsOver {
		if _, err := r.Body(); err != nil && err != io.EOF && err != ErrTooLong {
			return nil, err
		}
	}
	if r.lo == r.hi {
		r.shrink()
	}
	for seen := 0; ; {
		data := r.buf[r.lo:r.hi]
		if h := r.take(); h != nil {
			return h, nil
		}
		// Without a line more there is nothing to find, but that it is no MSRP, or too long.
		if seen < len("MSRP ") || len(data) >= maxHead || bytes.Contains(data[seen-1:], []byte("\r\n")) {
			s, ok, err := scanHead(data)
			if err != nil {
				return nil, err
			}
			if ok {
				return r.begin(s), nil
			}
		}
		seen = len(data)
		if err := r.fill(); err != nil {
			if err == io.EOF && r.lo < r.hi {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// take reads the head of the next frame if it is like the one of the last chunk, or of the last response.
func (r *Reader) take() *Head {
	data := r.buf[r.lo:r.hi]
	if id, at, n := r.again.match(data); n > 0 {
		r.repeat(&r.again.head, id, n)
		r.head.Range = at
		r.beginBody(id)
		return &r.head
	}
	if id, flag, n := r.echo.match(data); n > 0 {
		r.repeat(&r.echo.head, id, n)
		r.flag, r.state = flag, bodyIsOver
		return &r.head
	}
	return nil
}

// repeat makes the head a copy of another one, but for its identifier.
func (r *Reader) repeat(h *Head, id []byte, n int) {
	fields := append(r.head.Fields[:0], h.Fields...)
	r.head = *h
	r.head.ID, r.head.Fields = string(id), fields
	r.lo += n
}

func (r *Reader) begin(s section) *Head {
	last := r.head
	r.head.parse(s.start, s.lines, &last)
	if s.stray {
		r.head.fail("header field", "", "something before the end-line")
	}
	r.head.HasBody, r.flag, r.state = s.body, s.flag, bodyIsOver
	if s.body {
		r.beginBody(s.start.id)
		r.again.learn(&r.head, s.lines)
	} else {
		r.echo.learn(&r.head, r.buf[r.lo:r.lo+s.n])
	}
	r.lo += s.n
	return &r.head
}

func (r *Reader) beginBody(id []byte) {
	r.state, r.flag, r.size = fresh, 0, 0
	r.needle = append(append(append(r.needle[:0], "\r\n"...), hyphens...), id...)
}

// Body returns the next piece of the body of the frame, which is good until the Reader is used
// again, and at its end io.EOF, for a frame that has none at once. What it returns at a time
// is what has come. ErrTooLong says, in place of io.EOF, that something other than a SEND has a body of
// more than 10,240 bytes, of which the rest is not given out. Other errors are those of the stream.
func (r *Reader) Body() ([]byte, error) {
	for r.state != bodyIsOver && r.state != between {
		data := r.buf[r.lo:r.hi]
		if r.state == fresh {
			// Who writes an empty body may leave out the CRLF behind it.
			if flag, n, ok := bareEnd(data, r.needle[2:]); ok {
				r.lo, r.flag, r.state = r.lo+n, flag, bodyIsOver
				break
			} else if n > 0 {
				goto more
			}
			r.state = inBody
		}
		if n, end, flag, whole := scanBody(data, r.needle); n > 0 || whole {
			if whole {
				r.flag, r.state = flag, bodyIsOver
			}
			r.lo += n + end
			r.size += n
			switch large := r.size > maxNonSEND && r.head.Method != SEND; {
			case large && whole:
				return nil, ErrTooLong
			case large:
				continue
			case n > 0:
				return data[:n], nil
			}
			break
		}
	more:
		if err := r.fill(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return nil, io.EOF
}

// bareEnd looks for an end-line at the very beginning of a body. n is its length, or with ok
// false not 0 if it may be there when more has come.
func bareEnd(data, needle []byte) (flag Flag, n int, ok bool) {
	if len(data) == 0 {
		return 0, 1, false
	}
	if len(data) < len(needle)+3 {
		if couldEnd(data, needle) {
			return 0, 1, false
		}
		return 0, 0, false
	}
	flag, tail := Flag(data[len(needle)]), data[len(needle)+1:]
	if bytes.Equal(data[:len(needle)], needle) && (flag == Complete || flag == Continued || flag == Aborted) && tail[0] == '\r' && tail[1] == '\n' {
		return flag, len(needle) + 3, true
	}
	return 0, 0, false
}

// Flag returns how the frame has ended, once Body has returned io.EOF.
func (r *Reader) Flag() Flag { return r.flag }

// Buffered returns how many bytes have been read from the stream and not given out: 0 says
// that the next call will wait for the stream.
func (r *Reader) Buffered() int { return r.hi - r.lo }

// Parse reads a frame that is a message of its own, as on a WebSocket (RFC 7977 section 5.1) or
// on a data channel: nothing may follow it. The body is part of data; what is no SEND and has one of more
// than 10,240 bytes has an Err in place of it.
func Parse(data []byte) (h *Head, body []byte, flag Flag, err error) {
	fail := func(msg string) (*Head, []byte, Flag, error) {
		return nil, nil, 0, &SyntaxError{Where: "frame", Text: string(data[:min(len(data), 80)]), Msg: msg}
	}
	s, ok, err := scanHead(data)
	switch {
	case err != nil:
		return nil, nil, 0, err
	case !ok:
		return fail("no end")
	}
	h, flag = new(Head), s.flag
	h.parse(s.start, s.lines, &Head{})
	h.HasBody = s.body
	if s.stray {
		h.fail("header field", "", "something before the end-line")
	}
	data = data[s.n:]
	if s.body {
		needle := append([]byte("\r\n"+hyphens), s.start.id...)
		if f, n, ok := bareEnd(data, needle[2:]); ok {
			flag, data = f, data[n:]
		} else {
			n, end, f, whole := scanBody(data, needle)
			if !whole {
				return fail("no end")
			}
			body, flag, data = data[:n], f, data[n+end:]
			if n > maxNonSEND && h.Method != SEND {
				h.fail("body", "", "more than 10240 bytes")
				body = nil
			}
		}
	}
	if len(data) > 0 {
		return fail("something behind the end")
	}
	return h, body, flag, nil
}
