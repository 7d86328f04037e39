package digest

import (
	"sync"
	"time"
)

// Replays remembers which counts of which nonces were used. Only credentials
// that are right get here, so a stranger cannot fill it.
type Replays struct {
	reach uint32

	mu   sync.Mutex
	seen Recent[counts]

	turned    time.Time // when seen began its young half
	forgotten time.Time // nonces made by then count as used if seen lacks them
}

// counts are the nonce counts of one nonce: the highest, and which of the 64
// up to it came (bit 0 is the highest).
type counts struct {
	highest uint32
	came    uint64
}

// NewReplays remembers as many nonces as limit at least, twice as many at most, at
// some 50 bytes each. A count may come once, and past a higher one if it is less than
// reach below that: requests that overtake each other on the way are no replays. reach
// is 1, where none does, to 64. Nonces from before start count as used.
func NewReplays(limit int, reach uint32, start time.Time) *Replays {
	start = start.Add(-1)
	return &Replays{reach: reach, seen: NewRecent[counts](limit), turned: start, forgotten: start}
}

// Use reports whether a count of a nonce is new, and takes it. Credentials
// without qop have no count, zero, and may use a nonce once.
func (r *Replays) Use(id uint64, made, now time.Time, count uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, known := r.seen.Get(id)
	switch {
	case !known && !made.After(r.forgotten):
		return false
	case !known:
		c = counts{count, 1}
	case count > c.highest:
		c = counts{count, c.came<<min(count-c.highest, 64) | 1}
	default:
		below := c.highest - count
		if below >= r.reach || c.came&(1<<below) != 0 {
			return false
		}
		c.came |= 1 << below
	}
	if r.seen.Put(id, c) {
		// What was forgotten had been used before the half that is the old
		// one now was begun.
		r.forgotten, r.turned = r.turned, now
	}
	return true
}
