package relay

import (
	"crypto/x509"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// maxFailures is how often a connection may fail on probation, and a client with a
// password (RFC 4976 sections 6.1 and 6.3).
const maxFailures = 5

// A connection is one to a neighbor: a client, another relay, or a peer of a client.
type connection struct {
	r      *Relay
	link   *link.Conn // nil while it is being made
	to     hop        // of one that we make
	secure bool
	ws     bool
	source netip.Prefix // of one that somebody else has made
	port   uint16       // of ours that it came to
	user   string       // that Config.Handshake knows; "" nobody
	nonce  string       // that binds nonces to it
	out    outbox

	used    atomic.Int64 // when something of a request last came or went, as time.Time.UnixNano
	guesses strikes      // passwords that another relay did not take
	guarded atomic.Int64 // until when no passwords from behind it are looked at, as time.Time.UnixNano

	// Under the lock of the Relay.
	payer    string // the user who has it, or whom it is made for; "" nobody
	stranger bool   // is on probation
	trial    *time.Timer
	ping     *time.Timer
	grants   map[*grant]struct{}
	over     bool

	// Of the goroutine that reads.
	unproved bool // is on probation
	failures int
	refused  int     // passwords in a row, stale ones too
	wrong    strikes // passwords
	last     *route
	head     *frame.Head // of the last SEND
	cost     int         // of memory, for a SEND with it
	routes   map[routeKey]*route
	chain    []*x509.Certificate // of the neighbor, verified; nil: not looked at
	unknown  bool                // it has none that is good
}

// strikes counts wrong passwords. A right one makes them good only after a while: who has a password could have it
// between all that are guessed (RFC 4976 section 6.3 does not speak of those in a row).
type strikes struct {
	n     atomic.Int32
	since atomic.Int64 // when the first was, as time.Time.UnixNano
}

func (s *strikes) add() {
	if s.n.Add(1) == 1 {
		s.since.Store(time.Now().UnixNano())
	}
}

func (s *strikes) forgive() {
	if time.Now().UnixNano()-s.since.Load() >= int64(forgiveTime) {
		s.n.Store(0)
	}
}

// over reports whether there were too many, and forgets them then.
func (s *strikes) over() bool {
	over := s.n.Load() > maxFailures
	if over {
		s.n.Store(0)
	}
	return over
}

// A routeKey is a path as it is written in both header fields.
type routeKey struct{ to, from string }

func (r *Relay) newConnection() *connection {
	c := &connection{r: r, nonce: frame.NewSessionID(), grants: map[*grant]struct{}{}, routes: map[routeKey]*route{}}
	c.out.init(c)
	c.touch()
	return c
}

// start has the link run. The lock of the Relay is held.
func (c *connection) start() {
	c.r.tasks.Add(1) // until Closed
	c.out.open(c.link)
	c.link.Start()
}

func (c *connection) touch() { c.used.Store(time.Now().UnixNano()) }

// close ends it when what waits has been written.
func (c *connection) close() {
	if l := c.out.opened(); l != nil {
		l.Close()
	}
}

// alive reports whether something can be sent there.
func (c *connection) alive() bool { return !c.out.isClosed() }

// prove ends the probation.
func (c *connection) prove() {
	c.failures = 0
	if !c.unproved {
		return
	}
	c.unproved = false
	c.link.Narrow(false)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.endTrial()
}

// endTrial is called with the lock of the Relay.
func (c *connection) endTrial() {
	if c.stranger {
		c.stranger = false
		c.r.strangers.Remove(c.source)
		c.trial.Stop()
	}
}

// failed counts a request that came to nothing.
func (c *connection) failed() {
	if c.failures++; c.unproved && c.failures > maxFailures {
		c.r.log.Info("relay: closed after failures", "peer", c.link.RemoteAddr())
		c.close()
	}
}

// isHost reports whether the neighbor has shown by its certificate that it is a host (RFC 4976
// section 6.3).
func (c *connection) isHost(host string) bool {
	if c.to.secure {
		return frame.SameHost(c.to.name, host)
	}
	if !c.secure || c.ws || c.unknown {
		return false
	}
	if c.chain == nil {
		state := c.link.TLS()
		if state == nil || len(state.PeerCertificates) == 0 {
			c.unknown = true
			return false
		}
		opts := x509.VerifyOptions{Roots: c.r.cfg.TLS.ClientCAs, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		for _, cert := range state.PeerCertificates[1:] {
			opts.Intermediates.AddCert(cert)
		}
		if _, err := state.PeerCertificates[0].Verify(opts); err != nil {
			c.unknown = true
			return false
		}
		c.chain = state.PeerCertificates
	}
	return c.chain[0].VerifyHostname(host) == nil
}

// Request is that of link.Handler.
func (c *connection) Request(_ *link.Conn, h *frame.Head) link.Body {
	now := c.link.Came()
	c.used.Store(now.UnixNano())
	if h.Err != nil {
		return c.refuse(h, frame.StatusBadRequest)
	}
	if h.Method == frame.AUTH {
		if single, ours := c.r.isForUs(c, h); single {
			if !ours {
				// RFC 4976 section 6.2.
				c.r.log.Info("relay: closed, AUTH for another host", "peer", c.link.RemoteAddr(), "to", h.To[:min(len(h.To), 100)])
				c.close()
				return nil
			}
			return &whole{c: c, h: h.Clone(), done: c.auth}
		}
	}
	rt := c.last
	if rt == nil || rt.key != (routeKey{h.To, h.From}) || !rt.good(now) {
		var status frame.Status
		if rt, status = c.route(h, now); status != 0 {
			return c.refuse(h, status)
		}
		c.last = rt
	}
	if h.Method == frame.AUTH && !rt.outward {
		return c.refuse(h, frame.StatusForbidden) // a client is no relay
	}
	if !link.Fits(h) {
		return c.refuse(h, frame.StatusBadRequest) // rather than that a hop further on closes the connection
	}
	c.prove()
	if h.Method == frame.SEND {
		return c.send(rt, h)
	}
	return &whole{c: c, h: h.Clone(), done: func(h *frame.Head, body []byte) { c.forward(rt, h, body) }}
}

// Closed is that of link.Handler.
func (c *connection) Closed(_ *link.Conn, err error) {
	c.r.log.Debug("relay: connection ended", "peer", c.link.RemoteAddr(), "error", err)
	c.r.forget(c)
	c.out.close()
	c.r.tasks.Done()
}

// forget has nobody find a connection any more: the URIs of a client end with it (RFC 4976 section
// 6.3).
func (r *Relay) forget(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(c)
}

// drop is called with the lock.
func (r *Relay) drop(c *connection) {
	if c.over {
		return
	}
	c.over = true
	c.endTrial()
	if c.ping != nil {
		c.ping.Stop()
	}
	delete(r.conns, c)
	if r.dialed[c.to] == c {
		delete(r.dialed, c.to)
	}
	for g := range c.grants {
		if !g.relay {
			r.revoke(g)
		}
	}
	if a := r.users[c.payer]; a != nil {
		delete(a.conns, c)
		r.settle(c.payer)
	}
}

// refuse answers a request with an error, if it is one that is answered.
func (c *connection) refuse(h *frame.Head, status frame.Status) link.Body {
	c.respond(h, status)
	c.failed()
	return nil
}

// respond answers a request at once. Only the goroutine that reads calls it, so that who does not
// take responses waits for nobody but himself.
func (c *connection) respond(h *frame.Head, status frame.Status) {
	if resp := answer(h, status); resp != nil {
		c.link.Respond(resp)
	}
}

// answer returns the response to a request, nil if it is to have none. It never has one that is a
// REPORT (RFC 4975 section 7.1.2).
func answer(h *frame.Head, status frame.Status) *frame.Head {
	if h.Method == frame.REPORT || h.FailureReport == frame.FailureReportNo || h.To == "" || h.From == "" ||
		status == frame.StatusOK && h.FailureReport == frame.FailureReportPartial {
		return nil
	}
	first, _ := cutFirst(h.To)
	return h.Response(status, first)
}

// A whole collects a request of any method but SEND: its body has no more than 10,240 bytes.
type whole struct {
	c    *connection
	h    *frame.Head
	body []byte
	done func(h *frame.Head, body []byte)
}

func (w *whole) Write(piece []byte) { w.body = append(w.body, piece...) }

func (w *whole) End(flag frame.Flag) {
	switch flag {
	case frame.Complete:
		w.done(w.h, w.body)
	case frame.Continued, frame.Aborted: // only a SEND is interrupted (RFC 4975 section 7.1)
		w.c.refuse(w.h, frame.StatusBadRequest)
	}
}
