package transport

import (
	"fmt"
	"net/netip"
	"slices"
)

// FormerFlow returns a flow in the place of one that an earlier run of the
// program has had, or another node: of the same transport to the same peer. Over
// UDP it is by the socket with that local address or, where there is none, by
// the one that requests to the peer would leave by. A connection has ended with
// its Endpoint, and Err of the flow says so: what Respond sends on it goes by a
// new one (RFC 3261 section 18.2.2). Its local address is where we listen for
// others. identities are what Identities returned.
//
// ErrNoFlow means that there is no socket that reaches the peer, or no such
// transport.
func (e *Endpoint) FormerFlow(transport string, local, remote netip.AddrPort, identities []string) (Flow, error) {
	remote = unmap(remote)
	kind := kindOf(transport)
	switch {
	case kind == "" || !remote.IsValid() || remote.Port() == 0:
	case kind != viaUDP:
		local, err := e.formerAddr(kind, local, remote)
		if err != nil {
			return Flow{}, err
		}
		return Flow{via: &formerConn{e, kind, local, slices.Clone(identities)}, remote: remote}, nil
	default:
		if f := e.udpFlow(local, remote); f.via != nil {
			return f, nil
		}
		if s, err := choose(e.ctx, e, e.udp, remote); err != nil {
			return Flow{}, err
		} else if s != nil {
			return Flow{via: s, remote: remote}, nil
		}
	}
	return Flow{}, fmt.Errorf("flow by %s to %s: %w", transport, remote, ErrNoFlow)
}

// formerAddr returns the address of ours that stands in for the one that a
// connection had.
func (e *Endpoint) formerAddr(kind string, local, remote netip.AddrPort) (netip.AddrPort, error) {
	var of []*streamListener
	for _, l := range e.listeners {
		if l.kind != kind {
			continue
		}
		if l.local == local || l.local.Addr().IsUnspecified() && l.local.Port() == local.Port() {
			return local, nil
		}
		of = append(of, l)
	}
	l, err := choose(e.ctx, e, of, remote)
	if l == nil || err != nil {
		return local, err
	}
	return l.local, nil
}

// formerConn is a connection of another Endpoint.
type formerConn struct {
	e          *Endpoint
	kind       string
	local      netip.AddrPort
	identities []string
}

func (c *formerConn) endpoint() *Endpoint       { return c.e }
func (c *formerConn) transport() string         { return c.kind }
func (c *formerConn) localAddr() netip.AddrPort { return c.local }
func (c *formerConn) sendable(int) error        { return ErrNoFlow }
func (c *formerConn) send(string, Flow) error   { return ErrNoFlow }
