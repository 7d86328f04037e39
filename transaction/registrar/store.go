package registrar

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Store keeps values by key, for one Registrar or for many. It is what Redis,
// etcd or a table in SQL can do: get, compare and set, forget after a while, and
// tell of changes. It may be used by many goroutines.
//
// Get and CompareAndSet are to return when ctx ends, with an error, and have one
// for a ctx that has ended: a handler waits for them. The ctx of a Register ends
// after 64*T1, 32 s, that of a Lookup after 32 s, or before, when the caller gives
// up.
//
// A key is a user and a host, "alice@example.com", of up to 512 printable ASCII
// characters. A value is some hundred bytes, and up to 24 KiB, which only this
// package reads. Neither side changes the bytes of a value once the other has seen
// it: CompareAndSet may keep the slice that it is given, Get and Watch may return
// the one that is kept.
//
// Package storetest tests that a Store does all that is said here.
type Store interface {
	// Get returns the value of a key and its revision, which is 0 if there is
	// no value, and never 0 otherwise. It must see every CompareAndSet that has
	// returned, whichever node called it.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)

	// CompareAndSet stores a value, or removes it if value is nil, provided that
	// the key still has that revision; 0 is for a key without a value. If it has
	// another one the error is, or wraps, ErrConflict, and nothing is changed.
	// The new revision is one that the key has not had before, not even before
	// it was removed or forgotten: whoever has read it then is to get ErrConflict.
	// After ttl, which is at least a millisecond and may be years, the value is to
	// be forgotten, sooner or later and never before. The ttl is of no account
	// where value is nil.
	CompareAndSet(ctx context.Context, key string, revision uint64, value []byte, ttl time.Duration) error

	// Watch yields the value of a key as it is, nil if there is none, and again
	// after each change, until the loop is left. A change is what CompareAndSet
	// has done at any node, and also that a value is forgotten, whenever that
	// happens. Of changes that follow each other fast the last one is enough; a
	// value may be yielded twice. An error is the last that it yields: that of
	// ctx, or one that wraps it, when ctx ends, or one of the Store.
	Watch(ctx context.Context, key string) iter.Seq2[[]byte, error]
}

var (
	// ErrConflict says that somebody else has changed the value.
	ErrConflict = errors.New("registrar: value has changed")
	// ErrFull says that a Store has no room.
	ErrFull = errors.New("registrar: store is full")
)
