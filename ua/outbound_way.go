package ua

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// way is how a request of the agent outside of dialogs leaves: by the flow of a
// registration, or to where its Route says.
type way struct {
	b     *binding       // nil: of no registration
	flow  transport.Flow // zero: to where the Route, or without one the request says
	route []sip.Route
	rank  int // the lower the better
}

// ways returns the ways of a request, the best first, at least one: by the flows
// that are up, of the first registration first (RFC 5626 section 4.3); by those
// that another request has just failed on; and by proxies whose flow is down.
func (a *Agent) ways() []way {
	var ways []way
	for _, r := range a.registrations() {
		r.mu.Lock()
		for _, b := range r.bindings {
			ways = append(ways, b.way())
		}
		for i, proxy := range r.proxies {
			if first := r.bindings[0]; len(r.bindings) == 1 && i != first.proxy {
				ways = append(ways, way{b: first, route: []sip.Route{{URI: proxy}}, rank: 3})
			}
		}
		r.mu.Unlock()
	}
	if len(ways) == 0 {
		return []way{{route: a.preloaded()}}
	}
	slices.SortStableFunc(ways, func(v, w way) int { return cmp.Compare(v.rank, w.rank) })
	different := ways[:0]
	for _, w := range ways { // two registrars may have nothing to do with how requests leave
		if !slices.ContainsFunc(different, func(v way) bool { return v.flow == w.flow && slices.Equal(v.route, w.route) }) {
			different = append(different, w)
		}
	}
	return different
}

// way returns the way by a binding. r.mu is held.
func (b *binding) way() way {
	w := way{b: b, rank: 2}
	proxy := b.routeTo()
	w.route = proxy
	if b.refused || !time.Now().Before(b.until) {
		return w
	}
	// RFC 3608 section 6.1: behind what leads out of here, and once where it
	// begins with that.
	route := b.route
	if len(proxy) > 0 && len(route) > 0 && sameHop(proxy[0].URI, route[0].URI) {
		proxy = nil
	}
	w.route = slices.Concat(proxy, route)
	if !b.up {
		return w
	}
	if w.rank = 0; b.doubted {
		w.rank = 1
	}
	// A request may be too large for UDP, which leaves by the same socket anyhow.
	if b.outbound && b.kept.Reliable() && b.kept.Err() == nil && len(b.r.proxies) > 0 {
		w.flow = b.kept
	}
	return w
}

// sameHop reports whether two URIs lead to the same proxy, whatever they say to it.
func sameHop(a, b sip.URI) bool {
	a.User, a.Password, a.Params = "", "", a.Params.Without("lr")
	b.User, b.Password, b.Params = "", "", b.Params.Without("lr")
	return a.Equal(b)
}

// preloaded returns the Route to the agent's proxy.
func (a *Agent) preloaded() []sip.Route {
	if a.proxy.Host == "" {
		return nil
	}
	return []sip.Route{{URI: a.proxy}}
}

// registrations returns those there are, the first one first.
func (a *Agent) registrations() []*Registration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.regs)
}

// along has a request sent by one way after the other, until one does not fail
// before anything comes back. send is what sends it; along returns its last error,
// which for the next way to be tried is one of isUnanswered, or 503. A request that
// the first of several ways has lost may be sent twice so, as RFC 3263 section 4.3
// has it for several servers. One with a Route of somebody else's, the program's or of a
// 305, has that way alone.
func (a *Agent) along(ctx context.Context, req *sip.Request, send func(context.Context, *sip.Request) error) (err error) {
	ways := a.ways()
	if !slices.ContainsFunc(ways, func(w way) bool { return w.has(req) }) {
		return send(ctx, req)
	}
	var gone *way // whose connection has ended
	for _, w := range ways {
		if len(w.route) > 0 {
			a.servers.routed(w.route[0])
		}
		err = w.take(ctx, req, send)
		unanswered := isUnanswered(err)
		if ctx.Err() != nil || !unanswered && !errors.Is(err, sip.StatusServiceUnavailable) {
			return err
		}
		if unanswered {
			w.doubt()
		}
		if gone == nil && unanswered && !w.flow.IsZero() && !errors.Is(err, transaction.ErrTimeout) {
			w.flow = transport.Flow{}
			gone = &w
		}
	}
	if gone != nil { // its proxy may be there all the same
		err = gone.take(ctx, req, send)
	}
	return err
}

// take sends a request by a way.
func (w *way) take(ctx context.Context, req *sip.Request, send func(context.Context, *sip.Request) error) error {
	if !w.flow.IsZero() {
		ctx = transaction.WithFlow(ctx, w.flow)
	}
	if !w.has(req) {
		req = req.With(sip.List(w.route...))
	}
	return send(ctx, req)
}

// has reports whether the Route of a request is that of a way.
func (w *way) has(req *sip.Request) bool {
	rest := w.route
	for route, err := range sip.All[sip.Route](req) {
		if err != nil || len(rest) == 0 || route != rest[0] {
			return false
		}
		rest = rest[1:]
	}
	return len(rest) == 0
}

// doubt has others preferred to a flow that nothing has come back by, until the
// registrar has answered on it.
func (w *way) doubt() {
	b := w.b
	if b == nil {
		return
	}
	b.r.mu.Lock()
	// Without a proxy the request has gone elsewhere.
	ask := b.isUp() && !b.doubted && len(b.r.proxies) > 0
	b.doubted = b.doubted || ask
	b.r.mu.Unlock()
	if ask {
		b.schedule(0)
	}
}
