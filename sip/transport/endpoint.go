package transport

import (
	"cmp"
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
	// ErrBacklog says that a peer does not read what is sent to it.
	ErrBacklog = errors.New("transport: too much unsent on this connection")
)

// Config holds the options of an Endpoint.
type Config struct {
	// Listen names the sockets to bind, such as "udp:0.0.0.0:5060",
	// "tcp:[::1]:0", "tls::5061", "ws:127.0.0.1:8080" or "wss::443". 0.0.0.0 is
	// every IPv4 address; no host, as in "udp::5060", is every address of both
	// families. Port 0 picks a free one, the same for all entries of a transport
	// and for UDP and TCP, where that can be had. Connections to TLS and WebSocket servers can be
	// made whatever is bound; an empty list makes an Endpoint that can do
	// nothing but open connections.
	Listen []string

	// Sockets is how many UDP sockets share each udp entry of Listen, each with
	// a goroutine of its own, where the system can do that (SO_REUSEPORT of
	// Linux). 0 means 1.
	Sockets int

	// Advertise is the host that peers reach us by, if it is not the bound
	// address: a name or an IP address, for Via and Contact. "" means the
	// bound address, or for a wildcard the local address that leads to the
	// peer.
	Advertise string

	// AdvertisePorts are the ports that peers reach us at, by transport, if
	// they are not the bound ones: {"udp": 5070}.
	AdvertisePorts map[string]int

	// TLS is what connections and listeners with TLS use; nil means the
	// system's root certificates and none of our own. Listening takes a
	// certificate, see Certificate for one that can be exchanged. TLS 1.2 is the
	// least. A server must prove to be the domain that the request is for, by
	// the rules of RFC 5922; InsecureSkipVerify and ServerName mean what they
	// always do. A peer that proves by ClientAuth who it is has Identities.
	TLS *tls.Config

	// WebSocketPath is the path that is asked of WebSocket servers; "" means
	// "/". Our own listeners take any.
	WebSocketPath string

	// Resolver answers questions of DNS; nil means the system's.
	Resolver resolve.Resolver

	// Handle is called for each message, in the order of arrival on its
	// socket, from the goroutine that reads the socket: it must not block. If
	// it is nil the messages wait for Receive. A panic in it is logged with
	// the message, and ends nothing else.
	Handle func(*Inbound)

	// Closed is called when a connection that carried messages is gone, with
	// what ended it. It may be nil.
	Closed func(Flow, error)

	// Idle is how long a connection without traffic is kept; 0 means 10
	// minutes. A peer that connects has 10 seconds for the handshakes of TLS
	// and WebSocket, 32 to complete its first message, and as long for each
	// further one that it begins. A connection that was opened for a response,
	// and carries nothing else, is kept for 32 seconds at most.
	Idle time.Duration

	// MaxConns is how many connections that peers cause are held at once: those
	// that they make, and those that are opened to answer them because the
	// connection of a request is gone. 0 means 10,000. Further ones are closed
	// at once, or not opened.
	MaxConns int

	// MaxConnsPerSource is how many of them one IPv4 address or one /64 of IPv6
	// may have; 0 means 1,000, less than 0 any number.
	MaxConnsPerSource int

	// MaxRate is how many messages a second are taken from one such source,
	// and how many at once after a second of silence; 0 means 20,000, less
	// than 0 any number. STUN and pings count too. What UDP brings beyond that
	// is dropped without an answer; a connection is read more slowly. Memory
	// for this is the same for any number of sources, so two of them may be
	// counted as one.
	MaxRate int

	// MaxUDP is the size in bytes above which a request goes by TCP; 0 means
	// 1300 (RFC 3261 section 18.1.1).
	MaxUDP int

	// FlowKey signs flow tokens, see FlowToken. With the same key, those of UDP
	// flows stay good when a program starts again. nil means a random one.
	FlowKey []byte

	Network Network      // nil: the operating system's
	Trace   *Trace       // nil: none
	Logger  *slog.Logger // nil: slog.Default
}

