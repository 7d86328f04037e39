package transaction

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
)

// Config holds the options of a Layer.
type Config struct {
	// Handler is called for each new request, in a goroutine of its own, and
	// for each ACK that belongs to no transaction: that of a 2xx. It may take
	// its time. A request that it leaves without a final response when it
	// returns gets 500, or 487 if it was cancelled.
	//
	// Requests with one Call-ID reach handlers in the order of their arrival:
	// the next one starts when the one before has returned, or has sent
	// something, be it a response or a request.
	Handler func(tx *Server, req *sip.Request)

	// Accepted is called for each further 2xx to an INVITE after the one that
	// Responses has yielded: a retransmission, or the answer of another branch
	// of a fork. invite is the request as it was given to Responses. Whoever
	// sent the INVITE must acknowledge every one of them (RFC 3261 section
	// 13.2.2.4); a proxy forwards them. It must not block. It may be nil.
	Accepted func(invite *sip.Request, resp *sip.Response)

	// Resolver looks up host names; nil means the system's resolver.
	Resolver resolve.Resolver

	// Timers are the timers of RFC 3261 table 4; zero means the RFC's values.
	Timers Timers

	// MaxHandlers is how many requests may be in the hands of handlers or
	// wait for one; 0 means 10,000. Past it new requests get 503 with
	// Retry-After.
	MaxHandlers int

	// Merged lets a request through that arrives again by another path, which
	// a user agent must refuse with 482 (RFC 3261 section 8.2.2.2). Proxies
	// set it.
	Merged bool

	// Logger is for what no caller can be told; nil means that of the
	// transport.
	Logger *slog.Logger
}

// Layer runs the transactions of one Endpoint.
type Layer struct {
	cfg    Config
	timers Timers
	ep     *transport.Endpoint
	ready  chan struct{}   // closed when ep is set
	ctx    context.Context // ended by Close; what server contexts are made from
	end    context.CancelCauseFunc

	mu       sync.Mutex
	closed   bool
	draining bool
	clients  map[clientKey]*client
	byFlow   map[transport.Flow]map[*client]struct{} // those on connections
	servers  map[serverKey]*Server
	merged   map[mergeKey]*Server
	order    map[string][]*Server // by Call-ID: a handler runs, and these wait for it
	handlers int                  // requests in the hands of handlers or waiting
	calls    int                  // Responses that have not ended
	idle     chan struct{}        // closed when draining and nothing is under way
}

// ErrCancelled is the cause of a server transaction's context that a CANCEL
// ended.
var ErrCancelled = errors.New("transaction: cancelled by the peer")

// Listen binds the sockets and runs a Layer on them. Handle and Closed of the
// transport's config are set by the Layer. cfg may be nil for a client that
// answers 501 to every request.
func Listen(tc *transport.Config, cfg *Config) (*Layer, error) {
	l := &Layer{
		ready:   make(chan struct{}),
		clients: map[clientKey]*client{},
		byFlow:  map[transport.Flow]map[*client]struct{}{},
		servers: map[serverKey]*Server{},
		merged:  map[mergeKey]*Server{},
		order:   map[string][]*Server{},
	}
	if cfg != nil {
		l.cfg = *cfg
	}
	if l.cfg.Handler == nil {
		l.cfg.Handler = func(tx *Server, _ *sip.Request) { tx.Reply(sip.StatusNotImplemented) }
	}
	if l.cfg.MaxHandlers == 0 {
		l.cfg.MaxHandlers = 10000
	}
	if l.cfg.Logger == nil {
		l.cfg.Logger = tc.Logger
	}
	if l.cfg.Logger == nil {
		l.cfg.Logger = slog.Default()
	}
	l.timers = l.cfg.Timers.withDefaults()
	l.ctx, l.end = context.WithCancelCause(context.Background())

	bound := *tc
	bound.Handle = l.handle
	bound.Closed = l.connClosed
	ep, err := transport.Listen(&bound)
	if err != nil {
		return nil, err
	}
	l.ep = ep
	close(l.ready)
	return l, nil
}

