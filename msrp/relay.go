package msrp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/digest"
	"github.com/goparley/parley/msrp/internal/link"
)

// A Relay carries the sessions of an Endpoint (RFC 4976). Each session gets a URI of its own there, and
// all share one connection.
type Relay struct {
	// URI names the relay: "msrps://relay.example.com;tcp", or with ";ws" one that is reached by WebSocket (RFC
	// 7977). Without a port it is looked for by SRV records, _msrps._tcp of the host, and then at port 2855 (RFC
	// 4976 section 8), a WebSocket at port 443. The certificate has to be for the host of the URI, wherever the SRV
	// records lead. With "msrp:" there is no TLS, and nobody knows who the relay is: that is for tests.
	URI string

	Username, Password string

	// Expires is for how long the relay is asked to keep a URI; 0 leaves that to the relay. It is adjusted if
	// the relay wants it otherwise. Kamailio refuses any, and is asked again without.
	Expires time.Duration

	// RequireProof refuses a relay that does not prove that it knows the password, too, as all must (RFC 4976 section
	// 9.1) and Kamailio does not. A proof that is wrong is refused in any case.
	RequireProof bool

	// Path and Header are for the handshake of a WebSocket: "" is "/", and a Header may be a Cookie or an
	// Authorization (RFC 7977 section 7).
	Path   string
	Header http.Header
}

const (
	relayPort = 2855        // RFC 4976 section 8
	keepTime  = time.Hour   // for a connection to it without sessions (RFC 4976 section 5.4)
	renewTime = time.Minute // before the end of a path that a new one is asked for
)

// A relay is one of those of an endpoint.
type relay struct {
	Relay
	uri    frame.URI
	turn   chan struct{} // for one AUTH at a time, as the nonces want it (RFC 4976 section 9.1)
	client digest.Client // of whose turn it is
}

func newRelays(list []Relay) ([]*relay, error) {
	var relays []*relay
	for _, cfg := range list {
		u, err := frame.ParseURI(cfg.URI)
		_, noAddress := netip.ParseAddr(u.Host)
		switch {
		case err != nil:
			return nil, fmt.Errorf("msrp: relay %q: %w", cfg.URI, err)
		case u.SessionID != "":
			return nil, fmt.Errorf("msrp: relay %q: the URI of a session", cfg.URI)
		case !strings.EqualFold(u.Transport, "tcp") && !strings.EqualFold(u.Transport, "ws"):
			return nil, fmt.Errorf("msrp: relay %q: neither by tcp nor by ws", cfg.URI)
		case u.Port == 0 && noAddress == nil: // RFC 4976 section 8
			return nil, fmt.Errorf("msrp: relay %q: an address without a port", cfg.URI)
		}
		relays = append(relays, &relay{Relay: cfg, uri: u, turn: make(chan struct{}, 1),
			client: digest.Client{Username: cfg.Username, Password: cfg.Password}})
	}
	return relays, nil
}

// overWebSocket reports whether the relay is reached by WebSocket.
func (r *relay) overWebSocket() bool { return strings.EqualFold(r.uri.Transport, "ws") }

// key says which connection is that to the relay.
func (r *relay) key() peerKey {
	return peerKey{secure: r.uri.Secure, address: r.uri.String(), name: r.uri.Host, relay: true}
}

// relayed reports whether the peer reaches the session by relays of ours.
func (s *Session) relayed() bool { return len(s.e.relays) > 0 && !s.cfg.DataChannel }

// newRelayedLeg connects to the relay, whatever the descriptions say of who connects (RFC 6135 section
// 4.5), and gets a path there: each for one session alone (RFC 4976 section 3.1).
func (s *Session) newRelayedLeg(ctx context.Context) (*leg, error) {
	for tries := 0; ; tries++ {
		l, err := s.askRelays(ctx)
		if err == nil {
			return l, nil
		}
		// A connection that others have used may have ended just now.
		if !errors.Is(err, ErrLost) || tries == 1 {
			return nil, fmt.Errorf("msrp: relay %s: %w", s.e.cfg.Relays[0].URI, err)
		}
	}
}

