package transaction

import (
	"container/list"
	"net/netip"
)

// recent is a table by address of so many entries, of which the one goes that was
// not asked for longest.
type recent[K netip.AddrPort | netip.Prefix, V any] struct {
	max   int
	elems map[K]*list.Element
	order list.List // of *entry[K, V], the latest first
}

type entry[K, V any] struct {
	addr  K
	value V
}

func newRecent[K netip.AddrPort | netip.Prefix, V any](max int) recent[K, V] {
	return recent[K, V]{max: max, elems: map[K]*list.Element{}}
}

func (t *recent[K, V]) len() int { return len(t.elems) }

// get returns the entry of an address, nil if there is none.
func (t *recent[K, V]) get(addr K) *V {
	e := t.elems[addr]
	if e == nil {
		return nil
	}
	t.order.MoveToFront(e)
	return &e.Value.(*entry[K, V]).value
}

// add puts a new entry in, and returns it.
func (t *recent[K, V]) add(addr K, value V) *V {
	if len(t.elems) >= t.max {
		t.remove(t.order.Back().Value.(*entry[K, V]).addr)
	}
	e := &entry[K, V]{addr, value}
	t.elems[addr] = t.order.PushFront(e)
	return &e.value
}

func (t *recent[K, V]) remove(addr K) {
	if e := t.elems[addr]; e != nil {
		t.order.Remove(e)
		delete(t.elems, addr)
	}
}

// all yields every entry; the one that was yielded last may be removed.
func (t *recent[K, V]) all(yield func(K, *V) bool) {
	for e, next := t.order.Front(), (*list.Element)(nil); e != nil; e = next {
		next = e.Next()
		if e := e.Value.(*entry[K, V]); !yield(e.addr, &e.value) {
			return
		}
	}
}
