package transaction

import (
	"container/list"
	"net/netip"
)

// recent is a table by address of so many entries, of which the one goes that was
// not asked for longest.
type recent[V any] struct {
	max   int
	elems map[netip.AddrPort]*list.Element
	order list.List // of *entry[V], the latest first
}

type entry[V any] struct {
	addr  netip.AddrPort
	value V
}

func newRecent[V any](max int) recent[V] {
	return recent[V]{max: max, elems: map[netip.AddrPort]*list.Element{}}
}

func (t *recent[V]) len() int { return len(t.elems) }

// get returns the entry of an address, nil if there is none.
func (t *recent[V]) get(addr netip.AddrPort) *V {
	e := t.elems[addr]
	if e == nil {
		return nil
	}
	t.order.MoveToFront(e)
	return &e.Value.(*entry[V]).value
}

// add puts a new entry in, and returns it. If that takes the place of another,
// gone is told of it first.
func (t *recent[V]) add(addr netip.AddrPort, value V, gone func(*V)) *V {
	if len(t.elems) >= t.max {
		last := t.order.Back().Value.(*entry[V])
		if gone != nil {
			gone(&last.value)
		}
		t.remove(last.addr)
	}
	e := &entry[V]{addr, value}
	t.elems[addr] = t.order.PushFront(e)
	return &e.value
}

func (t *recent[V]) remove(addr netip.AddrPort) {
	if e := t.elems[addr]; e != nil {
		t.order.Remove(e)
		delete(t.elems, addr)
	}
}

// all yields every entry; the one that was yielded last may be removed.
func (t *recent[V]) all(yield func(netip.AddrPort, *V) bool) {
	for e, next := t.order.Front(), (*list.Element)(nil); e != nil; e = next {
		next = e.Next()
		if e := e.Value.(*entry[V]); !yield(e.addr, &e.value) {
			return
		}
	}
}
