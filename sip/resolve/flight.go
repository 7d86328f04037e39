package resolve

import (
	"container/list"
	"context"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
)

// questionFor is how long a question takes at most, and how long it may wait
// for its turn.
const questionFor = 20 * time.Second

// A flight is a question on its way. Whoever asks it waits for done; when none
// of them is left, it is called off.
type flight struct {
	cache   *cache
	key     key
	done    chan struct{}
	cancel  context.CancelFunc
	late    atomic.Bool   // somebody has gone on without it
	failed  time.Duration // how long its last timeout was remembered
	waiting int           // cache.mu guards it
	result  *result       // set before done is closed

	turn  chan struct{} // closed when it is its turn
	share *share        // whose turn it is
	el    *list.Element // in the queue of share; nil when it does not wait there. cache.mu guards it
}

// pending is a result, or the flight that will bring it. It must be waited for,
// left, or left to itself.
type pending struct {
	flight *flight
	result *result
}

// ask returns what is known, or starts to find out.
func (c *cache) ask(ctx context.Context, k key) pending {
	k.prefix, k.name = strings.ToLower(k.prefix), strings.ToLower(k.name)
	c.mu.Lock()
	defer c.mu.Unlock()
	known, failed := c.known(k)
	if known != nil {
		return pending{result: known}
	}
	f := c.flights[k]
	if f == nil {
		if err := c.refuses(ctx, k); err != nil {
			return pending{result: &result{err: err}}
		}
		k.prefix, k.name = strings.Clone(k.prefix), strings.Clone(k.name) // part of a message, maybe
		f = &flight{cache: c, key: k, done: make(chan struct{}), turn: make(chan struct{}), failed: failed}
		ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		c.flights[k] = f
		c.turns.enter(f)
		go c.fly(ctx, f) // ends with Lookup, or when its turn does not come
	}
	f.waiting++
	return pending{flight: f}
}

// refuses returns why a question may not be asked. c.mu is held.
func (c *cache) refuses(ctx context.Context, k key) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case len(c.flights) >= maxFlights, c.turns.refuses(k.name, maxFlights-len(c.flights)):
		return &net.DNSError{Err: "too many questions at once", Name: k.prefix + k.name, IsTemporary: true}
	}
	return ctx.Err()
}

// isThere reports whether an answer is there.
func (p pending) isThere() bool {
	if p.flight == nil {
		return true
	}
	select {
	case <-p.flight.done:
		return true
	default:
		return false
	}
}

// answer returns the answer, which is there.
func (p pending) answer() (Answer, error) {
	r := p.result
	if p.flight != nil {
		r = p.flight.result
	}
	return r.answer, r.err
}

// leave is that of one who does not wait any longer, nor wants the answer kept.
func (p pending) leave() {
	f, c := p.flight, p.flight.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiting--
	if f.waiting == 0 && c.flights[f.key] == f {
		delete(c.flights, f.key) // who comes now asks anew
		f.cancel()
	}
}

// close calls off all flights, and lets no others begin. Who waits does so no more,
// whether or not the Resolver heeds the end of its context.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for k, f := range c.flights {
		delete(c.flights, k)
		f.cancel()
		f.result = &result{err: net.ErrClosed}
		close(f.done)
	}
}

func (c *cache) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	answer, err, asked := c.lookup(ctx, f)
	answer, err = tidy(f.key.t, answer, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns.leave(f)
	if c.closed {
		return // who waited has been told
	}
	f.result = &result{*answer, err}
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
		if asked {
			c.keep(f)
		}
	}
	close(f.done)
}

// lookup asks the Resolver when it is the question's turn, and reports whether
// that came.
func (c *cache) lookup(ctx context.Context, f *flight) (answer *Answer, err error, asked bool) {
	name := f.key.prefix + f.key.name
	turn := time.NewTimer(questionFor)
	defer turn.Stop()
	select {
	case <-f.turn:
		if err := ctx.Err(); err != nil {
			return nil, err, false
		}
	case <-ctx.Done():
		return nil, ctx.Err(), false
	case <-turn.C:
		return nil, &net.DNSError{Err: "too many questions at once", Name: name, IsTimeout: true, IsTemporary: true}, false
	}
	within, cancel := context.WithTimeout(ctx, questionFor)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in a Resolver", "panic", p, "name", name, "type", f.key.t.String(), "stack", string(debug.Stack()))
			answer, err, asked = nil, &net.DNSError{Err: "the Resolver panicked", Name: name, IsTemporary: true}, true
		}
	}()
	answer, err = c.resolver.Lookup(within, name, f.key.t)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		err = timedOut(name)
	}
	return answer, err, true
}

// timedOut is the error of a question that took too long as a whole.
func timedOut(name string) error {
	return &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true, IsTemporary: true, UnwrapErr: os.ErrDeadlineExceeded}
}
