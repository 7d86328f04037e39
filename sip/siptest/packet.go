package siptest

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// A Packet is a datagram, or what one Write put on a stream, as it leaves its
// host, or the NAT that its host is behind. A socket that is bound to all
// addresses sends from that of its host. Between two hosts behind one NAT From
// and Inside are the same.
type Packet struct {
	Network  string         // "udp" or "tcp"
	From, To netip.AddrPort // where it comes from and goes to, as seen between hosts: outside of a NAT, where there is one
	Inside   netip.AddrPort // the sender's own address if it is behind a NAT; zero: it is not
	Data     []byte         // the payload
	Time     time.Time      // when it was sent
	Lost     bool           // in Packets: lost by chance, by the filter, by a NAT that has forgotten its stream, or on a path that was cut when it was sent
}

// A Verdict is what a filter wants done to a packet. The zero value leaves it
// to the network.
type Verdict struct {
	// Drop loses a datagram. Streams are reliable: it does nothing to them.
	Drop bool

	// Delay is how much later the packet arrives; zero: no later. Later
	// datagrams overtake it. What follows on a stream waits behind it.
	Delay time.Duration

	// Duplicate is how many further copies of a datagram arrive; zero: none.
	Duplicate int
}

// SetFilter has every packet pass through filter before chance has its turn:
// the way to script that the first 200 is lost, or that one NOTIFY is late. Nil
// takes the filter away.
//
// Calls come one after the other, in the order of sending. The filter must not
// change or keep Data, must not block, and must not itself send on the network,
// though a goroutine that it starts may.
func (n *Network) SetFilter(filter func(Packet) Verdict) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = filter
}

// judge asks the filter. n.mu is held, and let go while the filter runs: also
// when it leaves by t.Fatal or a panic.
func (n *Network) judge(network string, r *route, data []byte) Verdict {
	filter := n.filter
	if filter == nil {
		return Verdict{}
	}
	n.mu.Unlock()
	defer n.mu.Lock()
	n.filterMu.Lock()
	defer n.filterMu.Unlock()
	return filter(Packet{Network: network, From: r.from, To: r.to, Inside: r.inside, Data: data, Time: time.Now()})
}

// note adds a packet to the record. n.mu is held.
func (n *Network) note(network string, r *route, data []byte, lost bool) {
	if n.config.Record {
		n.record = append(n.record, Packet{network, r.from, r.to, r.inside, bytes.Clone(data), time.Now(), lost})
	}
}

// Packets returns everything sent so far, in order, if [NetworkConfig.Record]
// is set, and nothing otherwise. Copies that the network made are not listed.
func (n *Network) Packets() []Packet {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.record)
}
