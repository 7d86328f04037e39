package transaction

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// simulation is one server with a queue and its clients, in steps of a
// millisecond. Nothing in it but the machines under test decides what is sent and
// what is served.
type simulation struct {
	limiter  limiter
	capacity float64 // requests that the server can serve in a second
	clients  []*simulated

	now    time.Time
	queue  []arrival
	credit float64
	events map[int64][]func() // by millisecond

	served, refused int           // in this second
	slowest         time.Duration // wait of those served, in this second
}

// simulated is a client that would send so many requests a second.
type simulated struct {
	algo     algo
	offers   float64
	reckless bool // it offers control, and does not heed it
	spared   float64
	throttle throttle
	credit   float64
	served   int
	urgent   int // of the spared, served
	lost     int // of the spared, held back or refused
}

type arrival struct {
	client *simulated
	addr   netip.AddrPort
	at     time.Time
	spared bool
}

const transit = 5 * time.Millisecond

func newSimulation(capacity float64, clients ...*simulated) *simulation {
	s := &simulation{capacity: capacity, clients: clients, now: time.Unix(1e9, 0), events: map[int64][]func(){}}
	random := rand.New(rand.NewPCG(1, 2))
	s.limiter = newLimiter(500*time.Millisecond, s.now, 0, random.Float64)
	for _, c := range clients {
		c.throttle = newThrottle(random.Float64)
		c.credit = random.Float64()
	}
	return s
}

func (s *simulation) after(d time.Duration, f func()) {
	at := s.now.Add(d).UnixMilli()
	s.events[at] = append(s.events[at], f)
}

// second lets a second pass, and returns what was served in it.
func (s *simulation) second() (served int) {
	s.served, s.refused, s.slowest = 0, 0, 0
	for range 1000 {
		s.step()
	}
	return s.served
}

func (s *simulation) step() {
	s.now = s.now.Add(time.Millisecond)
	for _, f := range s.events[s.now.UnixMilli()] {
		f()
	}
	delete(s.events, s.now.UnixMilli())
	for i, c := range s.clients {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(i+1))
		for c.credit += c.offers / 1000; c.credit >= 1; c.credit-- {
			r := arrival{client: c, addr: addr, spared: rand.Float64() < c.spared}
			if c.algo != noAlgo && !c.reckless && !c.throttle.allow(s.now, r.spared) {
				if r.spared {
					c.lost++
				}
				continue
			}
			s.after(transit, func() { s.arrive(r) })
		}
	}
	for s.credit = min(s.credit+s.capacity/1000, max(20, s.capacity/1000)); s.credit >= 1 && len(s.queue) > 0; s.credit-- {
		r := s.queue[0]
		s.queue = s.queue[1:]
		delay := s.now.Sub(r.at)
		s.slowest = max(s.slowest, delay)
		s.limiter.start(delay)
		s.limiter.note(s.now, len(s.queue))
		s.limiter.advance(s.now)
		s.served++
		r.client.served++
		if r.spared {
			r.client.urgent++
		}
		s.respond(r)
	}
}

func (s *simulation) arrive(r arrival) {
	class := fresh
	if r.spared {
		class = urgent
	}
	if !s.limiter.admit(s.now, r.addr, r.client.algo, class) {
		s.refused++
		if r.spared {
			r.client.lost++
		}
		s.credit -= 0.01 // a refusal costs something too
		s.respond(r)
		return
	}
	r.at = s.now
	s.queue = append(s.queue, r)
	s.limiter.note(s.now, len(s.queue))
}

func (s *simulation) respond(r arrival) {
	if r.client.algo == noAlgo {
		return
	}
	oc := s.limiter.feedback(s.now, r.addr, r.client.algo)
	oc.Seq = uint64(s.now.UnixMicro() / 10)
	s.after(transit, func() { r.client.throttle.learn(s.now, oc) })
}

func many(n int, c simulated) (clients []*simulated) {
	for range n {
		clients = append(clients, &simulated{algo: c.algo, offers: c.offers, reckless: c.reckless, spared: c.spared})
	}
	return clients
}

func TestSimDump(t *testing.T) {
	for _, c := range []struct {
		name    string
		cap     float64
		clients []*simulated
	}{
		{"loss", 1000, many(10, simulated{algo: lossAlgo, offers: 1000})},
		{"rate", 1000, many(10, simulated{algo: rateAlgo, offers: 1000})},
		{"none", 1000, many(10, simulated{offers: 1000})},
		{"mixed", 1000, append(append(many(3, simulated{algo: lossAlgo, offers: 1000}), many(3, simulated{algo: rateAlgo, offers: 1000})...), many(4, simulated{offers: 1000})...)},
		{"small-none", 1000, many(500, simulated{offers: 20})},
		{"small-loss", 1000, many(500, simulated{algo: lossAlgo, offers: 20})},
		{"small-rate", 1000, many(500, simulated{algo: rateAlgo, offers: 20})},
		{"tiny-none", 1000, many(5000, simulated{offers: 2})},
		{"slow-loss", 20, many(4, simulated{algo: lossAlgo, offers: 50})},
		{"1.5x loss", 1000, many(10, simulated{algo: lossAlgo, offers: 150})},
	} {
		s := newSimulation(c.cap, c.clients...)
		line := ""
		for range 20 {
			s.second()
			line += fmt.Sprintf(" %d/%d/%dms/%.1f", s.served, s.refused, s.slowest.Milliseconds(), s.limiter.share)
		}
		lo, hi := 1<<30, 0
		for _, c := range c.clients {
			lo, hi = min(lo, c.served), max(hi, c.served)
		}
		t.Log(c.name, line, "clients", lo, hi)
	}
}

var _ = sip.INVITE
