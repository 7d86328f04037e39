package storetest

import (
	"context"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/transaction/registrar"
)

// broken is a Store with a fault, as somebody makes one who is new to his database.
type broken struct {
	*registrar.Memory
	key     func(string) string
	ttl     func(time.Duration) time.Duration
	twoStep bool // reads, compares, and then writes
	deaf    bool // to ctx
	oneRead bool // at a time, and others get what it has asked for
	buffer  bool // is one for all values
	counts  bool // the revisions of a key from 1, in a row that ends with its ttl

	mu      sync.Mutex
	asked   string
	room    []byte
	base    map[string]uint64 // what counts from 1 of the revisions
	removed map[string]bool   // and its row is left
}

func (b *broken) of(ctx context.Context, key string) (context.Context, string) {
	if b.key != nil {
		key = b.key(key)
	}
	if b.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	return ctx, key
}

func (b *broken) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	ctx, key = b.of(ctx, key)
	if b.oneRead {
		b.mu.Lock()
		b.asked = key
		b.mu.Unlock()
		<-time.After(time.Millisecond)
		b.mu.Lock()
		key = b.asked
		b.mu.Unlock()
	}
	value, revision, err := b.Memory.Get(ctx, key)
	b.mu.Lock()
	defer b.mu.Unlock()
	if revision != 0 {
		revision -= b.base[key]
	}
	if b.buffer && value != nil {
		b.room = append(b.room[:0], value...)
		value = b.room
	}
	return value, revision, err
}

func (b *broken) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte, ttl time.Duration) error {
	ctx, key = b.of(ctx, key)
	if b.twoStep {
		_, now, err := b.Memory.Get(ctx, key)
		if err != nil || now != revision {
			return registrar.ErrConflict
		}
		<-time.After(time.Millisecond)
		_, revision, _ = b.Memory.Get(ctx, key)
	}
	if b.ttl != nil && value != nil {
		ttl = b.ttl(ttl)
	}
	if b.counts {
		return b.count(ctx, key, revision, value, ttl)
	}
	return b.Memory.CompareAndSet(ctx, key, revision, value, ttl)
}

// count is CompareAndSet with revisions that begin again when a value was forgotten,
// though not when it was removed.
func (b *broken) count(ctx context.Context, key string, revision uint64, value []byte, ttl time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := revision == 0
	if !first {
		revision += b.base[key]
	}
	if err := b.Memory.CompareAndSet(ctx, key, revision, value, ttl); err != nil || first && value == nil {
		return err
	}
	if first && !b.removed[key] {
		_, now, _ := b.Memory.Get(ctx, key)
		b.base[key] = now - 1
	}
	b.removed[key] = value == nil
	return nil
}

func (b *broken) Watch(ctx context.Context, key string) iter.Seq2[[]byte, error] {
	_, key = b.of(ctx, key)
	return b.Memory.Watch(ctx, key)
}

// verdict takes what a test says in place of the test.
type verdict struct {
	testing.TB
	failed bool
}

func (v *verdict) Errorf(string, ...any) { v.failed = true }

func (v *verdict) Error(...any) { v.failed = true }

func (v *verdict) Fatalf(string, ...any) { panic(v) }

// fails reports whether a Store is refused.
func fails(t *testing.T, store registrar.Store) (failed bool) {
	v := &verdict{TB: t}
	defer func() {
		if p := recover(); p != nil {
			if p != any(v) {
				panic(p)
			}
			failed = true
		}
	}()
	runAll(t.Context(), v, store)
	return v.failed
}

// Stores that lose users, take one for another, or keep handlers waiting.
func TestBrokenStores(t *testing.T) {
	for name, b := range map[string]*broken{
		"none":                               {},
		"compare and set are two steps":      {twoStep: true},
		"keys without regard to case":        {key: strings.ToLower},
		"keys are cut at 255":                {key: func(k string) string { return k[:min(len(k), 255)] }},
		"keys are cut at 511":                {key: func(k string) string { return k[:min(len(k), 511)] }},
		"keys are patterns":                  {key: func(k string) string { return strings.Replace(k, "axb", "a_b", 1) }},
		"keys end with the user":             {key: func(k string) string { user, _, _ := strings.Cut(k, "@"); return user }},
		"a ctx that has ended is not heard":  {deaf: true},
		"a ttl of ms is taken for one of us": {ttl: func(d time.Duration) time.Duration { return d / 1000 }},
		"a ttl in whole seconds":             {ttl: func(d time.Duration) time.Duration { return d.Truncate(time.Second) }},
		"a ttl in rounded seconds":           {ttl: func(d time.Duration) time.Duration { return d.Round(time.Second) }},
		"a ttl of 10 s at the most":          {ttl: func(d time.Duration) time.Duration { return min(d, 10*time.Second) }},
		"a ttl in ms of 32 bits": {ttl: func(d time.Duration) time.Duration {
			return time.Duration(uint32(d/time.Millisecond)) * time.Millisecond
		}},
		"a ttl below a second is for ever": {ttl: func(d time.Duration) time.Duration {
			if d < time.Second {
				return time.Hour
			}
			return d
		}},
		"revisions begin again after the ttl": {counts: true},
		"values are in one buffer":            {buffer: true},
		"one answer for who asks at once":     {oneRead: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b.Memory, b.base, b.removed = registrar.NewMemory(nil), map[string]uint64{}, map[string]bool{}
				if got, want := fails(t, b), name != "none"; got != want {
					t.Errorf("storetest refuses it: %v, want %v", got, want)
				}
			})
		})
	}
}
