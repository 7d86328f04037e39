package resolve

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Config holds the options of a Client. nil and the zero value have a Client
// ask the DNS of the system, and speak every transport.
type Config struct {
	// Transports are those that the caller can speak, of "UDP", "TCP", "TLS",
	// "WS" and "WSS", the most wanted first; others are passed over. Where a
	// domain does not say which it prefers, this order decides. nil means all
	// five, in that order.
	Transports []string

	// Resolver answers the questions; nil means a DNS that uses Dialer.
	Resolver Resolver

	// Logger is told of a Resolver that panics; nil means slog.Default.
	Logger *slog.Logger

	// Dialer opens the sockets of DNS. It also tells whether there is a route
	// to an address, by a "udp" connection over which nothing is sent. nil
	// means that of the operating system.
	Dialer Dialer
}

// Dialer opens connections. *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Client turns URIs into targets. Its methods may be called from many
// goroutines at once. What goes on in it is over with the questions that are
// asked, 40 seconds after the last search at most, or with Close.
type Client struct {
	transports []*transport
	dialer     Dialer
	cache      *cache
	failures   failures

	mu    sync.Mutex
	route route // to IPv6
}

// route is whether there is one, as last seen.
type route struct {
	there bool
	until time.Time
}

// New returns a Client.
func New(cfg *Config) *Client {
	if cfg == nil {
		cfg = &Config{}
	}
	c := &Client{dialer: cfg.Dialer}
	if c.dialer == nil {
		c.dialer = &net.Dialer{}
	}
	resolver := cfg.Resolver
	if resolver == nil {
		resolver = &DNS{Dialer: c.dialer}
	}
	c.cache = newCache(resolver, cmp.Or(cfg.Logger, slog.Default()))
	if cfg.Transports == nil {
		c.transports = transports
	}
	for _, name := range cfg.Transports {
		if tr := transportNamed(name); tr != nil && !c.speaks(tr) {
			c.transports = append(c.transports, tr)
		}
	}
	return c
}

// Close calls off the questions that are under way, also those that nobody waits
// for any more, and no others are asked. Who waits for one, or comes with one,
// gets net.ErrClosed.
func (c *Client) Close() error {
	c.cache.close()
	return nil
}

func (c *Client) speaks(tr *transport) bool {
	return tr != nil && slices.Contains(c.transports, tr)
}

// usual returns the transport for a URI when neither it nor the DNS names one,
// or nil: UDP or TLS (RFC 3263 section 4.1), and for who does not speak that
// the one most wanted of those that will do.
func (c *Client) usual(secure bool) *transport {
	usual := udp
	if secure {
		usual = tls
	}
	if c.speaks(usual) {
		return usual
	}
	for _, tr := range c.transports {
		if tr.secure || !secure {
			return tr
		}
	}
	return nil
}

// routeFor is how long it is remembered whether there is a route to IPv6.
const routeFor = 10 * time.Second

// reaches reports whether there is a route to IPv6 addresses. What it finds out
// holds for all of them, so it takes an address of the Internet to find out:
// with others, which every machine has a route to, or none, whoever has a domain
// would decide for everybody. Without one IPv6 keeps its place.
//
// The error is the end of ctx, before it was found out.
func (c *Client) reaches(ctx context.Context, addrs []netip.Addr, port uint16) (bool, error) {
	i := slices.IndexFunc(addrs, func(a netip.Addr) bool { return a.As16()[0]>>5 == 1 }) // 2000::/3, all that is allotted (RFC 4291 section 2.4)
	if i < 0 {
		return true, nil
	}
	now := time.Now()
	c.mu.Lock()
	r := c.route
	c.mu.Unlock()
	if now.Before(r.until) {
		return r.there, nil
	}
	conn, err := c.dialer.DialContext(ctx, "udp", netip.AddrPortFrom(addrs[i], port).String())
	if err == nil {
		conn.Close()
	} else if ctx.Err() != nil {
		return true, ctx.Err() // the caller has gone; that says nothing
	}
	r = route{there: err == nil, until: now.Add(routeFor)}
	c.mu.Lock()
	c.route = r
	c.mu.Unlock()
	return r.there, nil
}