func (s *Session) askRelays(ctx context.Context) (*leg, error) {
	e, first := s.e, s.e.relays[0]
	c, err := e.connect(ctx, first.key(), nil)
	if err != nil {
		return nil, err
	}
	l := &leg{s: s, given: true, local: frame.URI{Secure: first.uri.Secure, Host: s.hostOf(c), Port: 9,
		SessionID: frame.NewSessionID(), Transport: strings.ToLower(first.uri.Transport)}}
	l.from = l.local.String()
	if err := e.register(l); err != nil {
		return nil, err
	}
	if err := l.take(c); err != nil {
		l.end(err)
		if errors.Is(err, link.ErrClosed) {
			e.forget(c)
			return nil, ErrLost
		}
		return nil, err
	}
	use, lasts, err := e.authenticate(ctx, c, l.local)
	if err != nil {
		l.end(err)
		return nil, err
	}
	c.keep()
	path := append(slices.Clone(use), l.local)
	slices.Reverse(path[:len(use)])
	if plain := slices.IndexFunc(path, func(u frame.URI) bool { return !u.Secure }); s.cfg.TLS && plain >= 0 {
		err := fmt.Errorf("the session has to have TLS, and is reached without TLS: %s", path[plain])
		l.end(err)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	l.relays, l.path = use, path
	l.secure = l.path[0].Secure
	l.lastFor(lasts)
	return l, nil
}

// authenticate asks each relay by those before it, and returns the path to peers (RFC 4976 section 5.1) and
// for how long it is good; 0: no relay says that.
func (e *Endpoint) authenticate(ctx context.Context, c *connection, from frame.URI) (use frame.Path, lasts time.Duration, err error) {
	for i, r := range e.relays {
		path, expires, err := r.authenticate(ctx, c, from, use)
		if err != nil {
			if i == 0 && errors.Is(err, frame.StatusTimeout) {
				e.forget(c) // it may be gone without a word
			}
			return nil, 0, err
		}
		if len(use) > 0 && !path[0].Equal(use[0]) {
			path = append(use, path...) // it has named itself alone
		}
		use = path
		if lasts == 0 || expires > 0 && expires < lasts {
			lasts = expires
		}
	}
	return use, lasts, nil
}

// lastFor has the session ask for another path before the relay forgets this one: no AUTH makes one last
// longer (RFC 4976 section 9.4). The lock is held.
func (l *leg) lastFor(d time.Duration) {
	if d > 0 {
		l.until = time.Now().Add(d)
		l.expiry = time.AfterFunc(max(d/2, d-renewTime), l.renew)
	}
}

// renew says that the path comes to its end.
func (l *leg) renew() {
	s := l.s
	s.mu.Lock()
	if l.err != nil || s.closed {
		s.mu.Unlock()
		return
	}
	l.stale = true
	l.expiry = time.AfterFunc(time.Until(l.until), func() { l.end(fmt.Errorf("%w: the relay keeps the path no longer", ErrLost)) })
	s.mu.Unlock()
	if tell := s.cfg.OnExpiring; tell != nil {
		tell()
	}
}

// dialRelay makes a connection to the relay.
func (e *Endpoint) dialRelay(ctx context.Context, key peerKey) (*connection, error) {
	r := e.relays[0]
	addresses, err := e.addresses(ctx, r)
	for _, address := range addresses {
		c, fault := e.reach(ctx, r, address, key)
		if fault == nil {
			return c, nil
		}
		err = errors.Join(err, fault)
	}
	return nil, err
}

// addresses returns where a relay may be, in the order to try (RFC 4976 section 8).
func (e *Endpoint) addresses(ctx context.Context, r *relay) ([]string, error) {
	u := r.uri
	switch {
	case u.Port != 0:
	case r.overWebSocket() && u.Secure:
		u.Port = 443
	case r.overWebSocket():
		u.Port = 80
	case u.Secure:
		_, records, err := e.resolver.LookupSRV(ctx, "msrps", "tcp", u.Host)
		if err == nil && len(records) == 1 && records[0].Target == "." {
			return nil, &net.DNSError{Err: "no MSRP relay in this domain", Name: u.Host, IsNotFound: true}
		}
		var list []string
		for _, srv := range records {
			list = append(list, net.JoinHostPort(strings.TrimSuffix(srv.Target, "."), strconv.Itoa(int(srv.Port))))
		}
		if len(list) > 0 {
			return list, nil
		}
		u.Port = relayPort
	default:
		u.Port = relayPort
	}
	return []string{hostPort(u)}, nil
}

// reach connects to one address of a relay.
func (e *Endpoint) reach(ctx context.Context, r *relay, address string, key peerKey) (*connection, error) {
	nc, err := e.network.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if key.secure {
		nc, err = e.secure(ctx, nc, key.name, func(cfg *tls.Config) {
			cfg.Certificates = nil // a client shows none, a relay does (RFC 4976 section 9.2)
		})
		if err != nil {
			return nil, err
		}
	}
	c := e.blank(&key)
	if r.overWebSocket() {
		ws, err := dialWebSocket(ctx, nc, r)
		if err != nil {
			return nil, err
		}
		c.link = link.NewMessages(ws, maxWebSocket, c)
	} else {
		c.link = link.New(nc, c)
	}
	e.open.Store(c, nil)
	c.wait()
	c.link.Start()
	return c, nil
}

// hostOf returns the host of our URIs behind a relay, where nobody connects to: it tells us from others.
func (s *Session) hostOf(c *connection) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.e.cfg.Host != "" {
		return s.e.cfg.Host
	}
	if s.address.IsValid() {
		return s.address.Unmap().String()
	}
	if a := c.link.LocalAddr(); a != nil {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			return ap.Addr().Unmap().WithZone("").String()
		}
	}
	return nowhere
}

// nowhere is the host of URIs where no address is known (RFC 7977 appendix A).
const nowhere = "anonymous.invalid"
