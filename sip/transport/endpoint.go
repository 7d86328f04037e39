package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

var (
	// ErrClosed says that the Endpoint was closed.
	ErrClosed = errors.New("transport: endpoint closed")
	// ErrNoFlow says that there is no way to send: the flow is the zero Flow,
	// or its connection is gone.
	ErrNoFlow = errors.New("transport: flow is gone")
	// ErrInsecure says that a request for a sips URI was to leave without TLS
	// (RFC 3261 section 26.2.2).
	ErrInsecure = errors.New("transport: sips needs a secure transport")
	// ErrBacklog says that a peer does not read what is sent to it, or that too
	// much waits on all connections together (Config.MaxBytes).
	ErrBacklog = errors.New("transport: too much unsent")
)

// Inbound is a message that arrived.
type Inbound struct {
	// Message is the message. The topmost Via of a request has got the
	// received and rport parameters of RFC 3261 section 18.2.1 and RFC 3581
	// section 4, whatever its sender wrote there.
	Message sip.Message
	Flow    Flow      // where it came from
	Time    time.Time // when it was read

	reader *udpReader // that it came by; nil for a connection
	turn   turn
	direct bool // a request whose Via sends responses back by Flow, and nowhere else
}

// Endpoint returns the Endpoint that the message came in by. A Config.Handle may
// be called with the first message before Listen has returned.
func (in *Inbound) Endpoint() *Endpoint { return in.Flow.via.endpoint() }

// Endpoint is a set of bound sockets and the connections made from them.
type Endpoint struct {
	cfg      Config
	began    time.Time
	inbox    chan *Inbound   // for Receive, nil if there is a Handle
	ctx      context.Context // ended by Close
	end      context.CancelFunc
	count    counters
	tasks    sync.WaitGroup // the goroutines of sockets and connections, but for those of shifts that are over
	resolver *resolve.Client
	rate     *buckets   // of datagrams, by who seems to have sent them
	pacer    *buckets   // of messages on connections, by who has
	sources  *perSource // the connections in caused, by who
	room     room
	anewBy   *perSource // the responses in anew, by who
	tokens   tokenKey

	udp       []*udpSocket
	listeners []*streamListener

	mu       sync.Mutex
	leaving  bool // Shutdown or Close has begun
	closed   bool
	shifts   map[*shift]struct{} // of the goroutines that read
	conns    map[connKey]*connEntry
	live     map[*conn]struct{} // every connection, also those not in conns
	lastConn uint64
	byID     map[uint64]*conn        // the same by their number, for flow tokens
	caused   int                     // how many peers have made, or made us make for a response
	anew     int                     // responses that wait for a new connection
	routes   map[netip.Addr]route    // which local address leads where
	hosts    map[string]struct{}     // the hosts we put into Vias, in lower case
	stun     map[stunKey]*stunQuery  // Binding requests of ours that are not answered
	watchers map[*keepAlive]struct{} // of UDP flows
}

