package registrar

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func mustSet(t testing.TB, m Store, key string, revision uint64, text string, ttl time.Duration) uint64 {
	t.Helper()
	if err := m.CompareAndSet(t.Context(), key, revision, []byte(text), ttl); err != nil {
		t.Fatalf("CompareAndSet(%s) = %v", key, err)
	}
	_, revision, err := m.Get(t.Context(), key)
	if err != nil || revision == 0 {
		t.Fatalf("Get(%s): revision %d, %v", key, revision, err)
	}
	return revision
}

// A value is changed by who knows it, and by nobody who knew what was there
// before it was removed.
func TestMemoryCompareAndSet(t *testing.T) {
	m := NewMemory(nil)
	first := mustSet(t, m, "a", 0, "1", time.Hour)
	for _, wrong := range []uint64{0, first + 1} {
		if err := m.CompareAndSet(t.Context(), "a", wrong, []byte("x"), time.Hour); !errors.Is(err, ErrConflict) {
			t.Errorf("CompareAndSet with revision %d = %v, want ErrConflict", wrong, err)
		}
	}
	second := mustSet(t, m, "a", first, "2", time.Hour)
	if err := m.CompareAndSet(t.Context(), "a", second, nil, 0); err != nil {
		t.Fatal(err)
	}
	if value, revision, err := m.Get(t.Context(), "a"); value != nil || revision != 0 || err != nil {
		t.Errorf("Get() = %q, %d, %v after removal", value, revision, err)
	}
	third := mustSet(t, m, "a", 0, "3", time.Hour)
	if third == first || third == second {
		t.Errorf("revision %d again", third)
	}
	if err := m.CompareAndSet(t.Context(), "b", 0, nil, 0); err != nil {
		t.Errorf("to remove nothing: %v", err)
	}
}

// What is past its time is gone, with all that it took.
func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(nil)
		for i := range 1000 {
			mustSet(t, m, fmt.Sprint(i), 0, "value", time.Minute+time.Duration(i%10)*time.Second)
		}
		time.Sleep(time.Minute)
		if value, _, _ := m.Get(t.Context(), "0"); value != nil {
			t.Error("a value at the end of its time is still there")
		}
		if value, _, _ := m.Get(t.Context(), "1"); value == nil {
			t.Error("a value is gone before its time")
		}
		mustSet(t, m, "1", 2, "longer", time.Hour)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		m.mu.Lock()
		if len(m.values) != 1 || len(m.ends) != 1 || m.bytes != 256+len("1")+len("longer") {
			t.Errorf("%d values, %d ends, %d bytes are left, want one value", len(m.values), len(m.ends), m.bytes)
		}
		m.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.bytes != 0 {
			t.Errorf("%d bytes are left, want none", m.bytes)
		}
	})
}

// The room is bounded, in keys and in bytes. What is there can be changed, and
// removed, when it is full.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(&MemoryConfig{MaxKeys: 2, MaxBytes: 1000})
		a := mustSet(t, m, "a", 0, "1", time.Minute)
		mustSet(t, m, "b", 0, "1", time.Hour)
		full := func(key string, revision uint64, size int) {
			t.Helper()
			if err := m.CompareAndSet(t.Context(), key, revision, make([]byte, size), time.Hour); !errors.Is(err, ErrFull) {
				t.Errorf("CompareAndSet(%s) = %v, want ErrFull", key, err)
			}
		}
		full("c", 0, 1)
		full("a", a, 600)
		a = mustSet(t, m, "a", a, string(make([]byte, 400)), time.Minute)
		mustSet(t, m, "a", a, "1", time.Minute)
		time.Sleep(time.Minute)
		mustSet(t, m, "c", 0, "1", time.Hour)
		full("d", 0, 1)
	})
}

// Who watches sees what there is, each last change, and the end by time.
func TestMemoryWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(nil)
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		var end error
		var done sync.WaitGroup
		done.Go(func() { // ends with ctx
			for value, err := range m.Watch(ctx, "a") {
				if err != nil {
					end = err
					break
				}
				got = append(got, string(value))
			}
		})
		synctest.Wait()
		first := mustSet(t, m, "a", 0, "1", time.Minute)
		synctest.Wait()
		second := mustSet(t, m, "a", first, "2", time.Minute)
		mustSet(t, m, "a", second, "3", time.Minute)
		mustSet(t, m, "b", 0, "other", time.Minute)
		time.Sleep(2 * time.Minute)
		cancel()
		done.Wait()
		if text := fmt.Sprint(got); text != "[ 1 3 ]" || !errors.Is(end, context.Canceled) {
			t.Errorf("watched %q, ended by %v, want [ 1 3 ] and context.Canceled", text, end)
		}
		if len(m.watchers) != 0 {
			t.Error("a watcher is left")
		}
	})
}
