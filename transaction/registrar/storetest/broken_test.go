package storetest

import (
	"context"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/transaction/registrar"
)

// broken is a Store with a fault, as somebody makes one who is new to his database.
type broken struct {
	*registrar.Memory
	key     func(string) string
	twoStep bool // reads, compares, and then writes
	deaf    bool // to ctx
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
	return b.Memory.Get(ctx, key)
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
	return b.Memory.CompareAndSet(ctx, key, revision, value, ttl)
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
		"none":                              {},
		"compare and set are two steps":     {twoStep: true},
		"keys without regard to case":       {key: strings.ToLower},
		"keys are cut at 255":               {key: func(k string) string { return k[:min(len(k), 255)] }},
		"keys are cut at 511":               {key: func(k string) string { return k[:min(len(k), 511)] }},
		"keys are patterns":                 {key: func(k string) string { return strings.Replace(k, "axb", "a_b", 1) }},
		"keys end with the user":            {key: func(k string) string { user, _, _ := strings.Cut(k, "@"); return user }},
		"a ctx that has ended is not heard": {deaf: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b.Memory = registrar.NewMemory(nil)
				if got, want := fails(t, b), name != "none"; got != want {
					t.Errorf("storetest refuses it: %v, want %v", got, want)
				}
			})
		})
	}
}
