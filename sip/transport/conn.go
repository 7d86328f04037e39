package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
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
	queuedCost   = 32      // bytes that a queued message takes beside its text

	// messageTimeout is how long a peer may take over a message: as long as a
	// transaction waits for one (64*T1).
	messageTimeout = 32 * time.Second

	// handshakeTimeout is how long opening a connection may take, and the
	// handshakes on it that are waited for before anything is read.
	handshakeTimeout = 10 * time.Second
)

// errPanic is what ends a connection whose reading has panicked.
var errPanic = errors.New("transport: panic while reading")

// wire is how messages lie on a connection: one behind the other on a stream,
// each in a frame of its own on a WebSocket.
type wire interface {
	// receive hands what comes to the conn's message, malformed and pinged
	// until the connection ends, and returns what ended it. It is called again
	// if one of them has ended the goroutine.
	receive(c *conn) error
	// transmit writes messages.
	transmit(c *conn, texts []string) error
	// copies is how many times a message is in memory while it is written.
	copies() int
	// bye tells the peer that no more will come. It waits a moment at most.
	bye()
	// close closes the connection without a word.
	close()
}

// conn is one connection.
type conn struct {
	e        *Endpoint
	id       uint64 // unlike that of any other connection of the Endpoint
	kind     string // as in a Via
	sock     *socket
	wire     wire // set before anybody else knows of the conn
	local    netip.AddrPort
	remote   netip.AddrPort
	accepted bool // a peer made it

	opened  time.Time
	used    atomic.Int64 // when something last passed, in nanoseconds from opened
	half    time.Time    // when a CRLF came that may be the first half of a ping, zero: none; the reading goroutine's
	carried atomic.Bool  // a message has passed
	awaited atomic.Int32 // how many wait for something to come by it (Hold)
	brief   atomic.Bool  // opened for what may not come to pass, and nothing else has passed

	// identities are the SIP domains that the peer's certificate proves (RFC
	// 5922 section 7.1); set before anybody else knows of the conn.
	identities []string

	part int // bytes that the message takes which is coming in; the reading goroutine's

	shift shift

	keys []connKey // where Endpoint.conns has it; Endpoint.mu guards it

	mu     sync.Mutex
	unsent []string
	size   int // of unsent
	held   int // bytes of what waits: unsent, being written, and part
	// formers are ports that our Vias may name beside its own, as they were first
	// sent by connections that this one stands in for.
	formers  []int
	writing  bool          // a goroutine is writing
	flushed  chan struct{} // closed when it has written everything; nil if nobody waits
	parting  bool          // we have taken leave: whatever comes now, that is why it ends
	watchers map[*keepAlive]struct{}
	err      error // why it ended; nil while it is open
}

func newConn(e *Endpoint, kind string, sock *socket) *conn {
	return &conn{
		e: e, kind: kind, sock: sock, opened: time.Now(),
		local: addrPort(sock.LocalAddr()), remote: addrPort(sock.RemoteAddr()),
	}
}

func (c *conn) endpoint() *Endpoint { return c.e }

func (c *conn) transport() string { return c.kind }

func (c *conn) localAddr() netip.AddrPort { return c.local }

func (c *conn) flow() Flow { return Flow{via: c, remote: c.remote} }

// maxFormers bounds conn.formers; a connection is not replaced often.
const maxFormers = 16

// standIn has responses taken that go to the port of a connection that is gone.
func (c *conn) standIn(port int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if port == int(c.local.Port()) || slices.Contains(c.formers, port) {
		return
	}
	if len(c.formers) == maxFormers {
		c.formers = c.formers[1:]
	}
	c.formers = append(c.formers, port)
}

func (c *conn) standsInFor(port int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.formers, port)
}

func (c *conn) touch() { c.used.Store(int64(time.Since(c.opened))) }

// read takes messages off the connection until it ends, and then forgets it.
//
// This is where a connection spends its life: read, receive and whatever they
// call on the way to the socket keep their frames small, so that the collector
// can halve the stack that a message has grown, see TestIdleStack.
func (c *conn) read() { c.over(c.receive()) }

func (c *conn) receive() (err error) {
	err = errPanic
	defer c.received(&err)
	return c.wire.receive(c)
}

// received is deferred around receive. If Handle has ended the goroutine, err is
// what it was before, and another one reads on.
func (c *conn) received(err *error) {
	if p := recover(); p != nil {
		c.e.panicked(p, c.flow(), "")
	} else if *err == errPanic {
		go c.read() // ends as this one would have
	}
}

// fence is deferred around what is done with the connection.
func (c *conn) fence() {
	if p := recover(); p != nil {
		c.e.panicked(p, c.flow(), "")
	}
}

// over forgets a connection that nothing more is read from.
func (c *conn) over(err error) {
	defer c.e.clockOut(&c.shift)
	defer c.fence()
	c.holdPart(0)
	switch {
	case errors.Is(err, errCrowded):
		c.e.count.crowdedOut.Add(1)
		c.wire.bye()
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.wire.bye() // it is we who give up
	case errors.Is(err, io.EOF):
		// The peer says no more, and may still read what waits for it.
		c.e.Retire(c.flow())
		ctx, cancel := context.WithTimeout(c.e.ctx, writeTimeout)
		c.flush(ctx)
		cancel()
	}
	c.fail(err)
	if c.e.cfg.Closed != nil && c.carried.Load() {
		c.e.depart(&c.shift)
		c.e.cfg.Closed(c.flow(), c.reason())
	}
}

