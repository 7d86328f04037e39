package transaction

import (
	"math"
	"time"
)

// neighbour is a client that sends to us, known by the address it sends from.
type neighbour struct {
	arrived int     // requests in this interval
	wanted  float64 // those that it had for us, as it is thought

	first time.Duration // since it came first
	count int           // requests since then
	seen  int           // intervals
	idle  int           // those of them without a request, the last ones

	came    float64       // how many a second it sends, smoothed
	most    float64       // the most that it has sent, as far as that is sure
	allowed float64       // toldShare, smoothed as came is
	deaf    time.Duration // how long it has sent more than that
	demand  float64       // how many a second it would send, if it heeds what it is told

	refuse float64 // the part of them that is too much
	share  float64 // how many a second it may send

	// What it was told last, and has heard of when it sends the next request.
	told       algo // noAlgo: nothing
	toldRefuse float64
	toldShare  float64

	// dither is added to its share before that is cut to a whole number, so that
	// many with little each get what there is, and not all one more or one less.
	dither float64

	// How many may come at once, whatever it has been told. A token a request;
	// fewer than none if it has had a loan.
	tokens float64
	filled time.Time
}

const (
	// demandWindow is what rates are smoothed over.
	demandWindow = time.Second

	// heeded is how much more than it was told a neighbour may send, for what is
	// told changes, and is heard late.
	heeded = 1.25

	// hungry is the part of a rate from which on it may have more to send.
	hungry = 0.8

	// deafness is how long a neighbour sends more than it was told until it is
	// treated like one that does not take part.
	deafness = 10 * time.Second
)

// roll takes the requests of an interval into what is known of the neighbour. The
// fewer there are the longer it takes to know.
func (n *neighbour) roll(took time.Duration) {
	seconds, window := took.Seconds(), demandWindow.Seconds()
	n.seen++
	n.idle++
	if n.arrived > 0 {
		n.idle = 0
	}
	part := min(1, max(seconds/min(max(window, 10/n.came), 10*window), 1/float64(n.seen)))
	n.came += (float64(n.arrived)/seconds - n.came) * part

	n.first += took
	n.count += n.arrived
	if n.first >= demandWindow {
		n.most = max(n.most, n.came)
	} else { // without what may be chance
		count := float64(n.count)
		n.most = max(n.most, (count-math.Sqrt(count))/n.first.Seconds())
	}

	n.allowed += (n.toldShare - n.allowed) * part
	if n.told == noAlgo {
		n.allowed = n.came
	}
	if n.deaf += took; n.came <= heeded*n.allowed {
		n.deaf = 0
	}

	if n.isHungry() {
		n.demand = max(n.demand, n.came) // as much as it had when that could be seen
	} else {
		n.demand += (n.wanted/seconds - n.demand) * part
	}
	n.arrived, n.wanted = 0, 0
}

// isHungry reports whether a neighbour sends as much as it was told by a rate: it
// would send more.
func (n *neighbour) isHungry() bool { return n.told == rateAlgo && n.came >= hungry*n.allowed }

// isDeaf reports whether a neighbour has not heeded for long what it was told.
func (n *neighbour) isDeaf() bool { return n.deaf > deafness }

// known returns what is known of the demand of a neighbour. What it holds back is
// believed of one that does so, up to what it has once sent: one that offers to
// hold back and does not would seem to want the more the less it is told, and
// nothing would be left to others.
func (n *neighbour) known() float64 {
	switch {
	case n.told == noAlgo:
		return n.demand
	case n.isDeaf():
		return n.came
	}
	return min(n.demand, n.most)
}

// allowance returns how many requests a second are taken from a neighbour, which
// may take part in overload control. Then it holds back by itself, and what comes
// beyond that, from one that does not heed it, is refused. From one that does not
// take part as much work is taken (RFC 7339 section 5.10.2).
func (n *neighbour) allowance(a algo) float64 {
	if a == noAlgo || n.isDeaf() {
		return n.share
	}
	return slack * n.share
}

const (
	slack     = 1.2 // a share is not counted to the request
	minTokens = 10  // a burst, twice what a client's bucket lets through at once
)

// loans are what a neighbour may have in advance for requests of a class, in
// seconds of what it sends, or of what it may, whichever is less. So those of a
// dearer class go first, and others when that is paid back. What ends calls has more
// than a stall of the machine brings at once. Who comes for the first time, from a
// forged address say, has no credit.
var loans = [...]float64{fresh: 0, ongoing: 0.1, urgent: 0.25, essential: 4}

// affords reports whether there is a token for a request of a class.
func (n *neighbour) affords(now time.Time, rate float64, class class) bool {
	if since := now.Sub(n.filled).Seconds(); since > 0 {
		n.tokens = min(n.tokens+since*rate, max(minTokens, rate/4))
		n.filled = now
	}
	return n.tokens+loans[class]*min(rate, n.came) >= 1
}
