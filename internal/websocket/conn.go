package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/coder/websocket"
)

const defaultLimit = 1 << 20

// Config says what a connection is for. Subprotocol must be set.
type Config struct {
	// Subprotocol is what both ends must agree on: "sip" or "msrp".
	Subprotocol string

	// Limit is the longest message in bytes that is read; 0 means 1 MiB. A
	// longer one ends the connection with code 1009.
	Limit int

	// Patience says until when to wait for the peer; zero for ever. It is asked
	// before each read from the network and, when that time has come, once
	// more: if it then says later, the wait goes on. begun is when the first
	// byte came of a message, or of a ping, that is not complete; zero between
	// messages. heard is when the last byte of any kind came. nil means to wait
	// for ever.
	Patience func(begun, heard time.Time) time.Time

	// Hold is told how many bytes of memory the message takes that is being
	// read, when it begins, each time that it grows, and with 0 when the next
	// Read begins; when no more is read, whoever reads knows that nothing is held.
	// It is called by who calls Read. An error ends the connection with code
	// 1013, and is in what Read returns. nil takes everything.
	Hold func(bytes int) error

	// Origin says whether Accept takes a request; false is answered with 403.
	// nil takes every one, whatever its Origin: the page and the SIP server are
	// usually on different hosts (RFC 7118 section 8.1), a client that is no
	// browser writes there what it likes, and who may do what is asked of the
	// user, message by message. A program that takes a cookie for an answer
	// must look at the Origin here, or any page that the user visits speaks for
	// the user (RFC 6455 section 10.2).
	Origin func(*http.Request) bool

	// Header is sent by Dial with the handshake: Origin, Cookie, Authorization.
	Header http.Header
}

func (cfg *Config) limit() int64 {
	if cfg.Limit == 0 {
		return defaultLimit
	}
	return int64(cfg.Limit)
}

// Conn is a WebSocket connection. One goroutine reads; all other methods may be
// called by any.
type Conn struct {
	ws   *websocket.Conn
	link *link

	hold func(int) error // as in Config, never nil

	writing sync.Mutex

	mu      sync.Mutex
	reading bool // a Read is under way
	closed  bool
}

// start completes a Conn whose handshake is done.
func (c *Conn) start(ws *websocket.Conn, cfg *Config) {
	c.ws, c.hold = ws, cfg.Hold
	if c.hold == nil {
		c.hold = func(int) error { return nil }
	}
	ws.SetReadLimit(cfg.limit())
}

// NetConn returns the connection underneath, for its addresses and the state of
// its TLS. It is not to be read, written or closed.
func (c *Conn) NetConn() net.Conn { return c.link.nc }

// Read returns the next message, text or binary. Its error ends the connection,
// which is closed then: a *CloseError, ErrProtocol, ErrTooLong or ErrFlood;
// io.EOF or io.ErrUnexpectedEOF if the peer went without a close frame, between
// messages or within one; os.ErrDeadlineExceeded if patience ran out;
// net.ErrClosed after Close or CloseNow; or what the network returned.
func (c *Conn) Read() (string, error) {
	c.mu.Lock()
	closed := c.closed
	c.reading = !closed
	c.mu.Unlock()
	if closed {
		return "", net.ErrClosed
	}
	defer c.release() // also if Patience panics
	text, err := c.read()
	if err != nil {
		return "", c.fail(err)
	}
	return text, nil
}

// release ends a Read.
func (c *Conn) release() {
	c.mu.Lock()
	c.reading = false
	closed := c.closed
	c.mu.Unlock()
	if closed {
		c.ws.CloseNow()
	}
}

