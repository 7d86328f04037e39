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
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/transaction/registrar"
)

// within is how long a Store may take to forget a value, and to tell of a change.
const within = 2 * time.Minute

// lasts is how long values are looked for that are to be there for longer.
const lasts = 10*time.Second + 500*time.Millisecond

// Run tests a Store, with keys that nobody else has. It takes some eleven
// seconds, or as long as the Store takes to forget values whose time is over.
func Run(t *testing.T, store registrar.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*within)
	defer cancel()
	runAll(ctx, t, store)
}

func runAll(ctx context.Context, t testing.TB, store registrar.Store) {
	t.Helper()
	x := &run{TB: t, ctx: ctx, store: store, key: rand.Text() + "%25@store.example", had: map[version]bool{}}
	kept := x.keep()
	x.compareAndSet()
	x.atOnce()
	x.keys()
	x.ended()
	x.forget()
	x.brief()
	x.watch()
	kept()
}

type run struct {
	testing.TB
	ctx     context.Context
	store   registrar.Store
	key     string
	had     map[version]bool // that have been seen
	changed bool             // since the last of them
	got     []byte           // by the last Get
	was     []byte           // the same as it was then
}

// version is a revision of a key.
type version struct {
	key      string
	revision uint64
}

// set expects CompareAndSet to do it, or to return ErrConflict.
func (x *run) set(revision uint64, value []byte, ttl time.Duration, want error) {
	x.Helper()
	if err := x.store.CompareAndSet(x.ctx, x.key, revision, value, ttl); !errors.Is(err, want) {
		x.Fatalf("CompareAndSet(revision %d, %q) = %v, want %v", revision, value, err, want)
	}
	x.changed = x.changed || want == nil
}

// get expects a value and returns its revision, which is a new one if the value is.
// What Get has returned before is to be as it was.
func (x *run) get(want []byte) uint64 {
	x.Helper()
	value, revision, err := x.store.Get(x.ctx, x.key)
	if err != nil || !bytes.Equal(value, want) || (revision != 0) != (want != nil) {
		x.Fatalf("Get() = %q, revision %d, %v, want %q", value, revision, err, want)
	}
	if !bytes.Equal(x.got, x.was) {
		x.Fatalf("what Get() has returned was %q and is %q, want a slice that nobody writes to", x.was, x.got)
	}
	x.got, x.was = value, bytes.Clone(value)
	v := version{x.key, revision}
	if x.changed && revision != 0 && x.had[v] {
		x.Fatalf("Get() = revision %d once more, want one that the key has not had before", revision)
	}
	x.had[v], x.changed = true, false
	return revision
}

// keep sets values that are to be there when Run is over.
func (x *run) keep() (kept func()) {
	x.Helper()
	begun := time.Now()
	ttls := map[string]time.Duration{
		x.key + ".hour":  time.Hour,
		x.key + ".month": 1<<32*time.Millisecond + time.Second, // a second, of 32 bits
	}
	defer func(key string) { x.key = key }(x.key)
	var ttl time.Duration
	for x.key, ttl = range ttls {
		x.set(0, []byte(x.key), ttl, nil)
	}
	return func() {
		x.Helper()
		<-time.After(lasts - time.Since(begun))
		for x.key, ttl = range ttls {
			value, revision, err := x.store.Get(x.ctx, x.key)
			if err != nil || string(value) != x.key {
				x.Fatalf("Get() = %q, %v, %v after it was set for %v, want %q", value, err, time.Since(begun), ttl, x.key)
			}
			x.set(revision, nil, 0, nil)
		}
	}
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
	x.get(first)
	x.set(two, first, time.Hour, registrar.ErrConflict)
	x.set(x.get(first), nil, time.Hour, nil)
}

// Of those who change a value at once one does, and the others are told.
func (x *run) atOnce() {
	x.Helper()
	const writers, rounds = 20, 10
	revision, last := uint64(0), []byte(nil)
	for round := range rounds {
		errs := make([]error, writers)
		begin := make(chan struct{})
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() { // ends with its one change
				<-begin
				errs[i] = x.store.CompareAndSet(x.ctx, x.key, revision, fmt.Append(nil, round, " ", i), time.Hour)
			})
		}
		close(begin)
		all.Wait()
		done := 0
		for i, err := range errs {
			switch {
			case err == nil:
				done, last = done+1, fmt.Append(nil, round, " ", i)
			case !errors.Is(err, registrar.ErrConflict):
				x.Fatalf("CompareAndSet, one of %d at once, = %v, want ErrConflict", writers, err)
			}
		}
		if done != 1 {
			x.Fatalf("CompareAndSet(revision %d) was done by %d of %d at once, want one: it is to compare and to set in one step", revision, done, writers)
		}
		x.changed = true
		revision = x.get(last)
	}
	x.set(revision, nil, 0, nil)
}

