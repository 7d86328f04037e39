package transport

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

// Respond sends the response to a request that arrived as in, by RFC 3261
// section 18.2.2 and RFC 3581 section 4: on the connection of the request, or
// on a new one to where the peer says it listens if that is gone; and for UDP
// from the very socket that the request came in on.
func (e *Endpoint) Respond(ctx context.Context, in *Inbound, resp *sip.Response) error {
	err := e.Send(responseFlow(resp.Via(), in.Flow), resp)
	if errors.Is(err, ErrNoFlow) && in.Flow.Reliable() {
		var flow Flow
		if flow, err = e.reconnect(ctx, resp.Via(), in.Flow.remote.Addr()); err == nil {
			err = e.Send(flow, resp)
		}
	}
	if err != nil {
		return fmt.Errorf("respond %d to %s: %w", resp.Status(), resp.CSeq().Method, err)
	}
	return nil
}

// Forward sends a response that is not ours to where its topmost Via says, as a
// proxy does that keeps no transaction for it (RFC 3261 section 16.11). It
// leaves by the socket that a request there would take.
func (e *Endpoint) Forward(ctx context.Context, resp *sip.Response) error {
	via := resp.Via()
	to := resolve.Target{Transport: strings.ToUpper(via.Transport), Host: via.Host}
	addr := via.Received()
	if !addr.IsValid() {
		uri := sip.URI{Scheme: "sip", Host: via.Host, Port: via.Port}
		targets, err := resolve.Targets(ctx, nil, uri)
		if err != nil {
			return fmt.Errorf("forward %d: %w", resp.Status(), err)
		}
		addr = targets[0].Addr.Addr()
	}
	addr = addr.Unmap()
	to.Addr = netip.AddrPortFrom(addr, uint16(portOf(via)))
	// The rport is where the request came from. A connection from there may
	// still be open, but nobody listens there for a new one.
	if rport, _ := via.RPort(); rport != 0 {
		source := netip.AddrPortFrom(addr, uint16(rport))
		if to.Transport == "UDP" || e.connected(source) {
			to.Addr = source
		}
	}
	flow, err := e.flowTo(ctx, to)
	if err == nil {
		err = e.Send(flow, resp)
	}
	if err != nil {
		return fmt.Errorf("forward %d to %s: %w", resp.Status(), to, err)
	}
	return nil
}

// responseFlow finds the flow for a response to a request that came by from.
func responseFlow(via sip.Via, from Flow) Flow {
	if from.via == nil || from.Reliable() {
		return from
	}
	// RFC 3261 section 18.2.2 sends to any maddr. One that is no multicast
	// address could aim responses at anybody, so it is passed over.
	if maddr, ok := via.Params.Get("maddr"); ok {
		if addr, err := netip.ParseAddr(trimBrackets(maddr)); err == nil && addr.IsMulticast() {
			return Flow{from.via, netip.AddrPortFrom(addr.Unmap(), uint16(portOf(via)))}
		}
	}
	if _, rport := via.RPort(); rport {
		return from
	}
	// The address it came from, and the port it says it listens on.
	return Flow{from.via, netip.AddrPortFrom(from.remote.Addr(), uint16(portOf(via)))}
}

func (e *Endpoint) reconnect(ctx context.Context, via sip.Via, peer netip.Addr) (Flow, error) {
	return e.flowTo(ctx, resolve.Target{
		Transport: "TCP",
		Addr:      netip.AddrPortFrom(peer, uint16(portOf(via))),
		Host:      via.Host,
	})
}

// portOf returns the port of a sent-by, the default one if it names none.
func portOf(v sip.Via) int {
	if v.Port == 0 {
		return 5060
	}
	return v.Port
}
