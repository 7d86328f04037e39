package transport

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

// Respond sends the response to a request that arrived as in, by RFC 3261
// section 18.2.2 and RFC 3581 section 4: on the connection of the request, and
// for UDP from the very socket that it came in on. If the connection is gone, a
// new one is opened to where the peer says it listens, within Config.MaxConns:
// to the port of the Via at the address that the request came from, and over TLS
// also to the servers of the Via's host (RFC 3263 section 5). Respond does not
// wait for that, and a failure is logged at the debug level.
//
// A maddr of the Via is obeyed over UDP if it is a multicast address. RFC 3261
// section 18.2.2 sends to any other as well, by which whoever makes a request
// could aim the response at anybody: that is passed over.
func (e *Endpoint) Respond(in *Inbound, resp *sip.Response) error {
	switch {
	case resp == nil:
		return errNoMessage
	case in == nil:
		return ErrNoFlow
	}
	flow := in.Flow
	if !in.direct {
		flow = responseFlow(resp.Via(), flow)
	}
	err := e.Send(flow, resp)
	if errors.Is(err, ErrNoFlow) && in.Flow.Reliable() {
		return e.respondAnew(in, resp)
	}
	if err != nil {
		return fmt.Errorf("respond %d to %s: %w", resp.Status(), resp.CSeq().Method, err)
	}
	return nil
}

// maxAnew bounds the responses that wait for a new connection, in all and for
// one source. A peer that sends requests and goes away makes them for nothing.
const (
	maxAnew          = 1000
	maxAnewPerSource = 100
)

// respondAnew sends a response whose connection is gone on a new one.
func (e *Endpoint) respondAnew(in *Inbound, resp *sip.Response) error {
	via := resp.Via()
	to := resolve.Target{
		Transport: in.Flow.Transport(),
		Addr:      netip.AddrPortFrom(in.Flow.remote.Addr(), uint16(portOf(via))),
		Host:      via.Host, // who a certificate has to name (RFC 5922 section 7.3)
	}
	if isWebSocket(to.Transport) { // a browser does not listen
		return fmt.Errorf("respond %d to %s: %w", resp.Status(), resp.CSeq().Method, ErrNoFlow)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	source := in.Flow.remote.Addr()
	if e.anew == maxAnew || !e.anewBy.admit(source) {
		return fmt.Errorf("respond %d to %s: %w", resp.Status(), resp.CSeq().Method, ErrNoFlow)
	}
	e.anew++
	e.tasks.Go(func() { // ends with the dial, or Close
		defer func() {
			e.anewBy.release(source)
			e.mu.Lock()
			e.anew--
			e.mu.Unlock()
		}()
		err := e.respondTo(to, resp)
		if err != nil && to.Transport == viaTLS {
			// RFC 3263 section 5, for who will prove to be the host of the
			// Via. Over TCP the response could be aimed at anybody.
			var targets []resolve.Target
			targets, err = e.resolver.ResponseTargets(e.ctx, via)
			for _, to := range targets {
				if err = e.respondTo(to, resp); err == nil {
					break
				}
			}
		}
		if err != nil {
			// Any peer can have this happen as often as it likes.
			e.cfg.Logger.Debug("response lost with its connection", "to", to.String(),
				"status", int(resp.Status()), "call-id", resp.CallID(), "error", err)
		}
	})
	return nil
}

// respondTo sends a response to a target.
func (e *Endpoint) respondTo(to resolve.Target, resp *sip.Response) error {
	flow, err := e.flowTo(e.ctx, to, forResponse)
	if err != nil {
		return err
	}
	return e.Send(flow, resp)
}

// Forward sends a response that is not ours to where its topmost Via says, as a
// proxy does that keeps no transaction for it (RFC 3261 section 16.11). It
// leaves by the socket that a request there would take; a context that is over
// says what it says to Prepare. A connection that its
// peer made over TLS or WSS is not found by an address: a proxy without state
// that has such peers keeps their flows in tokens. A maddr is obeyed as Respond
// does.
func (e *Endpoint) Forward(ctx context.Context, resp *sip.Response) error {
	if resp == nil {
		return errNoMessage
	}
	via := resp.Via()
	targets, err := e.viaTargets(ctx, via)
	if err != nil {
		return fmt.Errorf("forward %d: %w", resp.Status(), err)
	}
	for _, to := range targets {
		var flow Flow
		if flow, err = e.flowTo(ctx, to, forResponse); err == nil {
			err = e.Send(flow, resp)
		}
		if err == nil {
			return nil
		}
		err = fmt.Errorf("forward %d to %s: %w", resp.Status(), to, err)
	}
	return err
}

// viaTargets returns where a response goes by its Via alone (RFC 3261 section
// 18.2.2, RFC 3263 section 5).
func (e *Endpoint) viaTargets(ctx context.Context, via sip.Via) ([]resolve.Target, error) {
	if group := multicastOf(via); group.IsValid() {
		return []resolve.Target{{Transport: viaUDP, Addr: group}}, nil
	}
	received := via.Received()
	if !received.IsValid() {
		return e.resolver.ResponseTargets(ctx, via)
	}
	to := resolve.Target{
		Transport: kindOf(via.Transport), Host: via.Host,
		Addr: netip.AddrPortFrom(received.Unmap(), uint16(portOf(via))),
	}
	// The rport is where the request came from. A connection from there may
	// still be open, but nobody listens there for a new one.
	if rport, _ := via.RPort(); rport != 0 {
		source := to
		source.Addr = netip.AddrPortFrom(to.Addr.Addr(), uint16(rport))
		if isWebSocket(to.Transport) {
			source.Host = "" // what a peer has made goes by its address alone
		}
		if to.Transport == viaUDP || e.connected(source) {
			to = source
		}
	}
	return []resolve.Target{to}, nil
}

// responseFlow finds the flow for a response to a request that came by from.
func responseFlow(via sip.Via, from Flow) Flow {
	if from.via == nil || from.Reliable() {
		return from
	}
	if group := multicastOf(via); group.IsValid() {
		return Flow{via: from.via, remote: group}
	}
	if _, rport := via.RPort(); rport {
		return from
	}
	// The address it came from, and the port it says it listens on.
	return Flow{from.via, from.local, netip.AddrPortFrom(from.remote.Addr(), uint16(portOf(via)))}
}

// multicastOf returns the multicast address that the maddr of a Via over UDP
// names, with the port of its sent-by; it is not valid if there is none.
func multicastOf(via sip.Via) netip.AddrPort {
	maddr, ok := via.Params.Get("maddr")
	if !ok || kindOf(via.Transport) != viaUDP {
		return netip.AddrPort{}
	}
	addr := (sip.Via{Host: maddr}).Addr()
	if !addr.IsMulticast() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(portOf(via)))
}