// Endpoint returns the sockets that the Layer runs on.
func (l *Layer) Endpoint() *transport.Endpoint { return l.ep }

// Timers returns the timers in force, defaults filled in.
func (l *Layer) Timers() Timers { return l.timers }

// Shutdown stops to take new requests, which get 503 with Retry-After, waits
// until handlers and the transactions that someone waits for are done, and
// closes the Layer. Requests within a dialog are still served. When ctx ends
// first the rest is cut off, and the error is that of ctx.
func (l *Layer) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	l.draining = true
	if l.idle == nil {
		l.idle = make(chan struct{})
		l.checkIdle()
	}
	idle := l.idle
	l.mu.Unlock()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return errors.Join(err, l.Close())
}

// checkIdle tells a Shutdown that nothing is under way any more.
func (l *Layer) checkIdle() {
	if l.idle == nil || l.handlers > 0 || l.calls > 0 {
		return
	}
	select {
	case <-l.idle:
	default:
		close(l.idle)
	}
}

// Close ends every transaction, the contexts of handlers among them, and closes
// the sockets. Whoever waits for a response gets transport.ErrClosed.
func (l *Layer) Close() error {
	l.mu.Lock()
	l.closed = true
	var clients []*client
	for _, c := range l.clients {
		clients = append(clients, c)
	}
	var servers []*Server
	for _, s := range l.servers {
		servers = append(servers, s)
	}
	l.mu.Unlock()
	l.end(transport.ErrClosed)
	for _, c := range clients {
		c.abandon(transport.ErrClosed)
	}
	for _, s := range servers {
		s.step(input{event: inAbandon}, nil)
	}
	return l.ep.Close()
}

// handle takes what arrives. It runs on the goroutine of the socket.
func (l *Layer) handle(in *transport.Inbound) {
	<-l.ready
	switch m := in.Message.(type) {
	case *sip.Response:
		via, cseq := m.Via(), m.CSeq()
		l.mu.Lock()
		c := l.clients[clientKey{via.Branch(), cseq.Method == sip.CANCEL}]
		l.mu.Unlock()
		// RFC 3261 section 17.1.3: the branch and the method of the CSeq.
		if c != nil && c.method == cseq.Method {
			c.response(m)
		}
	case *sip.Request:
		l.request(in, m)
	}
}

// request takes a request that arrived.
func (l *Layer) request(in *transport.Inbound, r *sip.Request) {
	key := keyOf(r)
	method := r.Method()
	l.mu.Lock()
	if s := l.servers[key]; s != nil {
		l.mu.Unlock()
		if method == sip.ACK {
			if out := s.step(input{event: inACK}, nil); !out.deliver {
				return
			}
			l.mu.Lock()
			l.dispatchACK(in, r) // an ACK to a 2xx with the branch of the INVITE
			return
		}
		s.step(input{event: inRequest}, nil)
		return
	}
	switch {
	case l.closed:
		l.mu.Unlock()
		return
	case method == sip.ACK:
		l.dispatchACK(in, r)
		return
	}

	s := &Server{l: l, in: in, req: r, key: key}
	if method == sip.INVITE {
		s.invite = newInviteServer(&l.timers, in.Flow.Reliable())
		s.machine = &s.invite
	} else {
		s.nonInvite = newNonInviteServer(&l.timers, in.Flow.Reliable())
		s.machine = &s.nonInvite
	}
	inDialog := r.To().Tag() != ""
	merge := mergeKey{r.From().Tag(), r.CallID(), r.CSeq()}
	refusal := sip.Status(0)
	var cancelled *Server
	switch {
	case method == sip.CANCEL:
		key.method = sip.INVITE
		if cancelled = l.servers[key]; cancelled == nil {
			refusal = sip.StatusCallDoesNotExist
		} else {
			refusal = sip.StatusOK
		}
	case l.draining && !inDialog, l.handlers >= l.cfg.MaxHandlers:
		refusal = sip.StatusServiceUnavailable
	case !inDialog && !l.cfg.Merged && l.merged[merge] != nil:
		refusal = sip.StatusLoopDetected
	}
	// The transaction starts under the lock, so that a retransmission finds it
	// begun, whichever socket it comes in on.
	s.mu.Lock()
	out := s.machine.step(time.Now(), input{event: inStart})
	s.setTimer(out.next)
	s.mu.Unlock()
	l.servers[s.key] = s
	if refusal == 0 {
		if !inDialog && !l.cfg.Merged {
			l.merged[merge] = s
			s.merge = merge
		}
		l.dispatch(s)
	}
	l.mu.Unlock()

	switch refusal {
	case 0:
		return
	case sip.StatusServiceUnavailable:
		s.Reply(refusal, sip.RetryAfter{Seconds: 5})
	case sip.StatusLoopDetected:
		s.Reply(refusal, sip.ReasonPhrase("Merged Request"))
	default:
		s.Reply(refusal)
	}
	// RFC 3261 section 9.2: a CANCEL is answered first, and has no effect on a
	// request with a final response.
	if cancelled != nil {
		cancelled.cancel()
	}
}

