package siptest

import "net/netip"

// A route is how something travels from one host to another.
type route struct {
	src, dst *Host          // dst is nil if there is no such host, and a NAT's if that stands before one
	from, to netip.AddrPort // as they are between hosts, outside of NATs
	inside   netip.AddrPort // what from was behind the NAT of src; zero: it has none
	binding  *binding       // which it passes in a NAT; nil: none
	stuck    bool           // in a NAT that has no port left
}

// routeTo returns the way of what a host sends from one of its addresses. On
// its way it has a NAT make a binding, or use one again. Network.mu is held.
func (h *Host) routeTo(network string, from, to netip.AddrPort) route {
	r := route{src: h, from: from, to: to}
	if h.nat == nil {
		r.dst = h.n.hosts[to.Addr()]
		return r
	}
	r.inside = from
	if r.dst = h.nat.hosts[to.Addr()]; r.dst != nil { // on the same side
		return r
	}
	r.dst = h.n.hosts[to.Addr()]
	if h.down && network == "udp" { // a SYN is sent again
		return r // the NAT does not see it
	}
	if r.binding = h.nat.outbound(network, h, from, to); r.binding == nil {
		r.stuck = true
		return r
	}
	r.from = r.binding.outside()
	return r
}

// back returns the way of what is sent in answer.
func (r route) back() route {
	return route{src: r.dst, dst: r.src, from: r.to, to: r.from, binding: r.binding}
}

// local reports whether the route passes no NAT, though it begins behind one.
func (r *route) local() bool { return r.src.nat != nil && r.dst != nil && r.dst.nat == r.src.nat }

// leaves and enters report which way the route passes its binding, if it has
// one.
func (r *route) leaves() bool { return r.binding != nil && r.src == r.binding.host }
func (r *route) enters() bool { return r.binding != nil && r.src != r.binding.host }

// path is the way from one host to another, which links and cuts are about.
type path struct{ from, to *Host }

// pathBetween returns the path from a to b, which may be nil: that of their
// NATs, unless they are on the same side.
func pathBetween(a, b *Host) path {
	if b == nil {
		return path{a.edge(), nil}
	}
	if a.nat == b.nat {
		return path{a, b}
	}
	return path{a.edge(), b.edge()}
}

// edge returns what others see of a host: its NAT, or itself.
func (h *Host) edge() *Host {
	if h.nat != nil {
		return h.nat.face
	}
	return h
}

// link returns what the way is like. Network.mu is held.
func (r *route) link() Link {
	n, p := r.src.n, pathBetween(r.src, r.dst)
	if len(n.links) > 0 {
		if l, ok := n.links[p]; ok {
			return l
		}
	}
	if p.from == p.to {
		return Link{}
	}
	return n.link
}

// broken reports whether nothing passes. Network.mu is held.
func (r *route) broken() bool {
	if r.src == r.dst {
		return false
	}
	n := r.src.n
	return r.stuck || r.src.down || r.dst != nil && r.dst.down || len(n.cuts) > 0 && n.cuts[pathBetween(r.src, r.dst)]
}
