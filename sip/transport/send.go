package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

// SendRequest sends a request to a target: Prepare and Send in one.
func (e *Endpoint) SendRequest(ctx context.Context, r *sip.Request, to resolve.Target, branch string) (Flow, *sip.Request, error) {
	flow, out, err := e.Prepare(ctx, r, to, branch)
	if err == nil {
		err = e.Send(flow, out)
	}
	if err != nil {
		return Flow{}, nil, fmt.Errorf("send %s to %s: %w", r.Method(), to, err)
	}
	return flow, out, nil
}

// Prepare finds the flow to a target, opening a connection if it must, and
// returns it with the request as it is to be sent there: with a new topmost Via
// that has the given branch. Send sends it, and sends it again.
//
// A request of more than Config.MaxUDP bytes for a UDP target goes by TCP, and
// by UDP after all if TCP is refused (RFC 3261 section 18.1.1).
//
// What the network says comes as a *net.OpError: refused, no route.
func (e *Endpoint) Prepare(ctx context.Context, r *sip.Request, to resolve.Target, branch string) (Flow, *sip.Request, error) {
	flow, out, err := e.prepare(ctx, r, to, branch)
	if err != nil || flow.Reliable() || len(out.String()) <= e.cfg.MaxUDP {
		return flow, out, err
	}
	to.Transport = "TCP"
	tcpFlow, tcpOut, err := e.prepare(ctx, r, to, branch)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return flow, out, nil
	}
	return tcpFlow, tcpOut, err
}

// prepare finds the flow to a target and puts its Via on the request.
func (e *Endpoint) prepare(ctx context.Context, r *sip.Request, to resolve.Target, branch string) (Flow, *sip.Request, error) {
	if err := r.Err(); err != nil {
		return Flow{}, nil, err
	}
	flow, err := e.flowTo(ctx, to)
	if err != nil {
		return Flow{}, nil, err
	}
	host, port, err := e.sentByOn(ctx, flow)
	if err != nil {
		return Flow{}, nil, err
	}
	e.noteSentBy(host, port)
	out := r.With(sip.Push(sip.Via{
		Transport: flow.Transport(), Host: host, Port: port,
		// rport costs nothing and is what gets the response through a NAT
		// (RFC 3581 section 3).
		Params: sip.Params(";branch=" + branch + ";rport"),
	}))
	return flow, out, out.Err()
}

// flowTo returns the flow to a target, opening a connection if it must.
func (e *Endpoint) flowTo(ctx context.Context, to resolve.Target) (Flow, error) {
	switch to.Transport {
	case "UDP":
		for _, s := range e.udp {
			if s.reaches(to.Addr.Addr()) {
				return Flow{s, to.Addr}, nil
			}
		}
		return Flow{}, fmt.Errorf("transport: no UDP socket to reach %s: %w", to.Addr,
			&net.OpError{Op: "write", Net: "udp", Addr: net.UDPAddrFromAddrPort(to.Addr), Err: syscall.EAFNOSUPPORT})
	case "TCP":
		c, err := e.connect(ctx, to.Addr)
		if err != nil {
			return Flow{}, err
		}
		return c.flow(), nil
	}
	return Flow{}, resolve.ErrTransport
}

// reaches reports whether a socket can send to an address of that family.
func (s *udpSocket) reaches(addr netip.Addr) bool {
	local := s.local.Addr()
	return local.Is4() == addr.Is4() || local.IsUnspecified() && local.Is6()
}

// Contact returns a URI, without a user, at which requests for us arrive, as
// seen from a peer: what a Contact or a Record-Route towards it is to say. It
// names the transport of the peer if we listen on it.
func (e *Endpoint) Contact(ctx context.Context, to resolve.Target) (sip.URI, error) {
	uri := sip.URI{Scheme: "sip"}
	local := e.Addr(to.Transport)
	if !local.IsValid() {
		if local = e.Addr("udp"); !local.IsValid() {
			local = e.Addr("tcp")
		}
	}
	if local != e.Addr("udp") {
		uri.Params = ";transport=tcp"
	}
	host, err := e.hostFor(ctx, local.Addr(), to.Addr)
	uri.Host, uri.Port = host, int(local.Port())
	return uri, err
}

// sentByOn returns the sent-by of Vias for a flow (RFC 3261 section 18.1.1).
// For a connection it names the port that we listen on, which is where a peer
// turns to if the connection is gone.
func (e *Endpoint) sentByOn(ctx context.Context, f Flow) (host string, port int, err error) {
	local := f.LocalAddr()
	port = int(local.Port())
	if c, ok := f.via.(*streamConn); ok {
		port = int(c.local.Port())
		if l := e.Addr("tcp"); l.IsValid() {
			port = int(l.Port())
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

func trimBrackets(host string) string { return strings.Trim(host, "[]") }

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

// maxSentBy bounds the names we remember to have used. A machine has few
// addresses.
const maxSentBy = 1024

func (e *Endpoint) noteSentBy(host string, port int) {
	key := host + ":" + strconv.Itoa(port)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.sentBy) < maxSentBy {
		e.sentBy[key] = struct{}{}
	}
}

// isSentBy reports whether a Via is one of ours. A response with another is
// dropped (RFC 3261 section 18.1.2).
func (e *Endpoint) isSentBy(v sip.Via) bool {
	port := v.Port
	if port == 0 {
		port = 5060
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.sentBy[v.Host+":"+strconv.Itoa(port)]
	return ok
}
