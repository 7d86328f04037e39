package transaction

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
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
	random *rand.Rand

	served, refused int           // in this second
	slowest         time.Duration // wait of those served, in this second
}

// simulated is a client that would send so many requests a second.
type simulated struct {
	algo     algo
	offers   float64
	class    class // of all that it sends
	reckless bool  // it offers control, and does not heed it
	trunk    bool  // all that say so are one
	ports    bool  // each request from another port of one machine
	forged   int   // the sources that it writes into its requests, in turn; 0: its own
	sent     int
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
	s.random = random
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
		for c.credit += c.offers / 1000; c.credit >= 1; c.credit-- {
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 5060)
			c.sent++
			switch {
			case c.trunk:
				addr = netip.MustParseAddrPort("198.51.100.1:5060")
			case c.ports:
				addr = netip.AddrPortFrom(addr.Addr(), uint16(1024+c.sent%1000))
			case c.forged > 0:
				k := c.sent % c.forged
				addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(k >> 16), byte(k >> 8), byte(k)}), 5060)
			}
			r := arrival{client: c, addr: addr, spared: s.random.Float64() < c.spared}
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
	algo := r.client.algo
	if !s.limiter.admit(s.now, r.addr, algo, r.client.class) && !(r.spared && s.limiter.takesUrgent(s.now, r.addr, algo, true)) {
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
	s.after(transit, func() {
		r.client.throttle.judge(s.now, true)
		r.client.throttle.learn(s.now, oc)
	})
}

func many(n int, c simulated) (clients []*simulated) {
	for range n {
		clients = append(clients, &simulated{algo: c.algo, offers: c.offers, reckless: c.reckless, spared: c.spared})
	}
	return clients
}

// Ten times what the server can do: within three seconds clients send what it can,
// nearly all that it can do is done, nobody waits for longer than the tolerance,
// and each client gets its share, whatever it does about overload itself.
func TestTenfoldOverload(t *testing.T) {
	for _, c := range []struct {
		name     string
		capacity float64
		clients  []*simulated
	}{
		{"loss", 1000, many(10, simulated{algo: lossAlgo, offers: 1000})},
		{"rate", 1000, many(10, simulated{algo: rateAlgo, offers: 1000})},
		{"none takes part", 1000, many(10, simulated{offers: 1000})},
		{"some of each", 1000, slices.Concat(many(3, simulated{algo: lossAlgo, offers: 1000}),
			many(3, simulated{algo: rateAlgo, offers: 1000}), many(4, simulated{offers: 1000}))},
		{"some do not do what they say", 1000, slices.Concat(many(5, simulated{algo: lossAlgo, offers: 1000}),
			many(2, simulated{algo: rateAlgo, offers: 1000, reckless: true}), many(3, simulated{algo: lossAlgo, offers: 1000, reckless: true}))},
		{"500 with loss", 1000, many(500, simulated{algo: lossAlgo, offers: 20})},
		{"500 with rate", 1000, many(500, simulated{algo: rateAlgo, offers: 20})},
		{"5000, more than are told apart", 1000, many(5000, simulated{offers: 2})},
		{"a slow server", 50, many(4, simulated{algo: lossAlgo, offers: 125})},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSimulation(c.capacity, c.clients...)
			for range 3 {
				s.second()
			}
			for _, c := range s.clients {
				c.served = 0
			}
			const seconds = 17
			for i := range seconds {
				served := float64(s.second())
				if served < 0.8*c.capacity {
					t.Errorf("second %d: %v served, want %v at least", i+4, served, 0.8*c.capacity)
				}
				if s.slowest > 2*s.limiter.tolerance {
					t.Errorf("second %d: a request waited for %v", i+4, s.slowest)
				}
			}
			if len(s.clients) > 10 {
				return // too few requests each for chance to even out
			}
			fair := seconds * c.capacity / float64(len(s.clients))
			for i, c := range s.clients {
				if got := float64(c.served); got < 0.7*fair || got > 1.3*fair {
					t.Errorf("client %d: %v served, want about %.0f", i, got, fair)
				}
			}
		})
	}
}

// Who does what it is told, with no more load than was given out, is refused
// nothing: the server has its time for what it serves. The delay does not swing.
func TestControlledClientsAreNotRefused(t *testing.T) {
	for _, algo := range []algo{lossAlgo, rateAlgo} {
		s := newSimulation(1000, many(10, simulated{algo: algo, offers: 1000})...)
		for range 5 {
			s.second()
		}
		for i := range 20 {
			s.second()
			if s.refused > 0 || s.slowest > 400*time.Millisecond {
				t.Errorf("%s, second %d: %d refused, the slowest waited %v", algo, i+6, s.refused, s.slowest)
			}
		}
	}
}

