package flow

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/netip"

	"github.com/goparley/parley/sip/siptest"
)

// mostLost is how often one datagram is lost, at most: who sends it three times is heard. A
// request that is sent as often as RFC 3261 section 17.1 has it, 7 times if it is an INVITE, has
// its response then, whatever the seed. That nobody answers is another story.
const mostLost = 2

// loss is the share of datagrams that each link loses: as many as make a quarter of
// what goes from one end of the cast to the other. As many come twice, and as many are
// overtaken. With more loss the RFC's timers would not do: a 2xx and its ACK, which
// nobody between the two ends sends again, have ten tries.
func (s *Story) loss() float64 {
	return 1 - math.Pow(0.75, 1/float64(max(len(s.Cast)-1, 1)))
}

// A way is that of datagrams from one address to another.
type way struct{ from, to netip.AddrPort }

// chance is what decides of the datagrams of a way, whatever goes on others meanwhile.
func (w way) chance(seed uint64) *rand.Rand {
	h := fnv.New64a()
	for _, ap := range []netip.AddrPort{w.from, w.to} {
		h.Write(ap.Addr().AsSlice())
		binary.Write(h, binary.BigEndian, ap.Port())
	}
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// lossy returns a filter that loses a share of all datagrams, and each of them mostLost times
// at most.
func lossy(seed uint64, share float64) func(siptest.Packet) siptest.Verdict {
	type datagram struct {
		way
		data string
	}
	chances, lost := map[way]*rand.Rand{}, map[datagram]int{}
	return func(p siptest.Packet) siptest.Verdict {
		if p.Network != "udp" {
			return siptest.Verdict{}
		}
		d := datagram{way{p.From, p.To}, string(p.Data)}
		if chances[d.way] == nil {
			chances[d.way] = d.way.chance(seed)
		}
		if chances[d.way].Float64() >= share || lost[d] == mostLost {
			return siptest.Verdict{}
		}
		lost[d]++
		return siptest.Verdict{Drop: true}
	}
}
