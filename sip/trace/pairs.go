package trace

import (
	"hash/maphash"
	"net/netip"

	"github.com/goparley/parley/sip/transport"
)

// maxWaiting is how many messages are remembered that were seen at one end
// only, because the other end is elsewhere, or the message lost.
const maxWaiting = 1024

// passage is a message on its way from one address to another, as seen at
// either end.
type passage struct {
	transport string
	from, to  netip.AddrPort
	text      uint64 // a hash of it
	sent      bool   // seen at the sender
}

// pairs finds the messages that a recorder is told of twice, by the endpoint
// that sends and by the one that receives them.
type pairs struct {
	seed    maphash.Seed
	waiting map[passage]int // how often it was seen at this end and not at the other
	order   []passage       // those in waiting and some that no longer are, oldest first
}

func newPairs() pairs {
	return pairs{seed: maphash.MakeSeed(), waiting: map[passage]int{}}
}

// isSecond reports whether this is the second sight of a message. Retransmissions
// are messages of their own.
func (p *pairs) isSecond(m transport.TraceMessage, sent bool) bool {
	here := passage{m.Transport, m.Remote, m.Local, maphash.String(p.seed, m.Text), sent}
	if sent {
		here.from, here.to = m.Local, m.Remote
	}
	there := here
	there.sent = !sent
	if n := p.waiting[there]; n > 0 {
		if p.waiting[there]--; n == 1 {
			delete(p.waiting, there)
		}
		return true
	}
	p.waiting[here]++
	if p.order = append(p.order, here); len(p.order) > maxWaiting {
		oldest := p.order[0]
		p.order = p.order[1:]
		if n := p.waiting[oldest]; n == 1 {
			delete(p.waiting, oldest)
		} else if n > 1 {
			p.waiting[oldest]--
		}
	}
	return false
}
