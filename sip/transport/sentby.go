package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

// Contact returns a URI, without a user, at which requests for us arrive, as
// seen from a peer: what a Contact or a Record-Route towards it is to say. It
// names the transport of the peer. If we do not listen on that, it is the very
// connection to the peer, which is opened if it must: requests can come by that
// alone, from a peer that looks for it.
func (e *Endpoint) Contact(ctx context.Context, to resolve.Target) (sip.URI, error) {
	uri := sip.URI{Scheme: "sip"}
	to.Addr = unmap(to.Addr)
	kind := kindOf(to.Transport)
	if kind == viaUDP && len(e.udp) == 0 && len(e.listeners) > 0 {
		kind = e.listeners[0].kind
	}
	local, err := e.contactAddr(ctx, kind, to)
	if err != nil {
		return uri, err
	}
	uri.Params = transportParam(kind)
	uri.Host, uri.Port, err = e.sentBy(ctx, kind, local, to.Addr)
	return uri, err
}

// ContactOn is Contact for the peer of a flow, who reaches us by the same
// transport: for the answer to a request, and for a Record-Route towards its
// sender. Nothing is opened.
func (e *Endpoint) ContactOn(ctx context.Context, f Flow) (uri sip.URI, err error) {
	uri = sip.URI{Scheme: "sip", Params: transportParam(f.Transport())}
	if f.via == nil {
		return uri, ErrNoFlow
	}
	uri.Host, uri.Port, err = e.sentByOn(ctx, f)
	return uri, err
}

// transportParam returns the parameters of a URI with a transport.
func transportParam(kind string) sip.Params {
	switch {
	case isWebSocket(kind):
		return ";transport=ws" // also for WSS (RFC 7118 section 5.2)
	case kind == viaUDP || kind == "":
		return ""
	}
	return sip.Params(";transport=" + strings.ToLower(kind))
}

// contactAddr returns the address of the listener or, without one, of the
// connection that a peer reaches us by.
func (e *Endpoint) contactAddr(ctx context.Context, kind string, to resolve.Target) (netip.AddrPort, error) {
	if kind == viaUDP {
		s, err := choose(ctx, e, e.udp, to.Addr)
		switch {
		case err != nil:
			return netip.AddrPort{}, err
		case s != nil:
			return s.local, nil
		case len(e.udp) > 0:
			return e.udp[0].local, nil
		}
		return netip.AddrPort{}, fmt.Errorf("transport: no contact for %s: %w", to, ErrNoFlow)
	}
	var of []*streamListener
	for _, l := range e.listeners {
		if l.kind == kind {
			of = append(of, l)
		}
	}
	l, err := choose(ctx, e, of, to.Addr)
	switch {
	case err != nil:
		return netip.AddrPort{}, err
	case l != nil:
		return l.local, nil
	case len(of) > 0:
		return of[0].local, nil
	}
	f, err := e.flowTo(ctx, to, forRequest)
	return f.LocalAddr(), err
}

// listener returns the first listener of a transport, nil if there is none.
func (e *Endpoint) listener(kind string) *streamListener {
	for _, l := range e.listeners {
		if l.kind == kind {
			return l
		}
	}
	return nil
}

// sentByOn returns the sent-by of Vias for a flow (RFC 3261 section 18.1.1).
// For a connection it names the port that we listen on, which is where a peer
// turns to if the connection is gone.
func (e *Endpoint) sentByOn(ctx context.Context, f Flow) (host string, port int, err error) {
	local := f.LocalAddr()
	for _, l := range e.listeners {
		if l.kind != f.Transport() {
			continue
		}
		if a := l.local.Addr(); a == local.Addr() || a.IsUnspecified() || e.advertisedTo(f.remote) != "" {
			local = netip.AddrPortFrom(local.Addr(), l.local.Port())
			break
		}
	}
	return e.sentBy(ctx, f.Transport(), local, f.remote)
}

