package registrar

import (
	"context"
	"errors"
	"sync"
)

// lines has the changes to one user wait for each other, so that those of one node
// are no conflicts at the Store: with many phones of one user, and a Store that is
// far away, hardly any would be the first ever. There is a line for each user whose
// bindings are being changed, and no other.
type lines struct {
	mu sync.Mutex
	of map[string]*line
}

// A line is those who want to change one user, and the one who does.
type line struct {
	n    int           // how many
	turn chan struct{} // holds one, when nobody is at it; nil until there are two
}

// maxLine bounds a line. Those in it are handlers.
const maxLine = 128

// errLine says that too many wait for one user.
var errLine = errors.New("registrar: too many changes of one user at once")

// enter waits until nobody else changes a user. The error is errLine, or that of
// ctx; without one leave is to be called.
func (l *lines) enter(ctx context.Context, key string) (leave func(), err error) {
	l.mu.Lock()
	if l.of == nil {
		l.of = map[string]*line{}
	}
	x := l.of[key]
	if x == nil {
		x = new(line)
		l.of[key] = x
	}
	if x.n >= maxLine {
		l.mu.Unlock()
		return nil, errLine
	}
	x.n++
	if x.n == 2 && x.turn == nil {
		x.turn = make(chan struct{}, 1)
	}
	first, turn := x.n == 1, x.turn
	l.mu.Unlock()
	if !first {
		select {
		case <-turn:
		case <-ctx.Done():
			l.leave(key, x, false)
			return nil, ctx.Err()
		}
	}
	return func() { l.leave(key, x, true) }, nil
}

// leave ends what enter began. Who had the turn hands it on.
func (l *lines) leave(key string, x *line, had bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch x.n--; {
	case x.n == 0:
		delete(l.of, key)
	case had:
		x.turn <- struct{}{}
	}
}
