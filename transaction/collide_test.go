package transaction

import (
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// An attacker chooses branches and Call-IDs. Were the tables hashed by a known
// function, all could be made to fall into one bucket, and each lookup, of
// everybody, would walk through all of them. The tables are Go maps, which are
// seeded: what collides by FNV, CRC or 31*h+c is spread like anything else.

// collisions is how many texts there are to collide under each weak hash.
const collisions = 1 << collisionBits

const collisionBits = 17 // 131,072

// weakHashes are functions that tables have been hashed by, and texts that
// collide under each.
var weakHashes = []struct {
	name  string
	hash  func(string) uint64
	texts func() []string
}{
	{"31*h+c", func(s string) (h uint64) {
		for i := range len(s) {
			h = 31*h + uint64(s[i])
		}
		return h
	}, sync.OnceValue(func() []string {
		// One more in the first place is 31 less in the second.
		return products(slices.Repeat([][2]string{{"a~", "b_"}}, collisionBits))
	})},
	{"FNV-1a, 32 bits", func(s string) uint64 {
		h := fnv.New32a()
		h.Write([]byte(s))
		return uint64(h.Sum32())
	}, sync.OnceValue(func() []string { return products(fnvPairs(collisionBits)) })},
	{"CRC-32", func(s string) uint64 { return uint64(crc32.ChecksumIEEE([]byte(s))) }, sync.OnceValue(func() []string { return crcCollisions(collisionBits) })},
}

// products returns all texts that take one of each pair.
func products(pairs [][2]string) []string {
	list := []string{""}
	for _, pair := range pairs {
		longer := make([]string, 0, 2*len(list))
		for _, s := range list {
			longer = append(longer, s+pair[0], s+pair[1])
		}
		list = longer
	}
	return list
}

// fnvPairs returns pairs of texts of which either takes FNV-1a from the state
// that the pairs before it lead to into one and the same.
func fnvPairs(n int) (pairs [][2]string) {
	const prime = 16777619
	state := uint32(2166136261)
	for range n {
		seen := make(map[uint32]uint32, 1<<16)
		for i := uint32(0); ; i++ { // until two of them meet, after 82,000 in the mean
			h := state
			for _, c := range letters(i) {
				h = (h ^ uint32(c)) * prime
			}
			if other, ok := seen[h]; ok {
				one, another := letters(i), letters(other)
				pairs, state = append(pairs, [2]string{string(one[:]), string(another[:])}), h
				break
			}
			seen[h] = i
		}
	}
	return pairs
}

// letters writes a number, shuffled, with the letters from a to p.
func letters(i uint32) (text [8]byte) {
	i *= 2654435769
	for j := range text {
		text[j] = 'a' + byte(i>>(4*j)&15)
	}
	return text
}

// crcCollisions returns 2^bits texts with the same CRC-32. A CRC is linear: of
// the bits that turn one digit into another, some sets change nothing in it,
// and so does every sum of such sets.
func crcCollisions(bits int) []string {
	digits := 11 + bits // three bits each
	zero := strings.Repeat("0", digits)
	crc := crc32.ChecksumIEEE([]byte(zero))
	type set struct {
		change uint32 // in the CRC
		flips  []byte
	}
	var basis [32]*set
	var free []set
	for bit := range 3 * digits {
		s := set{flips: make([]byte, digits)}
		s.flips[bit/3] = 1 << (bit % 3)
		s.change = crc32.ChecksumIEEE([]byte(xor(zero, s.flips))) ^ crc
		for i := range basis {
			switch {
			case s.change>>i&1 == 0:
			case basis[i] == nil:
				basis[i] = &s
			default:
				s = set{s.change ^ basis[i].change, []byte(xor(string(s.flips), basis[i].flips))}
			}
			if basis[i] == &s {
				break
			}
		}
		if s.change == 0 {
			free = append(free, s)
		}
	}
	list := []string{zero}
	for _, s := range free[:bits] {
		for _, text := range list {
			list = append(list, xor(text, s.flips))
		}
	}
	return list
}

func xor(text string, flips []byte) string {
	b := []byte(text)
	for i := range b {
		b[i] ^= flips[i]
	}
	return string(b)
}

// colliding are requests with these in their branches and Call-IDs.
func colliding(texts []string) []*sip.Request {
	list := make([]*sip.Request, len(texts))
	for i, text := range texts {
		list[i] = request(sip.OPTIONS, bobURI, sip.CallID(text), sip.Push(sip.Via{
			Transport: "UDP", Host: aliceAddr, Params: sip.Params(";branch=z9hG4bK" + text)}))
	}
	return list
}

// What collides under a known hash is spread over the tables and lines of a layer,
// and over those of another layer in another way: nobody knows how.
func TestBranchesCollideNowhere(t *testing.T) {
	t.Parallel()
	one, _ := alone(t, nil)
	other, _ := alone(t, nil)
	for _, weak := range weakHashes {
		t.Run(weak.name, func(t *testing.T) {
			texts := weak.texts()
			byBranch, byCall := map[*table]int{}, map[*line]int{}
			sameTable, sameLine := 0, 0
			distinct := map[string]struct{}{}
			for _, text := range texts {
				if got, want := weak.hash(text), weak.hash(texts[0]); got != want {
					t.Fatalf("%q hashes to %x, want %x: the attack is none", text, got, want)
				}
				distinct[text] = struct{}{}
				branch := branchID(cookie + text)
				byBranch[one.table(branch)]++
				byCall[one.line(text)]++
				if slices.Index(one.tables.tables, one.table(branch)) == slices.Index(other.tables.tables, other.table(branch)) {
					sameTable++
				}
				if slices.Index(one.lines, one.line(text)) == slices.Index(other.lines, other.line(text)) {
					sameLine++
				}
			}
			if got := len(distinct); got != collisions {
				t.Fatalf("%d texts differ, want %d", got, collisions)
			}
			// By chance it is a hundred or so more than the mean.
			limit := 2 * collisions / len(one.lines)
			for _, n := range slices.Concat(slices.Collect(maps.Values(byBranch)), slices.Collect(maps.Values(byCall)), []int{sameTable, sameLine}) {
				if n > limit {
					t.Errorf("%d are in one table or line, or where they are in another layer, want %d at most", n, limit)
				}
			}
		})
	}
}

// A hundred thousand transactions whose branches and Call-IDs collide are
// served like others, each gets its response, and in the end nothing is left of them.
func TestManyCollidingBranches(t *testing.T) {
	t.Parallel()
	const n = 100_000
	network := siptest.NewNetwork(nil)
	responses := map[string]int{} // by branch; the filter is called once at a time
	network.SetFilter(func(p siptest.Packet) (v siptest.Verdict) {
		if _, after, ok := strings.Cut(string(p.Data), ";branch="); ok && strings.HasPrefix(string(p.Data), "SIP/2.0 200 ") {
			branch, _, _ := strings.Cut(after, "\r\n")
			responses[branch]++
		}
		return v
	})
	l, flow := aloneOn(t, network, &Config{
		Handler: answer(200), Timers: Timers{J: time.Nanosecond}, Overload: &Overload{Tolerance: -1}})
	sent := 0
	for _, weak := range weakHashes {
		for _, r := range colliding(weak.texts()[:n/len(weakHashes)+1]) {
			l.handle(&transport.Inbound{Message: r, Flow: flow})
			untilIdle(t, l, 100)
			sent++
		}
	}
	until(t, l, func(n tally) bool { return n == tally{} })
	if len(responses) != sent {
		t.Errorf("%d of %d requests got a response", len(responses), sent)
	}
	for branch, n := range responses {
		if n != 1 {
			t.Fatalf("%d responses to %s", n, branch)
		}
	}
}

// BenchmarkBesideCollidingBranches measures an honest client's request while a
// hundred thousand transactions are open: ordinary ones, and such as collide.
func BenchmarkBesideCollidingBranches(b *testing.B) {
	const n = 100_000
	fill := map[string]func() []string{"ordinary": func() (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("%030d", i*7919))
		}
		return list
	}}
	for _, weak := range weakHashes {
		fill[weak.name] = func() []string { return weak.texts()[:n] }
	}
	for name, texts := range fill {
		b.Run(name, func(b *testing.B) {
			l, flow := alone(b, &Config{Handler: answer(200), Timers: Timers{J: time.Hour}})
			for _, r := range colliding(texts()) {
				l.handle(&transport.Inbound{Message: r, Flow: flow})
				untilIdle(b, l, 100)
			}
			requests := invites(b.N)
			b.ReportAllocs()
			b.ResetTimer()
			for _, r := range requests {
				l.handle(&transport.Inbound{Message: r, Flow: flow})
				untilIdle(b, l, 1)
			}
		})
	}
}

// untilIdle waits until fewer than n requests are in the hands of handlers.
func untilIdle(_ testing.TB, l *Layer, n int64) {
	for l.handlers.Load() >= n {
		runtime.Gosched()
	}
}
