package transaction

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// algo is an algorithm of overload control that a client and its server have in
// common.
type algo uint8

const (
	noAlgo   algo = iota // the client does not take part
	lossAlgo             // RFC 7339 section 7
	rateAlgo             // RFC 7415
)

func (a algo) String() string { return [...]string{"", "loss", "rate"}[a] }

// offeredBy returns the algorithm to use with the client that has written a Via:
// rate if it has that, for only rate bounds what comes (RFC 7415 section 1). As
// this follows from the offer alone, and clients repeat that in every request
// (RFC 7339 section 4.2), it is stable without being remembered (section 5.8).
func offeredBy(via sip.Via) algo {
	if !via.Params.Has("oc") {
		return noAlgo
	}
	oc, ok := via.OverloadControl()
	if !ok || !oc.Offer {
		return noAlgo // a value is not for a client to say (section 4.1)
	}
	if oc.Algo == "" {
		return lossAlgo // the default (section 4.2)
	}
	found := noAlgo
	for name := range strings.SplitSeq(oc.Algo, ",") {
		switch name = strings.TrimSpace(name); {
		case strings.EqualFold(name, "rate"):
			return rateAlgo
		case strings.EqualFold(name, "loss"):
			found = lossAlgo
		}
	}
	return found
}

// neighbour is a client that sends to us, known by the address it sends from.
type neighbour struct {
	algo    algo
	arrived int     // requests in this interval
	wanted  float64 // those that it had for us, as it is thought
	seen    int     // intervals
	idle    int     // those of them without a request, the last ones
	demand  float64 // how many a second it would send, smoothed
	refuse  float64 // the part of them that is too much

	// What it was told last, and has heard of when it sends the next request.
	toldRefuse float64
	toldShare  float64 // 0: nothing

	// dither is added to its share before that is cut to a whole number, so that
	// many with little each get what there is, and not all one more or one less.
	dither float64

	// How many may come at once, whatever it has been told. A token a request.
	tokens float64
	filled time.Time
}

// maxNeighbours bounds the table of those that are told apart.
const maxNeighbours = 1024

// limiter shares out what congestion says can be taken: each neighbour may have
// as much as any other, and what one does not want is for the others. It is
// told of what arrives only while there is something to watch.
type limiter struct {
	congestion
	neighbours recent[neighbour]
	rand       func() float64 // in [0, 1)

	share  float64 // requests a second for one neighbour
	refuse float64 // for one of which nothing is known yet

	// Neighbours that had to leave the table, in this interval: how many, and
	// their requests.
	others        int
	othersArrived int
}

func newLimiter(tolerance time.Duration, now time.Time, waiting int, rand func() float64) limiter {
	return limiter{
		congestion: newCongestion(tolerance, now, waiting),
		neighbours: newRecent[neighbour](maxNeighbours),
		rand:       rand,
	}
}

// neighbour returns the entry of an address.
func (l *limiter) neighbour(now time.Time, from netip.AddrPort, a algo) *neighbour {
	n := l.neighbours.get(from)
	if n == nil {
		n = l.neighbours.add(from, neighbour{refuse: l.refuse, tokens: 1, filled: now, dither: l.rand()}, func(gone *neighbour) {
			if gone.arrived > 0 {
				l.others++
				l.othersArrived += gone.arrived
			}
		})
	}
	n.algo = a
	return n
}

// admit reports whether a request is to be taken.
func (l *limiter) admit(now time.Time, from netip.AddrPort, a algo, class class) bool {
	l.advance(now)
	n := l.neighbour(now, from, a)
	n.arrived++
	n.wanted += 1 / (1 - n.toldRefuse)
	if !l.takes(class) {
		return false
	}
	if !l.limiting {
		return true
	}
	switch {
	case a != noAlgo:
		// It holds back by itself; what comes beyond that, from one that has not
		// heard of it yet or does not heed it, is refused.
		return n.spend(now, slack*l.share) || class != fresh
	case class == fresh:
		// As much work for one that does not take part as for one that does
		// (RFC 7339 section 5.10.2).
		return l.rand() >= n.refuse
	}
	return true
}

const (
	slack     = 1.2 // a share is not counted to the request
	minTokens = 10  // a burst, twice what a client's bucket lets through at once
)

// spend takes a token, if there is one.
func (n *neighbour) spend(now time.Time, rate float64) bool {
	if since := now.Sub(n.filled).Seconds(); since > 0 {
		n.tokens = min(n.tokens+since*rate, max(minTokens, rate/4))
		n.filled = now
	}
	ok := n.tokens >= 1
	if ok {
		n.tokens--
	}
	return ok
}

