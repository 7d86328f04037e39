package transaction

import (
	"container/heap"
	"sync"
	"time"
)

// alarms are the timers of many transactions. Each transaction has one, which is
// set and stopped a few times and hardly ever rings. So they lie in buckets by
// when they are due, rounded up: there are some hundred buckets however many
// transactions there are, setting and stopping takes the same time however many,
// and the system has one timer, for the first bucket.
type alarms struct {
	epoch time.Time // what dues count from

	mu      sync.Mutex
	buckets map[int64]*bucket // by due
	queue   bucketQueue       // all of them, the first due on top
	timer   *time.Timer       // for the first; nil before there was one
	next    int64             // what timer is set to; never if it is not
	stopped bool
	rung    []ringer // scratch space of ring
}

// never is a due that no bucket has.
const never = 1<<63 - 1

// A ringer is a transaction with an alarm.
type ringer interface {
	// ring is called when the alarm is due. It may be called early, if the alarm
	// was just set to later or stopped.
	ring()
}

// An alarm is the timer of one transaction.
type alarm struct {
	in         *bucket // nil: not set
	next, prev *alarm  // in the bucket
	of         ringer
}

// A bucket has the alarms that are due at one time.
type bucket struct {
	due   int64 // in milliseconds since the epoch
	first *alarm
}

func newAlarms() *alarms {
	return &alarms{epoch: time.Now(), buckets: map[int64]*bucket{}, next: never}
}

// reset has an alarm ring at a time, or by a hundredth of the wait later, and
// not at all for the zero time.
func (q *alarms) reset(a *alarm, at time.Time) {
	due := int64(never)
	if !at.IsZero() {
		due = q.due(at)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if a.in != nil {
		if a.in.due == due {
			return
		}
		a.in.remove(a)
	}
	if due == never || q.stopped {
		return
	}
	b := q.buckets[due]
	if b == nil {
		b = &bucket{due: due}
		q.buckets[due] = b
		heap.Push(&q.queue, b)
	}
	b.add(a)
	if due < q.next {
		q.schedule(due)
	}
}

// due returns when an alarm for a time is due that is set now.
func (q *alarms) due(at time.Time) int64 {
	due := int64((at.Sub(q.epoch) + time.Millisecond - 1) / time.Millisecond)
	g := grain(due - int64(time.Since(q.epoch)/time.Millisecond))
	return (due + g - 1) / g * g
}

// grain returns what a due is rounded to for a wait in milliseconds: at most a
// hundredth of it, of 1, 2, 5, 10, 20, 50 and so on.
func grain(wait int64) int64 {
	g := int64(1)
	for g*1000 <= wait {
		g *= 10
	}
	switch {
	case g*500 <= wait:
		return 5 * g
	case g*200 <= wait:
		return 2 * g
	}
	return g
}

// schedule sets the system's timer. It is called with q.mu held.
func (q *alarms) schedule(due int64) {
	q.next = due
	wait := time.Until(q.epoch.Add(time.Duration(due) * time.Millisecond))
	if q.timer == nil {
		q.timer = time.AfterFunc(wait, q.ring)
		return
	}
	q.timer.Reset(wait)
}

// ring rings what is due.
func (q *alarms) ring() {
	q.mu.Lock()
	now := int64(time.Since(q.epoch) / time.Millisecond)
	rung := q.rung[:0]
	q.rung = nil
	for len(q.queue) > 0 && (q.queue[0].due <= now || q.queue[0].first == nil) {
		b := heap.Pop(&q.queue).(*bucket)
		delete(q.buckets, b.due)
		for b.first != nil {
			rung = append(rung, b.first.of)
			b.remove(b.first)
		}
	}
	q.next = never
	if len(q.queue) > 0 {
		q.schedule(q.queue[0].due)
	}
	q.mu.Unlock()
	forEach(rung, ringer.ring)
	if cap(rung) > 1000 {
		return // that of a burst
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rung = rung
}

// stop has no alarm ring any more.
func (q *alarms) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	if q.timer != nil {
		q.timer.Stop()
	}
}

// add puts an alarm that is in no bucket into this one.
func (b *bucket) add(a *alarm) {
	a.in, a.next = b, b.first
	if b.first != nil {
		b.first.prev = a
	}
	b.first = a
}

// remove takes an alarm out.
func (b *bucket) remove(a *alarm) {
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		b.first = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
	a.in, a.next, a.prev = nil, nil, nil
}

// bucketQueue is a heap of buckets by due.
type bucketQueue []*bucket

func (q bucketQueue) Len() int           { return len(q) }
func (q bucketQueue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q bucketQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *bucketQueue) Push(b any)        { *q = append(*q, b.(*bucket)) }
func (q *bucketQueue) Pop() any {
	last := len(*q) - 1
	b := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return b
}
