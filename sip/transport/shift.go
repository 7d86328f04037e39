package transport

import "sync/atomic"

// A shift is what Close knows of the goroutine that reads a socket or a
// connection: whether it is with the program. Close waits for it otherwise, but
// not for a function of the program's, which may be the one that calls Close.
// Where another goroutine reads on it takes over the shift.
type shift struct{ atomic.Int32 }

const (
	shiftOn   = iota
	shiftAway // with the program
	shiftOver // Close does not wait for it any more
)

// clockIn counts a goroutine that reads. e.mu is held.
func (e *Endpoint) clockIn(s *shift) {
	e.tasks.Add(1)
	e.shifts[s] = struct{}{}
}

// clockOut counts it out.
func (e *Endpoint) clockOut(s *shift) {
	e.mu.Lock()
	delete(e.shifts, s)
	e.mu.Unlock()
	if s.Swap(shiftOver) != shiftOver {
		e.tasks.Done()
	}
}

// dismiss has nobody wait for those that are with the program. e.mu is held.
func (e *Endpoint) dismiss() {
	for s := range e.shifts {
		if s.CompareAndSwap(shiftAway, shiftOver) {
			e.tasks.Done()
		}
	}
}

// leave says that the goroutine goes to the program.
func (s *shift) leave() { s.CompareAndSwap(shiftOn, shiftAway) }

// depart is leave of one who has nothing to come back for. Once Close has begun
// nobody waits for that one either: Close sees to those that have left before.
func (e *Endpoint) depart(s *shift) {
	s.leave()
	if e.ctx.Err() != nil && s.CompareAndSwap(shiftAway, shiftOver) {
		e.tasks.Done()
	}
}

// back says that it has come back, or that another one reads on.
func (s *shift) back() { s.CompareAndSwap(shiftAway, shiftOn) }
