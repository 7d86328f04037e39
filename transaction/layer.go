package transaction

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// Config holds the options of a Layer.
type Config struct {
	// Handler is called for each new request, and for each ACK that belongs to
	// no transaction: that of a 2xx. It may take its time; handlers of different
	// calls run beside each other. A request that it leaves without a final
	// response when it returns gets 500, or 487 if it was cancelled.
	//
	// Requests with one Call-ID reach handlers in the order of their arrival:
	// the next one starts when the one before has returned, or has sent
	// something, be it a response or a request. The 100 that goes out by itself
	// counts (Timers.Trying; 3.5 s for another request than an INVITE): a re-INVITE
	// whose user takes time to decide does not keep the BYE waiting. A BYE that
	// has waited for as long as that itself passes all others.
	//
	// Of one call no more than 64 requests wait, and as many BYEs, PRACKs and ACKs.
	// Past that a request gets 500 with Retry-After and leaves nothing behind, and
	// an ACK is dropped. One that has waited for longer than its client does
	// (Timers.F) does not reach the handler, unless it is an INVITE, an ACK or a
	// BYE.
	//
	// A handler of a request that came by UDP may run on the goroutine that reads
	// the socket. It is found out if it takes time, but what comes next waits for
	// up to 30 ms until then. One that calls Context first, or Server.Waiting,
	// keeps nobody waiting.
	Handler func(tx *Server, req *sip.Request)

	// Accepted is called for each further 2xx to an INVITE after the final response
	// that Responses has yielded: a retransmission, or the answer of another branch
	// of a fork, which may come behind a refusal. invite is the request as it was given to Responses. Whoever
	// sent the INVITE must acknowledge every one of them (RFC 3261 section
	// 13.2.2.4). A proxy forwards them (section 16.7 step 5), best with Respond
	// of the Server that the INVITE came in, which goes the way of the first;
	// Endpoint.Forward has the Via alone to go by, and does not find a
	// connection whose client did not ask for rport. It must not block. It may
	// be nil.
	Accepted func(invite *sip.Request, resp *sip.Response)

	// Stateless is asked about each message that belongs to no transaction,
	// before one is begun for it: a new request, the ACK of a 2xx, a response to
	// what was sent without a transaction, and one that is too late for a
	// transaction whose branch WithBranchSeed has given. If it returns true it has
	// taken the message, and nothing is kept of it here. It is called from the
	// goroutine that reads the socket: it must not block. nil takes none.
	Stateless func(in *transport.Inbound) bool

	// Timers are the timers of RFC 3261 table 4; zero means the RFC's values.
	Timers Timers

	// MaxHandlers is how many requests may be in the hands of handlers, without
	// a final response, or wait for one; 0 means 10,000. A fifth of them is for
	// requests within a dialog and ACKs alone, of which one address may have no
	// more than it leaves to others. Past that new requests get 503 with
	// Retry-After, a random time each, and leave nothing behind (RFC 3261 section
	// 8.2.7). What is held (Server.Hold) when its handler has returned does not
	// count here, but in MaxBytes.
	MaxHandlers int

	// MaxBytes is how much memory transactions may hold, in bytes, and ACKs on
	// their way through a handler; 0 means 1 GiB. What counts is an upper
	// bound. For a server it is 2 KB, its request, and the response that is kept
	// for retransmissions, with their indexes; for a client 1.5 KB and its request
	// twice, as it was given and as it went out, until it has its answer, and
	// 12 KB for a goroutine while it waits for a name or a connection.
	// What handlers use beyond that does not. Transactions live for 32 s after a
	// response over UDP, so this is what stops a flood. Past it new requests get
	// 503 as above, and ACKs are dropped; one's own requests are counted, but
	// sent all the same.
	MaxBytes int

	// Overload has the options of overload control: what is refused when requests
	// wait for too long, and what is told to clients and heard from servers (RFC
	// 7339, 7415). nil means the defaults, for a server without it does less the
	// more it is asked.
	Overload *Overload

	// Merged lets a request through that arrives again by another path, which
	// a user agent must refuse with 482 (RFC 3261 section 8.2.2.2). Proxies
	// set it.
	Merged bool

	// Restore is called by Listen once the sockets are bound. Messages wait for
	// it: it is where to Restore what an earlier run of the program has left, for
	// whom a request that comes before its transaction is there is a new one. An
	// error closes the Layer, and Listen returns it, or transport.ErrClosed
	// if Restore has closed the Layer without one. nil restores nothing.
	Restore func(l *Layer) error

	// Frozen is called once when the Layer is closed or has shut down: nothing
	// comes in any more or goes out, and nobody has been told yet. Who sends or
	// responds then waits until it returns; what the Endpoint is given to send does
	// not. It is for a layer above that keeps state of its own for Snapshots, to
	// note what that is at this moment, at which Servers and Snapshot stop, too. It
	// must be quick, and call nothing else here. nil notes nothing.
	Frozen func()

	// Logger is for what no caller can be told; nil means that of the
	// transport.
	Logger *slog.Logger
}

