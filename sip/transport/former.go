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
// new one (RFC 3261 section 18.2.2). identities are what Identities returned.
//
// ErrNoFlow means that there is no socket that reaches the peer, or no such
// transport.
func (e *Endpoint) FormerFlow(transport string, local, remote netip.AddrPort, identities []string) (Flow, error) {
	remote = unmap(remote)
	kind := kindOf(transport)
	switch {
	case kind == "" || !remote.IsValid() || remote.Port() == 0:
	case kind != viaUDP:
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
