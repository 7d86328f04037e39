package sip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrFraming means that a stream holds no message, or one whose end cannot be
// told. Nothing after it can be read: the connection is to be closed.
var ErrFraming = errors.New("sip: stream cannot be framed")

// ReaderConfig holds the options of a Reader. The zero value will do.
type ReaderConfig struct {
	// MaxBody is the largest body in bytes; 0 means 1 MiB. A longer one ends
	// the stream.
	MaxBody int

	// Ping is called for each CRLF CRLF between messages, the keepalive that
	// asks for a CRLF (RFC 5626 section 3.5.1). Pong is called for each CRLF,
	// those of a ping included. Both may be nil.
	Ping, Pong func()
}

// Reader takes messages off a stream such as TCP or TLS, by Content-Length
// (RFC 3261 section 18.3), and keepalives from between them. How the stream was
// cut on its way makes no difference to what is read. A Reader never holds more
// than one message and what came with it in one read.
//
// Where each message comes by itself, as in a datagram or in a WebSocket message
// (RFC 7118 section 5), ParseBytes is what takes one. It may then lack a
// Content-Length; one that is there must fit into the frame, and what follows
// the body is dropped. A frame of CRLF CRLF alone is a ping and one of CRLF a
// pong (RFC 7118 section 6), which ParseBytes does not know of.
type Reader struct {
	r    io.Reader
	cfg  ReaderConfig
	buf  []byte
	pos  int   // start of what is not yet consumed
	seen int   // how far the end of the header section was looked for
	half bool  // the last thing read was an odd CRLF
	err  error // of the underlying reader
	end  error // of the stream
}

// NewReader returns a Reader; cfg may be nil.
func NewReader(r io.Reader, cfg *ReaderConfig) *Reader {
	rd := &Reader{r: r}
	if cfg != nil {
		rd.cfg = *cfg
	}
	if rd.cfg.MaxBody == 0 {
		rd.cfg.MaxBody = 1 << 20
	}
	rd.cfg.MaxBody = min(rd.cfg.MaxBody, math.MaxInt32-maxHead) // a whole message fits an int
	return rd
}

// ReadMessage returns the next message. A *SyntaxError means that one message
// was broken and is skipped: read on. If its lines are not what they should be,
// so that another reader may see its end elsewhere, the error after it is
// ErrFraming. Any other error ends the stream: io.EOF
// between messages, io.ErrUnexpectedEOF within one, ErrFraming, or what the
// underlying reader returned.
func (r *Reader) ReadMessage() (Message, error) {
	if r.end != nil {
		return nil, r.end
	}
	text, err := r.next()
	if err != nil {
		r.end = err
		return nil, err
	}
	m, err := ParseBytes(text)
	if bad, ok := err.(*SyntaxError); ok && bad.unframed() {
		r.end = fmt.Errorf("%w: a message with lines that may be read in two ways", ErrFraming)
	}
	return m, err
}

// Buffered returns how many bytes have been read of what comes after the last
// message or keepalive. Asked while the underlying reader is waited for, 0
// means that no message has begun.
func (r *Reader) Buffered() int { return len(r.buf) - r.pos }

// next returns the text of the next message, which is good until the next call.
func (r *Reader) next() ([]byte, error) {
	if err := r.keepalives(); err != nil {
		return nil, err
	}
	head, err := r.head()
	if err != nil {
		return nil, err
	}
	length, err := r.contentLength(r.buf[r.pos : r.pos+head])
	if err != nil {
		return nil, err
	}
	for r.Buffered() < head+length {
		if err := r.fill(); err != nil {
			return nil, within(err)
		}
	}
	text := r.buf[r.pos : r.pos+head+length]
	r.pos += head + length
	r.seen = r.pos
	return text, nil
}

