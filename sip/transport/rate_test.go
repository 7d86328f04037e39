package transport

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A source may send its burst at once, and then as much as grows back.
func TestBucketRefill(t *testing.T) {
	b := newBuckets(10, 3)
	addr := netip.MustParseAddr("192.0.2.1")
	spend := func(now time.Duration) (n int) {
		for n < 100 && b.allow(addr, now) {
			n++
		}
		return n
	}
	for _, c := range []struct {
		at   time.Duration
		want int
	}{
		{0, 3},
		{99 * time.Millisecond, 0},
		{100 * time.Millisecond, 1},
		{349 * time.Millisecond, 2},
		{400 * time.Millisecond, 1}, // the half of a token was not lost
		{time.Hour, 3},
	} {
		if got := spend(c.at); got != c.want {
			t.Errorf("at %v: %d pass, want %d", c.at, got, c.want)
		}
	}
}

// Whatever the moments, and whoever shares its buckets, a source never gets
// more than its burst and its rate, in any stretch of time.
func TestBucketBound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		perSecond, burst := 1+r.IntN(2000), 1+r.IntN(50)
		b := newBuckets(perSecond, burst)
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(r.Uint32())})
		one, other := b.pair(addr)
		pace := 2 * time.Second / time.Duration(perSecond)
		var now time.Duration
		var passed []time.Duration
		for range 500 {
			if r.IntN(3) > 0 {
				now += time.Duration(r.Int64N(int64(pace)))
			}
			switch r.IntN(10) { // those that share a bucket
			case 0:
				if b.take(one, int64(now)) {
					continue
				}
			case 1:
				b.charge(other, int64(now))
			}
			if b.allow(addr, now) {
				passed = append(passed, now)
			}
		}
		for i := range passed {
			for j := i; j < len(passed); j++ {
				span := (passed[j] - passed[i]).Seconds()
				if got, most := float64(j-i+1), float64(burst)+float64(perSecond)*span; got > most+1e-6 {
					t.Fatalf("%d a second, burst %d: %v pass in %vs, want at most %v", perSecond, burst, got, span, most)
				}
			}
		}
	}
}

// A clock that goes back gives nothing away, and a source is served again when
// it has caught up.
func TestBucketClockBack(t *testing.T) {
	b := newBuckets(1, 2)
	addr := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		at   time.Duration
		want bool
	}{
		{100 * time.Second, true},
		{100 * time.Second, true},
		{100 * time.Second, false},
		{50 * time.Second, false},
		{0, false},
		{101 * time.Second, true},
		{101 * time.Second, false},
	} {
		if got := b.allow(addr, c.at); got != c.want {
			t.Errorf("at %v: %v, want %v", c.at, got, c.want)
		}
	}
}

// An IPv4 address is one source however it is written, an IPv6 network of 64
// bits is one source whatever address is used.
func TestSources(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:1:2:3", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
		{"192.0.2.1", "0:0:c000:201::1", false}, // the same bits
	} {
		a, b := sourceOf(netip.MustParseAddr(c.a)), sourceOf(netip.MustParseAddr(c.b))
		if (a == b) != c.same {
			t.Errorf("%s and %s are one source: %v, want %v", c.a, c.b, a == b, c.same)
		}
	}
	if got := sourceOf(netip.Addr{}); got != 0 {
		t.Errorf("no address is source %x, want 0", got)
	}
}

// Limits that are none, and those too large to count with.
func TestBucketExtremes(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct{ perSecond, burst, want int }{
		{0, 0, 1000},
		{-1, 5, 1000},
		{1, 0, 1},
		{1, -5, 1},
		{1, math.MaxInt, 1000},
		{math.MaxInt, 1, 1},
		{math.MaxInt, math.MaxInt, 1000},
		{1_000_000_000, 7, 7},
	} {
		b := newBuckets(c.perSecond, c.burst)
		n := 0
		for n < 1000 && b.allow(addr, time.Hour) {
			n++
		}
		if n != c.want {
			t.Errorf("%d a second, burst %d: %d pass at once, want %d", c.perSecond, c.burst, n, c.want)
		}
	}
}

