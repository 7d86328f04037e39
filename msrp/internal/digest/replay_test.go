package digest

import (
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	r := newReplays()
	for i, step := range []struct {
		id    uint64
		count uint32
		want  bool
	}{
		{1, 5, true}, {1, 5, false}, {1, 4, false}, {1, 6, true}, {2, 1, true},
		{1, 1 << 31, true}, {1, 1<<32 - 1, true}, {1, 1<<32 - 1, false}, {2, 2, true},
	} {
		if got := r.use(step.id, 0, 0, step.count); got != step.want {
			t.Errorf("step %d: use(%d, %d) = %v, want %v", i, step.id, step.count, got, step.want)
		}
	}
}

// What the table forgets does not become valid again, and one that is used all the time
// is not forgotten.
func TestReplayTableIsBounded(t *testing.T) {
	r := newReplays()
	r.limit = 4
	for i := range 100 {
		at := time.Duration(i) * time.Second
		if !r.use(uint64(i), at, at, 1) {
			t.Errorf("a new nonce %d was refused", i)
		}
		if !r.use(1000, 0, at, uint32(i+1)) {
			t.Errorf("a nonce in use was refused at count %d", i+1)
		}
		if n := len(r.young) + len(r.old); n > 8 {
			t.Fatalf("%d nonces kept, want 8 at most", n)
		}
		for j := range i + 1 {
			if r.use(uint64(j), time.Duration(j)*time.Second, at, 1) {
				t.Fatalf("nonce %d was used twice, after %d others", j, i-j)
			}
		}
	}
}