func (c *Conn) read() (string, error) {
	c.hold(0)
	_, r, err := c.ws.Reader(context.Background()) // the link knows the deadlines
	if err != nil {
		return "", err
	}
	c.link.message = true
	// The buffer comes when the message does, so that an idle connection has none.
	buf := getBuffer()
	defer func() { buf.put() }()
	if cap(buf.b) > firstBuffer && c.hold(cap(buf.b)) != nil {
		buf.put()
		buf = &buffer{make([]byte, 0, firstBuffer)} // not for what came before
	}
	if err := c.hold(cap(buf.b)); err != nil {
		return "", &holdError{err}
	}
	for {
		if len(buf.b) == cap(buf.b) {
			buf.b = append(buf.b, 0)[:len(buf.b)]
			if err := c.hold(cap(buf.b)); err != nil {
				return "", &holdError{err}
			}
		}
		n, err := r.Read(buf.b[len(buf.b):cap(buf.b)])
		buf.b = buf.b[:len(buf.b)+n]
		if err == io.EOF {
			c.link.message = false
			c.link.begun = time.Time{}
			return string(buf.b), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// fail closes the connection after a failed read and says what it was.
func (c *Conn) fail(err error) error {
	ended := c.link.isEnding() // before we end it ourselves
	var closed websocket.CloseError
	var network *networkError
	var hold *holdError
	switch {
	case ended:
		err = net.ErrClosed
	case errors.As(err, &closed):
		// It was answered already.
		err = &CloseError{Code: int(closed.Code), Reason: closed.Reason}
	case errors.As(err, &hold):
		c.Close(CodeTryLater, "")
		err = fmt.Errorf("websocket: %w", hold.error)
	case errors.Is(err, errFlood):
		c.Close(CodePolicy, "too many pings")
		err = ErrFlood
	case errors.Is(err, websocket.ErrMessageTooBig):
		c.Close(CodeTooLong, "")
		err = ErrTooLong
	case errors.As(err, &network):
		err = fmt.Errorf("websocket: %w", network.err)
		if errors.Is(err, io.EOF) && !c.link.begun.IsZero() {
			err = fmt.Errorf("websocket: %w", io.ErrUnexpectedEOF)
		}
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("websocket: ping not complete or its pong not taken: %w", os.ErrDeadlineExceeded)
	case errors.Is(err, net.ErrClosed):
		err = net.ErrClosed
	default:
		c.Close(CodeProtocol, "")
		err = fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	c.CloseNow()
	return err
}

// Write sends text as one message, as binary if it is not UTF-8 (RFC 7118
// section 4.2). What has not left by the deadline is an error; zero is no
// deadline. An error ends the connection, for part of the message may be out.
func (c *Conn) Write(text string, deadline time.Time) error {
	kind := websocket.MessageText
	if !utf8.ValidString(text) {
		kind = websocket.MessageBinary
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.link.deadline = deadline
	bytes := unsafe.Slice(unsafe.StringData(text), len(text)) // only read
	if err := c.ws.Write(context.Background(), kind, bytes); err != nil {
		err = c.cause(err)
		c.CloseNow()
		return fmt.Errorf("websocket: write: %w", err)
	}
	return nil
}

// cause returns what is behind the error of a write.
func (c *Conn) cause(err error) error {
	var network *networkError
	switch {
	case c.link.isEnding():
		return net.ErrClosed
	case errors.As(err, &network):
		return network.err
	}
	return err
}

// Ping sends a ping and waits for its pong, which comes only while a Read is
// under way. That ctx ends while it waits does not end the connection.
func (c *Conn) Ping(ctx context.Context) error {
	if err := c.ws.Ping(ctx); err != nil {
		return fmt.Errorf("websocket: ping: %w", c.cause(err))
	}
	return nil
}

// Close sends a close frame and waits for that of the peer, both for no more
// than a second, and closes the connection. A Read under way then returns
// net.ErrClosed. reason is at most 123 bytes.
func (c *Conn) Close(code int, reason string) {
	if !c.link.end(time.Now().Add(closeTimeout)) {
		return
	}
	c.ws.Close(websocket.StatusCode(code), reason)
	c.CloseNow()
}

// CloseNow closes the connection without a close frame.
func (c *Conn) CloseNow() {
	c.link.end(time.Now())
	c.link.abort()
	c.mu.Lock()
	c.closed = true
	reading := c.reading
	c.mu.Unlock()
	// What is below is given back when nobody reads: by Read if it is reading,
	// which it no longer does for long, so that nobody waits for it here.
	if !reading {
		c.ws.CloseNow()
	}
}