// A million forged sources take no memory, and silence none of those that are
// heard from later. Forged addresses at 100,000 a second leave a table of 32,768
// buckets with some 6 messages a bucket and second.
func TestForgedSources(t *testing.T) {
	b := newBuckets(50, 100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var now time.Duration
	for i := range 1_000_000 {
		now += 10 * time.Microsecond
		b.allow(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	runtime.ReadMemStats(&after)
	if grown := after.Mallocs - before.Mallocs; grown > 1000 { // those of other goroutines
		t.Errorf("%d allocations, want none", grown)
	}
	silenced := 0
	for i := range 10_000 {
		if !b.allow(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), now) {
			silenced++
		}
	}
	if silenced > 0 {
		t.Errorf("%d of 10,000 strangers silenced, want none", silenced)
	}
}

// A flood from 1,000 sources leaves the others be: those with whom it shares one
// bucket altogether, and all but a few of those with whom it shares both.
func TestFloodAndStrangers(t *testing.T) {
	b := newBuckets(10, 20)
	now := time.Hour
	for i := range 1000 {
		for range 100 {
			b.allow(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), now)
		}
	}
	full := func(bucket *atomic.Int64) bool { return bucket.Load() > int64(now)+b.depth }
	shared, silenced := 0, 0
	for i := range 10_000 {
		addr := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		one, other := b.pair(addr)
		if full(one) != full(other) {
			shared++
			if !b.allow(addr, now) {
				t.Fatalf("%v is silenced by a flood in one of its buckets", addr)
			}
		} else if full(one) {
			silenced++
		}
	}
	// Expected are 1,100 and 36; that it is twice as much has no chance worth
	// naming.
	if shared < 550 || silenced > 72 {
		t.Errorf("of 10,000 strangers %d share a bucket with the flood and %d both, want about 1,100 and 36", shared, silenced)
	}
}

// The debt of a flood ends with it.
func TestFloodOver(t *testing.T) {
	b := newBuckets(10, 20)
	addr := netip.MustParseAddr("192.0.2.1")
	for range 1000 {
		one, other := b.pair(addr)
		b.charge(one, 0)
		b.charge(other, 0)
	}
	if b.allow(addr, 0) {
		t.Error("a message passes during the flood")
	}
	if !b.allow(addr, 100*time.Millisecond) {
		t.Error("no message passes after a token has grown")
	}
}

// Many goroutines at once get one token more each at most, and what they take
// is taken.
func TestBucketTogether(t *testing.T) {
	const workers, burst = 8, 1000
	b := newBuckets(1, burst)
	addr := netip.MustParseAddr("192.0.2.1")
	var passed atomic.Int64
	var g sync.WaitGroup
	for range workers {
		g.Go(func() { // ends when the tokens do
			for b.allow(addr, 0) {
				passed.Add(1)
			}
		})
	}
	g.Wait()
	if n := passed.Load(); n < burst || n > burst+workers {
		t.Errorf("%d pass, want %d, and no more than %d beyond", n, burst, workers)
	}
}

// Connections are counted for each source, and forgotten with the last one.
func TestPerSource(t *testing.T) {
	p := newPerSource(2)
	a, mapped, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if !p.admit(a) || !p.admit(mapped) || p.admit(a) {
		t.Error("a source has not got two connections, or has got a third")
	}
	if !p.admit(b) {
		t.Error("another source is refused")
	}
	p.release(a)
	if !p.admit(a) || p.admit(a) {
		t.Error("what was given back is not to be had, or more than that")
	}
	p.release(a)
	p.release(a)
	p.release(b)
	if len(p.count) != 0 {
		t.Errorf("%d sources without connections, want none", len(p.count))
	}
	none := newPerSource(0)
	for range 1000 {
		if !none.admit(a) {
			t.Fatal("refused without a limit")
		}
	}
	none.release(a)
}

func BenchmarkAllow(b *testing.B) {
	addrs := make([]netip.Addr, 1<<16)
	for i := range addrs {
		var a [16]byte
		binary.BigEndian.PutUint64(a[:], 0x20010db8<<32|uint64(i))
		addrs[i] = netip.AddrFrom16(a)
	}
	run := func(name string, pick func(i int) netip.Addr) {
		b.Run(name, func(b *testing.B) {
			limit := newBuckets(100, 200)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				limit.allow(pick(i), time.Duration(i)*time.Microsecond)
			}
		})
	}
	v4 := netip.MustParseAddr("192.0.2.1")
	run("one source", func(int) netip.Addr { return v4 })
	run("IPv6, 65536 sources", func(i int) netip.Addr { return addrs[i&0xffff] })
	b.Run("goroutines", func(b *testing.B) {
		limit := newBuckets(100, 200)
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				limit.allow(addrs[i&0xffff], time.Duration(i)*time.Microsecond)
			}
		})
	})
}

func TestAllowAllocatesNothing(t *testing.T) {
	limit := newBuckets(100, 200)
	addr := netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { limit.allow(addr, time.Second) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
