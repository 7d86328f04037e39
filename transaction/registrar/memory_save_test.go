package registrar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

// saved returns what a Memory writes.
func saved(t testing.TB, m *Memory) []byte {
	t.Helper()
	var file bytes.Buffer
	if n, err := m.WriteTo(&file); err != nil || n != int64(file.Len()) {
		t.Fatalf("WriteTo() = %d, %v, with %d bytes", n, err, file.Len())
	}
	return file.Bytes()
}

// What was written is there in the next run, for as long as it would have been; what
// the next run has by then is newer.
func TestMemorySaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(nil)
		mustSet(t, m, "short", 0, "1", time.Minute)
		mustSet(t, m, "long", 0, "2", time.Hour)
		mustSet(t, m, "other", 0, "3", time.Hour)
		file := saved(t, m)
		time.Sleep(2 * time.Minute)

		next := NewMemory(nil)
		mustSet(t, next, "other", 0, "4", time.Minute)
		if n, err := next.ReadFrom(iotest.OneByteReader(bytes.NewReader(file))); err != nil || n != int64(len(file)) {
			t.Fatalf("ReadFrom() = %d, %v, of %d bytes", n, err, len(file))
		}
		for key, want := range map[string]string{"short": "", "long": "2", "other": "4"} {
			value, revision, err := next.Get(t.Context(), key)
			if err != nil || string(value) != want || (revision != 0) != (want != "") {
				t.Errorf("Get(%s) = %q, revision %d, %v, want %q", key, value, revision, err, want)
			}
		}
		_, revision, _ := next.Get(t.Context(), "long")
		mustSet(t, next, "long", revision, "5", time.Hour)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		next.mu.Lock()
		defer next.mu.Unlock()
		if len(next.values) != 0 || next.bytes != 0 {
			t.Errorf("%d values, %d bytes are left, want none", len(next.values), next.bytes)
		}
	})
}

// Who watches a key learns of a value that is read.
func TestMemorySavedIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(nil)
		mustSet(t, m, "a", 0, "1", time.Hour)
		file := saved(t, m)
		next := NewMemory(nil)
		for value, err := range next.Watch(t.Context(), "a") {
			if err != nil || string(value) == "1" {
				break
			}
			if _, err := next.ReadFrom(bytes.NewReader(file)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A file that was cut off, wherever, or damaged, or that has no room, adds nothing.
func TestMemorySavedBadly(t *testing.T) {
	m := NewMemory(nil)
	for i := range 3 {
		mustSet(t, m, fmt.Sprint("key", i), 0, "value", time.Hour)
	}
	file := saved(t, m)
	refused := func(what string, cfg *MemoryConfig, data []byte, want error) {
		t.Helper()
		next := NewMemory(cfg)
		if _, err := next.ReadFrom(bytes.NewReader(data)); !errors.Is(err, want) {
			t.Errorf("%s: ReadFrom() = %v, want %v", what, err, want)
		}
		if len(next.values) != 0 || next.bytes != 0 {
			t.Errorf("%s: %d values, %d bytes were added", what, len(next.values), next.bytes)
		}
	}
	for i := range len(file) {
		refused(fmt.Sprint("cut at ", i), nil, file[:i], transaction.ErrSnapshot)
	}
	refused("more", nil, append(bytes.Clone(file), 0), transaction.ErrSnapshot)
	one := (len(file) - len(saved(t, NewMemory(nil)))) / 3 // of three alike, and the end
	refused("a value less", nil, file[one:], transaction.ErrSnapshot)
	other := bytes.Clone(file)
	other[1] = 9
	refused("another version", nil, other, transaction.ErrSnapshotVersion)
	huge := bytes.Clone(file)
	huge[2] = 0xff
	refused("a length of 4 GiB", nil, huge, transaction.ErrSnapshot)
	refused("too many keys", &MemoryConfig{MaxKeys: 2}, file, ErrFull)
	refused("too many bytes", &MemoryConfig{MaxBytes: 600}, file, ErrFull)

	fault := errors.New("disk is broken")
	if _, err := NewMemory(nil).ReadFrom(iotest.ErrReader(fault)); !errors.Is(err, fault) {
		t.Errorf("ReadFrom() = %v, want %v", err, fault)
	}
	r, w := io.Pipe()
	r.CloseWithError(fault)
	if n, err := m.WriteTo(w); n != 0 || !errors.Is(err, fault) {
		t.Errorf("WriteTo() = %d, %v, want 0, %v", n, err, fault)
	}
}

// What is over, what the next run has by then and what comes twice takes no room.
func TestMemorySavedFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(nil)
		for i := range 5 {
			mustSet(t, m, fmt.Sprint("over", i), 0, "value", time.Minute)
		}
		mustSet(t, m, "known", 0, "value", time.Hour)
		mustSet(t, m, "new", 0, "value", time.Hour)
		file := saved(t, m)
		time.Sleep(2 * time.Minute)
		for _, cfg := range []MemoryConfig{{MaxKeys: 2}, {MaxBytes: 2 * (256 + len("known") + len("value"))}} {
			next := NewMemory(&cfg)
			mustSet(t, next, "known", 0, "newer", time.Hour)
			if _, err := next.ReadFrom(bytes.NewReader(file)); err != nil {
				t.Errorf("ReadFrom() = %v with %+v, want two values", err, cfg)
			}
			for key, want := range map[string]string{"known": "newer", "new": "value"} {
				if value, _, _ := next.Get(t.Context(), key); string(value) != want {
					t.Errorf("Get(%s) = %q, want %q", key, value, want)
				}
			}
		}
	})
}