// Layer runs the transactions of one Endpoint.
type Layer struct {
	cfg      Config
	timers   Timers
	overload *overload
	ep       *transport.Endpoint
	ready    chan struct{}   // closed when ep is set
	ctx      context.Context // ended by Close; what server contexts are made from
	end      context.CancelCauseFunc

	tables
	patrol patrol
	inline bool // the patrol may run handlers on the goroutines of sockets

	closed   atomic.Bool
	draining atomic.Bool
	handlers atomic.Int64 // requests in the hands of handlers or waiting
	open     atomic.Int64 // those of them without a final response
	waiting  atomic.Int64 // those of them that wait for another of their call
	kept     kept         // those of them on the places for requests within a dialog
	bytes    atomic.Int64 // what transactions hold (size.go)
	refusals refusals     // of requests without a transaction
	calls    atomic.Int64 // Responses and Busy that have not ended, and INVITEs left to their CANCEL

	freezing sync.Once
	frozenAt time.Time // set before the first server is frozen

	mu     sync.Mutex
	idle   chan struct{} // closed when draining and nothing is under way
	frozen []*Server     // what there was when the Layer was closed
}

// ErrCancelled is the cause of a server transaction's context that a CANCEL
// ended, in a *RequestError that has the CANCEL, unless the transaction was
// restored.
var ErrCancelled = errors.New("transaction: cancelled by the peer")

// Listen binds the sockets and runs a Layer on them. Handle and Closed of the
// transport's config are set by the Layer. cfg may be nil for a client that
// answers 501 to every request.
func Listen(tc *transport.Config, cfg *Config) (*Layer, error) {
	l := &Layer{
		ready:  make(chan struct{}),
		tables: newTables(),
	}
	if cfg != nil {
		l.cfg = *cfg
	}
	if l.cfg.Handler == nil {
		l.cfg.Handler = func(tx *Server, _ *sip.Request) { tx.Reply(sip.StatusNotImplemented) }
	}
	if l.cfg.MaxHandlers <= 0 {
		l.cfg.MaxHandlers = 10000
	}
	if l.cfg.MaxBytes <= 0 {
		l.cfg.MaxBytes = 1 << 30
	}
	var bound transport.Config
	if tc != nil {
		bound = *tc
	}
	if l.cfg.Logger == nil {
		l.cfg.Logger = bound.Logger
	}
	if l.cfg.Logger == nil {
		l.cfg.Logger = slog.Default()
	}
	l.timers = l.cfg.Timers.withDefaults()
	// On a network that a program brings, for its tests or else, handlers run
	// where one expects them to.
	l.inline = bound.Network == nil
	l.ctx, l.end = context.WithCancelCause(context.Background())

	l.overload = newOverload(l.cfg.Overload, l.timers.T1)
	bound.ViaParams += l.overload.params()
	bound.Handle = l.handle
	bound.Closed = l.connClosed
	ep, err := transport.Listen(&bound)
	if err != nil {
		return nil, err
	}
	l.ep = ep
	if err := l.restore(); err != nil {
		return nil, err
	}
	return l, nil
}

// restore calls Config.Restore, and then lets messages in. If there is an error,
// or a panic, it closes the Layer.
func (l *Layer) restore() error {
	restored := false
	defer func() {
		if !restored {
			l.Close()
		}
	}()
	if l.cfg.Restore != nil {
		if err := l.cfg.Restore(l); err != nil {
			return err
		}
	}
	if restored = !l.closed.Load(); !restored {
		return fmt.Errorf("restore: %w", transport.ErrClosed)
	}
	close(l.ready)
	return nil
}

// Endpoint returns the sockets that the Layer runs on.
func (l *Layer) Endpoint() *transport.Endpoint { return l.ep }