// One that sends a hundred times as much as the others takes nothing from them, nor
// one that sends by itself a tenth more than can be done. What it sends may be new
// work, or say that it is dear: anybody can write a To tag, BYE, or a
// Resource-Priority. It may say that it holds back, and not do it.
func TestAFloodTakesNothingFromOthers(t *testing.T) {
	kinds := map[string]simulated{
		"new work":                         {class: fresh},
		"INFO with a To tag":               {class: ongoing},
		"OPTIONS with a Resource-Priority": {class: fresh, spared: 1},
		"BYE with a To tag":                {class: essential},
	}
	for name, flood := range kinds {
		for _, flood.offers = range []float64{8000, 1100} {
			for _, flood.algo = range []algo{noAlgo, rateAlgo} {
				for _, modestAlgo := range []algo{noAlgo, lossAlgo, rateAlgo} {
					name := fmt.Sprintf("%.0f/s of %s, with %q, the others with %q", flood.offers, name, flood.algo, modestAlgo)
					flood := flood
					flood.reckless = true
					modest := many(9, simulated{algo: modestAlgo, offers: 80})
					s := newSimulation(1000, append(modest, &flood)...)
					for range 5 {
						s.second()
					}
					for _, c := range modest {
						c.served = 0
					}
					for range 10 {
						s.second()
						if s.slowest > 2*s.limiter.tolerance {
							t.Errorf("%s: a request waited for %v", name, s.slowest)
						}
					}
					for i, c := range modest {
						if c.served < 700 {
							t.Errorf("%s: client %d has %d of its 800 requests served", name, i, c.served)
						}
					}
				}
			}
		}
	}
}

// A trunk sends all that there is, in calls and new ones, twice what can be done.
// What ends calls is served, and what is in calls; the new ones have to wait for
// those.
func TestATrunkKeepsItsCalls(t *testing.T) {
	for _, algo := range []algo{noAlgo, lossAlgo, rateAlgo} {
		trunk := [...]*simulated{
			essential: {class: essential, offers: 200},
			ongoing:   {class: ongoing, offers: 400},
			fresh:     {class: fresh, offers: 1400},
			urgent:    {spared: 1, offers: 10},
		}
		s := newSimulation(1000, trunk[:]...)
		for _, c := range trunk {
			c.algo, c.trunk = algo, true
			c.reckless = true // what it holds back is not what is measured
		}
		for range 5 {
			s.second()
		}
		for _, c := range trunk {
			c.sent, c.served = 0, 0
		}
		for range 20 {
			s.second()
		}
		for class, c := range trunk {
			part := float64(c.served) / float64(c.sent)
			t.Logf("%q: class %d: %d of %d served", algo, class, c.served, c.sent)
			if want := 0.98; class != int(fresh) && part < want {
				t.Errorf("%q: of class %d %.0f %% were served, want %.0f %% at least", algo, class, 100*part, 100*want)
			}
		}
		if got := float64(trunk[fresh].served) / 20; got < 250 {
			t.Errorf("%q: %.0f new requests a second were served, want 390 or so", algo, got)
		}
	}
}

// Calls for help, one in a hundred, get through (RFC 7339 section 5.10.1): to be
// spared is up to the client, and the server does not refuse what comes.
func TestUrgentRequestsGetThrough(t *testing.T) {
	for _, algo := range []algo{noAlgo, lossAlgo, rateAlgo} {
		clients := many(10, simulated{algo: algo, offers: 500, spared: 0.01})
		s := newSimulation(1000, clients...)
		for range 20 {
			s.second()
		}
		through, lost := 0, 0
		for _, c := range clients {
			through, lost = through+c.urgent, lost+c.lost
		}
		if through < 900 || lost > through/50 {
			t.Errorf("%q: %d urgent requests got through, %d did not", algo, through, lost)
		}
	}
}