// sentBy returns the host and port by which a peer reaches an address of ours.
func (e *Endpoint) sentBy(ctx context.Context, kind string, local, peer netip.AddrPort) (host string, port int, err error) {
	port = int(local.Port())
	advertised := e.advertisedTo(peer)
	if advertised != "" || e.cfg.Advertise == "" {
		for name, other := range e.cfg.AdvertisePorts {
			if equalFold(name, kind) {
				port = other
			}
		}
	}
	if advertised != "" {
		return advertised, port, nil
	}
	if public := e.publicOf(kind, local); public.IsValid() && reachable(public.Addr(), peer) {
		return hostText(public.Addr().String()), int(public.Port()), nil
	}
	host, err = e.hostFor(ctx, local.Addr(), peer)
	return host, port, err
}

// advertisedTo returns the host of Config.Advertise as it goes into messages to
// a peer; "" if there is none, or it is an IP address that the peer cannot reach
// because it is of the other family.
func (e *Endpoint) advertisedTo(peer netip.AddrPort) string {
	host := hostText(e.cfg.Advertise)
	if addr := (sip.Via{Host: host}).Addr(); addr.IsValid() && !reachable(addr.Unmap(), peer) {
		return ""
	}
	return host
}

// reachable reports whether an address is of the family that a peer speaks, as
// far as that is known.
func reachable(addr netip.Addr, peer netip.AddrPort) bool {
	return !peer.IsValid() || addr.Is4() == peer.Addr().Is4()
}

// publicOf returns the address that Discover has found for a UDP socket.
func (e *Endpoint) publicOf(kind string, local netip.AddrPort) netip.AddrPort {
	if kind == viaUDP {
		for _, s := range e.udp {
			if public := s.public.Load(); s.isAt(local) && public != nil {
				return *public
			}
		}
	}
	return netip.AddrPort{}
}

// hostFor returns our address as a peer sees it when there is nothing in
// between.
func (e *Endpoint) hostFor(ctx context.Context, local netip.Addr, peer netip.AddrPort) (string, error) {
	if local.IsUnspecified() {
		var err error
		if local, err = e.route(ctx, peer); err != nil {
			return "", err
		}
	}
	if !local.IsValid() { // as of a Network with addresses that are none of IP
		return "", fmt.Errorf("transport: no local IP address towards %s", peer.Addr())
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

// forgetRoute has the system asked again.
func (e *Endpoint) forgetRoute(peer netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.routes, peer)
}

// ForgetRoutes has the system asked again which address of ours leads to whom, for when
// the addresses of this machine have changed: Via and Contact name that. Else an answer
// counts for 30 seconds. What Discover has found is forgotten, too.
func (e *Endpoint) ForgetRoutes() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.routes)
	for _, s := range e.udp {
		s.public.Store(nil)
	}
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

// configuredHosts notes the hosts that follow from the Config and Discover.
func (e *Endpoint) configuredHosts() {
	if e.cfg.Advertise != "" {
		e.addHost(hostText(e.cfg.Advertise))
	}
	for _, s := range e.udp {
		if addr := s.local.Addr(); !addr.IsUnspecified() {
			e.addHost(hostText(addr.WithZone("").String()))
		}
		if public := s.public.Load(); public != nil {
			e.addHost(hostText(public.Addr().String()))
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
	if c, ok := f.via.(*conn); ok && c.standsInFor(port) {
		return true
	}
	for _, s := range e.udp {
		if port == int(s.local.Port()) {
			return true
		}
		if public := s.public.Load(); public != nil && port == int(public.Port()) {
			return true
		}
	}
	for _, advertised := range e.cfg.AdvertisePorts {
		if port == advertised {
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

// parseHostPort reads a host with or without a port, as in "example.com:3478"
// and "[2001:db8::1]".
func parseHostPort(s string) (sip.URI, error) {
	uri, err := sip.ParseURI("sip:" + s)
	if err == nil && (uri.User != "" || uri.Params != "" || uri.Headers != "") {
		err = &net.AddrError{Err: "neither a host nor host:port", Addr: s}
	}
	return uri, err
}