// Timers returns the timers in force, defaults filled in.
func (l *Layer) Timers() Timers { return l.timers }

// Shutdown stops to take new requests, which get 503 with Retry-After, waits
// until handlers, the transactions that someone waits for and what is Busy are
// done, and the INVITEs that someone gave up have ended, and closes the Layer.
// Requests within a dialog are still served. When ctx ends first the rest is cut
// off, and the error wraps that of ctx. What is told of responses (Start) is waited
// for, too: it may call Close, but not Shutdown.
func (l *Layer) Shutdown(ctx context.Context) error {
	l.patrol.dismissAll() // one of them may be our caller
	l.mu.Lock()
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	l.draining.Store(true)
	l.checkIdle()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	select {
	case <-l.ready:
		if err == nil {
			err = l.ep.Shutdown(ctx) // the last responses leave, and the peers are told
		}
	default: // in Config.Restore: messages wait, and nothing has been sent
	}
	return errors.Join(err, l.Close())
}

// checkIdle tells a Shutdown that nothing is under way any more.
func (l *Layer) checkIdle() {
	if !l.draining.Load() || l.handlers.Load() > 0 || l.calls.Load() > 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.idle:
	default:
		close(l.idle)
	}
}

// Close ends every transaction and the context of every handler at once, without
// a word to the peers, and closes the sockets. Whoever waits for a response gets
// transport.ErrClosed, and so does whoever gives one. Requests that still wait
// for a handler are dropped. Close does not wait for handlers to return, nor for
// other funcs of the program: any of them may call it, but for Config.Frozen and
// those that Endpoint.Close names.
//
// Server transactions stay as they are at this moment, for Servers and Snapshot:
// what a handler does later changes nothing of them.
func (l *Layer) Close() (err error) {
	l.patrol.dismissAll()                 // one of them may be our caller
	defer func() { err = l.ep.Close() }() // whatever becomes of those who are told
	l.freezing.Do(func() {
		defer l.end(transport.ErrClosed)
		l.freeze()
		if l.cfg.Frozen != nil {
			l.cfg.Frozen()
		}
	})
	forEach(slices.Clone(l.tables.tables), func(t *table) {
		t.mu.Lock()
		clients := slices.Collect(maps.Values(t.clients.m))
		t.mu.Unlock()
		forEach(clients, func(c *client) { c.abandon(transport.ErrClosed) })
	})
	return nil
}

// freeze has no server change or send any more, and sets those that there are
// aside.
func (l *Layer) freeze() {
	l.frozenAt = time.Now()
	l.closed.Store(true) // nothing gets into the tables from here on
	all := []*Server{}   // not nil: it says that it was set
	for _, t := range l.tables.tables {
		t.alarms.stop()
		t.mu.Lock()
		servers := slices.Collect(maps.Values(t.servers.m))
		t.mu.Unlock()
		for _, s := range servers {
			if s.freeze() {
				all = append(all, s)
			}
		}
	}
	l.mu.Lock()
	l.frozen = all
	l.mu.Unlock()
	for _, s := range all {
		s.forget()
	}
}

// freeze keeps a transaction as it is, unless it is over.
func (s *Server) freeze() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return false
	}
	s.frozen = true
	s.t.alarms.reset(&s.alarm, time.Time{})
	if s.last != nil {
		s.l.bytes.Add(-int64(sizeOf(s.last)))
	}
	return true
}

// awaitEnd keeps whoever would be the first to hear that the Layer is closed until
// all are told, and returns what they are.
func (l *Layer) awaitEnd() error {
	<-l.ctx.Done()
	return transport.ErrClosed
}

// Busy keeps Shutdown from closing the Layer until done is called. It is for
// what takes more than one request, of which the next is not begun when the one
// before is answered: a retry with credentials, or the ACK and the BYE of an
// answer that nobody wants. done may be called more than once.
func (l *Layer) Busy() (done func()) {
	if !l.begin() {
		return func() {}
	}
	return sync.OnceFunc(l.finish)
}

// begin counts a call of Responses, unless the Layer is closed.
func (l *Layer) begin() bool {
	if l.closed.Load() {
		return false
	}
	l.calls.Add(1)
	return true
}

// finish ends what begin began.
func (l *Layer) finish() {
	l.calls.Add(-1)
	l.checkIdle()
}