// Listen binds the sockets and starts to read from them.
//
// A port in use is a *net.OpError that wraps syscall.EADDRINUSE.
func Listen(cfg *Config) (*Endpoint, error) {
	e := &Endpoint{
		began:    time.Now(),
		conns:    map[connKey]*connEntry{},
		live:     map[*conn]struct{}{},
		byID:     map[uint64]*conn{},
		shifts:   map[*shift]struct{}{},
		routes:   map[netip.Addr]route{},
		hosts:    map[string]struct{}{},
		stun:     map[stunKey]*stunQuery{},
		watchers: map[*keepAlive]struct{}{},
	}
	e.ctx, e.end = context.WithCancel(context.Background())
	if cfg != nil {
		e.cfg = *cfg
	}
	if err := e.defaults(); err != nil {
		return nil, err
	}
	// A free port for one transport may be taken for the next.
	for attempt := 0; ; attempt++ {
		err := e.bind()
		if err == nil {
			break
		}
		e.unbind()
		if attempt == 10 || !e.portsShared() || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
	e.resolver = resolve.New(&resolve.Config{Resolver: e.cfg.Resolver, Logger: e.cfg.Logger, Dialer: e.cfg.Network, Transports: e.transports()})
	e.configuredHosts()
	for _, s := range e.udp {
		r := &udpReader{s: s, buf: make([]byte, 65536)}
		e.mu.Lock()
		e.clockIn(&r.shift)
		e.mu.Unlock()
		go r.read() // ends when Close closes the socket
	}
	for _, l := range e.listeners {
		e.tasks.Go(l.serve) // ends when Close closes the listener
	}
	return e, nil
}

// transports returns what requests can be sent by. TCP and what runs on it
// takes no socket of ours.
func (e *Endpoint) transports() []string {
	wanted := e.cfg.Transports
	if wanted == nil {
		wanted = []string{viaUDP, viaTCP, viaTLS, viaWS, viaWSS}
	}
	all := []string{} // nil would mean all there are
	for _, name := range wanted {
		if kind := kindOf(name); kind != viaUDP || len(e.udp) > 0 {
			all = append(all, kind)
		}
	}
	return all
}

// Resolver returns what finds the targets of requests sent from here (RFC
// 3263). It knows the transports that there are.
func (e *Endpoint) Resolver() *resolve.Client { return e.resolver }

// Addr returns the address bound for a transport ("udp", "tcp", "tls", "ws" or
// "wss"), the first one if there are several. It is not valid if there is none.
func (e *Endpoint) Addr(transport string) netip.AddrPort {
	if equalFold(transport, viaUDP) && len(e.udp) > 0 {
		return e.udp[0].local
	}
	for _, l := range e.listeners {
		if equalFold(transport, l.kind) {
			return l.local
		}
	}
	return netip.AddrPort{}
}

// Shutdown stops to take new connections, writes out what waits to be sent,
// takes leave of every peer as its transport does (a closing alert, a close
// frame), and closes the Endpoint. Messages are handed over until then. When
// ctx ends first the rest is cut off, and the error wraps that of ctx.
func (e *Endpoint) Shutdown(ctx context.Context) error {
	for _, l := range e.listeners {
		l.ln.Close()
	}
	e.mu.Lock()
	e.leaving = true
	var live []*conn
	for c := range e.live {
		live = append(live, c)
	}
	e.mu.Unlock()
	errs := make(chan error, len(live))
	for _, c := range live {
		go func() { errs <- c.drain(ctx) }() // ends a moment after what waits is written, or with Close
	}
	var cut error
	for range live {
		select {
		case err := <-errs:
			cut = cmp.Or(cut, err)
		case <-ctx.Done():
			cut = ctx.Err()
		}
	}
	if cut != nil {
		cut = fmt.Errorf("transport: shutdown: %w", cut)
	}
	return errors.Join(cut, e.Close())
}

// Close closes every socket and connection, and waits until nobody reads from
// them. It does not wait for a call of Config.Handle, even one that is about to
// begin, or of Config.Closed, so it may be called from there, and by who holds a lock that
// they take. It is not to be called from KeepAlive.Dead, nor from what a handshake
// calls, which is all that is in Config.TLS, nor from Config.Network: it waits for
// these. Neither is Shutdown.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	if e.closed {
		e.dismiss()
		e.mu.Unlock()
		e.tasks.Wait()
		return nil
	}
	e.leaving, e.closed = true, true
	e.end()
	e.dismiss()
	var live []*conn
	for c := range e.live {
		live = append(live, c)
	}
	e.mu.Unlock()

	var errs []error
	for _, s := range e.udp {
		errs = append(errs, s.conn.Close())
	}
	for _, l := range e.listeners {
		if err := l.close(); !errors.Is(err, net.ErrClosed) { // as after Shutdown
			errs = append(errs, err)
		}
	}
	for _, c := range live {
		c.fail(ErrClosed)
	}
	e.endKeepAlives()
	e.resolver.Close()
	e.tasks.Wait()
	return errors.Join(errs...)
}