// The longest value that there may be is written and read; a longer one is refused
// when it is set.
func TestMemorySavedLong(t *testing.T) {
	m := NewMemory(nil)
	long := make([]byte, maxSaved-savedRoom-len("a")+1)
	if err := m.CompareAndSet(t.Context(), "a", 0, long, time.Hour); !errors.Is(err, ErrFull) {
		t.Errorf("CompareAndSet() of %d bytes = %v, want %v", len(long), err, ErrFull)
	}
	if err := m.CompareAndSet(t.Context(), "a", 0, long[1:], 290*365*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	next := NewMemory(nil)
	if _, err := next.ReadFrom(bytes.NewReader(saved(t, m))); err != nil {
		t.Errorf("ReadFrom() = %v", err)
	}
}

// FuzzMemorySaved reads any file: no more comes of it than it has bytes.
func FuzzMemorySaved(f *testing.F) {
	m := NewMemory(nil)
	mustSet(f, m, "alice@example.com", 0, "value", 24*time.Hour)
	f.Add(saved(f, m))
	f.Add([]byte("v\x01\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		next := NewMemory(nil)
		if _, err := next.ReadFrom(bytes.NewReader(data)); err != nil {
			return
		}
		if next.bytes > 256*len(data) {
			t.Errorf("%d bytes are kept of %d", next.bytes, len(data))
		}
		if _, err := NewMemory(nil).ReadFrom(bytes.NewReader(saved(t, next))); err != nil {
			t.Errorf("what was read and written again: %v", err)
		}
	})
}

// A program that writes down its Memory before it ends, and reads it when it has
// begun anew: who was registered is reached.
func TestRestartOfARegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		var file bytes.Buffer
		store := NewMemory(nil)
		start := func() (stop func()) {
			location := must(New(&Config{Domains: []string{"example.com"}, Store: store, Logger: quiet}))
			return serve(t, n, nodeA, location, transport.Config{FlowKey: sharedKey}, proxy.Config{})
		}
		stop := start()
		box := n.NAT("203.0.113.1", &siptest.NATConfig{Filtering: siptest.AddressAndPortDependent})
		alice := newFlow(t, box.Host("10.0.0.2"))
		alice.uri, alice.callID = "sip:example.com", "1"
		alice.register(200, contact("<sip:alice@10.0.0.2>"), through(t, nodeA))
		stop()
		if _, err := store.WriteTo(&file); err != nil {
			t.Fatal(err)
		}

		store = NewMemory(nil)
		if _, err := store.ReadFrom(&file); err != nil {
			t.Fatal(err)
		}
		start()
		if got := newPhone(t, n.Host("192.0.2.7")).message(nodeA); got != sip.StatusOK {
			t.Errorf("MESSAGE got %v after the restart, want 200", got)
		}
	})
}
