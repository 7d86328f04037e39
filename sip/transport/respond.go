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
// section 18.2.2 and RFC 3581 section 4: on the connection of the request, and
// for UDP from the very socket that it came in on. If the connection is gone, a
// new one is opened to where the peer listens; Respond does not wait for that,
// and what becomes of it is logged.
func (e *Endpoint) Respond(in *Inbound, resp *sip.Response) error {
	flow, err := e.responseFlow(resp.Via(), in.Flow)
	if err == nil {
		err = e.Send(flow, resp)
	}
	if errors.Is(err, ErrNoFlow) && in.Flow.Reliable() {
		return e.respondAnew(in, resp)
	}
	if err != nil {
		return fmt.Errorf("respond %d to %s: %w", resp.Status(), resp.CSeq().Method, err)
	}
	return nil
}

// respondAnew sends a response whose connection is gone on a new one.
func (e *Endpoint) respondAnew(in *Inbound, resp *sip.Response) error {
	to := resolve.Target{
		Transport: in.Flow.Transport(),
		Addr:      netip.AddrPortFrom(in.Flow.remote.Addr(), uint16(portOf(resp.Via()))),
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.tasks.Go(func() { // ends with the dial, or Close
		flow, err := e.flowTo(e.ctx, to)
		if err == nil {
			err = e.Send(flow, resp)
		}
		if err != nil {
			e.cfg.Logger.Warn("response lost with its connection", "to", to.String(),
				"status", int(resp.Status()), "call-id", resp.CallID(), "error", err)
		}
	})
	return nil
}

// Forward sends a response that is not ours to where its topmost Via says, as a
// proxy does that keeps no transaction for it (RFC 3261 section 16.11).
func (e *Endpoint) Forward(ctx context.Context, resp *sip.Response) error {
	via := resp.Via()
	addr := via.Received()
	if !addr.IsValid() {
		uri := sip.URI{Scheme: "sip", Host: via.Host, Port: via.Port}
		targets, err := resolve.Targets(ctx, nil, uri)
		if err != nil {
			return fmt.Errorf("forward %d: %w", resp.Status(), err)
		}
		addr = targets[0].Addr.Addr()
	}
	port, _ := via.RPort()
	if port == 0 {
		port = portOf(via)
	}
	to := resolve.Target{Transport: strings.ToUpper(via.Transport), Addr: netip.AddrPortFrom(addr, uint16(port))}
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
func (e *Endpoint) responseFlow(via sip.Via, from Flow) (Flow, error) {
	if from.via == nil {
		return Flow{}, ErrNoFlow
	}
	if from.Reliable() {
		return from, nil
	}
	// A maddr that is no multicast address could aim responses at anybody.
	if maddr, ok := via.Params.Get("maddr"); ok {
		if addr, err := netip.ParseAddr(trimBrackets(maddr)); err == nil && addr.IsMulticast() {
			return Flow{from.via, netip.AddrPortFrom(addr.Unmap(), uint16(portOf(via)))}, nil
		}
	}
	if _, rport := via.RPort(); rport {
		return from, nil
	}
	// The address it came from, and the port it says it listens on.
	return Flow{from.via, netip.AddrPortFrom(from.remote.Addr(), uint16(portOf(via)))}, nil
}

// portOf returns the port of a sent-by, the default one if it names none.
func portOf(v sip.Via) int {
	if v.Port == 0 {
		return 5060
	}
	return v.Port
}
