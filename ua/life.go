package ua

import (
	"context"
	"slices"
	"sync"
	"time"
)

// latch is something that happens once. It has a channel only if somebody waits for it: most
// calls are idle most of the time, and there are many of them.
type latch struct {
	mu  sync.Mutex
	set bool
	ch  chan struct{} // nil until asked for
}

// Done is closed when it has happened.
func (l *latch) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ch == nil {
		l.ch = make(chan struct{})
		if l.set {
			close(l.ch)
		}
	}
	return l.ch
}

// has reports whether it has happened.
func (l *latch) has() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.set
}

// happen says that it has.
func (l *latch) happen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set {
		return
	}
	if l.set = true; l.ch != nil {
		close(l.ch)
	}
}

// life is the context of the streams of a call: it ends with the call.
type life struct {
	latch
	after []*func()
}

func (l *life) Deadline() (time.Time, bool) { return time.Time{}, false }
func (l *life) Value(any) any               { return nil }

func (l *life) Err() error {
	if l.has() {
		return context.Canceled
	}
	return nil
}

// AfterFunc is what context.AfterFunc does, which calls it. It is for use by itself, because
// that one asks for the channel, too.
func (l *life) AfterFunc(f func()) (stop func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set {
		go f()
		return func() bool { return false }
	}
	p := &f
	l.after = append(l.after, p)
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		i := slices.Index(l.after, p)
		if i < 0 {
			return false
		}
		if l.after = slices.Delete(l.after, i, i+1); len(l.after) == 0 {
			l.after = nil
		}
		return true
	}
}

// end ends it.
func (l *life) end() {
	l.happen()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.after {
		go (*f)() // ends at once: it ends contexts
	}
	l.after = nil
}
