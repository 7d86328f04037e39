package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

// SendRequest sends a request to a target: Prepare and Send in one. ErrBacklog
// means that the peer does not read, or that Config.MaxBytes is reached.
func (e *Endpoint) SendRequest(ctx context.Context, r *sip.Request, to resolve.Target, branch string) (Flow, *sip.Request, error) {
	if r == nil {
		return Flow{}, nil, errNoMessage
	}
	flow, out, err := e.Prepare(ctx, r, to, branch)
	if err == nil {
		err = e.Send(flow, out)
	}
	if errors.Is(err, ErrNoFlow) {
		// The connection ended between finding and using it: once more, with
		// a new one.
		to.Transport = flow.Transport()
		if flow, out, err = e.prepare(ctx, r, to, branch); err == nil {
			err = e.Send(flow, out)
		}
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
// With a context that is over nothing is opened, nor waited for: a request that
// can be sent at once is prepared all the same.
//
// What the network says comes as a *net.OpError: refused, no route.
func (e *Endpoint) Prepare(ctx context.Context, r *sip.Request, to resolve.Target, branch string) (Flow, *sip.Request, error) {
	flow, out, err := e.prepare(ctx, r, to, branch)
	if err != nil || flow.Reliable() || len(out.String()) <= e.cfg.MaxUDP {
		return flow, out, err
	}
	to.Transport = viaTCP
	tcpFlow, tcpOut, err := e.prepare(ctx, r, to, branch)
	if isRefusal(err) {
		return flow, out, nil
	}
	return tcpFlow, tcpOut, err
}

// Reconnect returns the flow by which Send is to send a request once more, as it
// was, that has gone out by a connection which is gone: another one to the same
// target. To a server that has the request this is a retransmission, and its
// response may come back by the new connection.
func (e *Endpoint) Reconnect(ctx context.Context, out *sip.Request, to resolve.Target) (Flow, error) {
	if out == nil {
		return Flow{}, errNoMessage
	}
	flow, err := e.flowTo(ctx, to, forRequest)
	if c, ok := flow.via.(*conn); ok && err == nil {
		c.standIn(portOf(out.Via()))
	}
	return flow, err
}

// isRefusal reports whether a host answered that it does not speak TCP there:
// with a reset, or by ICMP that it does not know the protocol.
func isRefusal(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOPROTOOPT)
}

// prepare finds the flow to a target and puts its Via on the request.
func (e *Endpoint) prepare(ctx context.Context, r *sip.Request, to resolve.Target, branch string) (Flow, *sip.Request, error) {
	if r == nil {
		return Flow{}, nil, errNoMessage
	}
	if err := r.Err(); err != nil {
		return Flow{}, nil, err
	}
	if r.URI().Scheme == "sips" && !isSecure(to.Transport) {
		return Flow{}, nil, ErrInsecure
	}
	flow, err := e.flowTo(ctx, to, forRequest)
	if err != nil {
		return Flow{}, nil, err
	}
	out, err := e.withVia(ctx, r, flow, branch)
	return flow, out, err
}

// PrepareOn returns a request as it is to be sent on a flow that is there
// already, as Prepare does for a target.
func (e *Endpoint) PrepareOn(ctx context.Context, r *sip.Request, f Flow, branch string) (*sip.Request, error) {
	switch {
	case r == nil:
		return nil, errNoMessage
	case f.via == nil:
		return nil, ErrNoFlow
	case r.Err() != nil:
		return nil, r.Err()
	}
	return e.withVia(ctx, r, f, branch)
}

type givenEdits struct{}

// WithEdits returns a context in which Prepare, PrepareOn and SendRequest, and all
// that sends requests by them, make these edits to a request, in the same copy as
// the Via. edits is called with the flow that the request is going to take, for
// each try anew: so a Contact or a Record-Route can say by ContactOn where we are
// reached by that very flow. Its error is that of the try. Those of ctx are made
// before.
func WithEdits(ctx context.Context, edits func(context.Context, Flow) ([]sip.Edit, error)) context.Context {
	if edits == nil {
		return ctx
	}
	before, ok := ctx.Value(givenEdits{}).(func(context.Context, Flow) ([]sip.Edit, error))
	if !ok {
		return context.WithValue(ctx, givenEdits{}, edits)
	}
	return context.WithValue(ctx, givenEdits{}, func(ctx context.Context, flow Flow) ([]sip.Edit, error) {
		first, err := before(ctx, flow)
		if err != nil {
			return nil, err
		}
		more, err := edits(ctx, flow)
		return append(first[:len(first):len(first)], more...), err
	})
}

// withVia makes the edits of WithEdits, and puts our Via on a request (RFC 3261
// section 18.1.1).
func (e *Endpoint) withVia(ctx context.Context, r *sip.Request, flow Flow, branch string) (*sip.Request, error) {
	host, port, err := e.sentByOn(ctx, flow)
	if err != nil {
		return nil, err
	}
	e.noteHost(host)
	via := sip.Via{
		Transport: flow.Transport(), Host: host, Port: port,
		// rport costs nothing and is what gets the response through a NAT
		// (RFC 3581 section 3).
		Params: sip.Params(";branch="+branch+";rport") + e.cfg.ViaParams,
	}
	if flow.remote.Addr().IsMulticast() && !flow.Reliable() {
		// RFC 3261 section 18.1.1. One hop is what a socket does by itself.
		via.Params = via.Params.With("maddr", hostText(flow.remote.Addr().WithZone("").String()))
		if flow.remote.Addr().Is4() {
			via.Params = via.Params.With("ttl", "1")
		}
	}
	if e.offersAlias(flow) {
		via.Params = via.Params.With("alias", "")
	}
	edits := []sip.Edit{sip.Push(via)}
	if given, ok := ctx.Value(givenEdits{}).(func(context.Context, Flow) ([]sip.Edit, error)); ok {
		more, err := given(ctx, flow)
		if err != nil {
			return nil, err
		}
		edits = append(edits, more...)
	}
	out := r.With(edits...)
	if flow.Reliable() {
		out = framed(out).(*sip.Request)
	}
	if err := out.Err(); err != nil {
		return nil, err
	}
	if out.URI().Scheme == "sips" && !flow.Secure() {
		return nil, ErrInsecure
	}
	return out, nil
}

// offersAlias reports whether a peer may use a connection of ours for its own
// requests to us (RFC 5923 section 8.1): we listen for such connections, and so
// can prove who we are.
func (e *Endpoint) offersAlias(f Flow) bool {
	c, ok := f.via.(*conn)
	return ok && !c.accepted && c.kind == viaTLS && e.listener(viaTLS) != nil
}

// flowTo returns the flow to a target, opening a connection if it must.
func (e *Endpoint) flowTo(ctx context.Context, to resolve.Target, why purpose) (Flow, error) {
	to.Addr = unmap(to.Addr)
	switch to.Transport {
	case viaUDP:
		s, err := choose(ctx, e, e.udp, to.Addr)
		if err != nil {
			return Flow{}, err
		}
		if s == nil {
			return Flow{}, fmt.Errorf("transport: no UDP socket to reach %s: %w", to.Addr,
				&net.OpError{Op: "write", Net: "udp", Addr: net.UDPAddrFromAddrPort(to.Addr), Err: syscall.EAFNOSUPPORT})
		}
		return s.flowTo(ctx, to.Addr, why)
	case viaTCP, viaTLS, viaWS, viaWSS:
		c, err := e.connect(ctx, to, why)
		if err != nil {
			return Flow{}, err
		}
		return c.flow(), nil
	}
	return Flow{}, resolve.ErrTransport
}

// choose returns the one of several sockets by which a peer is to be reached:
// the only one of its family or, of several, the one with the address that
// leads there, else a wildcard, else the first. It is the zero S if there is
// none of the family.
func choose[S interface {
	comparable
	localAddr() netip.AddrPort
}](ctx context.Context, e *Endpoint, sockets []S, peer netip.AddrPort) (S, error) {
	var none, first, wildcard S
	n := 0
	for _, s := range sockets {
		if !reaches(s.localAddr().Addr(), peer.Addr()) {
			continue
		}
		if n++; n == 1 {
			first = s
		}
		if wildcard == none && s.localAddr().Addr().IsUnspecified() {
			wildcard = s
		}
	}
	if n < 2 {
		return first, nil
	}
	local, err := e.route(ctx, peer)
	if err != nil {
		return none, err
	}
	for _, s := range sockets {
		if s.localAddr().Addr() == local {
			return s, nil
		}
	}
	if wildcard != none {
		return wildcard, nil
	}
	return first, nil
}

// reaches reports whether a socket bound to local can talk to peer: it is of the
// same family, or bound to all addresses of both.
func reaches(local, peer netip.Addr) bool {
	return local.Is4() == peer.Is4() || local == netip.IPv6Unspecified()
}
