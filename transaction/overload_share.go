package transaction

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/internal/source"
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

// sourceOf returns what a neighbour is known by.
func sourceOf(from netip.AddrPort) netip.Prefix { return source.Of(from) }

// maxNeighbours bounds the table of those that are told apart, and that of
// newcomers.
const maxNeighbours = 1024

// limiter shares out what congestion says can be taken: each neighbour may have
// as much as any other, and what one does not want is for the others. None gets
// less, as far as its demand is known, than if requests were refused at random, lest
// many that send little each leave nothing to one that sends for many. It is told
// of what arrives only while there is something to watch.
//
// A source that comes for the first time may be forged, and another one the next
// time. It is a newcomer until it comes again after the time in which it could
// have heard how things are, and all newcomers together are one neighbour.
type limiter struct {
	congestion
	neighbours recent[netip.Prefix, neighbour]
	newcomers  recent[netip.Prefix, time.Time] // when they came first
	pool       neighbour                       // all of those
	rand       func() float64                  // in [0, 1)

	share  float64 // requests a second for one neighbour
	refuse float64 // the part of all requests that is too much
}

func newLimiter(tolerance time.Duration, now time.Time, waiting int, rand func() float64) limiter {
	return limiter{
		congestion: newCongestion(tolerance, now, waiting),
		neighbours: newRecent[netip.Prefix, neighbour](maxNeighbours),
		newcomers:  newRecent[netip.Prefix, time.Time](maxNeighbours),
		pool:       neighbour{tokens: minTokens, filled: now},
		rand:       rand,
	}
}

// neighbour returns the neighbour at an address, nil for a newcomer.
func (l *limiter) neighbour(now time.Time, from netip.AddrPort) *neighbour {
	source := sourceOf(from)
	if n := l.neighbours.get(source); n != nil {
		return n
	}
	first := l.newcomers.get(source)
	switch {
	case first == nil:
		l.newcomers.add(source, now)
		return nil
	case now.Sub(*first) < l.interval:
		return nil
	}
	l.newcomers.remove(source)
	return l.neighbours.add(source, neighbour{refuse: l.refuse, share: l.share, tokens: 1, filled: now, dither: l.rand()})
}

// admit reports whether a request is to be taken.
func (l *limiter) admit(now time.Time, from netip.AddrPort, a algo, class class) bool {
	l.advance(now)
	n := l.neighbour(now, from)
	if n == nil {
		n = &l.pool
	}
	n.arrived++
	n.wanted += 1 / (1 - n.toldRefuse)
	return l.grants(now, n, a, class, true)
}

// takesUrgent reports whether a request that admit has refused is to be taken if it
// is urgent. It is paid for if it is taken.
func (l *limiter) takesUrgent(now time.Time, from netip.AddrPort, a algo, taken bool) bool {
	n := l.neighbours.get(sourceOf(from))
	if n == nil {
		n = &l.pool
	}
	return l.grants(now, n, a, urgent, taken)
}

// grants reports whether the delay allows for a request of a class, and, while
// requests are held back, the share of its neighbour, which pays if it is taken.
// What a request says of itself anybody can write: so every class is paid for, and
// goes before others of the same neighbour alone.
func (l *limiter) grants(now time.Time, n *neighbour, a algo, class class, taken bool) bool {
	switch {
	case !l.takes(class):
		return false
	case !l.limiting:
		return true
	case !n.affords(now, n.allowance(a), class):
		return false
	}
	if taken {
		n.tokens--
	}
	return true
}

// feedback returns what to tell a client (RFC 7339 section 5.2), but for Seq.
func (l *limiter) feedback(now time.Time, to netip.AddrPort, a algo) sip.OverloadControl {
	l.advance(now)
	n := l.neighbours.get(sourceOf(to))
	if n == nil {
		n = &neighbour{refuse: l.refuse, share: l.share, dither: l.rand()} // a newcomer
	}
	n.told, n.toldRefuse, n.toldShare = noAlgo, 0, 0
	oc := sip.OverloadControl{Algo: a.String()}
	if !l.limiting {
		return oc // section 5.7
	}
	oc.Validity = ocValidity
	n.told, n.toldShare = a, n.share
	switch a {
	case lossAlgo:
		n.toldRefuse = math.Round(100*n.refuse) / 100
		oc.OC = uint32(math.Round(100 * n.refuse))
	case rateAlgo:
		oc.OC = uint32(min(max(1, n.share+n.dither), math.MaxUint32))
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
		n.roll(took)
		if n.idle > 20 && n.demand < 0.1 {
			l.neighbours.remove(addr)
		}
	}
	l.pool.roll(took)
	l.settle(l.limiting && l.allot())
}

// allot shares the target out, and reports whether somebody gets less than it
// wants.
func (l *limiter) allot() (held bool) {
	total := l.pool.demand
	for _, n := range l.neighbours.all {
		total += n.known()
	}
	l.refuse = 0
	if total > 0 {
		l.refuse = min(max(0, 1-l.target/total), maxRefuse)
	}
	l.share = l.level()
	l.pool.share = l.share
	for _, n := range l.neighbours.all {
		n.share = max(l.share, l.least(n))
		n.refuse = 0
		if n.demand > n.share {
			n.refuse = min(1-n.share/n.demand, maxRefuse)
		}
		held = held || n.refuse > 0 || n.isHungry()
	}
	return held || l.pool.demand > l.share
}

// least returns what a neighbour would get if requests were refused at random. What
// it asks for beyond half of all that can be taken does not count: that is a flood,
// and would get most. It is what is known of demands that counts: one that is told a
// rate shows no more of its demand than that, and has what it had before.
func (l *limiter) least(n *neighbour) float64 { return (1 - l.refuse) * min(n.known(), l.target/2) }

// level returns the share of a neighbour that is to have no more than others.
// Those that get their least instead leave less to the others, so that further ones
// may be among them.
func (l *limiter) level() (share float64) {
	left := l.target
	var wants []want
	for _, n := range l.neighbours.all {
		w := want{n.demand, l.least(n)}
		if n.isHungry() {
			w.demand = math.Inf(1)
		}
		wants = append(wants, w)
	}
	wants = append(wants, want{demand: l.pool.demand})
	for {
		share = level(left, wants)
		number := len(wants)
		wants = slices.DeleteFunc(wants, func(w want) bool {
			if w.least > share {
				left -= w.least
			}
			return w.least > share
		})
		if len(wants) == number {
			return share
		}
		left = max(0, left)
	}
}

// want is what a neighbour wants, and what it gets at least.
type want struct{ demand, least float64 }

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
	left, most := supply, 0.0
	for i, w := range wants {
		if fair := left / float64(len(wants)-i); w.demand > fair {
			return fair
		}
		left -= w.demand
		most = w.demand
	}
	return most + left/float64(max(1, len(wants)))
}
