package relay

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// maxPeers is how many neighbors one URI is used by: the peer of a session, as a rule.
const maxPeers = 16

// A grant is a URI that a client has got, and what may be done with it (RFC 4976 section 6.3).
type grant struct {
	uri    frame.URI
	user   string
	payer  *account    // of the user
	client frame.URI   // the hop towards the client: itself, or the relay before us
	conn   *connection // that the AUTH has come on
	relay  bool        // the hop is a relay that has proved its name, whose connections are all good

	until atomic.Int64 // as time.Time.UnixNano; 0: it is revoked

	mu    sync.Mutex
	peers []peer
}

// A peer is a hop away from the client that has come to us.
type peer struct {
	uri  frame.URI
	conn *connection
}

func (g *grant) valid(now time.Time) bool { return now.UnixNano() < g.until.Load() }

// owns reports whether a connection is one of the client's.
func (g *grant) owns(c *connection) bool {
	return c == g.conn || g.relay && c != nil && c.isHost(g.client.Host)
}

// owner returns the connection towards the client, nil if there is none.
func (g *grant) owner(r *Relay) *connection {
	if g.conn.alive() {
		return g.conn
	}
	if !g.relay {
		return nil
	}
	c, _ := r.connect(g.client, g.user)
	return c
}

// bind notes where a hop is that sends to the client: what the client sends goes the same way, for
// nobody can connect to a peer behind a NAT (RFC 4975 section 5.4). It fails if the hop is on another
// connection already.
func (g *grant) bind(u frame.URI, c *connection) frame.Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	free := -1
	for i, p := range g.peers {
		switch {
		case !p.uri.Equal(u):
			if !p.conn.alive() {
				free = i
			}
		case p.conn == c:
			return 0
		case p.conn.alive() && !(c.isHost(u.Host)):
			return frame.StatusSessionBoundElsewhere
		default:
			g.peers[i].conn = c
			return 0
		}
	}
	switch {
	case free >= 0:
		g.peers[free] = peer{u, c}
	case len(g.peers) < maxPeers:
		g.peers = append(g.peers, peer{u, c})
	default:
		return frame.StatusForbidden
	}
	return 0
}

// peer returns the connection that a hop has come on, nil if there is none.
func (g *grant) peer(u frame.URI) *connection {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.peers {
		if p.uri.Equal(u) && p.conn.alive() {
			return p.conn
		}
	}
	return nil
}

// find returns the grant of a URI, nil if there is none, or none any more.
func (r *Relay) find(u frame.URI) *grant {
	r.mu.Lock()
	g := r.grants[u.SessionID]
	r.mu.Unlock()
	if g == nil || !g.uri.Equal(u) || !g.valid(time.Now()) {
		return nil
	}
	return g
}

// grant makes a URI. It returns nil if there are too many, or the connection has ended.
func (r *Relay) grant(c *connection, user string, client frame.URI, relay bool, lifetime time.Duration) *grant {
	g := &grant{uri: r.uri(c), user: user, client: client, conn: c, relay: relay}
	g.until.Store(time.Now().Add(lifetime).UnixNano())
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.account(user)
	pays := c.payer == "" && !relay
	if c.over || len(r.grants) >= r.cfg.MaxURIs || a.uris >= share(r.cfg.MaxURIs) || pays && !r.mayHave(a) {
		r.settle(user)
		return nil
	}
	g.payer = a
	if pays {
		c.payer = user
		a.conns[c] = struct{}{}
	}
	r.grants[g.uri.SessionID] = g
	a.uris++
	c.grants[g] = struct{}{}
	return g
}

// revoke ends a grant. The lock is held.
func (r *Relay) revoke(g *grant) {
	g.until.Store(0)
	delete(r.grants, g.uri.SessionID)
	delete(g.conn.grants, g)
	r.users[g.user].uris--
	r.settle(g.user)
}

// uri returns a new URI for a client: at the socket that it has connected to, or for a WebSocket
// at one for TCP, if there is one, as peers use it (RFC 7977 section 8.1).
func (r *Relay) uri(c *connection) frame.URI {
	u := frame.URI{Secure: c.secure, Host: r.cfg.Host, Port: c.port, SessionID: frame.NewSessionID(), Transport: "tcp"}
	if !c.ws {
		return u
	}
	for _, transport := range []string{"tls", "tcp"} {
		if a := r.Addr(transport); a.IsValid() {
			u.Secure, u.Port = transport == "tls", a.Port()
			return u
		}
	}
	u.Transport = "ws"
	return u
}

// isHere reports whether a URI names this relay: one that it has given, which may have the port of a web
// server (see ServeHTTP), or one at a socket of its own, whatever its session.
func (r *Relay) isHere(u frame.URI) bool {
	if r.find(u) != nil {
		return true
	}
	if !frame.SameHost(u.Host, r.cfg.Host) && !frame.SameHost(u.Host, r.cfg.Domain) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.listeners {
		if l.addr.Port() == u.Port {
			return true
		}
	}
	return false
}
