package transport

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// source is what limits are counted by: an IPv4 address, or the 64 bits of an
// IPv6 network, which its owner may fill with addresses at will. IPv4 addresses
// stand among reserved networks (0:ffff::/32); what is no address is one source.
type source uint64

func sourceOf(addr netip.Addr) source {
	if addr = addr.Unmap(); addr.Is4() {
		b := addr.As4()
		return 0xffff<<32 | source(binary.BigEndian.Uint32(b[:]))
	}
	b := addr.As16()
	return source(binary.BigEndian.Uint64(b[:8]))
}

// tableSize is the number of buckets, a power of two. They take 256 KB. With
// 1,000 sources that flood at a time, 4 strangers in 1,000 find both of their
// buckets among those of floods.
const tableSize = 1 << 15

// buckets are the token buckets of all sources there may be, in a table that
// does not grow. Sources share buckets by a hash that nobody outside can know,
// and each has two of them, so that a stranger is rarely silenced by a flood:
// a message passes if there is a token in one of the two, and costs one in both.
//
// So a source never gets more than its burst and its rate, whoever shares with
// it. Only goroutines at the very same moment may get one each beyond that.
//
// A bucket is the time at which it will be full, in nanoseconds; any time in the
// past will do. A token is a step of that time.
type buckets struct {
	step  int64 // nanoseconds that a token takes to grow
	depth int64 // a bucket that will be full within this time has a token
	seed  maphash.Seed
	table []atomic.Int64
}

// newBuckets returns buckets of burst tokens, 1 at least, to which perSecond
// are added each second. It returns nil, which lets everything pass, if
// perSecond is 0 or less.
func newBuckets(perSecond, burst int) *buckets {
	if perSecond <= 0 {
		return nil
	}
	step := max(1, (int64(time.Second)+int64(perSecond)-1)/int64(perSecond)) // never faster than asked
	most := int64(math.MaxInt64/4) / step
	return &buckets{
		step:  step,
		depth: min(max(int64(burst), 1)-1, most) * step,
		seed:  maphash.MakeSeed(),
		table: make([]atomic.Int64, tableSize),
	}
}

// allow reports whether a message of a source may pass at a time, which is that
// of a clock that does not go back. If it does go back, what has passed is not
// forgotten: sources wait until it has caught up.
func (b *buckets) allow(addr netip.Addr, now time.Duration) bool {
	if b == nil {
		return true
	}
	one, other := b.pair(addr)
	switch {
	case b.take(one, int64(now)):
		b.charge(other, int64(now))
		return true
	case b.take(other, int64(now)):
		b.charge(one, int64(now))
		return true
	}
	return false
}

// pair returns the buckets of a source.
func (b *buckets) pair(addr netip.Addr) (one, other *atomic.Int64) {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], uint64(sourceOf(addr)))
	h := maphash.Bytes(b.seed, key[:])
	return &b.table[h%tableSize], &b.table[h>>32%tableSize]
}

// take takes a token out of a bucket, if there is one.
func (b *buckets) take(bucket *atomic.Int64, now int64) bool {
	for {
		full := bucket.Load()
		if full > now+b.depth {
			return false
		}
		if bucket.CompareAndSwap(full, max(full, now)+b.step) {
			return true
		}
	}
}

// charge takes a token out of a bucket as if there were one. It leaves the
// bucket no emptier than a last token that was taken just now would: one in debt
// would silence those that share it after the flood is over.
func (b *buckets) charge(bucket *atomic.Int64, now int64) {
	for {
		full := bucket.Load()
		next := min(max(full, now), now+b.depth) + b.step
		if next <= full || bucket.CompareAndSwap(full, next) {
			return
		}
	}
}

// perSource counts the connections of each source. It holds one entry for each
// source that has one, so that it is bounded by whatever bounds connections.
type perSource struct {
	limit int
	mu    sync.Mutex
	count map[source]int
}

// newPerSource returns counts up to limit. It returns nil, which admits
// everything, if limit is 0 or less.
func newPerSource(limit int) *perSource {
	if limit <= 0 {
		return nil
	}
	return &perSource{limit: limit, count: map[source]int{}}
}

// admit counts one connection more of a source, unless it has as many as it may
// have. Each one admitted is to be released.
func (p *perSource) admit(addr netip.Addr) bool {
	if p == nil {
		return true
	}
	s := sourceOf(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count[s] >= p.limit {
		return false
	}
	p.count[s]++
	return true
}

// release counts one connection less.
func (p *perSource) release(addr netip.Addr) {
	if p == nil {
		return
	}
	s := sourceOf(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count[s]--; p.count[s] <= 0 {
		delete(p.count, s)
	}
}
