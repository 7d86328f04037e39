package transport

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ownBytes is what each connection may hold whatever the others do. A usual
// message fits, coming or going, so that those who fill Config.MaxBytes keep
// nobody from what is usual.
const ownBytes = 16 << 10

var (
	// errNoRoom is what a send gets where there is no room, not for want of a
	// peer that reads.
	errNoRoom = fmt.Errorf("%w: all connections together have reached Config.MaxBytes", ErrBacklog)
	// errCrowded is what ends a connection whose message does not fit.
	errCrowded = errors.New("transport: unfinished message finds no room below Config.MaxBytes")
)

// room is what the connections of an Endpoint hold together, beyond what each of
// them has to itself. Nobody waits for it.
type room struct {
	limit int64 // in bytes; less than 0: none
	taken atomic.Int64
}

// fits reports whether n bytes are there to be taken.
func (r *room) fits(n int) bool { return r.limit < 0 || r.taken.Load()+int64(n) <= r.limit }

// take takes n bytes, if they are there. Each is to be given back.
func (r *room) take(n int) bool {
	for {
		taken := r.taken.Load()
		if r.limit >= 0 && taken+int64(n) > r.limit {
			return false
		}
		if r.taken.CompareAndSwap(taken, taken+int64(n)) {
			return true
		}
	}
}

func (r *room) give(n int) { r.taken.Add(-int64(n)) }

// beyond returns how many of n bytes more a connection has to share with others.
// c.mu is held.
func (c *conn) beyond(n int) int {
	return max(0, c.held+n-ownBytes) - max(0, c.held-ownBytes)
}

// hold notes that a connection holds n bytes more, if there is room for them.
// c.mu is held.
func (c *conn) hold(n int) bool {
	if shared := c.beyond(n); shared > 0 && !c.e.room.take(shared) {
		return false
	}
	c.held += n
	return true
}

// drop notes that a connection holds n bytes less. c.mu is held.
func (c *conn) drop(n int) {
	if shared := -c.beyond(-n); shared > 0 {
		c.e.room.give(shared)
	}
	c.held -= n
}

// holdPart notes how many bytes the message takes that is coming in, 0: none is.
// An error is what ends the connection. It is the reading goroutine's to call.
func (c *conn) holdPart(n int) error {
	if n == c.part {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n < c.part {
		c.drop(c.part - n)
	} else if !c.hold(n - c.part) {
		return errCrowded
	}
	c.part = n
	return nil
}
