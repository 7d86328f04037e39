package ua

import (
	"context"
	"sync"
	"time"
)

// both is a context that ends with each of two: with the first for its cause, with the
// other for a reason of ours. Most are never waited for, so it is one in name only until
// somebody does.
type both struct {
	one, other context.Context
	reason     error

	mu     sync.Mutex
	ctx    context.Context // nil: nobody has waited yet
	cancel context.CancelCauseFunc
	stop   func()
	over   bool // end was called
}

// end ends it, as the func does that comes with a context.
func (b *both) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.stop != nil {
		b.stop()
	}
}

// context makes the real one.
func (b *both) context() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx != nil {
		return b.ctx
	}
	ctx, cancel := context.WithCancelCause(b.one)
	if b.other.Err() != nil {
		cancel(b.reason)
	}
	unwatch := context.AfterFunc(b.other, func() { cancel(b.reason) })
	b.ctx, b.cancel, b.stop = ctx, cancel, func() {
		unwatch()
		cancel(nil)
	}
	if b.over {
		b.stop()
	}
	return ctx
}

func (b *both) Deadline() (time.Time, bool) { return b.one.Deadline() }
func (b *both) Done() <-chan struct{}       { return b.context().Done() }
func (b *both) Value(key any) any           { return b.context().Value(key) }

func (b *both) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ctx != nil:
		if b.other.Err() != nil {
			b.cancel(b.reason) // as soon as that has ended, and not a moment later
		}
		return b.ctx.Err()
	case b.one.Err() != nil:
		return b.one.Err()
	case b.over, b.other.Err() != nil:
		return context.Canceled
	}
	return nil
}