// Each key has a value of its own, however alike keys are.
func (x *run) keys() {
	x.Helper()
	own := rand.Text()
	long := func(end string) string {
		const most = 512
		return own + strings.Repeat("u", most-len(own)-len("@store.example")-len(end)) + "@store.example" + end
	}
	keys := []string{
		own + "alice@store.example", own + "Alice@store.example", // a user has capitals
		own + "a_b%25@store.example", own + "axb%25@store.example", own + "a*b?@store.example", own + "a[x]@store.example",
		own + "-.!~'()&=+$,;/@[2001:db8::1]", own + "-.!~'()&=+$,;/@[2001:db8::2]",
		own + "@store.example", own,
		long("1"), long("2"),
	}
	defer func(key string) { x.key = key }(x.key)
	for _, x.key = range keys {
		if value, _, err := x.store.Get(x.ctx, x.key); value != nil || err != nil {
			x.Fatalf("Get(%q) = %q, %v, want none: that value is of another key", x.key, value, err)
		}
		x.set(0, []byte(x.key), time.Hour, nil)
	}
	x.getAtOnce(keys)
	for _, x.key = range keys {
		x.set(x.get([]byte(x.key)), nil, 0, nil)
	}
}

// Those who read at once get what they have asked for. Each key is its own value.
func (x *run) getAtOnce(keys []string) {
	x.Helper()
	const readers, rounds = 20, 10
	errs := make([]error, readers)
	var all sync.WaitGroup
	for i := range readers {
		all.Go(func() { // ends with its rounds
			for round := range rounds {
				key := keys[(i+round)%len(keys)]
				value, _, err := x.store.Get(x.ctx, key)
				if err != nil || string(value) != key {
					errs[i] = fmt.Errorf("Get(%q), one of %d at once, = %q, %v, want %q", key, readers, value, err, key)
					return
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		x.Fatalf("%v", err)
	}
}

// With a ctx that has ended there is an error, for a handler that waits to learn
// of it.
func (x *run) ended() {
	x.Helper()
	ctx, cancel := context.WithCancel(x.ctx)
	cancel()
	if value, revision, err := x.store.Get(ctx, x.key); err == nil {
		x.Errorf("Get() = %q, revision %d, with a ctx that has ended, want an error", value, revision)
	}
	if err := x.store.CompareAndSet(ctx, x.key, 0, []byte("1"), time.Second); err == nil {
		x.Error("CompareAndSet() with a ctx that has ended = nil, want an error")
	}
	if _, revision, err := x.store.Get(x.ctx, x.key); err != nil {
		x.Errorf("Get() = %v", err)
	} else if revision != 0 { // it may have been done all the same
		x.set(revision, nil, 0, nil)
	}
}

// A value is forgotten after its time, and not before. A ttl is not that of the
// value before, nor is it whole seconds.
func (x *run) forget() {
	x.Helper()
	x.set(0, []byte("1"), time.Second, nil)
	x.set(x.get([]byte("1")), []byte("2"), time.Hour, nil)
	long := x.get([]byte("2"))
	<-time.After(1100 * time.Millisecond)
	x.get([]byte("2"))
	const ttl = 2400 * time.Millisecond // which is 2 s if it is cut, or rounded
	begun := time.Now()
	x.set(long, []byte("3"), ttl, nil)
	last := x.get([]byte("3"))
	if x.forgotten(); time.Since(begun) < ttl {
		x.Fatalf("Get() = none after %v, want the value for %v", time.Since(begun), ttl)
	}
	x.stale(last, long)
}

// The shortest time there may be is one, too, and not for ever.
func (x *run) brief() {
	x.Helper()
	x.set(0, []byte("5"), time.Millisecond, nil)
	x.forgotten()
	x.stale()
}

// forgotten waits until there is no value.
func (x *run) forgotten() {
	x.Helper()
	for end := time.Now().Add(within); ; {
		value, revision, err := x.store.Get(x.ctx, x.key)
		if err != nil {
			x.Fatalf("Get() = %v", err)
		}
		if value == nil && revision == 0 {
			return
		}
		if time.Now().After(end) {
			x.Fatalf("Get() = %q, %v after its time", value, within)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// stale expects that what was forgotten is changed by nobody who has read it, not
// even when there is another value.
func (x *run) stale(revisions ...uint64) {
	x.Helper()
	for _, stale := range revisions {
		x.set(stale, []byte("x"), time.Hour, registrar.ErrConflict)
	}
	x.set(0, []byte("4"), time.Hour, nil)
	x.get([]byte("4"))
	for _, stale := range revisions {
		x.set(stale, []byte("x"), time.Hour, registrar.ErrConflict)
	}
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
