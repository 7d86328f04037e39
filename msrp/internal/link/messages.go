package link

import (
	"crypto/tls"
	"io"
	"net"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// Messages is a connection that keeps messages apart. One goroutine reads, one writes. Close
// may be called by any, at any time, and ends what they do. What is written is good until
// WriteMessage returns.
type Messages interface {
	ReadMessage() ([]byte, error)
	WriteMessage([]byte) error
	Close() error
}

// A messageWire carries each frame in a message of its own.
type messageWire struct {
	m     Messages
	limit int
	rest  []byte // of the body of the last frame that was read
	last  frame.Flag
	read  time.Time // when that was
	buf   []byte

	idle             time.Duration
	late             func() // ends the connection
	reading, writing *time.Timer
}

// watch gives what follows some time until the timer is stopped; 0 is for ever.
func (w *messageWire) watch(t **time.Timer, d time.Duration) {
	switch {
	case d == 0:
	case *t == nil:
		*t = time.AfterFunc(d, w.late)
	default:
		(*t).Reset(d)
	}
}

func (w *messageWire) next() (*frame.Head, error) {
	w.watch(&w.reading, w.idle)
	data, err := w.m.ReadMessage()
	if w.reading != nil {
		w.reading.Stop()
	}
	if err != nil {
		return nil, err
	}
	w.read = time.Now()
	h, body, flag, err := frame.Parse(data)
	w.rest, w.last = body, flag
	return h, err
}

func (w *messageWire) body() ([]byte, error) {
	if len(w.rest) == 0 {
		return nil, io.EOF
	}
	piece := w.rest
	w.rest = nil
	return piece, nil
}

func (w *messageWire) flag() frame.Flag { return w.last }
func (w *messageWire) came() time.Time  { return w.read }

func (w *messageWire) write(b *batch) error {
	for data := range b.frames(b.again(w.buf)) {
		w.watch(&w.writing, writeTime)
		err := w.m.WriteMessage(data)
		w.writing.Stop()
		if err != nil {
			return err
		}
		w.buf = data
	}
	return nil
}

func (w *messageWire) limitFrame() int         { return w.limit }
func (w *messageWire) close()                  { w.m.Close() }
func (w *messageWire) setIdle(d time.Duration) { w.idle = d }
func (w *messageWire) setNarrow(bool)          {} // how long a message may be is known below

func (w *messageWire) tls() *tls.ConnectionState {
	if c, ok := w.m.(interface{ TLS() *tls.ConnectionState }); ok {
		return c.TLS()
	}
	return nil
}

func (w *messageWire) localAddr() net.Addr {
	if c, ok := w.m.(interface{ LocalAddr() net.Addr }); ok {
		return c.LocalAddr()
	}
	return nil
}

func (w *messageWire) remoteAddr() net.Addr {
	if c, ok := w.m.(interface{ RemoteAddr() net.Addr }); ok {
		return c.RemoteAddr()
	}
	return nil
}
