package digest

import (
	"math"
	"sync"
	"time"
)

// maxNonces is how many nonces are remembered once they were used; twice as many at
// most, at some 30 bytes each.
const maxNonces = 1 << 14

// replays remembers the highest count of each nonce that was used. Only credentials that
// are right get here, so a stranger cannot fill it. When the young half is full it
// becomes the old one, and what was old is forgotten.
type replays struct {
	limit int // of a half

	mu         sync.Mutex
	young, old map[uint64]uint32 // by the random number of the nonce

	turned    time.Duration // when the young half was begun
	forgotten time.Duration // nonces made by then count as used, unless they are here
}

func newReplays() *replays {
	return &replays{limit: maxNonces, young: make(map[uint64]uint32), forgotten: math.MinInt64}
}

// use reports whether the count of a nonce is higher than all before, and takes it. One
// that is lower is not waited for: AUTH requests are not pipelined (RFC 4976 section
// 9.1).
func (r *replays) use(id uint64, made, now time.Duration, count uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	highest, known := r.young[id]
	if !known {
		highest, known = r.old[id]
	}
	if !known && made <= r.forgotten || count <= highest {
		return false
	}
	if _, young := r.young[id]; !young && len(r.young) >= r.limit {
		// What is forgotten here was used before the half that becomes the old one
		// was begun, and so made before.
		r.young, r.old = make(map[uint64]uint32), r.young
		r.forgotten, r.turned = r.turned, now
	}
	r.young[id] = count
	return true
}
