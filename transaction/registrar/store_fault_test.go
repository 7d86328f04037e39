package registrar

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// brokenStore fails as it is told.
type brokenStore struct {
	*Memory
	get, set error
	sets     int
}

func (b *brokenStore) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if b.get != nil {
		return nil, 0, b.get
	}
	return b.Memory.Get(ctx, key)
}

func (b *brokenStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte, ttl time.Duration) error {
	if b.sets++; b.set != nil {
		return b.set
	}
	return b.Memory.CompareAndSet(ctx, key, revision, value, ttl)
}

// RFC 3261 section 10.3 step 7: where the back end fails, the request gets 500,
// and nothing has changed.
func TestStoreFails(t *testing.T) {
	store := &brokenStore{Memory: NewMemory(nil)}
	story(t, &Config{Store: store}, func(t *testing.T, s *scene) {
		s.phone.register(200, contact(numbered(1)))
		failing := func() {
			t.Helper()
			if resp := s.phone.register(500, contact(numbered(2))); header(resp, "Retry-After") == "" {
				t.Error("no Retry-After in the 500")
			}
		}
		store.set = errors.New("disk on fire")
		failing()
		store.set, store.sets = ErrConflict, 0
		failing()
		if store.sets != tries {
			t.Errorf("tried %d times, want %d", store.sets, tries)
		}
		store.set, store.get = nil, errors.New("disk still on fire")
		failing()
		if _, err := s.location.Lookup(t.Context(), uri(t, aliceAOR)); !errors.Is(err, store.get) {
			t.Errorf("Lookup() = %v, want %v", err, store.get)
		}
		store.get = nil
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001")

		// What another version has written is left alone.
		_, revision, _ := store.Get(t.Context(), "alice@example.com")
		store.Memory.CompareAndSet(t.Context(), "alice@example.com", revision, []byte{99, 1}, time.Hour)
		failing()
		if value, _, _ := store.Get(t.Context(), "alice@example.com"); value[0] != 99 {
			t.Errorf("the value of another version became %v", value)
		}
	})
}

// silentStore never answers.
type silentStore struct{ Store }

func (silentStore) Get(ctx context.Context, _ string) ([]byte, uint64, error) {
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

// A Store that does not answer holds nobody for ever.
func TestStoreHangs(t *testing.T) {
	story(t, &Config{Store: silentStore{}}, func(t *testing.T, s *scene) {
		s.phone.layer.Do(t.Context(), s.phone.request(contact(numbered(1)))) // ends by timer F
		time.Sleep(time.Minute)
		for range s.server.Servers() {
			t.Error("a transaction of the server is left")
		}
		start := time.Now()
		if _, err := s.location.Lookup(t.Context(), uri(t, aliceAOR)); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 32*time.Second {
			t.Errorf("Lookup() = %v after %v, want a deadline of 32 s", err, time.Since(start))
		}
	})
}

// slowStore is far away.
type slowStore struct{ Store }

func (s slowStore) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	<-time.After(5 * time.Millisecond)
	return s.Store.Get(ctx, key)
}

func (s slowStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte, ttl time.Duration) error {
	<-time.After(5 * time.Millisecond)
	return s.Store.CompareAndSet(ctx, key, revision, value, ttl)
}

// Many phones of one user come at once, as after a power cut. Those of one node wait
// for each other; those of two nodes differ, and try again.
func TestManyPhonesOfOneUser(t *testing.T) {
	for _, nodes := range []int{1, 2, 4} {
		story(t, nil, func(t *testing.T, s *scene) {
			store := slowStore{NewMemory(nil)}
			var locations []*Registrar
			for i := range nodes {
				x := must(New(&Config{MaxBindings: 100, Store: store, Domains: []string{"example.com"}, Logger: quiet}))
				locations = append(locations, x)
				listen(t, s.n.Host(fmt.Sprint("192.0.2.", 20+i)), func(tx *transaction.Server, req *sip.Request) { x.Register(tx, req) })
			}
			const phones = 60
			var wg sync.WaitGroup
			var failed atomic.Int64
			for i := range phones {
				p := newPhone(t, s.n.Host(fmt.Sprintf("192.0.2.%d", 100+i)))
				p.callID = fmt.Sprint(i)
				r := p.request(contact(numbered(i)), sip.Route{URI: uri(t, fmt.Sprintf("sip:192.0.2.%d;lr", 20+i%nodes))})
				wg.Go(func() {
					if p.ask(r).Status() != sip.StatusOK {
						failed.Add(1)
					}
				})
			}
			wg.Wait()
			if n := failed.Load(); n > 0 {
				t.Errorf("%d of %d phones at %d nodes got no 200", n, phones, nodes)
			}
			for _, x := range locations {
				if len(x.lines.of) > 0 {
					t.Error("a line is left")
				}
			}
		})
	}
}