// dispatchACK hands the ACK of a 2xx to a handler. It is called with l.mu held
// and releases it.
func (l *Layer) dispatchACK(in *transport.Inbound, r *sip.Request) {
	if l.handlers < l.cfg.MaxHandlers && !l.closed {
		l.dispatch(&Server{l: l, in: in, req: r})
	}
	l.mu.Unlock()
}

// dispatch starts the handler of a request, or lets it wait for the one before
// it in the same call. It is called with l.mu held.
func (l *Layer) dispatch(s *Server) {
	l.handlers++
	id := s.req.CallID()
	if waiting, busy := l.order[id]; busy {
		l.order[id] = append(waiting, s)
		return
	}
	l.order[id] = nil
	go s.run() // ends when the handler returns
}

// release lets the next request of the same call start.
func (l *Layer) release(s *Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.released {
		return
	}
	s.released = true
	id := s.req.CallID()
	waiting := l.order[id]
	if len(waiting) == 0 {
		delete(l.order, id)
		return
	}
	l.order[id] = waiting[1:]
	go waiting[0].run() // ends when the handler returns
}

// releaseFrom does so for the handler that a context belongs to.
func releaseFrom(ctx context.Context) {
	if s, ok := ctx.Value(serverContext{}).(*Server); ok {
		s.l.release(s)
	}
}

// connClosed tells the client transactions on a connection that it is gone.
func (l *Layer) connClosed(f transport.Flow, err error) {
	l.mu.Lock()
	var clients []*client
	for c := range l.byFlow[f] {
		clients = append(clients, c)
	}
	l.mu.Unlock()
	for _, c := range clients {
		c.failed(err)
	}
}

// clientKey finds a client transaction by the branch we gave it. A CANCEL has
// the branch of its INVITE.
type clientKey struct {
	branch string
	cancel bool
}

// serverKey finds a server transaction (RFC 3261 section 17.2.3).
type serverKey struct {
	branch string
	sentBy string
	method sip.Method
}

// mergeKey tells that two requests are one that took two paths (RFC 3261
// section 8.2.2.2).
type mergeKey struct {
	fromTag string
	callID  string
	cseq    sip.CSeq
}

const cookie = "z9hG4bK" // RFC 3261 section 8.1.1.7

func keyOf(r *sip.Request) serverKey {
	method := r.Method()
	if method == sip.ACK {
		method = sip.INVITE
	}
	via := r.Via()
	branch := via.Branch()
	if len(branch) < len(cookie) || !strings.EqualFold(branch[:len(cookie)], cookie) {
		// A peer of RFC 2543: what else makes requests the same. The tag of
		// the To is left out, for the ACK has one that the INVITE has not.
		branch = strings.Join([]string{
			r.URI().String(), r.From().Tag(), r.CallID(),
			strconv.Itoa(int(r.CSeq().Seq)), branch,
		}, "\n")
	}
	return serverKey{branch, strings.ToLower(via.SentBy()), method}
}
