package transaction

import (
	"time"

	"github.com/goparley/parley/sip"
)

// throttle holds back the requests to one server as it asks for it (RFC 7339
// sections 5.4 to 5.7), and while it does not answer (section 5.9). It reads no
// clock, and must be locked by who uses it.
type throttle struct {
	control sip.OverloadControl // what the server said last; Offer: nothing
	until   time.Time           // when that ends
	heard   time.Time           // when it was said
	credit  int                 // how far it is believed
	judged  time.Time           // when it last gained some
	rand    func() float64      // in [0, 1)

	// For "loss": the part of requests that may be held back, and the count of
	// both kinds that it comes from.
	plainPart    float64
	plain, total int
	counted      time.Time

	// For "rate": a leaky bucket. It holds requests, where RFC 7415 has the
	// seconds that they take: so nobody waits for long because of a rate that
	// was low once.
	fill   float64
	filled time.Time

	failures int
	hold     time.Duration // how long nothing is sent, from held on
	held     time.Time
}

func newThrottle(rand func() float64) throttle {
	return throttle{control: sip.OverloadControl{Offer: true}, rand: rand}
}

const (
	// maxValidity bounds how long a server is believed without a word from it.
	// RFC 7339 has no bound, but a single response, which may have been made by
	// somebody behind the server (section 11), is not to cut it off for weeks.
	maxValidity = time.Minute

	// tardy is how long a response may be under way: after an end of the control
	// (section 5.7) what was said before it may yet arrive.
	tardy = 32 * time.Second

	mixPeriod = 5 * time.Second // section 7.2, note
)

// A server that does not know of overload control repeats our Via as it gets it
// from behind, where somebody may have written what he likes into it. But it leaves
// those of others as they were. So each request that is answered gives credit or
// takes some, and it takes two that agree to be believed.
const (
	believed  = 2
	maxCredit = 8
	minCredit = -16
	untouched = 4 // what a response costs that says nothing

	// creditTime is how long that is remembered after the last word.
	creditTime = 10 * time.Minute
)

// judge takes that the final response to a request says something, or that the
// parameters came back in it as they were.
func (t *throttle) judge(now time.Time, said bool) {
	if said {
		t.credit, t.judged = min(t.credit+1, maxCredit), now
	} else {
		t.credit = max(t.credit-untouched, minCredit)
	}
}

// learn takes what a server says in a response.
func (t *throttle) learn(now time.Time, oc sip.OverloadControl) {
	switch {
	case oc.Offer:
		return // it has left the parameter as it was: it does not take part
	case oc.Validity <= 0:
	case oc.Algo == "loss" && oc.OC > 100: // section 7.1
		return
	case oc.Algo != "loss" && oc.Algo != "rate":
		return // not one that was offered
	}
	if t.knows(now) && !follows(t.control.Seq, oc.Seq) {
		return
	}
	was := t.active(now)
	algo := t.control.Algo
	t.fill, t.filled = max(0, t.filling(now)), now
	t.control, t.heard = oc, now
	t.until = now.Add(min(max(0, oc.Validity), maxValidity))
	if !was || algo != oc.Algo {
		// TAU0 is TAU1: who is held back has sent too much already. It is off by
		// a random part of an interval, so that many clients do not send all at
		// once (RFC 7415 section 3.5.3).
		t.fill = plainTolerance + t.rand()
		t.plainPart, t.plain, t.total, t.counted = 1, 0, 0, now // until the mix is known
	}
}

// knows reports whether what was said before still tells what is out of order.
func (t *throttle) knows(now time.Time) bool {
	if t.control.Offer {
		return false
	}
	return t.active(now) || t.control.Validity <= 0 && now.Sub(t.heard) < tardy
}

// active reports whether the server has requests held back.
func (t *throttle) active(now time.Time) bool { return t.credit >= believed && now.Before(t.until) }

// isClosed reports whether the server wants nothing at all, while it has requests
// held back.
func (t *throttle) isClosed() bool {
	if t.control.Algo == "rate" {
		return t.control.OC == 0
	}
	return t.control.OC >= 100
}

// follows reports whether what has the sequence number next was said after what
// has the number last (RFC 7339 section 5.4), or after a server began to count
// anew (section 4.4). The latter takes a number less than half: a response that is
// late is never that far back where the numbers are of a clock. A server has to
// number what it says; 0 is for none.
func follows(last, next uint64) bool {
	return next > last || next > 0 && next < last/2
}

// allow reports whether a request may be sent now. One that is spared is held
// back only if it would not do to hold back all others.
func (t *throttle) allow(now time.Time, spared bool) bool {
	if t.failures >= fatalFailures {
		if now.Before(t.held.Add(t.hold)) {
			return false
		}
		// This one is to find out; the next one after twice the time.
		t.hold, t.held = min(2*t.hold, maxHold), now
	}
	if !t.active(now) {
		return true
	}
	if t.control.Algo == "rate" || t.isClosed() {
		return t.leak(now, spared)
	}
	return t.draw(now, spared)
}

// draw is the default algorithm of RFC 7339 section 7.2.
func (t *throttle) draw(now time.Time, spared bool) bool {
	t.total++
	if !spared {
		t.plain++
	}
	if now.Sub(t.counted) >= mixPeriod {
		t.plainPart = float64(t.plain) / float64(t.total)
		t.plain, t.total, t.counted = 0, 0, now
	}
	loss := float64(t.control.OC) / 100
	if !spared {
		return t.rand()*t.plainPart >= loss
	}
	return loss <= t.plainPart || t.rand()*(1-t.plainPart) >= loss-t.plainPart
}

// The tolerances of the bucket, TAU1 and TAU2, in intervals (RFC 7415 section
// 3.5.2).
const (
	plainTolerance  = 5
	sparedTolerance = 10
)

// leak is the default algorithm of RFC 7415 sections 3.5.2 and 3.5.3. A server that
// wants nothing gets one a second all the same, and a few more that are spared: from
// one that is never asked it would not be heard that it has not said that itself.
func (t *throttle) leak(now time.Time, spared bool) bool {
	tolerance := float64(plainTolerance)
	if spared {
		tolerance = sparedTolerance
	}
	fill := t.filling(now)
	if fill > tolerance {
		return false
	}
	if fill <= 0 {
		fill = t.rand() - 0.5
	}
	t.fill, t.filled = fill+1, now
	return true
}

// filling returns how full the bucket is now.
func (t *throttle) filling(now time.Time) float64 {
	rate := 1.0
	if t.control.Algo == "rate" {
		rate = max(1, float64(t.control.OC))
	}
	return t.fill - now.Sub(t.filled).Seconds()*rate
}

const (
	// fatalFailures is how many requests have to come to nothing, without an
	// answer to any in between, before the server is left alone.
	fatalFailures = 2

	minHold = time.Second
	maxHold = time.Minute
)

// failed says that a request was not answered, or could not be sent. Those that
// were sent together fail together, which says no more than one of them.
func (t *throttle) failed(now time.Time) {
	if t.failures >= fatalFailures {
		return // found out again, with the time doubled by allow
	}
	if t.failures++; t.failures == fatalFailures {
		t.hold, t.held = minHold, now
	}
}

// answered says that the server is there.
func (t *throttle) answered() { t.failures, t.hold = 0, 0 }

// isIdle reports whether there is nothing to remember.
func (t *throttle) isIdle(now time.Time) bool {
	return t.failures == 0 && !t.knows(now) && now.Sub(t.judged) >= creditTime
}
