package digest

import (
	"slices"
	"testing"
)

// At least as many keys as the limit are remembered, twice as many at most, and each
// comes once.
func TestRecent(t *testing.T) {
	r := NewRecent[int](4)
	for i := range 98 {
		turned := r.Put(uint64(i), i)
		if want := i > 0 && i%4 == 0; turned != want {
			t.Errorf("Put(%d) = %v, want %v", i, turned, want)
		}
		if n := len(r.young) + len(r.old); n > 8 {
			t.Fatalf("%d keys kept, want 8 at most", n)
		}
		for j := max(0, i-3); j <= i; j++ {
			if got, ok := r.Get(uint64(j)); got != j || !ok {
				t.Errorf("Get(%d) = %d, %v after %d others", j, got, ok, i-j)
			}
		}
	}
	r.Put(95, -95) // which is in both halves now
	got := slices.Sorted(r.All())
	if want := []int{-95, 92, 93, 94, 96, 97}; !slices.Equal(got, want) {
		t.Errorf("All() = %v, want %v", got, want)
	}
	if _, ok := r.Get(0); ok {
		t.Error("the first key is not forgotten")
	}
}

// What is put again and again is not forgotten.
func TestRecentInUse(t *testing.T) {
	r := NewRecent[int](4)
	for i := range 100 {
		r.Put(uint64(i), i)
		r.Put(1000, i)
		if got, ok := r.Get(1000); got != i || !ok {
			t.Errorf("Get() = %d, %v, want %d", got, ok, i)
		}
	}
}
