// Package link carries MSRP frames over one connection for all the sessions that share it.
//
// A Conn has a goroutine that reads and one that writes. What is read goes to a Handler,
// request by request and piece by piece. What is written are whole frames, which go first, and
// Streams, each of them a message in chunks: those take turns, and a chunk that is being
// written is interrupted when something else wants to be (RFC 4975 section 7.1.1). The Conn
// knows which requests wait for their responses, and for how long.
//
// Everything is bounded: a Stream holds its writer up, and responses that the peer does not
// take hold up the reading of its requests.
package link

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// The times and sizes that a Conn keeps to.
const (
	answerTime = 30 * time.Second  // for the response to a request (RFC 4975 section 7.1.1)
	writeTime  = 30 * time.Second  // for the peer to take what is written
	headTime   = 30 * time.Second  // from the first byte of a head to its last
	bodyTime   = 540 * time.Second // without a byte of a body that has begun (RFC 7701 section 6.1)
	closeTime  = 2 * time.Second   // for what is still to be written by Close

	turn       = 128 << 10 // bytes of one Stream that are written in one go
	maxControl = 1 << 20   // bytes of whole frames that wait
	maxPending = 4096      // requests that wait for their responses when no more chunks are written

	narrowRead    = 2 << 10 // bytes of who is not known that are read at a time: half of a buffer, which does not grow then
	narrowControl = 4 << 10 // instead of maxControl
)

// ErrClosed says that this end has closed the connection, or aborted the message.
var ErrClosed = errors.New("msrp: connection closed")

// ErrNoAnswer says that a request got no response in 30 seconds.
var ErrNoAnswer = errors.New("msrp: no response")

// A Handler gets what a connection brings. Its methods are called by the goroutine that reads,
// so that one that waits holds up the peer.
type Handler interface {
	// Request is called with the head of each request, which may have an Err. What follows of it
	// goes to the Body that it returns; nil passes over that.
	Request(c *Conn, h *frame.Head) Body

	// Closed is called once, last, with what has ended the connection.
	Closed(c *Conn, err error)
}

// A Body takes the body of a request, and its end.
type Body interface {
	// Write takes a piece, which is good until it returns.
	Write(piece []byte)
	// End is called with the flag of the request, or with 0 if the connection is lost before that. What is no SEND
	// and longer than such a request may be is aborted.
	End(flag frame.Flag)
}

// An Owner is who hears what became of a request.
type Owner interface {
	// Answered is called once for each request that expects a response: with the response, which is
	// good until it returns, or with ErrNoAnswer or what has ended the connection. Of a chunk r is
	// what was in it.
	Answered(r frame.Range, response *frame.Head, err error)
}

// A Conn is a connection to the next hop.
type Conn struct {
	wire    wire
	handler Handler

	mu      sync.Mutex
	work    sync.Cond // for the writer: something to write, or closed
	drained sync.Cond // for who waits until there is room in control
	control []byte    // whole frames that wait
	most    int       // bytes of them: maxControl, or narrowControl
	ends    []int     // of them
	streams []*Stream // that have something to write, in the order of their turns
	open    *Stream   // whose chunk is not at its end on the wire
	posts   []posted  // that wait
	roomy   []*Outlet // that are to hear that there is room
	pending pending
	err     error       // why it is closed; nil: it is not
	closing *time.Timer // until it is closed; nil: nobody has asked for that

	lost                  chan struct{} // closed when err is there
	readEnded, writeEnded chan struct{}
}

// New makes a Conn of a stream: TCP or TLS. Start starts it.
func New(nc net.Conn, h Handler) *Conn { return newConn(newStreamWire(nc), h) }

// NewMessages makes a Conn of something that carries a frame in each message, of at most limit
// bytes: a WebSocket (RFC 7977) or a data channel (RFC 8873).
func NewMessages(m Messages, limit int, h Handler) *Conn {
	w := &messageWire{m: m, limit: limit}
	c := newConn(w, h)
	w.late = func() { c.fail(os.ErrDeadlineExceeded) }
	return c
}

func newConn(w wire, h Handler) *Conn {
	c := &Conn{wire: w, handler: h, most: maxControl, lost: make(chan struct{}), readEnded: make(chan struct{}), writeEnded: make(chan struct{})}
	c.work.L, c.drained.L = &c.mu, &c.mu
	return c
}

// Start begins to read and to write: two goroutines, which end with the connection.
func (c *Conn) Start() {
	go c.read()
	go c.write()
}

// Close writes what waits to be written, for no more than 2 seconds, and ends the connection.
// It does not wait for that.
func (c *Conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.closing != nil {
		return
	}
	c.closing = time.AfterFunc(closeTime, func() { c.fail(ErrClosed) })
	c.work.Signal()
}

// CloseNow ends a connection that was started, and waits until its goroutines have ended. It
// must not be called by a Handler, a Body or an Owner.
func (c *Conn) CloseNow() {
	c.fail(ErrClosed)
	<-c.readEnded
	<-c.writeEnded
}

// Done is closed when no more is read: Closed of the Handler has returned.
func (c *Conn) Done() <-chan struct{} { return c.readEnded }

// TLS returns the state of the TLS below, nil if there is none.
func (c *Conn) TLS() *tls.ConnectionState { return c.wire.tls() }

// RemoteAddr returns the address of the peer, nil if there is none.
func (c *Conn) RemoteAddr() net.Addr { return c.wire.remoteAddr() }

// LocalAddr returns our address, nil if there is none.
func (c *Conn) LocalAddr() net.Addr { return c.wire.localAddr() }

// fail ends the connection: everybody who waits hears why.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	waiting := c.pending.takeAll()
	for _, s := range c.streams {
		s.data = nil
		s.free.Broadcast()
	}
	c.streams, c.control, c.ends, c.open, c.posts, c.roomy = nil, nil, nil, nil, nil, nil
	if c.closing != nil {
		c.closing.Stop()
	}
	close(c.lost)
	c.work.Signal()
	c.drained.Broadcast()
	c.mu.Unlock()
	c.wire.close()
	for _, t := range waiting {
		t.owner.Answered(t.r, nil, err)
	}
}

// Err returns why the connection has ended, nil if it has not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
