package siptest

import (
	"net/netip"
	"time"
)

// A binding is a port of a NAT that stands for a port of a host behind it.
// Network.mu guards it.
type binding struct {
	box    *NAT
	key    bindingKey
	host   *Host  // behind the box
	number uint16 // outside
	until  time.Duration
	ended  bool

	// peers are those who may send in, each until when: the part of their
	// address that filtering looks at.
	peers map[netip.AddrPort]time.Duration
}

// bindingKey is what packets of one binding have in common: remote is the part
// of where they go to that mapping looks at.
type bindingKey struct {
	network        string // "udp" or "tcp"
	inside, remote netip.AddrPort
}

// outside returns what the inside address is to others.
func (b *binding) outside() netip.AddrPort {
	return netip.AddrPortFrom(b.box.face.addr, b.number)
}

// alive reports whether the binding is still there. Its end is found out when
// somebody asks.
func (b *binding) alive() bool {
	if !b.ended && b.box.n.now() >= b.until {
		b.end()
	}
	return !b.ended
}

func (b *binding) end() {
	b.ended = true
	b.box.face.unbind(b.key.network, b.number)
	delete(b.box.bindings, b.key)
}

// outbound returns the binding by which a packet leaves, a new one if there is
// none, or nil if there is no port left.
func (box *NAT) outbound(network string, h *Host, from, to netip.AddrPort) *binding {
	key := bindingKey{network, from, box.config.Mapping.part(to)}
	b := box.bindings[key]
	if b == nil || !b.alive() {
		if b = box.bind(key, h); b == nil {
			return nil
		}
	}
	b.refresh(to)
	return b
}

// bind makes a binding.
func (box *NAT) bind(key bindingKey, h *Host) *binding {
	for _, b := range box.bindings {
		b.alive() // or give its port free
	}
	b := &binding{box: box, key: key, host: h}
	if box.config.Filtering != EndpointIndependent {
		b.peers = make(map[netip.AddrPort]time.Duration)
	}
	number := key.inside.Port()
	if box.config.NewPorts || box.face.ports[port{key.network, number}] != nil {
		number = 0
	}
	var err error
	if b.number, err = box.face.bind(key.network, number, b); err != nil {
		return nil
	}
	box.bindings[key] = b
	return b
}

// refresh is a packet that leaves.
func (b *binding) refresh(to netip.AddrPort) {
	now := b.box.n.now()
	if b.key.network == "tcp" {
		b.until = now + b.box.config.IdleTimeout
		return
	}
	b.until = now + b.box.config.Timeout
	if b.peers == nil {
		return
	}
	peer := b.box.config.Filtering.part(to)
	if _, known := b.peers[peer]; !known {
		for p, until := range b.peers {
			if now >= until {
				delete(b.peers, p)
			}
		}
	}
	b.peers[peer] = b.until
}

// admits reports whether a datagram may come in.
func (b *binding) admits(from netip.AddrPort) bool {
	if !b.alive() {
		return false
	}
	return b.peers == nil || b.box.n.now() < b.peers[b.box.config.Filtering.part(from)]
}

// passes reports whether a packet of a stream gets through, in either
// direction: what comes in is acknowledged, so that both keep it alive.
func (b *binding) passes() bool {
	if b.alive() {
		b.refresh(netip.AddrPort{})
	}
	return !b.ended
}
