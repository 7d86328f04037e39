package digest

import (
	"testing"
	"time"
)

// Counts may come out of order within 64, and each once.
func TestCounts(t *testing.T) {
	now := time.Now()
	r := NewReplays(4, 64, now)
	for i, step := range []struct {
		count uint32
		want  bool
	}{
		{5, true}, {5, false}, {4, true}, {4, false}, {100, true}, {37, true}, {37, false},
		{36, false}, {5, false}, {1 << 31, true}, {1<<31 - 63, true}, {100, false}, {0, false},
	} {
		if got := r.Use(1, now, now, step.count); got != step.want {
			t.Errorf("step %d: Use(%d) = %v, want %v", i, step.count, got, step.want)
		}
	}
}

// Where nothing overtakes, a count is higher than all before.
func TestCountsInOrder(t *testing.T) {
	now := time.Now()
	r := NewReplays(4, 1, now)
	for i, step := range []struct {
		id    uint64
		count uint32
		want  bool
	}{
		{1, 5, true}, {1, 5, false}, {1, 4, false}, {1, 6, true}, {2, 1, true},
		{1, 1 << 31, true}, {1, 1<<32 - 1, true}, {1, 1<<32 - 1, false}, {2, 2, true},
	} {
		if got := r.Use(step.id, now, now, step.count); got != step.want {
			t.Errorf("step %d: Use(%d, %d) = %v, want %v", i, step.id, step.count, got, step.want)
		}
	}
}

// What was made before the table was may have been used, but not what was made with it.
func TestNoncesOfAnEarlierRun(t *testing.T) {
	start := time.Now()
	r := NewReplays(4, 1, start)
	if r.Use(1, start.Add(-1), start, 1) {
		t.Errorf("a nonce from before the start was new")
	}
	if !r.Use(2, start, start, 1) {
		t.Errorf("a nonce from the start was used")
	}
}

// What the table forgets does not become valid again, and one that is used all the time
// is not forgotten.
func TestReplayTableIsBounded(t *testing.T) {
	for _, reach := range []uint32{1, 64} {
		start := time.Now()
		r := NewReplays(4, reach, start)
		for i := range 100 {
			at := start.Add(time.Duration(i) * time.Second)
			if !r.Use(uint64(i), at, at, 1) {
				t.Errorf("a new nonce %d was refused", i)
			}
			if !r.Use(1000, start, at, uint32(i+1)) {
				t.Errorf("a nonce in use was refused at count %d", i+1)
			}
			if n := len(r.seen.young) + len(r.seen.old); n > 8 {
				t.Fatalf("%d nonces kept, want 8 at most", n)
			}
			for j := range i + 1 {
				if r.Use(uint64(j), start.Add(time.Duration(j)*time.Second), at, 1) {
					t.Fatalf("nonce %d was used twice, after %d others", j, i-j)
				}
			}
		}
	}
}
