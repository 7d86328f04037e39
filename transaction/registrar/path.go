package registrar

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// needsFlow reports whether a client that is connected to us is to be reached by
// the flow that its request came by: a connection, which it may have made from
// where nobody can connect to, or one through a NAT, which shows by an address
// that is not the one in the Via.
func needsFlow(flow transport.Flow, req *sip.Request) bool {
	if flow.Reliable() {
		return true
	}
	via := req.Via()
	received := via.Received()
	return received != (netip.Addr{}) && received.Unmap() != via.Addr().Unmap()
}

// ownPath returns the entry that leads to a flow of ours (RFC 5626 sections 5.1
// and 6).
func (r *Registrar) ownPath(ctx context.Context, ep *transport.Endpoint, flow transport.Flow, a *asked) (sip.Route, error) {
	uri := r.cfg.Node
	if uri.Host == "" {
		var err error
		if uri, err = nodeURI(ctx, ep, flow); err != nil {
			return sip.Route{}, err
		}
	}
	if uri.Scheme = "sip"; slices.ContainsFunc(a.contacts, func(w wanted) bool { return w.contact.URI.Scheme == "sips" }) {
		uri.Scheme = "sips"
		if kind, _ := uri.Param("transport"); kind == "tls" { // which is of sip URIs
			uri.Params = uri.Params.Without("transport")
		}
	}
	uri.User = ep.FlowToken(flow)
	if uri.Params = uri.Params.Without("ob").With("lr", ""); a.outbound {
		uri.Params = uri.Params.With("ob", "")
	}
	return sip.Route{URI: uri}, nil
}

// nodeURI returns where other nodes reach us: at the socket that the client uses.
// For a browser it is another one, if there is one that servers use.
func nodeURI(ctx context.Context, ep *transport.Endpoint, flow transport.Flow) (sip.URI, error) {
	if kind := flow.Transport(); strings.HasPrefix(kind, "WS") {
		others := []string{"tls", "tcp", "udp"}
		if !flow.Secure() {
			others = []string{"tcp", "udp", "tls"}
		}
		for _, other := range others {
			if ep.Addr(other).IsValid() {
				return ep.Contact(ctx, resolve.Target{Transport: other, Addr: flow.RemoteAddr()})
			}
		}
	}
	return ep.ContactOn(ctx, flow)
}

// maxEndpoints bounds the Endpoints that are asked about flows. A program has
// one, or a few.
const maxEndpoints = 8

// meet notes an Endpoint that REGISTERs come by.
func (r *Registrar) meet(ep *transport.Endpoint) {
	if known := r.endpoints.Load(); known != nil && slices.Contains(*known, ep) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*transport.Endpoint
	if known := r.endpoints.Load(); known != nil {
		list = slices.Clone(*known)
	}
	if !slices.Contains(list, ep) {
		list = append(list, ep)
		list = list[max(0, len(list)-maxEndpoints):]
		r.endpoints.Store(&list)
	}
}

// lost reports whether a binding is by a flow of this node that is gone, and has
// outbound, so that the client makes another one (RFC 5626 section 7). The flows
// of other nodes are known to them alone, and those of an earlier run of the
// program are taken for such: to try one gets 430.
func (r *Registrar) lost(b *Binding) bool {
	if !b.outbound || len(b.Path) == 0 || b.Path[0].URI.User == "" {
		return false
	}
	known := r.endpoints.Load()
	if known == nil {
		return false
	}
	gone := false
	for _, ep := range *known { // which may have one key
		_, err := ep.FlowOf(b.Path[0].URI.User)
		if err == nil {
			return false
		}
		gone = gone || errors.Is(err, transport.ErrNoFlow) && !errors.Is(err, transport.ErrElsewhere)
	}
	return gone
}

// flowOf is the flow of a server transaction and the Endpoint that it is of.
func flowOf(tx *transaction.Server) (*transport.Endpoint, transport.Flow) {
	return tx.Layer().Endpoint(), tx.Flow()
}
