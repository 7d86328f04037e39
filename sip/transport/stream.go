package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/sip"
)

const (
	writeTimeout = 10 * time.Second
	maxWrite     = 1 << 16 // bytes for which writeTimeout is meant
	maxUnsent    = 1 << 20 // bytes queued on one connection

	// messageTimeout is how long a peer may take over a message: as long as a
	// transaction waits for one (64*T1).
	messageTimeout = 32 * time.Second
)

// errPanic is what ends a connection whose reading has panicked.
var errPanic = errors.New("transport: panic while reading")

// streamConn is one TCP connection.
type streamConn struct {
	e        *Endpoint
	nc       net.Conn
	local    netip.AddrPort
	remote   netip.AddrPort
	accepted bool // a peer made it
	caused   bool // it counts against Config.MaxConns

	opened  time.Time
	used    atomic.Int64 // when something last passed, in nanoseconds from opened
	carried atomic.Bool  // a message has passed
	brief   atomic.Bool  // opened for a response, and nothing else has passed
	begun   time.Time    // when the message being read began; the reading goroutine's

	mu      sync.Mutex
	unsent  []byte
	writing bool  // a goroutine is writing
	err     error // why it ended; nil while it is open
}

func (e *Endpoint) newConn(nc net.Conn, accepted bool) *streamConn {
	return &streamConn{
		e: e, nc: nc, local: addrPort(nc.LocalAddr()), remote: addrPort(nc.RemoteAddr()),
		accepted: accepted, caused: accepted, opened: time.Now(),
	}
}

func (c *streamConn) transport() string { return "TCP" }

func (c *streamConn) localAddr() netip.AddrPort { return c.local }

func (c *streamConn) flow() Flow { return Flow{c, c.remote} }

func (c *streamConn) touch() { c.used.Store(int64(time.Since(c.opened))) }

// read takes messages off the connection until it ends, and then forgets it.
func (c *streamConn) read() {
	c.fail(c.messages())
	if c.e.cfg.Closed != nil && c.carried.Load() {
		c.mu.Lock()
		err := c.err // the first reason, which may be that of the writer
		c.mu.Unlock()
		defer c.e.fence(c.flow(), nil, nil)
		c.e.cfg.Closed(c.flow(), err)
	}
}

func (c *streamConn) messages() (err error) {
	err = errPanic
	defer c.e.fence(c.flow(), nil, nil)
	var r *sip.Reader
	r = sip.NewReader(patientReader{c, func() bool { return r.Buffered() > 0 }}, &sip.ReaderConfig{
		Pong: func() { c.begun = time.Time{} }, // a CRLF begins no message
		// RFC 5626 section 4.4.1: a ping is answered with one CRLF.
		Ping: func() { c.send("\r\n", c.remote) },
	})
	for {
		m, err := r.ReadMessage()
		var syntax *sip.SyntaxError
		switch {
		case err == nil:
			c.message(m)
		case errors.As(err, &syntax):
			c.e.malformed(c.flow(), syntax.Text(), err)
		case errors.Is(err, sip.ErrFraming):
			c.e.count.unframedStreams.Add(1)
			c.e.traceMalformed(c.flow(), "", err)
			return err
		default:
			return err
		}
		c.begun = time.Time{}
	}
}

func (c *streamConn) message(m sip.Message) {
	defer c.e.fence(c.flow(), nil, m)
	c.carried.Store(true)
	c.brief.Store(false)
	c.e.deliver(c.flow(), m, nil)
}

// expiry returns until when the connection waits for its peer, and what the
// peer is then guilty of.
func (c *streamConn) expiry() (time.Time, string) {
	idle := c.e.cfg.Idle
	if c.brief.Load() {
		idle = min(idle, messageTimeout)
	}
	at, why := c.opened.Add(time.Duration(c.used.Load())+idle), "idle"
	if c.accepted && !c.carried.Load() {
		if t := c.opened.Add(messageTimeout); t.Before(at) {
			at, why = t, "no message"
		}
	}
	if !c.begun.IsZero() {
		if t := c.begun.Add(messageTimeout); t.Before(at) {
			at, why = t, "message takes too long"
		}
	}
	return at, why
}

// patientReader reads from a connection until its expiry.
type patientReader struct {
	c     *streamConn
	begun func() bool // part of a message was read
}

func (r patientReader) Read(b []byte) (int, error) {
	c := r.c
	// A message may begin in the same read as the one before it ends.
	if c.begun.IsZero() && r.begun() {
		c.begun = time.Now()
	}
	for {
		at, _ := c.expiry()
		c.nc.SetReadDeadline(at)
		n, err := c.nc.Read(b)
		if n > 0 {
			c.touch()
			if c.begun.IsZero() {
				c.begun = time.Now()
			}
			return n, err
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			at, why := c.expiry()
			if time.Now().Before(at) {
				continue // something was sent in the meantime
			}
			err = fmt.Errorf("transport: %s: %w", why, err)
		}
		return n, err
	}
}

func (c *streamConn) sendable(size int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.room(size)
}

// room says why size more bytes cannot be queued. c.mu is held.
func (c *streamConn) room(size int) error {
	if c.err != nil {
		return fmt.Errorf("%w: %w", ErrNoFlow, c.err)
	}
	if len(c.unsent)+size > maxUnsent {
		return ErrBacklog
	}
	return nil
}

// send queues text. What is queued while a write is under way goes out in one
// piece with it.
func (c *streamConn) send(text string, _ netip.AddrPort) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.room(len(text)); err != nil {
		return err
	}
	c.unsent = append(c.unsent, text...)
	if len(text) > len("\r\n") {
		c.carried.Store(true)
	}
	if !c.writing {
		c.writing = true
		c.e.tasks.Go(c.write) // ends when nothing is left to write, or with the connection
	}
	return nil
}

func (c *streamConn) write() {
	var spare []byte
	for {
		c.mu.Lock()
		out := c.unsent
		if len(out) == 0 || c.err != nil {
			c.writing = false
			c.unsent = nil // an idle connection holds no memory
			c.mu.Unlock()
			return
		}
		c.unsent = spare[:0]
		c.mu.Unlock()

		for piece := range slices.Chunk(out, maxWrite) {
			c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := c.nc.Write(piece); err != nil {
				c.fail(err)
				break
			}
			c.touch()
		}
		if spare = out; cap(spare) > maxWrite {
			spare = nil
		}
	}
}

// fail closes the connection; the first reason counts. Nobody finds it any
// more, and the reading goroutine does the rest.
func (c *streamConn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.unsent = nil
	c.mu.Unlock()
	c.nc.Close()
	c.e.dropConn(c)
}
