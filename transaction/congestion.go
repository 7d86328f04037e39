package transaction

import (
	"math"
	"time"
)

// congestion is the local controller: from how long requests wait between their
// arrival and their handler it tells what to refuse, and how many a second can be
// taken. It reads no clock, and must be locked by who uses it.
//
// A request tells how long it has waited when the wait is over, and that is too
// late: with ten times the load that can be served, whoever starts after 100 ms
// has nearly a second of work behind it. So what counts is the time that all of
// them together spend waiting, those included that still wait, by the number of
// those that start: their mean delay while the queue is steady (Little's law), and
// the one to come while it grows.
type congestion struct {
	tolerance time.Duration
	interval  time.Duration

	began   time.Time     // the interval
	last    time.Time     // when waiting was last noted
	waiting int           // requests that wait
	waited  time.Duration // by all of them, in this interval
	told    time.Duration // what those that started said of their waits
	starts  int

	delay time.Duration // smoothed
	pace  float64       // starts in a second, smoothed over one
	rolls int           // intervals so far

	limiting bool    // requests are held back
	base     float64 // while limiting: how many a second to take in the long run
	target   float64 // and now
	calm     int     // intervals in which nobody was held back
}

const (
	// What is refused at which part of the tolerance: requests outside dialogs;
	// all but what completes or ends calls; and that too which claims to be
	// urgent, for it need not be true.
	newWorkLoad      = 0.8
	nonEssentialLoad = 1.0
	urgentLoad       = 2.0

	// While requests are held back, the target is set such that they wait for
	// this part of the tolerance: with nobody waiting it would not be known that
	// more can be taken. It follows the distance from there at once, by the part
	// prompt, and in the long run by the rate steady, in a second; by that of
	// search while nobody waits at all.
	steadyLoad = 0.4
	prompt     = 0.5
	steady     = 0.3
	search     = 2.0
	reached    = 0.4 // the part of the target that has to come for that
	proven     = 0.7 // the part of what was just served that can be taken for sure

	// calmIntervals without anybody held back end the control.
	calmIntervals = 40
)

// newCongestion begins to watch, with so many requests waiting already.
func newCongestion(tolerance time.Duration, now time.Time, waiting int) congestion {
	return congestion{
		tolerance: tolerance,
		interval:  min(max(tolerance/10, 10*time.Millisecond), 250*time.Millisecond),
		began:     now, last: now, waiting: waiting,
	}
}

// note says how many requests wait from now on.
func (c *congestion) note(now time.Time, waiting int) {
	if now.After(c.last) { // arrivals from several sockets are not in order
		c.waited += time.Duration(max(0, c.waiting)) * now.Sub(c.last)
		c.last = now
	}
	c.waiting = waiting
}

// start says that a request no longer waits, and how long it did.
func (c *congestion) start(delay time.Duration) {
	c.starts++
	c.told += max(0, delay)
}

// unstart takes start back: the request waits again.
func (c *congestion) unstart(delay time.Duration) {
	c.starts--
	c.told -= max(0, delay)
}

// load returns the smoothed delay as a part of the tolerance.
func (c *congestion) load() float64 { return float64(c.delay) / float64(c.tolerance) }

// roll ends the interval if it is over, and reports whether it was, and how long
// it took: somebody has to call for that.
func (c *congestion) roll(now time.Time) (took time.Duration, over bool) {
	took = now.Sub(c.began)
	if took < c.interval {
		return 0, false
	}
	c.note(now, c.waiting)
	starts := time.Duration(max(1, c.starts))
	delay := max(c.waited, c.told) / starts
	part := 0.5
	if c.waiting >= suspicious && delay > c.delay {
		part = 1 // so many are no accident
	}
	c.delay += time.Duration(float64(delay-c.delay) * part)
	if c.waiting <= 0 {
		// Nobody came to end the interval in time, and nobody waits.
		c.delay = time.Duration(float64(c.delay) * math.Pow(0.5, float64(took)/float64(c.interval)-1))
	}
	pace := float64(max(0, c.starts)) / took.Seconds()
	c.rolls++
	c.pace += (pace - c.pace) * min(1, max(took.Seconds(), 1/float64(c.rolls)))
	c.began, c.waited, c.told, c.starts = now, 0, 0, 0

	load := c.load()
	switch {
	case !c.limiting && load >= newWorkLoad:
		c.limiting, c.calm = true, 0
		c.base = c.pace
	case !c.limiting:
		return took, true
	case load < steadyLoad/10 && pace < c.target*reached:
		// More is allowed than comes: that they may send more yet would not be
		// seen.
	case load < steadyLoad/10:
		c.base *= math.Exp(search * steadyLoad * took.Seconds())
	default:
		c.base *= math.Exp(steady * max(-1, steadyLoad-load) * took.Seconds())
	}
	c.base = max(1, c.base, proven*pace)
	c.target = max(1, c.base*max(0.5, 1+prompt*(steadyLoad-load)))
	return took, true
}

// settle says whether somebody was held back in the interval that roll ended.
func (c *congestion) settle(held bool) {
	if held || c.load() >= steadyLoad {
		c.calm = 0
		return
	}
	if c.calm++; c.calm >= calmIntervals {
		c.limiting = false
	}
}

// isQuiet reports whether there is nothing to watch any more.
func (c *congestion) isQuiet() bool {
	return !c.limiting && c.calm >= calmIntervals && c.waiting < suspicious && c.delay < c.tolerance/notable
}

const (
	// suspicious is how many requests may wait before the controller looks at
	// how long they do.
	suspicious = 100

	// notable is the part of the tolerance, as a divisor, that one of them may
	// wait.
	notable = 16
)

// takes reports whether the delay allows for a request of a class. What is essential
// its neighbour's share alone bounds.
func (c *congestion) takes(class class) bool {
	switch load := c.load(); class {
	case essential:
		return true
	case urgent:
		return load < urgentLoad
	case ongoing:
		return load <= nonEssentialLoad
	default:
		return load < newWorkLoad
	}
}