// reason returns why the connection has ended: the first reason, which may be
// that of the writer.
func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// message hands over a message that came, or what should have been one.
func (c *conn) message(m sip.Message, err error) {
	c.sock.beginning(time.Time{})
	c.half = time.Time{}
	c.touch()
	var syntax *sip.SyntaxError
	if errors.As(err, &syntax) {
		c.e.pace(c)
		c.e.malformed(c.flow(), syntax.Text(), err)
		return
	}
	defer c.shift.back()
	defer c.e.fence(c.flow(), m)
	c.carried.Store(true)
	c.brief.Store(false)
	c.e.pace(c)
	c.e.deliver(c.flow(), m, nil)
}

// line takes a CRLF between messages of a stream, behind which more has arrived
// or not. It is the pong of RFC 5626 section 4.4.1 if one is waited for and
// nothing stands behind it, else perhaps half of a ping. A pong that nobody
// waits for looks the same, but is rarely followed by another within the time
// that a ping has to be answered in.
func (c *conn) line(more bool) {
	if c.ponged() && !more {
		return
	}
	now := time.Now()
	if c.half.IsZero() || now.Sub(c.half) > pongTimeout {
		c.half = now
		return
	}
	c.half = time.Time{}
	c.pinged()
}

// ponged notes what may be a pong, and reports whether one was waited for.
func (c *conn) ponged() (awaited bool) {
	c.sock.beginning(time.Time{})
	c.touch()
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.watchers {
		awaited = k.pong() || awaited
	}
	return awaited
}

// pinged answers a ping: with one CRLF (RFC 5626 section 4.4.1). It counts as a
// message, as all does that is answered.
func (c *conn) pinged() {
	c.e.pace(c)
	c.send("\r\n", c.flow())
}

// expiry returns until when the connection waits for its peer, and what the
// peer is then guilty of. begun is when the message began that is being read,
// zero: none is.
func (c *conn) expiry(begun time.Time) (time.Time, string) {
	idle := c.e.cfg.Idle
	if c.brief.Load() {
		idle = min(idle, messageTimeout)
	}
	awaited := c.awaited.Load() > 0 // before used, which Release sets first
	at, why := c.opened.Add(time.Duration(c.used.Load())+idle), "idle"
	if awaited {
		at = time.Now().Add(idle)
	}
	if c.accepted && !c.carried.Load() {
		if t := c.opened.Add(messageTimeout); t.Before(at) {
			at, why = t, "no message"
		}
	}
	if !begun.IsZero() {
		if t := begun.Add(messageTimeout); t.Before(at) {
			at, why = t, "message takes too long"
		}
	}
	return at, why
}

func (c *conn) sendable(size int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.room(size)
}

// room says why size more bytes cannot be queued. c.mu is held.
func (c *conn) room(size int) error {
	if c.err != nil {
		return fmt.Errorf("%w: %w", ErrNoFlow, c.err)
	}
	if c.size+size > maxUnsent {
		return ErrBacklog
	}
	if !c.e.room.fits(c.beyond(c.wire.copies() * (size + queuedCost))) {
		return errNoRoom
	}
	return nil
}

// send queues text. What is queued while a write is under way goes out together
// with it.
func (c *conn) send(text string, _ Flow) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.room(len(text)); err != nil {
		return err
	}
	size := len(text) + queuedCost
	if !c.hold(c.wire.copies() * size) {
		return errNoRoom
	}
	c.unsent = append(c.unsent, text)
	c.size += size
	if len(text) > len("\r\n\r\n") {
		c.carried.Store(true)
	}
	if !c.writing {
		c.writing = true
		c.e.tasks.Go(c.write) // ends when nothing is left to write, or with the connection
	}
	return nil
}

func (c *conn) write() {
	writing := 0 // bytes that are held for what is being written
	for {
		c.mu.Lock()
		c.drop(writing)
		out := c.unsent
		writing = c.wire.copies() * c.size
		c.unsent, c.size = nil, 0 // an idle connection holds no memory
		if len(out) == 0 || c.err != nil {
			c.writing = false
			if c.flushed != nil {
				close(c.flushed)
				c.flushed = nil
			}
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if err := c.wire.transmit(c, out); err != nil {
			c.fail(err)
			continue
		}
		c.touch()
	}
}

// drain waits until everything is written, or ctx ends, and takes leave of the
// peer.
func (c *conn) drain(ctx context.Context) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	c.parting = true
	c.mu.Unlock()
	c.wire.bye()
	return nil
}

// flush waits until everything is written, or ctx ends.
func (c *conn) flush(ctx context.Context) error {
	c.mu.Lock()
	if c.writing && c.flushed == nil {
		c.flushed = make(chan struct{})
	}
	flushed := c.flushed
	c.mu.Unlock()
	if flushed != nil {
		select {
		case <-flushed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fail closes the connection; the first reason counts. Nobody finds it any
// more, and the reading goroutine does the rest.
func (c *conn) fail(err error) {
	c.e.dropConn(c) // first, so that who is refused here looks for it in vain
	c.mu.Lock()
	if c.parting {
		err = ErrClosed
	}
	if c.err == nil {
		c.err = err
	}
	c.drop(c.wire.copies() * c.size)
	c.unsent, c.size = nil, 0
	watchers := c.watchers
	c.watchers = nil
	c.mu.Unlock()
	c.wire.close()
	c.sock.Close()
	for k := range watchers {
		k.die(c.reason())
	}
}
