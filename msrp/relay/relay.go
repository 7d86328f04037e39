package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/goparley/parley/internal/source"
	"github.com/goparley/parley/msrp/internal/digest"
)

// The times that a Relay keeps to.
const (
	probation    = 30 * time.Second // for a connection to show that it may be here (RFC 4976 section 6.1)
	stallTime    = 20 * time.Second // that a receiver may take next to nothing while others wait for it
	dialTime     = 10 * time.Second // for a connection to the next hop
	distrustTime = 5 * time.Minute  // of a user, after a receiver was given up
	askTime      = 10 * time.Second // for Config.Password
	guessTime    = 30 * time.Second // after too many wrong passwords of who may be a relay
	forgiveTime  = time.Minute      // after the first wrong password, until a right one makes it good
	restTime     = 30 * time.Second // after which all that was sent is answered, or will not be
	idleTime     = time.Hour        // without a request on a connection with no URIs (RFC 4976 section 6.5)
	sweepTime    = time.Minute      // from one look at what has expired to the next
	frameTime    = 30 * time.Second // for a WebSocket message to arrive, or to leave
	pingTime     = 30 * time.Second // from one ping of a WebSocket to the next
	headerTime   = 10 * time.Second // for the handshake of a WebSocket, with that of TLS before it
)

// A Relay forwards for the clients that it knows.
type Relay struct {
	cfg    Config
	log    *slog.Logger
	digest *digest.Server

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup // everything that Close waits for

	lookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)

	mu        sync.Mutex
	listeners []*listener
	conns     map[*connection]struct{}
	strangers *source.Strangers         // those of conns that are on probation, and of knocking
	knocking  map[net.Conn]netip.Prefix // connections of HTTP that are no WebSockets yet
	noRoom    time.Time                 // when there was last none in the place of another connection
	dialed    map[hop]*connection
	dialing   int               // of them, that are being made
	grants    map[string]*grant // by session-id
	users     map[string]*account
	closed    bool
	sweeper   *time.Timer
}

// A listener is a socket.
type listener struct {
	net.Listener
	transport string // "tcp", "tls", "ws", "wss"
	addr      netip.AddrPort
	server    *http.Server // for WebSocket
}

// New makes a Relay and opens its sockets. A port that is taken is a *net.OpError.
func New(cfg *Config) (*Relay, error) {
	r := &Relay{
		cfg:       *cfg,
		conns:     map[*connection]struct{}{},
		knocking:  map[net.Conn]netip.Prefix{},
		dialed:    map[hop]*connection{},
		grants:    map[string]*grant{},
		users:     map[string]*account{},
		lookupSRV: net.DefaultResolver.LookupSRV,
	}
	err := r.cfg.complete()
	if err == nil {
		r.digest, err = digest.NewServer(digest.ServerConfig{Realm: r.cfg.Domain, Password: r.cfg.Password})
	}
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r.strangers = source.NewStrangers((r.cfg.MaxConns + 1) / 2)
	r.log = r.cfg.Logger
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, where := range r.cfg.Listen {
		if err := r.listen(where); err != nil {
			r.Close()
			return nil, fmt.Errorf("relay: listen %q: %w", where, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweeper = time.AfterFunc(sweepTime, r.sweep)
	return r, nil
}

// Addr returns the address that is bound for "tcp", "tls", "ws" or "wss", the first of them if
// there are several; it is not valid if there is none.
func (r *Relay) Addr(transport string) netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.listeners {
		if l.transport == transport {
			return l.addr
		}
	}
	return netip.AddrPort{}
}

// Close ends all connections, with what is on its way, and waits until nothing runs any more: two
// seconds, if somebody takes nothing.
func (r *Relay) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		r.tasks.Wait()
		return nil
	}
	r.closed = true
	if r.sweeper != nil {
		r.sweeper.Stop()
	}
	listeners, conns := r.listeners, make([]*connection, 0, len(r.conns))
	for c := range r.conns {
		conns = append(conns, c)
	}
	r.mu.Unlock()
	r.cancel()
	for _, l := range listeners {
		if l.server != nil {
			l.server.Close()
		}
		l.Close()
	}
	for _, c := range conns {
		c.close()
	}
	r.tasks.Wait()
	for _, c := range conns {
		if l := c.out.opened(); l != nil {
			l.CloseNow() // its writer may be at its last line
		}
	}
	return nil
}

// task runs f in a goroutine that Close waits for. It returns false when the relay is closed.
func (r *Relay) task(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.tasks.Go(f)
	return true
}

// sweep drops what has expired.
func (r *Relay) sweep() {
	now := time.Now()
	var idle []*connection
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	for _, g := range r.grants {
		if !g.valid(now) {
			r.revoke(g)
		}
	}
	for c := range r.conns {
		if len(c.grants) == 0 && now.Sub(time.Unix(0, c.used.Load())) > idleTime {
			idle = append(idle, c)
		}
	}
	for user := range r.users {
		r.settle(user)
	}
	r.sweeper.Reset(sweepTime)
	r.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
