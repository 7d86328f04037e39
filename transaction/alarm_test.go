package transaction

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// rung notes when an alarm has rung.
type rung struct {
	alarm alarm
	wants time.Time // zero: not at all
	waits time.Duration
	mu    sync.Mutex
	times []time.Time
}

func (r *rung) ring() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, time.Now())
}

// at returns when it has rung.
func (r *rung) at() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.times
}

// Alarms that are set, set anew and stopped in any order ring once, not early,
// and late by a hundredth of the wait at most.
func TestAlarms(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			q := newAlarms()
			list := make([]*rung, 200)
			for i := range list {
				list[i] = new(rung)
				list[i].alarm.of = list[i]
			}
			for range 2000 {
				c := list[r.IntN(len(list))]
				switch wait := time.Duration(r.Int64N(1 << (10 + r.Int64N(26)))); {
				case r.IntN(5) == 0:
					q.reset(&c.alarm, time.Time{})
					c.wants = time.Time{}
				case len(c.at()) == 0: // it rings once in this test
					c.wants, c.waits = time.Now().Add(wait), wait
					q.reset(&c.alarm, c.wants)
				}
				if r.IntN(10) == 0 {
					<-time.After(time.Duration(r.Int64N(int64(20 * time.Millisecond))))
				}
				synctest.Wait()
				for i, c := range list {
					if len(c.at()) > 0 {
						c.check(t)
						list[i] = new(rung)
						list[i].alarm.of = list[i]
					}
				}
			}
			<-time.After(time.Minute)
			synctest.Wait()
			for _, c := range list {
				c.check(t)
			}
			if len(q.buckets) != 0 || len(q.queue) != 0 {
				t.Errorf("%d buckets are left, and %d in the queue", len(q.buckets), len(q.queue))
			}
		})
	}
}

func (r *rung) check(t *testing.T) {
	t.Helper()
	at := r.at()
	switch {
	case r.wants.IsZero() && len(at) == 0:
	case r.wants.IsZero():
		t.Errorf("a stopped alarm rings")
	case len(at) != 1:
		t.Errorf("an alarm rings %d times, want once", len(at))
	default:
		// A time of less than a millisecond is one.
		if late := at[0].Sub(r.wants); late < 0 || late > r.waits/100+2*time.Millisecond {
			t.Errorf("an alarm rings %v after %v, want a hundredth of that at most", late, r.waits)
		}
	}
}

// A transaction sets its alarm, and stops it when it is answered: there are
// 100,000 others in the table.
func BenchmarkAlarms(b *testing.B) {
	bench := func(b *testing.B, one func(pb *testing.PB)) {
		b.ReportAllocs()
		b.RunParallel(one)
	}
	b.Run("buckets", func(b *testing.B) {
		q := newAlarms()
		defer q.stop()
		now := time.Now()
		live := make([]rung, 100000)
		for i := range live {
			q.reset(&live[i].alarm, now.Add(32*time.Second+time.Duration(i)*100*time.Microsecond))
		}
		bench(b, func(pb *testing.PB) {
			for c := new(rung); pb.Next(); {
				q.reset(&c.alarm, time.Now().Add(500*time.Millisecond))
				q.reset(&c.alarm, time.Time{})
			}
		})
	})
	b.Run("buckets in parts", func(b *testing.B) {
		parts := newTables().tables
		var mu sync.Mutex
		next := 0
		bench(b, func(pb *testing.PB) {
			mu.Lock()
			q := parts[next%len(parts)].alarms
			next++
			mu.Unlock()
			for c := new(rung); pb.Next(); {
				q.reset(&c.alarm, time.Now().Add(500*time.Millisecond))
				q.reset(&c.alarm, time.Time{})
			}
		})
	})
	b.Run("AfterFunc", func(b *testing.B) {
		bench(b, func(pb *testing.PB) {
			for pb.Next() {
				time.AfterFunc(500*time.Millisecond, func() {}).Stop()
			}
		})
	})
}