// feedback returns what to tell a client (RFC 7339 section 5.2), but for Seq.
func (l *limiter) feedback(now time.Time, to netip.AddrPort, a algo) sip.OverloadControl {
	l.advance(now)
	n := l.neighbours.get(to)
	if n == nil {
		n = &neighbour{refuse: l.refuse, dither: l.rand()} // it had to leave the table
	}
	n.toldRefuse, n.toldShare = 0, 0
	oc := sip.OverloadControl{Algo: a.String()}
	if !l.limiting {
		return oc // section 5.7
	}
	oc.Validity = ocValidity
	switch a {
	case lossAlgo:
		n.toldRefuse = math.Round(100*n.refuse) / 100
		oc.OC = uint32(math.Round(100 * n.refuse))
	case rateAlgo:
		n.toldShare = l.share
		oc.OC = uint32(min(max(1, l.share+n.dither), math.MaxUint32))
	}
	return oc
}

// ocValidity is how long a client heeds what it was told last. One that may send
// little hears little: with the default of half a second it would forget in
// between, and send all that it has.
const ocValidity = 3 * time.Second

// maxRefuse leaves each client one request in a hundred, or it would hear of
// nothing any more until the validity ends.
const maxRefuse = 0.99

// advance ends the interval if it is over.
func (l *limiter) advance(now time.Time) {
	took, over := l.roll(now)
	if !over {
		return
	}
	for addr, n := range l.neighbours.all {
		n.count(took)
		if n.idle > 20 && n.demand < 0.1 {
			l.neighbours.remove(addr)
		}
	}
	held := false
	if l.limiting {
		held = l.allot(took)
	}
	l.others, l.othersArrived = 0, 0
	l.settle(held)
}

// demandWindow is what the demand is smoothed over.
const demandWindow = 1.0 // seconds

// count takes the requests of an interval into the demand. The fewer there are
// the longer it takes to know.
func (n *neighbour) count(took time.Duration) {
	rate := n.wanted / took.Seconds()
	n.seen++
	n.idle++
	if n.arrived > 0 {
		n.idle = 0
	}
	window := min(max(demandWindow, 10/n.demand), 10*demandWindow)
	n.demand += (rate - n.demand) * min(1, max(took.Seconds()/window, 1/float64(n.seen)))
	n.arrived, n.wanted = 0, 0
}

// isHungry reports whether a neighbour sends as much as it was told: it would
// send more.
func (n *neighbour) isHungry() bool { return n.toldShare > 0 && n.demand >= 0.8*n.toldShare }

// allot shares the target out, and reports whether somebody gets less than it
// wants.
func (l *limiter) allot(took time.Duration) (held bool) {
	var wants []want
	total := 0.0
	for _, n := range l.neighbours.all {
		w := want{n.demand, 1}
		total += n.demand
		if n.isHungry() {
			w.demand = math.Inf(1)
		}
		wants = append(wants, w)
	}
	if l.others > 0 {
		demand := float64(l.othersArrived) / took.Seconds()
		total += demand
		wants = append(wants, want{demand / float64(l.others), float64(l.others)})
	}
	l.share = level(l.target, wants)
	l.refuse = 0
	if total > 0 {
		l.refuse = min(max(0, 1-l.target/total), maxRefuse)
	}
	for _, n := range l.neighbours.all {
		n.refuse = 0
		if n.demand > l.share {
			n.refuse = min(1-l.share/n.demand, maxRefuse)
		}
		held = held || n.refuse > 0 || n.isHungry()
	}
	return held || l.others > 0 && l.refuse > 0
}

// want is what a number of neighbours want, each.
type want struct{ demand, number float64 }

// level returns the share at which all wants together, cut to it, are the supply.
// If there is enough for everybody it is more than any of them wants, by what is
// left.
func level(supply float64, wants []want) float64 {
	slices.SortFunc(wants, func(a, b want) int {
		switch {
		case a.demand < b.demand:
			return -1
		case a.demand > b.demand:
			return 1
		}
		return 0
	})
	left, number := supply, 0.0
	for _, w := range wants {
		number += w.number
	}
	all, most := number, 0.0
	for _, w := range wants {
		if fair := left / number; w.demand > fair {
			return fair
		}
		left -= w.demand * w.number
		number -= w.number
		most = w.demand
	}
	return most + left/max(1, all)
}
