package siptest

import (
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"time"
)

// A Link is the way from one host to another. The zero value is perfect. Loss,
// Duplicate and Reorder are shares from 0 (none) to 1 (all) and apply to
// datagrams; Delay and Jitter apply to streams too.
type Link struct {
	// Loss is the share of datagrams that never arrive.
	Loss float64

	// Delay is the time from one host to the other.
	Delay time.Duration

	// Jitter is the most by which Delay varies: each packet takes up to that
	// much longer. Packets of one flow keep their order all the same.
	Jitter time.Duration

	// Duplicate is the share of datagrams that arrive twice.
	Duplicate float64

	// Reorder is the share of datagrams that are held back for another Delay
	// plus Jitter, 10 ms at least, and so overtaken by later ones.
	Reorder float64
}

// minHeldBack is the least by which a reordered datagram is late.
const minHeldBack = 10 * time.Millisecond

// A flow is the datagrams, or one direction of a stream, from one address and
// port to another. It has a source of chance of its own, so that what happens
// to it does not depend on the order in which goroutines send on others.
type flow struct {
	chance *rand.Rand
	last   time.Duration // arrival of the last packet that keeps its order
}

func newFlow(seed uint64, network string, from, to netip.AddrPort) *flow {
	h := fnv.New64a()
	h.Write([]byte(network))
	for _, ap := range []netip.AddrPort{from, to} {
		b := ap.Addr().As16()
		h.Write(b[:])
		h.Write([]byte{byte(ap.Port() >> 8), byte(ap.Port())})
	}
	return &flow{chance: rand.New(rand.NewPCG(seed, h.Sum64()))}
}

// fate is what the network does to one datagram by chance.
type fate struct {
	lost  bool
	twice bool
	due   time.Duration // when it arrives
	again time.Duration // when its copy does
}

// datagram draws the fate of the next datagram. It takes the same number of
// draws for each, so that more loss does not change which ones are doubled.
func (f *flow) datagram(l Link, now time.Duration) fate {
	loss, twice, held := f.chance.Float64(), f.chance.Float64(), f.chance.Float64()
	first, second := f.jitter(l), f.jitter(l)
	ft := fate{lost: loss < l.Loss, twice: twice < l.Duplicate}
	if ft.lost {
		return ft
	}
	ft.due = max(now+l.Delay+first, f.last)
	ft.again = max(now+l.Delay+second, ft.due)
	if held < l.Reorder {
		ft.due += max(l.Delay+l.Jitter, minHeldBack)
		return ft
	}
	f.last = ft.due
	return ft
}

// segment returns when the next piece of a stream arrives: never before the
// one sent earlier. The filter may hold it, and all that follows, for extra.
func (f *flow) segment(l Link, now, extra time.Duration) time.Duration {
	f.last = max(now+l.Delay+f.jitter(l)+max(extra, 0), f.last)
	return f.last
}

func (f *flow) jitter(l Link) time.Duration {
	return time.Duration(f.chance.Float64() * float64(max(l.Jitter, 0)))
}