// Inbound is a message that arrived.
type Inbound struct {
	// Message is the message. The topmost Via of a request has got the
	// received and rport parameters of RFC 3261 section 18.2.1 and RFC 3581
	// section 4, whatever its sender wrote there.
	Message sip.Message
	Flow    Flow      // where it came from
	Time    time.Time // when it was read
}

// Endpoint is a set of bound sockets and the connections made from them.
type Endpoint struct {
	cfg      Config
	began    time.Time
	inbox    chan *Inbound   // for Receive, nil if there is a Handle
	ctx      context.Context // ended by Close
	end      context.CancelFunc
	count    counters
	tasks    sync.WaitGroup // the goroutines of sockets and connections
	resolver *resolve.Client
	rate     *buckets
	sources  *perSource // the connections in caused, by who
	tokens   tokenKey

	udp       []*udpSocket
	listeners []*streamListener

	mu       sync.Mutex
	closed   bool
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
	e.resolver = resolve.New(&resolve.Config{Resolver: e.cfg.Resolver, Dialer: e.cfg.Network, Transports: e.transports()})
	e.configuredHosts()
	for _, s := range e.udp {
		e.tasks.Go(s.read) // ends when Close closes the socket
	}
	for _, l := range e.listeners {
		e.tasks.Go(l.serve) // ends when Close closes the listener
	}
	return e, nil
}

