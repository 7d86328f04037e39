package msrp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/internal/source"
	"github.com/goparley/parley/msrp/frame"
)

// A Network opens sockets, with the methods of *net.ListenConfig and *net.Dialer.
type Network interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

type system struct {
	net.ListenConfig
	net.Dialer
}

// Config says how an Endpoint reaches others, and how it is reached. The zero value will do.
type Config struct {
	// Listen are the addresses at which peers connect: "tcp:192.0.2.1:2855", "tls:0.0.0.0:0".
	// Without any the endpoint listens when a session first needs it, at a port that is free.
	// With "none" it never does, and its sessions connect to their peers (RFC 6135).
	Listen []string

	// Host stands in the URIs of sessions: a name, or an address that others reach. "" is the
	// address that is bound or, where that is every one, the one that Session.UseAddress has said.
	Host string

	// TLS is for both sides of TLS connections. nil has a certificate made, which peers know
	// by the fingerprint in the session description (RFC 4975 section 14.4). Where there is none,
	// with Session.Connect, it has to have a certificate that peers can verify, for the host in the URIs.
	TLS *tls.Config

	// MaxSessions is how many sessions there may be; 0 means 100,000. MaxConns is how many
	// connections of peers are accepted; 0 means 10,000. Half of them are left to those for whom a
	// session waits, and half of the others are for whoever comes first. When those are taken, one IPv4 address, or
	// one /64 of IPv6, gets no more if it has a tenth of what is not left to sessions, and 4.
	MaxSessions, MaxConns int

	// Relays carry all sessions, the nearest first: the second is reached by the first, and so on. With none
	// sessions go from peer to peer.
	Relays []Relay

	// KeepAlive is after how long without a word from us an empty SEND goes out on a session; 0
	// means never. The sockets have keepalives of TCP in any case.
	KeepAlive time.Duration

	Network Network      // nil: that of the system
	Logger  *slog.Logger // nil: nothing is logged
}

// ErrClosed says that the Endpoint or the Session is closed.
var ErrClosed = errors.New("msrp: closed")

// An Endpoint is where sessions are: it listens, connects, and shares its connections among
// the sessions with the same peer.
type Endpoint struct {
	cfg     Config
	network Network
	log     *slog.Logger

	resolver *net.Resolver
	relays   []*relay

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	open sync.Map // of *connection: those that have not ended

	mu        sync.Mutex
	listeners map[bool]*listener // by whether they are TLS
	legs      map[string]*leg    // by session-id
	dialed    map[peerKey]*dialing
	accepted  map[*connection]struct{}
	strangers *source.Strangers // of accepted
	closed    bool
	tasks     sync.WaitGroup // goroutines that accept, and connections that are being made
	identity  *identity
}

type listener struct {
	net.Listener
	addr netip.AddrPort
}

// New makes an Endpoint. cfg may be nil. A port that is taken is a *net.OpError.
func New(cfg *Config) (*Endpoint, error) {
	e := &Endpoint{legs: map[string]*leg{}, dialed: map[peerKey]*dialing{}, accepted: map[*connection]struct{}{}, listeners: map[bool]*listener{}}
	if cfg != nil {
		e.cfg = *cfg
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.network, e.log = e.cfg.Network, e.cfg.Logger
	if e.network == nil {
		e.network = &system{}
	}
	e.resolver = net.DefaultResolver
	var err error
	if e.relays, err = newRelays(e.cfg.Relays); err != nil {
		return nil, err
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.cfg.MaxSessions == 0 {
		e.cfg.MaxSessions = 100_000
	}
	if e.cfg.MaxConns == 0 {
		e.cfg.MaxConns = 10_000
	}
	e.strangers = source.NewStrangers((e.cfg.MaxConns + 1) / 2)
	for _, where := range e.cfg.Listen {
		if where == "none" {
			continue
		}
		transport, address, ok := strings.Cut(where, ":")
		if !ok || transport != "tcp" && transport != "tls" {
			e.Close()
			return nil, fmt.Errorf("msrp: listen %q: it begins neither with tcp: nor with tls: as it should", where)
		}
		if err := e.listen(transport == "tls", address); err != nil {
			e.Close()
			return nil, fmt.Errorf("msrp: listen %q: %w", where, err)
		}
	}
	return e, nil
}

// listen opens a listener and accepts in a goroutine, which ends with Close.
func (e *Endpoint) listen(secure bool, address string) error {
	var cfg *tls.Config
	if secure {
		id, err := e.own()
		if err != nil {
			return err
		}
		cfg = id.server
	}
	l, err := e.network.Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	bound, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		l.Close()
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.listeners[secure] != nil {
		l.Close()
		if e.closed {
			return ErrClosed
		}
		return nil // another session was faster
	}
	e.listeners[secure] = &listener{l, bound}
	e.tasks.Go(func() { e.accept(l, cfg) })
	return nil
}

// Addr returns the address that is bound for TCP, or with secure for TLS; it is not valid if there
// is none.
func (e *Endpoint) Addr(secure bool) netip.AddrPort {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.listeners[secure]; l != nil {
		return l.addr
	}
	return netip.AddrPort{}
}

// listens reports whether peers may connect to us.
func (e *Endpoint) listens() bool { return len(e.cfg.Listen) == 0 || e.cfg.Listen[0] != "none" }

// here returns host and port of our URIs: port 9 if nobody can connect (RFC 6135 section 4.2.2). known
// is the address that a session was told; it may be invalid.
func (e *Endpoint) here(secure bool, known netip.Addr) (host string, port uint16, err error) {
	port = 9
	if e.listens() {
		if !e.Addr(secure).IsValid() {
			if err := e.listen(secure, ":0"); err != nil {
				return "", 0, fmt.Errorf("msrp: listen: %w", err)
			}
		}
		port = e.Addr(secure).Port()
	}
	return e.host(secure, known), port, nil
}

func (e *Endpoint) host(secure bool, known netip.Addr) string {
	if e.cfg.Host != "" {
		return e.cfg.Host
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.listeners[secure]; l != nil && !l.addr.Addr().IsUnspecified() {
		return l.addr.Addr().Unmap().String()
	}
	if known.IsValid() {
		return known.Unmap().String()
	}
	return "127.0.0.1"
}

// Close ends all sessions and connections, and waits until nothing runs any more.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	var legs []*leg
	for _, l := range e.legs {
		legs = append(legs, l)
	}
	for _, l := range e.listeners {
		l.Close()
	}
	e.mu.Unlock()
	e.stop()
	for _, l := range legs {
		l.s.Close()
	}
	e.tasks.Wait()
	for c := range e.open.Range {
		c.(*connection).link.CloseNow()
	}
	return nil
}

func hostPort(u frame.URI) string { return net.JoinHostPort(u.Host, strconv.Itoa(int(u.Port))) }