// keepalives consumes the CRLFs before a message. A CRLF alone may be a pong or
// the first half of a ping, and which of them shows too late to wait for.
func (r *Reader) keepalives() error {
	for {
		rest := r.buf[r.pos:]
		if len(rest) > 0 && rest[0] != '\r' {
			return nil
		}
		if len(rest) < 2 {
			if err := r.fill(); err != nil {
				if len(rest) > 0 {
					err = within(err)
				}
				return err
			}
			continue
		}
		if rest[1] != '\n' {
			return fmt.Errorf("%w: carriage return without line feed", ErrFraming)
		}
		r.pos += 2
		r.seen = r.pos
		if r.cfg.Pong != nil {
			r.cfg.Pong()
		}
		if r.half = !r.half; !r.half && r.cfg.Ping != nil {
			r.cfg.Ping()
		}
	}
}

// within returns the error of a read that was to bring more of what has begun.
func within(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// head reads until the header section is complete and returns its length, the
// empty line included.
func (r *Reader) head() (int, error) {
	r.half = false
	for {
		from := max(r.pos, r.seen-3) // the end may have come in pieces
		length := r.Buffered() + 1   // at least
		if i := bytes.Index(r.buf[from:], []byte("\r\n\r\n")); i >= 0 {
			length = from + i + 4 - r.pos
			if length <= maxHead {
				return length, nil
			}
		}
		if length > maxHead {
			return 0, fmt.Errorf("%w: header section over %d bytes", ErrFraming, maxHead)
		}
		r.seen = len(r.buf)
		if err := r.fill(); err != nil {
			return 0, within(err)
		}
	}
}

var crlf = []byte("\r\n")

// contentLength finds the length of the body, without which the end of a
// message on a stream cannot be told (RFC 3261 section 20.14).
func (r *Reader) contentLength(head []byte) (int, error) {
	length := -1
	head = head[bytes.Index(head, crlf)+2:] // behind the start line
	for len(head) > 0 {
		end := bytes.Index(head, crlf) + 2
		line := head[:end]
		head = head[end:]
		if line[0]|0x20 != 'c' && line[0]|0x20 != 'l' {
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || lookupHeader(string(bytes.TrimRight(name, " \t"))) != idContentLength {
			continue
		}
		for len(head) > 0 && isWS(head[0]) { // a fold, which stands right behind
			end := bytes.Index(head, crlf) + 2
			value = value[:len(value)+end]
			head = head[end:]
		}
		n, err := ContentLength(0).ParseValue(trimWS(string(value)))
		switch {
		case err != nil:
			return 0, fmt.Errorf("%w: Content-Length: %s", ErrFraming, msgOf(err))
		case length >= 0:
			return 0, fmt.Errorf("%w: more than one Content-Length", ErrFraming)
		case int(n) > r.cfg.MaxBody:
			return 0, fmt.Errorf("%w: body over %d bytes", ErrFraming, r.cfg.MaxBody)
		}
		length = int(n)
	}
	if length < 0 {
		return 0, fmt.Errorf("%w: no Content-Length", ErrFraming)
	}
	return length, nil
}

// fill reads once more. What was consumed makes room first, and a buffer that
// one large message needed is given back, also where the next one has begun in
// it.
func (r *Reader) fill() error {
	if r.err != nil {
		return r.err
	}
	const usual = 4096
	if rest := r.Buffered(); r.pos > 0 && cap(r.buf) > 4*usual && rest <= cap(r.buf)/4 {
		r.buf = append(make([]byte, 0, max(usual, 2*rest)), r.buf[r.pos:]...)
		r.seen -= r.pos
		r.pos = 0
	}
	if r.pos == len(r.buf) {
		r.buf, r.pos, r.seen = r.buf[:0], 0, 0
	}
	if len(r.buf) == cap(r.buf) {
		rest := r.buf[r.pos:]
		if len(rest) <= cap(r.buf)/2 && cap(r.buf) >= usual {
			r.buf = r.buf[:copy(r.buf[:cap(r.buf)], rest)]
		} else {
			r.buf = append(make([]byte, 0, max(usual, 2*cap(r.buf))), rest...)
		}
		r.seen -= r.pos
		r.pos = 0
	}
	if r.r == nil { // the zero Reader
		r.err = io.EOF
		return r.err
	}
	for range 100 {
		n, err := r.r.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		r.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	r.err = io.ErrNoProgress
	return r.err
}
