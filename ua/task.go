package ua

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// task is a function that runs in a goroutine of the agent's, on behalf of one
// that waits for it. A panic in it is one of the program's own code, a stream or
// a callback: it is raised again in the goroutine that waits, where the program
// may recover, or logged if that has left.
type task struct {
	a    *Agent
	done chan struct{} // closed when it is over

	onPanic func() // called after a panic; nil: nothing is

	mu       sync.Mutex
	over     bool
	left     bool // nobody waits any more
	err      error
	panicked any
	stack    []byte
}

// begin runs f as a task that Shutdown waits for, unless that has begun.
func (a *Agent) begin(f func() error) (*task, error) {
	t := &task{a: a, done: make(chan struct{})}
	if !a.background(func() { t.run(f) }) {
		return nil, ErrClosed
	}
	return t, nil
}

func (t *task) run(f func() error) {
	defer close(t.done)
	defer func() {
		p := recover()
		if p != nil && t.onPanic != nil {
			defer t.onPanic()
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.over, t.panicked = true, p
		if p != nil {
			t.stack = debug.Stack()
		}
		if p != nil && t.left {
			t.a.panicked(p, t.stack)
		}
	}()
	err := f()
	t.mu.Lock()
	t.err = err
	t.mu.Unlock()
}

// wait returns when the task is over, or ctx.
func (t *task) wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.result()
	case <-ctx.Done():
		t.leave()
		return cause(ctx)
	}
}

// result returns the error of a task that is over, or panics as it did.
func (t *task) result() error {
	t.raise()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// raise panics as the task did, if it did.
func (t *task) raise() {
	if p := t.failed(); p != nil {
		panic(fmt.Sprintf("%v [in a goroutine of the agent]\n\n%s", p, t.stack))
	}
}

// failed returns what the task has panicked with, nil if it has not.
func (t *task) failed() any {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.panicked
}

// leave says that nobody waits any more.
func (t *task) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over && t.panicked != nil && !t.left {
		t.a.panicked(t.panicked, t.stack)
	}
	t.left = true
}

// fence is deferred around code of the program's in a goroutine of ours that nobody waits for.
func (a *Agent) fence() {
	if p := recover(); p != nil {
		a.panicked(p, debug.Stack())
	}
}

// tell calls an OnError. A panic there is logged.
func (a *Agent) tell(onError func(error), err error) {
	defer a.fence()
	onError(err)
}

// panicked logs a panic of the program's code that nobody waits for.
func (a *Agent) panicked(p any, stack []byte) {
	a.log.Error("panic in a callback or a stream", "panic", p, "stack", string(stack))
}
