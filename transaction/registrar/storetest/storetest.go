// Package storetest tests implementations of registrar.Store.
//
// A test of a Store connects to it and hands it over:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, redisStore{client})
//	}
//
// It says what is wrong by what the contract of registrar.Store says. It does not
// test several nodes, for which it knows one Store.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/transaction/registrar"
)

// within is how long a Store may take to forget a value, and to tell of a change.
const within = 2 * time.Minute

// Run tests a Store, with keys that nobody else has. It takes some ten
// seconds, or as long as the Store takes to forget a value whose time is over.
func Run(t *testing.T, store registrar.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*within)
	defer cancel()
	x := &run{t, ctx, store, rand.Text() + "%25@store.example"}
	x.compareAndSet()
	x.forget()
	x.watch()
}

type run struct {
	*testing.T
	ctx   context.Context
	store registrar.Store
	key   string
}

// set expects CompareAndSet to do it, or to return ErrConflict.
func (x *run) set(revision uint64, value []byte, ttl time.Duration, want error) {
	x.Helper()
	if err := x.store.CompareAndSet(x.ctx, x.key, revision, value, ttl); !errors.Is(err, want) {
		x.Fatalf("CompareAndSet(revision %d, %q) = %v, want %v", revision, value, err, want)
	}
}

// get expects a value and returns its revision.
func (x *run) get(want []byte) uint64 {
	x.Helper()
	value, revision, err := x.store.Get(x.ctx, x.key)
	if err != nil || !bytes.Equal(value, want) || (revision != 0) != (want != nil) {
		x.Fatalf("Get() = %q, revision %d, %v, want %q", value, revision, err, want)
	}
	return revision
}

// A value is changed by who knows it, and by nobody who knew what was there before
// it was removed.
func (x *run) compareAndSet() {
	x.Helper()
	first, second := []byte("\x01\x00\xff\r\n"), bytes.Repeat([]byte{0xfe}, 24<<10)
	x.get(nil)
	x.set(1, first, time.Hour, registrar.ErrConflict)
	x.set(0, first, time.Hour, nil)
	one := x.get(first)
	for _, wrong := range []uint64{0, one + 1} {
		x.set(wrong, second, time.Hour, registrar.ErrConflict)
		x.set(wrong, nil, time.Hour, registrar.ErrConflict)
	}
	x.get(first)
	x.set(one, second, time.Hour, nil)
	two := x.get(second)
	x.set(one, first, time.Hour, registrar.ErrConflict)
	x.set(two, nil, time.Hour, nil)
	x.get(nil)
	x.set(0, nil, time.Hour, nil)
	x.set(0, first, time.Hour, nil)
	if three := x.get(first); three == one || three == two {
		x.Errorf("revision %d again, after %d, %d and a removal", three, one, two)
	}
	x.set(two, first, time.Hour, registrar.ErrConflict)
	x.set(x.get(first), nil, time.Hour, nil)
}

// A value is forgotten after its time, and not before.
func (x *run) forget() {
	x.Helper()
	x.set(0, []byte("1"), time.Second, nil)
	x.set(x.get([]byte("1")), []byte("2"), time.Hour, nil)
	long := x.get([]byte("2"))
	<-time.After(1100 * time.Millisecond) // not the ttl of the one before
	x.get([]byte("2"))
	x.set(long, []byte("3"), time.Second, nil)
	for end := time.Now().Add(within); ; {
		value, revision, err := x.store.Get(x.ctx, x.key)
		if err != nil {
			x.Fatalf("Get() = %v", err)
		}
		if value == nil && revision == 0 {
			break
		}
		if time.Now().After(end) {
			x.Fatalf("Get() = %q, %v after its time", value, within)
		}
		<-time.After(50 * time.Millisecond)
	}
	x.set(0, []byte("4"), time.Hour, nil)
	x.set(x.get([]byte("4")), nil, 0, nil)
}

// Who watches sees what there is, each last change, and the end by time and by ctx.
func (x *run) watch() {
	x.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, within)
	defer cancel()
	steps := []func(){
		func() { x.set(0, []byte("1"), time.Hour, nil) },
		func() { x.set(x.get([]byte("1")), []byte("2"), time.Hour, nil) },
		func() { x.set(x.get([]byte("2")), nil, time.Hour, nil) },
		func() { x.set(0, []byte("3"), 5*time.Second, nil) }, // for who polls to see it
		func() {}, // it is forgotten
		cancel,
	}
	wants, at, last := []string{"", "1", "2", "", "3", ""}, 0, error(nil)
	for value, err := range x.store.Watch(ctx, x.key) {
		if last != nil {
			x.Fatalf("Watch yields %q, %v after the error %v", value, err, last)
		}
		if last = err; err != nil || at == len(wants) || string(value) != wants[at] {
			continue // one that it has yielded before may come again
		}
		steps[at]()
		at++
	}
	if at < len(wants) {
		x.Errorf("Watch has not yielded %q as value %d", wants[at], at)
	}
	if !errors.Is(last, ctx.Err()) || last == nil {
		x.Errorf("Watch ends with %v, want %v", last, ctx.Err())
	}
	for range x.store.Watch(x.ctx, x.key) {
		break // which is all that it takes to end it
	}
}
