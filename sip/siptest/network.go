package siptest

import (
	"net/netip"
	"sync"
	"time"
)

// NetworkConfig says what a [Network] is like. The zero value, as nil, is a
// perfect network: nothing is lost and everything arrives at once.
//
// Loss, Delay, Jitter, Duplicate and Reorder hold between any two hosts, except
// where [Network.SetLink] says otherwise; they mean what they mean in [Link]. A
// host reaches itself perfectly.
type NetworkConfig struct {
	// Seed makes chance repeatable: the same seed and the same sends have the
	// same datagrams lost. Zero is a seed like any other.
	Seed uint64

	Loss      float64       // share of datagrams lost; zero: none
	Delay     time.Duration // time from one host to the other; zero: none
	Jitter    time.Duration // the most by which Delay varies upward; zero: constant
	Duplicate float64       // share of datagrams that arrive twice; zero: none
	Reorder   float64       // share of datagrams that later ones overtake; zero: none

	// Queue is the number of datagrams that a socket holds for its reader.
	// What arrives beyond it is dropped and counted in [Stats.Overflowed].
	// Zero means 256.
	Queue int

	// Window is the number of bytes in one direction of a stream, in flight or
	// not yet read, at which Write blocks. Zero means 65,536.
	Window int

	// Segment is the most that one Read of a stream returns, in bytes: 1 hands
	// over every byte alone, so that framing meets every split. Zero means no
	// limit: a Read returns all that has arrived.
	Segment int

	// Record keeps a copy of everything sent for [Network.Packets].
	// False keeps nothing.
	Record bool
}

// A Network joins hosts. Its methods may be called from any goroutine.
type Network struct {
	config NetworkConfig
	link   Link      // between hosts that links does not name
	start  time.Time // event times count from here

	// filterMu keeps calls of the filter one after the other. It is taken
	// without mu held, since the filter is the user's code.
	filterMu sync.Mutex

	// mu guards everything below and the state of all hosts, sockets and
	// streams. It is never held while waiting, except by sync.Cond.
	mu     sync.Mutex
	hosts  map[netip.Addr]*Host
	links  map[path]Link
	cuts   map[path]bool
	filter func(Packet) Verdict
	record []Packet
	stats  Stats

	schedule schedule
	held     []*parcel // stream parcels stopped by a cut path, in order of arrival
	free     *parcel   // parcels to use again
	nfree    int
}

// NewNetwork returns a network without hosts. A nil config is the zero value.
func NewNetwork(config *NetworkConfig) *Network {
	var c NetworkConfig
	if config != nil {
		c = *config
	}
	if c.Queue <= 0 {
		c.Queue = 256
	}
	if c.Window <= 0 {
		c.Window = 64 << 10
	}
	return &Network{
		config: c,
		link:   Link{Loss: c.Loss, Delay: c.Delay, Jitter: c.Jitter, Duplicate: c.Duplicate, Reorder: c.Reorder},
		start:  time.Now(),
		hosts:  make(map[netip.Addr]*Host),
	}
}

// Host returns the machine with the given IPv4 or IPv6 address, which comes
// into being on first use. It panics if addr is not the address of one machine,
// or that of a NAT. Hosts behind a NAT are its own: [NAT.Host].
func (n *Network) Host(addr string) *Host {
	ip := hostAddr(addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[ip]
	if h == nil {
		h = newHost(n, ip)
		n.hosts[ip] = h
	}
	if h.box != nil {
		panic("siptest: " + addr + " is the address of a NAT")
	}
	return h
}

// hostAddr reads the address of one machine.
func hostAddr(addr string) netip.Addr {
	ip := netip.MustParseAddr(addr).Unmap().WithZone("")
	if ip.IsUnspecified() || ip.IsMulticast() {
		panic("siptest: " + addr + " is not the address of one host")
	}
	return ip
}

// SetLink says what the way from one host to another is like from now on. The
// way back is a link of its own. What is in flight arrives as it would have.
func (n *Network) SetLink(from, to *Host, link Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links == nil {
		n.links = make(map[path]Link)
	}
	n.links[pathBetween(from, to)] = link
}

// Cut breaks the way between two hosts, in both directions and in silence:
// datagrams are lost, those in flight too, and streams stand still until
// [Network.Mend].
func (n *Network) Cut(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.run() // what has arrived by now has arrived
	if n.cuts == nil {
		n.cuts = make(map[path]bool)
	}
	n.cuts[pathBetween(a, b)] = true
	n.cuts[pathBetween(b, a)] = true
}

// Mend ends a [Network.Cut]. Streams go on where they stood: as TCP, they have
// been retransmitting.
func (n *Network) Mend(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.run() // still under the cut
	delete(n.cuts, pathBetween(a, b))
	delete(n.cuts, pathBetween(b, a))
	n.release()
}

// Stats counts datagrams. Sent plus Duplicated is the sum of the others and of
// what is in flight.
type Stats struct {
	Sent       uint64 // handed to the network by a socket
	Duplicated uint64 // copies that the network added
	Delivered  uint64 // put in the queue of a socket
	Lost       uint64 // lost by chance, by the filter, on a cut path or at a host that is down
	Overflowed uint64 // dropped because the queue of the socket was full
	Unclaimed  uint64 // arrived where no host or no socket is
	Filtered   uint64 // not let in by a NAT
}

// Stats returns what has happened so far.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}
