package room

import (
	"errors"
	"sync"

	"github.com/goparley/parley/msrp"
)

// maxQueueBytes is how many bytes of messages wait for one participant. They are shared by all for
// whom they wait.
const maxQueueBytes = 1 << 20

// A post is a message as all queues share it.
type post struct {
	*msrp.Post
	size int
}

// A queue is what waits for one participant: what its session does not take at once. When it is
// full the oldest goes: who comes back from a tunnel is to see what is being said.
type queue struct {
	mu    sync.Mutex
	ring  []*post // nil while nothing waits, as is usual
	first int
	n     int
	bytes int
	lost  int // that nobody has been told of
}

// put sends a message after those that wait, or has it wait.
func (q *queue) put(s *msrp.Session, m *post, most int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 && q.sent(s, m) {
		return
	}
	for q.n > 0 && (q.n >= most || q.bytes+m.size > maxQueueBytes) {
		q.pop()
		q.lost++
	}
	if q.n == len(q.ring) {
		ring := make([]*post, min(max(8, 2*q.n), most))
		for i := range q.n {
			ring[i] = q.ring[(q.first+i)%q.n]
		}
		q.ring, q.first = ring, 0
	}
	q.ring[(q.first+q.n)%len(q.ring)] = m
	q.n++
	q.bytes += m.size
}

// flush sends what waits, as far as the session takes it. It returns how many messages were dropped
// before, once nothing waits any more.
func (q *queue) flush(s *msrp.Session) (lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n > 0 {
		if !q.sent(s, q.ring[q.first]) {
			return 0
		}
		q.pop()
	}
	q.ring, q.first = nil, 0
	lost, q.lost = q.lost, 0
	return lost
}

// sent reports whether a message need not wait: it is on its way, or the participant does not want
// it. The lock is held.
func (q *queue) sent(s *msrp.Session, m *post) bool {
	err := s.Post(m.Post)
	return err == nil || err != msrp.ErrFull && err != msrp.ErrNotConnected && !errors.Is(err, msrp.ErrLost)
}

// pop takes away the oldest. The lock is held.
func (q *queue) pop() {
	q.bytes -= q.ring[q.first].size
	q.ring[q.first] = nil
	q.first = (q.first + 1) % len(q.ring)
	q.n--
}

// clear drops all.
func (q *queue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ring, q.first, q.n, q.bytes = nil, 0, 0, 0
}