// defaults fills in what the Config leaves open.
func (e *Endpoint) defaults() error {
	cfg := &e.cfg
	if cfg.Network == nil {
		cfg.Network = &system{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Idle = cmp.Or(cfg.Idle, 10*time.Minute)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, 10000)
	cfg.MaxConnsPerSource = cmp.Or(cfg.MaxConnsPerSource, 1000)
	cfg.MaxRate = cmp.Or(cfg.MaxRate, 20000)
	cfg.MaxUDP = cmp.Or(cfg.MaxUDP, 1300)
	cfg.WebSocketPath = cmp.Or(cfg.WebSocketPath, "/")
	e.rate = newBuckets(cfg.MaxRate, cfg.MaxRate)
	e.sources = newPerSource(cfg.MaxConnsPerSource)
	e.tokens = newTokenKey(cfg.FlowKey)
	if cfg.Handle == nil {
		e.inbox = make(chan *Inbound, 64)
		cfg.Handle = e.enqueue
	}
	if cfg.Advertise != "" {
		if _, err := parseHostPort(hostText(cfg.Advertise)); err != nil {
			return fmt.Errorf("transport: advertise %q: %w", cfg.Advertise, err)
		}
	}
	named := map[string]bool{}
	for name, port := range cfg.AdvertisePorts {
		kind := kindOf(name)
		if kind == "" || port < 1 || port > 65535 {
			return fmt.Errorf("transport: advertise port %d of %q: no such port or transport", port, name)
		}
		if named[kind] {
			return fmt.Errorf("transport: advertise port %d of %q: %s has two", port, name, kind)
		}
		named[kind] = true
	}
	return nil
}

// transports returns what requests can be sent by. TCP and what runs on it
// takes no socket of ours.
func (e *Endpoint) transports() []string {
	var all []string
	if len(e.udp) > 0 {
		all = append(all, viaUDP)
	}
	return append(all, viaTCP, viaTLS, viaWS, viaWSS)
}

// Resolver returns what finds the targets of requests sent from here (RFC
// 3263). It knows the transports that there are.
func (e *Endpoint) Resolver() *resolve.Client { return e.resolver }

// portsShared reports whether several entries ask for the same free port.
func (e *Endpoint) portsShared() bool {
	n := 0
	for _, l := range e.cfg.Listen {
		if strings.HasSuffix(l, ":0") {
			n++
		}
	}
	return n > 1
}

func (e *Endpoint) bind() error {
	ctx := context.Background()
	free := map[string]int{} // the free port that was picked for a transport
	for _, l := range e.cfg.Listen {
		kind, address, err := listenEntry(l)
		if err != nil {
			return fmt.Errorf("transport: listen on %q: %w", l, err)
		}
		with := kind
		if kind == viaTCP {
			with = viaUDP
		}
		if host, ok := strings.CutSuffix(address, ":0"); ok && free[with] != 0 {
			address = host + ":" + strconv.Itoa(free[with])
		}
		var local netip.AddrPort
		if kind == viaUDP {
			local, err = e.bindUDP(ctx, address)
		} else {
			local, err = e.bindStream(ctx, kind, address)
		}
		if err != nil {
			return fmt.Errorf("transport: listen on %s: %w", l, err)
		}
		if strings.HasSuffix(l, ":0") {
			free[with] = int(local.Port())
		}
	}
	return nil
}

// bindUDP binds the sockets of one entry.
func (e *Endpoint) bindUDP(ctx context.Context, address string) (local netip.AddrPort, err error) {
	network := e.cfg.Network
	sharing, ok := network.(*system)
	if e.cfg.Sockets > 1 && ok {
		network = sharing.reusingPorts()
	}
	for i := range max(1, e.cfg.Sockets) {
		if i > 0 && (!ok || !canReusePorts) {
			break
		}
		pc, err := network.ListenPacket(ctx, "udp"+family(address), address)
		if err != nil {
			return local, err
		}
		s := newUDPSocket(e, pc)
		e.udp = append(e.udp, s)
		local = s.local
		if host, _, err := net.SplitHostPort(address); err == nil {
			address = net.JoinHostPort(host, strconv.Itoa(int(local.Port())))
		}
	}
	return local, nil
}

// bindStream binds a listener.
func (e *Endpoint) bindStream(ctx context.Context, kind, address string) (netip.AddrPort, error) {
	l := &streamListener{e: e, kind: kind}
	if isSecure(kind) {
		if e.cfg.TLS == nil {
			return netip.AddrPort{}, errors.New("no certificate: Config.TLS is nil")
		}
		cfg := e.cfg.TLS
		if kind == viaTLS && cfg.ClientAuth == tls.NoClientCert {
			// Other servers prove who they are (RFC 5923 section 9.2). Who has
			// no certificate is as welcome; browsers are not asked.
			cfg = cfg.Clone()
			cfg.ClientAuth = tls.RequestClientCert
		}
		l.tls = serverTLS(cfg)
	}
	ln, err := e.cfg.Network.Listen(ctx, "tcp"+family(address), address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	l.ln, l.local = ln, addrPort(ln.Addr())
	if isWebSocket(kind) {
		l.http = e.newHTTPServer()
	}
	e.listeners = append(e.listeners, l)
	return l.local, nil
}

// listenEntry takes an entry of Config.Listen apart. An address without a port
// would be bound to all of the machine's addresses at a port of its own choice.
func listenEntry(l string) (kind, address string, err error) {
	name, address, _ := strings.Cut(l, ":")
	if kind = kindOf(name); kind == "" {
		return "", "", errors.New("network is none of udp, tcp, tls, ws and wss")
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return "", "", fmt.Errorf("no host and port, as in %q", name+":0.0.0.0:5060")
	}
	return kind, address, nil
}

// family returns what makes an IPv4 address, 0.0.0.0 too, stand for IPv4 alone.
// The net package would bind 0.0.0.0 for both families.
func family(address string) string {
	if addr, err := netip.ParseAddrPort(address); err == nil && addr.Addr().Is4() {
		return "4"
	}
	return ""
}

func (e *Endpoint) unbind() {
	for _, s := range e.udp {
		s.conn.Close()
	}
	for _, l := range e.listeners {
		l.ln.Close()
	}
	e.udp, e.listeners = nil, nil
}

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

// Close closes every socket and connection and waits until nothing more is
// handed over, so neither it nor Shutdown is to be called from Config.Handle,
// Config.Closed or KeepAlive.Dead.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		e.tasks.Wait()
		return nil
	}
	e.closed = true
	e.end()
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
	e.tasks.Wait()
	return errors.Join(errs...)
}