// The load goes down: what was held back is sent again within seconds, and the
// control ends (RFC 7339 section 5.7).
func TestOverloadEnds(t *testing.T) {
	for _, algo := range []algo{noAlgo, lossAlgo, rateAlgo} {
		clients := many(10, simulated{algo: algo, offers: 1000})
		s := newSimulation(1000, clients...)
		for range 10 {
			s.second()
		}
		for _, c := range clients {
			c.offers = 50
		}
		for range 10 {
			s.second()
		}
		if served := s.second(); served < 490 || s.refused > 0 || s.limiter.limiting {
			t.Errorf("%q: %d served, %d refused, still limiting: %v; want 500, 0, false", algo, served, s.refused, s.limiter.limiting)
		}
	}
}

// A server with enough to do, but no more, refuses nothing and holds nobody back.
func TestNoOverload(t *testing.T) {
	for _, algo := range []algo{noAlgo, lossAlgo, rateAlgo} {
		s := newSimulation(1000, many(9, simulated{algo: algo, offers: 100})...)
		for i := range 20 {
			s.second()
			if s.refused > 0 || s.limiter.limiting {
				t.Errorf("%q, second %d: %d refused, limiting: %v", algo, i, s.refused, s.limiter.limiting)
			}
		}
	}
}

// The server stands still for a second: it drops what has piled up beyond the
// tolerance, and is soon back.
func TestStall(t *testing.T) {
	s := newSimulation(1000, many(10, simulated{algo: lossAlgo, offers: 90})...)
	s.second()
	s.capacity = 0
	s.second()
	s.capacity = 1000
	for range 5 {
		s.second()
	}
	if served := s.second(); served < 850 || s.refused > 0 {
		t.Errorf("%d served, %d refused, want 900 and 0", served, s.refused)
	}
}

// The machine stands still for two seconds under the calls of a trunk, of which the
// server could take more: new calls may be refused, and not one is kept from ending.
func TestStallOfATrunk(t *testing.T) {
	ends, begins := &simulated{class: essential, offers: 350, trunk: true}, &simulated{offers: 350, trunk: true}
	s := newSimulation(1000, ends, begins)
	for range 20 {
		s.second()
	}
	for range 3 {
		s.capacity = 0
		s.second()
		s.second()
		s.capacity = 1000
		for range 10 {
			s.second()
		}
	}
	if lost := ends.sent - ends.served; lost > 5 { // those on their way
		t.Errorf("%d of %d ends of calls were not served, want all", lost, ends.sent)
	}
	if part := float64(begins.served) / float64(begins.sent); part < 0.7 {
		t.Errorf("%.0f %% of new calls were served, want 70 %% at least", 100*part)
	}
}

// A trunk, with half of what the server can do, and somebody who is after it: with
// a thousand ports of one machine, with forged sources that are new each time, and
// with a thousand that come again, as those of many small clients do. They may offer
// to hold back, and do not. The trunk gets what refusing at random would leave to
// it, and the most of what it wants where the sources are one machine or new. It
// gets a good part of it even before it is known who does not heed what it is told.
func TestATrunkIsServed(t *testing.T) {
	for _, c := range []struct {
		name    string
		hostile simulated
		want    float64 // of 500
	}{
		{"many ports", simulated{offers: 1500, ports: true}, 450},
		{"forged BYEs", simulated{offers: 3000, forged: 1 << 24, class: essential}, 450},
		{"forged and again", simulated{offers: 1500, forged: 1000}, 240},
		{"forged BYEs, again, and fewer", simulated{offers: 1500, forged: 300, class: essential}, 240},
		{"forged, again, and more", simulated{offers: 3000, forged: 1000}, 130},
	} {
		for _, offered := range []algo{noAlgo, lossAlgo, rateAlgo} {
			for _, trunkOffered := range []algo{noAlgo, lossAlgo, rateAlgo} {
				hostile := c.hostile
				hostile.algo, hostile.reckless = offered, true
				trunk := &simulated{algo: trunkOffered, offers: 500}
				s := newSimulation(1000, trunk, &hostile)
				served := func(seconds int) float64 {
					trunk.served, hostile.served = 0, 0
					for range seconds {
						s.second()
					}
					return float64(trunk.served) / float64(seconds)
				}
				served(5)
				early := served(10)
				got := served(20)
				t.Logf("%s with %q, the trunk %q: %.0f/s, then %.0f/s of 500/s, the others %d/s of %.0f/s",
					c.name, offered, trunkOffered, early, got, hostile.served/20, hostile.offers)
				if got < 0.85*c.want || early < 0.4*c.want {
					t.Errorf("%s with %q: the trunk with %q gets %.0f/s and then %.0f/s, want %.0f/s", c.name, offered, trunkOffered, early, got, c.want)
				}
			}
		}
	}
}
