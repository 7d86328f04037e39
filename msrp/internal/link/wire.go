package link

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// A wire is what carries frames.
type wire interface {
	next() (*frame.Head, error)
	body() ([]byte, error)
	flag() frame.Flag
	came() time.Time // when what is being read did

	// write writes a batch. It gives up when the peer takes nothing of it for writeTime.
	write(b *batch) error
	// limitFrame is how many bytes a frame may have at most; 0 means that a frame may be written
	// in several goes.
	limitFrame() int

	close()
	setIdle(time.Duration)
	setNarrow(bool)
	tls() *tls.ConnectionState
	localAddr() net.Addr
	remoteAddr() net.Addr
}

// A streamWire carries frames one behind the other, over TCP or TLS.
type streamWire struct {
	nc      net.Conn
	in      *frame.Reader
	reading reading
	buf     []byte // in which pieces are put together
}

func newStreamWire(nc net.Conn) *streamWire {
	w := &streamWire{nc: nc, reading: reading{nc: nc, until: unset}}
	w.in = frame.NewReader(&w.reading)
	return w
}

// A reading is the connection as the Reader reads it: with the time that the peer has.
type reading struct {
	nc     net.Conn
	idle   time.Duration // to the next request; 0: as long as it likes
	narrow bool
	state  readState
	until  readState // for which the deadline stands; unset if it is to be set anew
	came   time.Time
}

type readState uint8

const (
	idle   readState = iota // nothing of a frame is there
	inHead                  // part of a head is
	inBody
	unset
)

func (r *reading) Read(p []byte) (int, error) {
	// The time for a head is counted from its beginning, that for a body from each piece.
	if r.state != r.until || r.state == inBody || r.state == idle && r.idle > 0 {
		var end time.Time
		switch r.state {
		case idle:
			if r.idle > 0 {
				end = time.Now().Add(r.idle)
			}
		case inHead:
			end = time.Now().Add(headTime)
		case inBody:
			end = time.Now().Add(bodyTime)
		}
		if err := r.nc.SetReadDeadline(end); err != nil {
			return 0, err
		}
		r.until = r.state
	}
	if r.narrow {
		p = p[:min(len(p), narrowRead)]
	}
	n, err := r.nc.Read(p)
	r.came = time.Now()
	if n > 0 && r.state == idle {
		r.state = inHead
	}
	return n, err
}

func (w *streamWire) next() (*frame.Head, error) {
	w.reading.state = idle
	if w.in.Buffered() > 0 {
		w.reading.state, w.reading.until = inHead, unset // of another head than before
	}
	return w.in.Next()
}

func (w *streamWire) body() ([]byte, error) {
	w.reading.state = inBody
	return w.in.Body()
}

func (w *streamWire) flag() frame.Flag { return w.in.Flag() }
func (w *streamWire) came() time.Time  { return w.reading.came }

// setIdle is called by the goroutine that reads, or before it starts.
func (w *streamWire) setIdle(d time.Duration) { w.reading.idle, w.reading.until = d, unset }

func (w *streamWire) setNarrow(is bool) { w.reading.narrow = is }

func (w *streamWire) write(b *batch) error {
	if _, tcp := w.nc.(*net.TCPConn); tcp {
		return w.writeTCP(b.buffers())
	}
	// A TLS connection is lost with a deadline, so it gets what fits into one of its records.
	w.buf = b.appendTo(b.again(w.buf))
	for rest := w.buf; len(rest) > 0; {
		if err := w.nc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return err
		}
		n, err := w.nc.Write(rest[:min(len(rest), 16<<10)])
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (w *streamWire) writeTCP(bufs *net.Buffers) error {
	for {
		if err := w.nc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return err
		}
		if n, err := bufs.WriteTo(w.nc); n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

func (w *streamWire) limitFrame() int { return 0 }

func (w *streamWire) close() { w.nc.Close() }

func (w *streamWire) tls() *tls.ConnectionState {
	if c, ok := w.nc.(*tls.Conn); ok {
		state := c.ConnectionState()
		return &state
	}
	return nil
}

func (w *streamWire) localAddr() net.Addr  { return w.nc.LocalAddr() }
func (w *streamWire) remoteAddr() net.Addr { return w.nc.RemoteAddr() }
