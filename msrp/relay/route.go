package relay

import (
	"strings"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// A route is where the requests with a To-Path and a From-Path go.
type route struct {
	key      routeKey
	to, from string   // the paths as they are forwarded
	ours     string   // our URIs of them, in the order of To-Path
	before   string   // the first URI of From-Path, for which responses are
	us       string   // the first of To-Path, from which they are
	grants   []*grant // of these URIs
	out      *connection
	outward  bool // the next hop is no client of ours, but away from one
	shared   bool // the hop before is no client, but a relay with many
}

// payer is the account of the user by whose URI a request leaves.
func (rt *route) payer() *account { return rt.grants[len(rt.grants)-1].payer }

// A connection remembers this many routes, whose paths have this many bytes.
const (
	maxRoutes = 512
	maxKey    = 1 << 10
)

// good reports whether a route may still be used.
func (rt *route) good(now time.Time) bool {
	for _, g := range rt.grants {
		if !g.valid(now) {
			return false
		}
	}
	return rt.out.alive()
}

// gone is what becomes of a request whose next hop is lost: a client that goes takes its URI with
// it.
func (rt *route) gone() frame.Status {
	if rt.outward {
		return frame.StatusTimeout
	}
	return frame.StatusNoSession
}

// route says where a request goes, or with which error it is refused.
func (c *connection) route(h *frame.Head, now time.Time) (*route, frame.Status) {
	key := routeKey{h.To, h.From}
	if rt := c.routes[key]; rt != nil && rt.good(now) {
		return rt, 0
	}
	rt, status := c.newRoute(key)
	if status != 0 {
		return nil, status
	}
	if len(key.to)+len(key.from) <= maxKey {
		if len(c.routes) >= maxRoutes {
			clear(c.routes)
		}
		c.routes[key] = rt
	}
	return rt, 0
}

// newRoute follows To-Path through our own URIs, of which there are two where both clients are
// ours (RFC 7977 section 8.3.2). For each it holds that the request comes from the client that has
// got the URI, or goes there (RFC 4976 section 6.4).
func (c *connection) newRoute(key routeKey) (*route, frame.Status) {
	to, err := frame.ParsePath(key.to)
	if err != nil {
		return nil, frame.StatusBadRequest
	}
	from, err := frame.ParsePath(key.from)
	if err != nil {
		return nil, frame.StatusBadRequest
	}
	rt := &route{key: key, to: key.to, from: key.from, shared: len(from) > 1}
	rt.before, _ = cutFirst(key.from)
	rt.us, _ = cutFirst(key.to)
	before := c // the hop before; nil: it is us
	for i, u := range to {
		g := c.r.find(u)
		if g == nil || i == len(to)-1 {
			return nil, frame.StatusNoSession // RFC 4976 section 6.3
		}
		for _, other := range append(from, to[:i]...) {
			if other.Equal(u) {
				return nil, frame.StatusBadRequest // it goes round in circles
			}
		}
		first, rest := cutFirst(rt.to)
		rt.to, rt.from = rest, first+" "+rt.from
		rt.ours = strings.TrimLeft(rt.ours+" "+first, " ")
		rt.grants = append(rt.grants, g)
		next := to[i+1]
		if !g.owns(before) || next.Equal(g.client) {
			rt.out, rt.outward = g.owner(c.r), false
			plain := !c.secure && !c.ws
			switch {
			case before == nil || before == g.conn:
			case plain && u.Secure:
				return nil, frame.StatusForbidden // this hop is to have TLS (RFC 4975 section 6)
			case plain && from[0].Secure:
				// What is for the hop before will go there by TLS, and not this way.
			default:
				if status := g.bind(from[0], c); status != 0 {
					return nil, status
				}
			}
			break
		}
		rt.outward = true
		if c.r.isHere(next) {
			before = nil
			continue
		}
		if rt.out = g.peer(next); rt.out == nil {
			var status frame.Status
			if rt.out, status = c.r.connect(next, g.user); status != 0 {
				return nil, status
			}
		}
		break
	}
	if rt.out == nil {
		return nil, frame.StatusNoSession
	}
	return rt, 0
}

// cutFirst returns the first URI of a path, and those behind it.
func cutFirst(path string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimLeft(path, " "), " ")
	return first, strings.TrimLeft(rest, " ")
}
