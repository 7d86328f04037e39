package registrar

import (
	"container/heap"
	"context"
	"iter"
	"sync"
	"time"
)

// MemoryConfig holds the options of a Memory.
type MemoryConfig struct {
	MaxKeys  int // how many keys it holds at most; 0 means 1,000,000
	MaxBytes int // how many bytes, 256 for each key included; 0 means 1 GiB
}

// Memory is a Store in the memory of the process. What is past its time is
// removed by one timer for all; there is no goroutine. It ends with the process,
// unless it is written with WriteTo and read by the next one with ReadFrom.
type Memory struct {
	maxKeys, maxBytes int

	mu       sync.RWMutex
	values   map[string]*value
	ends     byEnd
	timer    *time.Timer // for the end of the first one
	last     uint64      // the revision given last
	bytes    int
	watchers map[string]map[chan struct{}]struct{}
}

// A value of a Memory.
type value struct {
	key      string
	bytes    []byte
	revision uint64
	end      time.Time
	at       int // in the heap
}

func (v *value) size() int { return 256 + len(v.key) + len(v.bytes) }

// NewMemory returns an empty Memory. cfg may be nil.
func NewMemory(cfg *MemoryConfig) *Memory {
	m := &Memory{maxKeys: 1_000_000, maxBytes: 1 << 30, values: map[string]*value{}, watchers: map[string]map[chan struct{}]struct{}{}}
	if cfg != nil && cfg.MaxKeys > 0 {
		m.maxKeys = cfg.MaxKeys
	}
	if cfg != nil && cfg.MaxBytes > 0 {
		m.maxBytes = cfg.MaxBytes
	}
	return m
}

// Get returns a value and its revision. The value is the slice that was stored.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	v := m.live(key)
	if v == nil {
		return nil, 0, nil
	}
	return v.bytes, v.revision, nil
}

// live returns the value of a key if its time is not over. It is called with
// m.mu held.
func (m *Memory) live(key string) *value {
	v := m.values[key]
	if v == nil || !time.Now().Before(v.end) {
		return nil
	}
	return v
}

// CompareAndSet stores or removes a value. Without room for it the error is
// ErrFull, also for one that has more than 16 MiB with its key, which WriteTo could
// not write.
func (m *Memory) CompareAndSet(ctx context.Context, key string, revision uint64, bytes []byte, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.live(key)
	switch {
	case v == nil && revision != 0, v != nil && revision != v.revision:
		return ErrConflict
	case bytes == nil:
		if v != nil {
			m.remove(v)
		}
		return nil
	case len(key)+len(bytes) > maxSaved-savedRoom:
		return ErrFull
	}
	m.sweep(sweepAtOnce)
	keys, held, grows := len(m.values), m.bytes, len(bytes)
	if old := m.values[key]; old == nil {
		keys++
		grows += 256 + len(key)
	} else {
		grows -= len(old.bytes)
	}
	if keys > m.maxKeys || grows > 0 && held+grows > m.maxBytes {
		return ErrFull
	}
	m.last++
	end := time.Now().Add(ttl)
	if v = m.values[key]; v == nil { // also one that is over but not swept yet
		v = &value{key: key, bytes: bytes, revision: m.last, end: end}
		m.values[key] = v
		heap.Push(&m.ends, v)
	} else {
		v.bytes, v.revision, v.end = bytes, m.last, end
		heap.Fix(&m.ends, v.at)
	}
	m.bytes += grows
	m.arm()
	m.notify(key)
	return nil
}

// Watch yields the value of a key now, and whenever it has changed or its time is
// over. The error at the end of ctx is that of ctx.
func (m *Memory) Watch(ctx context.Context, key string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		changed := make(chan struct{}, 1)
		m.mu.Lock()
		if m.watchers[key] == nil {
			m.watchers[key] = map[chan struct{}]struct{}{}
		}
		m.watchers[key][changed] = struct{}{}
		m.mu.Unlock()
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if delete(m.watchers[key], changed); len(m.watchers[key]) == 0 {
				delete(m.watchers, key)
			}
		}()
		for last, first := uint64(0), true; ; first = false {
			bytes, revision, err := m.Get(ctx, key)
			if err != nil {
				yield(nil, err)
				return
			}
			if (first || revision != last) && !yield(bytes, nil) {
				return
			}
			last = revision
			select {
			case <-changed:
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

// notify tells those who watch a key. It is called with m.mu held.
func (m *Memory) notify(key string) {
	for changed := range m.watchers[key] {
		select {
		case changed <- struct{}{}:
		default: // it is to look anyway
		}
	}
}

func (m *Memory) remove(v *value) {
	heap.Remove(&m.ends, v.at)
	delete(m.values, v.key)
	m.bytes -= v.size()
	m.notify(v.key)
}

// sweepAtOnce is how many values are removed under the lock at a time.
const sweepAtOnce = 100

// sweep removes values whose time is over, up to some. It is called with m.mu
// held.
func (m *Memory) sweep(most int) {
	now := time.Now()
	for ; most > 0 && len(m.ends) > 0 && !now.Before(m.ends[0].end); most-- {
		m.remove(m.ends[0])
	}
}

// arm sets the timer for the end of the first value. It is called with m.mu
// held.
func (m *Memory) arm() {
	switch {
	case len(m.ends) == 0:
		if m.timer != nil {
			m.timer.Stop()
		}
	case m.timer == nil:
		m.timer = time.AfterFunc(time.Until(m.ends[0].end), m.expire)
	default:
		m.timer.Reset(time.Until(m.ends[0].end))
	}
}

// expire is what the timer runs.
func (m *Memory) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(sweepAtOnce)
	m.arm() // at once, if there are more
}

// byEnd is a heap of values, the one that ends first on top.
type byEnd []*value

func (h byEnd) Len() int           { return len(h) }
func (h byEnd) Less(i, j int) bool { return h[i].end.Before(h[j].end) }
func (h byEnd) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push appends a *value.
func (h *byEnd) Push(x any) {
	v := x.(*value)
	v.at = len(*h)
	*h = append(*h, v)
}

// Pop takes the last one off.
func (h *byEnd) Pop() any {
	old := *h
	v := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return v
}
