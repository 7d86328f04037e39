package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"unsafe"

	"github.com/goparley/parley/sip"
)

// stream is the wire of TCP and TLS: messages follow each other, and
// Content-Length tells where one ends (RFC 3261 section 18.3).
type stream struct {
	nc     net.Conn    // the conn's socket, or TLS over it
	reader *sip.Reader // nil: nothing was read yet
}

func (s *stream) receive(c *conn) error {
	if s.reader == nil {
		s.reader = sip.NewReader(s.nc, &sip.ReaderConfig{Pong: func() { c.line(s.reader.Buffered() > 0) }})
		c.sock.attach(c, s.reader.Buffered)
	}
	for {
		m, err := s.reader.ReadMessage()
		if err = took(c, m, err); err != nil {
			return err
		}
	}
}

// took takes what was read, and returns what ends the stream.
func took(c *conn, m sip.Message, err error) error {
	var syntax *sip.SyntaxError
	switch {
	case err == nil, errors.As(err, &syntax):
		c.message(m, err)
		return nil
	case errors.Is(err, sip.ErrFraming):
		c.e.count.unframedStreams.Add(1)
		c.e.traceMalformed(c.flow(), "", err)
	}
	return err
}

// gather holds buffers in which what goes out together is gathered.
var gather = sync.Pool{New: func() any { b := make([]byte, 0, maxWrite); return &b }}

func (s *stream) transmit(c *conn, texts []string) error {
	if len(texts) == 1 || !c.e.room.take(maxWrite) {
		for _, text := range texts {
			if err := s.write(bytesOf(text)); err != nil {
				return err
			}
		}
		return nil
	}
	defer c.e.room.give(maxWrite)
	buf := gather.Get().(*[]byte)
	defer gather.Put(buf)
	b := (*buf)[:0]
	for _, text := range texts {
		if len(b)+len(text) > maxWrite {
			if err := s.write(b); err != nil {
				return err
			}
			b = b[:0]
		}
		if len(text) > maxWrite {
			if err := s.write(bytesOf(text)); err != nil {
				return err
			}
			continue
		}
		b = append(b, text...)
	}
	return s.write(b)
}

func (s *stream) copies() int { return 1 }

// write writes b in pieces, each of which the peer has some time to take.
func (s *stream) write(b []byte) error {
	for len(b) > 0 {
		piece := b[:min(len(b), maxWrite)]
		if _, err := s.nc.Write(piece); err != nil {
			return err
		}
		b = b[len(piece):]
	}
	return nil
}

// bye is the closing alert of TLS, and nothing on TCP.
func (s *stream) bye() {
	if secure, ok := s.nc.(*tls.Conn); ok {
		secure.NetConn().(*socket).leave()
		secure.CloseWrite()
	}
}

func (s *stream) close() {} // its socket is all that there is to close

// bytesOf returns the bytes of a text, to be read only: a write does not keep
// or change them.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }
