package transport

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// pongTimeout is how long a pong may take (RFC 5626 section 4.4.1).
const pongTimeout = 10 * time.Second

// Why a flow is dead, beside what ended its connection.
var (
	// ErrNoPong says that a peer did not answer a keepalive in time.
	ErrNoPong = errors.New("transport: keepalive not answered")
	// ErrRebound says that a NAT has given us another address: the peer cannot
	// reach us by the flow any more (RFC 5626 section 4.4.2).
	ErrRebound = errors.New("transport: public address of the flow has changed")
)

// KeepAlive says how a flow is kept alive.
type KeepAlive struct {
	// Interval is the longest time between keepalives; each comes after 80 to
	// 100 % of it. 0 means what RFC 5626 section 4.4 recommends: 24 to 29 seconds
	// for UDP, else 95 to 120. A Flow-Timer header field names another. Less than
	// 0 means none: it is only told when the connection ends.
	Interval time.Duration

	// Answered says that the peer is known to answer keepalives (RFC 5626
	// section 4.4): it has put outbound into a Require, ob into a Path, keep into
	// a Via (RFC 6223), or a program's user has said so. A UDP peer is then asked
	// by STUN, a connection with CRLF CRLF, and a flow that gets no answer is
	// dead. Without it the same CRLF CRLF goes out, over UDP too, for the NATs on
	// the way, and nothing follows from silence.
	Answered bool

	// Dead is called once when the flow is dead, from a goroutine of ours or that
	// of Close, and must not block; not any more when stop has been called before.
	// The error is ErrNoPong, ErrRebound, what ended the connection, or ErrClosed.
	// It may be nil.
	Dead func(error)
}

// KeepAlive keeps a flow alive until stop is called or the flow is dead. A nil
// cfg is the zero one. It takes a timer, and no goroutine.
func (e *Endpoint) KeepAlive(f Flow, cfg *KeepAlive) (stop func()) {
	k := &keepAlive{e: e, flow: f}
	if cfg != nil {
		k.cfg = *cfg
	}
	k.least, k.most = k.cfg.Interval-k.cfg.Interval/5, k.cfg.Interval
	switch {
	case k.cfg.Interval != 0:
	case f.Reliable(): // RFC 5626 section 4.4.1
		k.least, k.most = 95*time.Second, 120*time.Second
	default: // section 4.4.2
		k.least, k.most = 24*time.Second, 29*time.Second
	}
	if err := k.begin(); err != nil {
		go k.die(err) // ends when Dead returns
	}
	return k.stop
}

// keepAlive is the keepalive of one flow.
type keepAlive struct {
	e           *Endpoint
	flow        Flow
	cfg         KeepAlive
	least, most time.Duration // between two keepalives

	// mu is taken while that of a conn is held, never the other way round.
	mu      sync.Mutex
	over    bool
	timer   *time.Timer
	waiting bool // for a pong
	query   *stunQuery
	mapped  netip.AddrPort // how the peer has seen us
}

// begin starts the timer and has the end of the connection told.
func (k *keepAlive) begin() error {
	k.mu.Lock()
	if k.most > 0 {
		k.timer = time.AfterFunc(k.pause(), k.ping)
	}
	k.mu.Unlock()
	switch via := k.flow.via.(type) {
	case nil, *formerConn:
		return ErrNoFlow
	case *conn:
		return via.watch(k)
	}
	return k.e.watchUDP(k)
}

// pause returns the time to the next keepalive.
func (k *keepAlive) pause() time.Duration {
	return k.least + rand.N(k.most-k.least+1)
}

// ping sends a keepalive, or finds that the last one was not answered.
func (k *keepAlive) ping() {
	k.mu.Lock()
	if k.over {
		k.mu.Unlock()
		return
	}
	if k.waiting {
		// The pong may stand behind a message that is coming in (RFC 5626
		// section 4.4.1), which takes messageTimeout at most.
		if c, ok := k.flow.via.(*conn); ok && c.sock.partial.Load() {
			k.timer.Reset(time.Second)
			k.mu.Unlock()
			return
		}
		k.mu.Unlock()
		k.fail(ErrNoPong)
		return
	}
	socket, isUDP := k.flow.via.(*udpSocket)
	asks := k.cfg.Answered && isUDP
	k.waiting = k.cfg.Answered && !isUDP
	switch {
	case asks: // the answer sets the timer
	case k.waiting:
		k.timer.Reset(pongTimeout)
	default:
		k.timer.Reset(k.pause())
	}
	k.mu.Unlock()
	if !asks {
		// What comes of an error comes out otherwise.
		k.flow.via.send("\r\n\r\n", k.flow)
		return
	}
	query := socket.ask(k.flow, k.answered)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.query = query; k.over {
		query.cancel()
	}
}

// pong notes a CRLF from the peer, and reports whether it was waited for. The
// lock of the connection is held.
func (k *keepAlive) pong() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.waiting || k.over {
		return false
	}
	k.waiting = false
	k.timer.Reset(k.pause())
	return true
}

// answered takes the outcome of a Binding request.
func (k *keepAlive) answered(mapped netip.AddrPort, err error) {
	k.mu.Lock()
	before := k.mapped
	switch {
	case k.over:
	case err != nil:
		err = errors.Join(ErrNoPong, err)
	case before.IsValid() && before != mapped:
		err = ErrRebound
	default:
		k.mapped = mapped
		k.timer.Reset(k.pause())
	}
	k.mu.Unlock()
	if err != nil {
		k.fail(err)
	}
}

// fail ends a flow that a keepalive has shown to be dead. Nothing more can come
// of its connection.
func (k *keepAlive) fail(err error) {
	if c, ok := k.flow.via.(*conn); ok {
		c.fail(err) // tells all that watch it, this one too
		return
	}
	k.die(err)
}

// die says that the flow is dead.
func (k *keepAlive) die(err error) {
	if k.end() && k.cfg.Dead != nil {
		defer k.e.fence(k.flow, nil)
		k.cfg.Dead(err)
	}
}

func (k *keepAlive) stop() { k.end() }

// end stops everything, and reports whether it was running.
func (k *keepAlive) end() bool {
	k.mu.Lock()
	ended := !k.over
	k.over = true
	if k.timer != nil {
		k.timer.Stop()
	}
	if k.query != nil {
		k.query.cancel()
	}
	k.mu.Unlock()
	if c, ok := k.flow.via.(*conn); ok {
		c.unwatch(k)
	} else {
		k.e.unwatchUDP(k)
	}
	return ended
}

// watch has the end of a connection told to k.
func (c *conn) watch(k *keepAlive) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.watchers == nil {
		c.watchers = map[*keepAlive]struct{}{}
	}
	c.watchers[k] = struct{}{}
	return nil
}

func (c *conn) unwatch(k *keepAlive) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.watchers, k)
}

// watchUDP has the end of the Endpoint told to k.
func (e *Endpoint) watchUDP(k *keepAlive) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.watchers[k] = struct{}{}
	return nil
}

func (e *Endpoint) unwatchUDP(k *keepAlive) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.watchers, k)
}

// endKeepAlives ends those of UDP flows; those of connections end with them.
func (e *Endpoint) endKeepAlives() {
	e.mu.Lock()
	watchers := e.watchers
	e.watchers = nil
	e.mu.Unlock()
	for k := range watchers {
		k.die(ErrClosed)
	}
}
