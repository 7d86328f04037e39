package transport

import (
	"context"
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
)

var (
	// ErrClosed says that the Endpoint was closed.
	ErrClosed = errors.New("transport: endpoint closed")
	// ErrNoFlow says that there is no way to send: the flow is the zero Flow,
	// or its connection is gone.
	ErrNoFlow = errors.New("transport: flow is gone")
	// ErrBacklog says that a peer does not read what is sent to it.
	ErrBacklog = errors.New("transport: too much unsent on this connection")
)

// Config holds the options of an Endpoint.
type Config struct {
	// Listen names the sockets to bind, such as "udp:0.0.0.0:5060" or
	// "tcp:[::1]:0". 0.0.0.0 is every IPv4 address; no host, as in "udp::5060",
	// is every address of both families. Port 0 picks a free one, the same for
	// all entries with port 0 where that can be had.
	Listen []string

	// Advertise is the host that peers reach us by, if it is not the bound
	// address: a name or an IP address, for Via and Contact. "" means the
	// bound address, or for a wildcard the local address that leads to the
	// peer.
	Advertise string

	// Handle is called for each message, in the order of arrival on its
	// socket, from the goroutine that reads the socket: it must not block. If
	// it is nil the messages wait for Receive. A panic in it is logged with
	// the message, and ends nothing else.
	Handle func(*Inbound)

	// Closed is called when a connection that carried messages is gone, with
	// what ended it. It may be nil.
	Closed func(Flow, error)

	// Idle is how long a connection without traffic is kept; 0 means 10
	// minutes. A peer that connects has 32 seconds to complete its first
	// message, and as long for each further one that it begins. A connection
	// that was opened for a response, and carries nothing else, is kept for
	// 32 seconds at most.
	Idle time.Duration

	// MaxConns is how many connections that peers cause are held at once: those
	// that they make, and those that are opened to answer them because the
	// connection of a request is gone. 0 means 10,000. Further ones are closed
	// at once, or not opened.
	MaxConns int

	// MaxUDP is the size in bytes above which a request goes by TCP; 0 means
	// 1300 (RFC 3261 section 18.1.1).
	MaxUDP int

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
	cfg   Config
	began time.Time
	inbox chan *Inbound   // for Receive, nil if there is a Handle
	ctx   context.Context // ended by Close
	end   context.CancelFunc
	count counters
	tasks sync.WaitGroup // the goroutines of sockets and connections

	udp       []*udpSocket
	listeners []*streamListener

	mu     sync.Mutex
	closed bool
	conns  map[netip.AddrPort]*connEntry
	open   map[*streamConn]struct{} // every connection, also those not in conns
	caused int                      // how many peers have made, or made us make for a response
	anew   int                      // responses that wait for a new connection
	routes map[netip.Addr]route     // which local address leads where
	hosts  map[string]struct{}      // the hosts we put into Vias, in lower case
}

// Listen binds the sockets and starts to read from them.
//
// A port in use is a *net.OpError that wraps syscall.EADDRINUSE.
func Listen(cfg *Config) (*Endpoint, error) {
	e := &Endpoint{
		began:  time.Now(),
		conns:  map[netip.AddrPort]*connEntry{},
		open:   map[*streamConn]struct{}{},
		routes: map[netip.Addr]route{},
		hosts:  map[string]struct{}{},
	}
	e.ctx, e.end = context.WithCancel(context.Background())
	if cfg != nil {
		e.cfg = *cfg
	}
	if e.cfg.Network == nil {
		e.cfg.Network = &system{}
	}
	if e.cfg.Logger == nil {
		e.cfg.Logger = slog.Default()
	}
	if e.cfg.Idle == 0 {
		e.cfg.Idle = 10 * time.Minute
	}
	if e.cfg.MaxConns == 0 {
		e.cfg.MaxConns = 10000
	}
	if e.cfg.MaxUDP == 0 {
		e.cfg.MaxUDP = 1300
	}
	if e.cfg.Handle == nil {
		e.inbox = make(chan *Inbound, 64)
		e.cfg.Handle = e.enqueue
	}
	if e.cfg.Advertise != "" {
		uri := sip.URI{Scheme: "sip", Host: hostText(e.cfg.Advertise)}
		if _, err := sip.ParseURI(uri.String()); err != nil {
			return nil, fmt.Errorf("transport: advertise %q: %w", e.cfg.Advertise, err)
		}
	}
	if len(e.cfg.Listen) == 0 {
		return nil, errors.New("transport: nothing to listen on")
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
	e.configuredHosts()
	for _, s := range e.udp {
		e.tasks.Go(s.read) // ends when Close closes the socket
	}
	for _, l := range e.listeners {
		e.tasks.Go(l.accept) // ends when Close closes the listener
	}
	return e, nil
}

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
	var shared uint16
	for _, l := range e.cfg.Listen {
		network, address, err := listenEntry(l)
		if err != nil {
			return fmt.Errorf("transport: listen on %q: %w", l, err)
		}
		if host, ok := strings.CutSuffix(address, ":0"); ok && shared != 0 {
			address = host + ":" + strconv.Itoa(int(shared))
		}
		var local netip.AddrPort
		switch network {
		case "udp":
			pc, err := e.cfg.Network.ListenPacket(ctx, "udp"+family(address), address)
			if err != nil {
				return fmt.Errorf("transport: listen on %s: %w", l, err)
			}
			s := newUDPSocket(e, pc)
			e.udp = append(e.udp, s)
			local = s.local
		case "tcp":
			ln, err := e.cfg.Network.Listen(ctx, "tcp"+family(address), address)
			if err != nil {
				return fmt.Errorf("transport: listen on %s: %w", l, err)
			}
			s := &streamListener{e: e, ln: ln, local: addrPort(ln.Addr())}
			e.listeners = append(e.listeners, s)
			local = s.local
		}
		if strings.HasSuffix(l, ":0") {
			shared = local.Port()
		}
	}
	return nil
}

// listenEntry takes an entry of Config.Listen apart. An address without a port
// would be bound to all of the machine's addresses at a port of its own choice.
func listenEntry(l string) (network, address string, err error) {
	network, address, _ = strings.Cut(l, ":")
	if network != "udp" && network != "tcp" {
		return "", "", errors.New("network is not udp or tcp")
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return "", "", fmt.Errorf("no host and port, as in %q", network+":0.0.0.0:5060")
	}
	return network, address, nil
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

// Addr returns the address bound for a transport ("udp" or "tcp"), the first
// one if there are several. It is not valid if there is none.
func (e *Endpoint) Addr(transport string) netip.AddrPort {
	if equalFold(transport, "udp") {
		for _, s := range e.udp {
			return s.local
		}
		return netip.AddrPort{}
	}
	for _, l := range e.listeners {
		if equalFold(transport, "tcp") {
			return l.local
		}
	}
	return netip.AddrPort{}
}

// Close closes every socket and connection and waits until nothing more is
// handed over, so it is not to be called from Config.Handle or Config.Closed.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		e.tasks.Wait()
		return nil
	}
	e.closed = true
	e.end()
	var open []*streamConn
	for c := range e.open {
		open = append(open, c)
	}
	e.mu.Unlock()

	var errs []error
	for _, s := range e.udp {
		errs = append(errs, s.conn.Close())
	}
	for _, l := range e.listeners {
		errs = append(errs, l.ln.Close())
	}
	for _, c := range open {
		c.fail(ErrClosed)
	}
	e.tasks.Wait()
	return errors.Join(errs...)
}
