package digest

import "iter"

// Recent is a map that remembers what was used last: at least limit keys, at
// most twice as many. When the young half is full it becomes the old one, and
// what was old is forgotten.
//
// Keys are hashes or random, so that nobody's text is kept alive.
type Recent[V any] struct {
	limit      int
	young, old map[uint64]V
}

// NewRecent returns one without keys.
func NewRecent[V any](limit int) Recent[V] { return Recent[V]{limit: limit} }

// Get returns the value of a key. Putting it again is what counts as a use.
func (r *Recent[V]) Get(key uint64) (V, bool) {
	v, ok := r.young[key]
	if !ok {
		v, ok = r.old[key]
	}
	return v, ok
}

// Put sets the value of a key and reports whether the halves changed places,
// and so what had been old was forgotten.
func (r *Recent[V]) Put(key uint64, value V) (turned bool) {
	if _, ok := r.young[key]; !ok && len(r.young) >= r.limit {
		r.young, r.old = nil, r.young
		turned = true
	}
	if r.young == nil {
		r.young = make(map[uint64]V)
	}
	r.young[key] = value
	return turned
}

// All yields every value once, in no order.
func (r *Recent[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range r.young {
			if !yield(v) {
				return
			}
		}
		for k, v := range r.old {
			if _, ok := r.young[k]; !ok && !yield(v) {
				return
			}
		}
	}
}
