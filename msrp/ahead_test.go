package msrp

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
)

// What pieces hold is what a table of bytes holds that each chunk is written into.
func TestPiecesAreTheBytesThatCameLast(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		const size = 64
		var table [size]byte
		var ps pieces
		for range 1 + r.IntN(30) {
			start := r.IntN(size)
			data := make([]byte, 1+r.IntN(size-start))
			if r.IntN(2) == 0 {
				data = data[:1+r.IntN(min(len(data), 3))]
			}
			for i := range data {
				data[i] = byte(1 + r.IntN(255))
			}
			copy(table[start:], data)
			ps.put(int64(start), data)
			clear(data) // they are ours to keep

			var got [size]byte
			before := int64(-1)
			for _, p := range ps {
				if p.start < before || len(p.data) == 0 || p.cut > len(p.data) {
					t.Fatalf("seed %d: a piece of %d bytes at %d, %d cut, behind one that ends at %d", seed, len(p.data), p.start, p.cut, before)
				}
				before = p.end()
				copy(got[p.start:], p.data)
			}
			if got != table || ps.size() != size-bytes.Count(table[:], []byte{0}) {
				t.Fatalf("seed %d: %d bytes\n%v, want\n%v", seed, ps.size(), got, table)
			}
		}
	}
}

// Chunks of a byte each, in whatever order, do not have what is there already copied for each of them.
func TestSmallPiecesAreCheap(t *testing.T) {
	const large, small = 200_000, 20_000
	for name, at := range map[string]func(i int) int64{
		"behind a large one":      func(i int) int64 { return small + large + int64(i) },
		"before a large one":      func(i int) int64 { return small - 1 - int64(i) },
		"in a large one":          func(i int) int64 { return small + int64(i*7%large) },
		"over its end":            func(i int) int64 { return small + large - 1 + int64(i) },
		"from the front of it on": func(i int) int64 { return small - 1 + int64(i) },
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var ps pieces
			ps.put(small, make([]byte, large))
			for i := range small {
				ps.put(at(i), []byte{1, 2}[:1+i%2])
				if len(ps) > maxPieces {
					t.Fatalf("%d pieces", len(ps))
				}
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 10*large {
				t.Errorf("%d bytes were allocated for %d pieces", n, small)
			}
		})
	}
}
