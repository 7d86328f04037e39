package ua

import (
	"context"
	"sync"
)

// queue lets those that share a key have their turn one after the other, in the
// order in which they came.
type queue[K comparable] struct {
	mu    sync.Mutex
	lines map[K]*line
}

type line struct {
	turn  chan struct{} // full: somebody has the turn
	users int           // who have it or wait for it
}

// take waits for the turn of a key and returns what ends it.
func (q *queue[K]) take(ctx context.Context, key K) (done func(), err error) {
	q.mu.Lock()
	l := q.lines[key]
	if l == nil {
		if q.lines == nil {
			q.lines = map[K]*line{}
		}
		l = &line{turn: make(chan struct{}, 1)}
		q.lines[key] = l
	}
	l.users++
	q.mu.Unlock()
	select {
	case l.turn <- struct{}{}:
		return func() {
			<-l.turn
			q.leave(key, l)
		}, nil
	case <-ctx.Done():
		q.leave(key, l)
		return nil, ctx.Err()
	}
}

func (q *queue[K]) leave(key K, l *line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(q.lines, key)
	}
}
