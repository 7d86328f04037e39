package digest

import (
	"sync"
	"time"
)

// replays remembers which counts of which nonces were used. Only credentials
// that are right get here, so a stranger cannot fill it.
type replays struct {
	mu   sync.Mutex
	seen recent[counts]

	turned    time.Time // when seen began its young half
	forgotten time.Time // nonces made by then count as used if seen lacks them
}

// counts are the nonce counts of one nonce: the highest, and which of the 64
// up to it came (bit 0 is the highest). Requests that overtake each other
// on the way are no replays.
type counts struct {
	highest uint32
	came    uint64
}

// use reports whether a count of a nonce is new, and takes it. Credentials
// without qop have no count, zero, and may use a nonce once.
func (r *replays) use(id uint64, made, now time.Time, count uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, known := r.seen.get(id)
	switch {
	case !known && !made.After(r.forgotten):
		return false
	case !known:
		c = counts{count, 1}
	case count > c.highest:
		c = counts{count, c.came<<min(count-c.highest, 64) | 1}
	default:
		bit := uint64(1) << (c.highest - count) // zero past 63
		if bit == 0 || c.came&bit != 0 {
			return false
		}
		c.came |= bit
	}
	if r.seen.put(id, c) {
		// What was forgotten had been used before the half that is the old
		// one now was begun.
		r.forgotten, r.turned = r.turned, now
	}
	return true
}
