package transport

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

// Contact returns a URI, without a user, at which requests for us arrive, as
// seen from a peer: what a Contact or a Record-Route towards it is to say. It
// names the transport of the peer if we listen on it.
func (e *Endpoint) Contact(ctx context.Context, to resolve.Target) (sip.URI, error) {
	uri := sip.URI{Scheme: "sip"}
	to.Addr = unmap(to.Addr)
	var local netip.AddrPort
	if len(e.udp) == 0 || equalFold(to.Transport, "TCP") && len(e.listeners) > 0 {
		uri.Params = ";transport=tcp"
		l, err := choose(ctx, e, e.listeners, to.Addr)
		if err != nil {
			return uri, err
		}
		if l == nil {
			l = e.listeners[0]
		}
		local = l.local
	} else {
		s, err := choose(ctx, e, e.udp, to.Addr)
		if err != nil {
			return uri, err
		}
		if s == nil {
			s = e.udp[0]
		}
		local = s.local
	}
	var err error
	uri.Host, err = e.hostFor(ctx, local.Addr(), to.Addr)
	uri.Port = int(local.Port())
	return uri, err
}

// sentByOn returns the sent-by of Vias for a flow (RFC 3261 section 18.1.1).
// For a connection it names the port that we listen on, which is where a peer
// turns to if the connection is gone.
func (e *Endpoint) sentByOn(ctx context.Context, f Flow) (host string, port int, err error) {
	local := f.LocalAddr()
	port = int(local.Port())
	if f.Reliable() {
		for _, l := range e.listeners {
			if a := l.local.Addr(); a == local.Addr() || a.IsUnspecified() || e.cfg.Advertise != "" {
				port = int(l.local.Port())
				break
			}
		}
	}
	host, err = e.hostFor(ctx, local.Addr(), f.remote)
	return host, port, err
}

// hostFor returns the name we go by when we talk to a peer.
func (e *Endpoint) hostFor(ctx context.Context, local netip.Addr, peer netip.AddrPort) (string, error) {
	if e.cfg.Advertise != "" {
		return hostText(e.cfg.Advertise), nil
	}
	if local.IsUnspecified() {
		var err error
		if local, err = e.route(ctx, peer); err != nil {
			return "", err
		}
	}
	return hostText(local.WithZone("").String()), nil
}

// hostText puts an IPv6 address in brackets.
func hostText(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// route remembers which local address leads to a remote one.
type route struct {
	local netip.Addr
	until time.Time
}

const (
	routeAge  = 30 * time.Second
	maxRoutes = 256
)

// route asks the system which local address it would use towards a peer. The
// answer is kept for a while, for a bounded number of peers.
func (e *Endpoint) route(ctx context.Context, peer netip.AddrPort) (netip.Addr, error) {
	now := time.Now()
	e.mu.Lock()
	r, ok := e.routes[peer.Addr()]
	e.mu.Unlock()
	if ok && now.Before(r.until) {
		return r.local, nil
	}
	c, err := e.cfg.Network.DialContext(ctx, "udp", peer.String()) // sends nothing
	if err != nil {
		return netip.Addr{}, fmt.Errorf("transport: no route to %s: %w", peer.Addr(), err)
	}
	local := addrPort(c.LocalAddr()).Addr()
	c.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.routes) >= maxRoutes {
		clear(e.routes)
	}
	e.routes[peer.Addr()] = route{local, now.Add(routeAge)}
	return local, nil
}

// maxHosts bounds the addresses that we remember to have gone by: those of
// this machine, which are few, but may change for as long as it runs.
const maxHosts = 1024

// noteHost notes a host that we put into a Via.
func (e *Endpoint) noteHost(host string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.hosts[host]; !ok {
		e.addHost(host)
	}
}

// addHost does it while e.mu is held, or the Endpoint is not in use yet.
func (e *Endpoint) addHost(host string) {
	if len(e.hosts) >= maxHosts {
		clear(e.hosts)
		e.configuredHosts()
	}
	e.hosts[strings.ToLower(host)] = struct{}{}
}

// configuredHosts notes the hosts that follow from the Config alone.
func (e *Endpoint) configuredHosts() {
	if e.cfg.Advertise != "" {
		e.addHost(hostText(e.cfg.Advertise))
	}
	for _, s := range e.udp {
		if addr := s.local.Addr(); !addr.IsUnspecified() {
			e.addHost(hostText(addr.WithZone("").String()))
		}
	}
}

// isSentBy reports whether a Via, of a response that came by a flow, has a
// sent-by that we put into requests. A response with another is dropped (RFC
// 3261 section 18.1.2).
func (e *Endpoint) isSentBy(v sip.Via, f Flow) bool {
	if !e.isPort(portOf(v), f) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.hosts[v.Host]; ok {
		return true
	}
	_, ok := e.hosts[strings.ToLower(v.Host)]
	return ok
}

// isPort reports whether a port is bound by us or is that of the flow.
func (e *Endpoint) isPort(port int, f Flow) bool {
	if port == int(f.LocalAddr().Port()) {
		return true
	}
	for _, s := range e.udp {
		if port == int(s.local.Port()) {
			return true
		}
	}
	for _, l := range e.listeners {
		if port == int(l.local.Port()) {
			return true
		}
	}
	return false
}
