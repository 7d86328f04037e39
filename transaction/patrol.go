package transaction

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A patrol sees to handlers that run on the goroutine that reads their socket.
// That saves waking another one, which costs more than all the rest of a
// request, but the socket waits for the handler. A handler that asks for its
// context is about to wait, so another goroutine reads on from there. Where
// handlers take their time otherwise they get goroutines of their own for a while;
// one that is still at it when the patrol comes by has the socket read on.
type patrol struct {
	off atomic.Int64 // until when that is so, in ns since 1970

	mu      sync.Mutex
	running []*Server     // one for each socket at most
	passed  bool          // a handler has run since the last round
	busy    time.Duration // that they took since then, with the reading
	last    time.Time     // that round
	lost    time.Duration // to slow handlers, as it stood
	counted time.Time     // at this time
	pause   time.Duration // how long off was set for last
	timer   *time.Timer   // for the next round
	armed   bool
}

const (
	// round is how often the patrol comes by while there is something to see
	// to. A thread is woken for it, so it must not be too often.
	round = 20 * time.Millisecond

	// slow is more than a handler takes that does not wait. A busy machine makes
	// one of them slow now and then, so slow ones may have one part in slowParts of
	// the time: twice of what was lost so with both processors taken by others.
	// What they take beyond that is lost, and maxLost is too much.
	slow      = time.Millisecond
	slowParts = 50
	maxLost   = round

	// A pause is doubled each time that trouble comes back within its length.
	minPause = time.Second
	maxPause = time.Minute

	// rush is how long handlers get goroutines of their own because the sockets
	// were busy for a whole round: they are read faster if somebody else runs
	// the handlers.
	rush = 5 * round
)

// allows reports whether the handler of a request that was read at that time is
// to run on the goroutine that has read it.
func (p *patrol) allows(now time.Time) bool { return now.UnixNano() > p.off.Load() }

// enter begins to watch a handler.
func (p *patrol) enter(s *Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, s)
	p.passed = true
	if p.armed {
		return
	}
	p.armed, p.last = true, s.in.Time
	if p.timer == nil {
		p.timer = time.AfterFunc(round, p.look)
	} else {
		p.timer.Reset(round)
	}
}

// leave ends that.
func (p *patrol) leave(s *Server) {
	now := time.Now()
	took := now.Sub(s.in.Time)
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.running, s)
	if i < 0 {
		return // dismissed
	}
	p.running = slices.Delete(p.running, i, i+1)
	p.busy += took
	if took < slow {
		return
	}
	p.lost = max(0, p.lost-now.Sub(p.counted)/slowParts) + took
	p.counted = now
	if p.lost >= maxLost {
		p.lost = maxLost // which a rest of a second makes up for
		p.rest(now)
	}
}

// rest gives handlers goroutines of their own for a while. p.mu is held.
func (p *patrol) rest(now time.Time) {
	p.pause = min(max(2*p.pause, minPause), maxPause)
	if off := time.Unix(0, p.off.Load()); now.Sub(off) > p.pause {
		p.pause = minPause
	}
	p.off.Store(now.Add(p.pause).UnixNano())
}

// look is a round.
func (p *patrol) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	stuck := false
	p.running = slices.DeleteFunc(p.running, func(s *Server) bool {
		is := now.Sub(s.in.Time) >= round/2
		if is {
			s.in.Detach()
			stuck = true
		}
		return is
	})
	switch {
	case stuck:
		p.rest(now)
	case p.busy > now.Sub(p.last)*3/4:
		p.off.Store(max(p.off.Load(), now.Add(rush).UnixNano()))
	}
	if p.armed = p.passed || len(p.running) > 0; p.armed {
		p.timer.Reset(round)
	}
	p.passed, p.busy, p.last = false, 0, now
}

// dismiss has another goroutine read on, because the handler is going to block.
func (p *patrol) dismiss(s *Server) {
	p.mu.Lock()
	i := slices.Index(p.running, s)
	if i >= 0 {
		p.running = slices.Delete(p.running, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		s.in.Detach()
	}
}

// dismissAll does so for all handlers.
func (p *patrol) dismissAll() {
	p.off.Store(1<<63 - 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.running {
		s.in.Detach()
	}
	p.running = nil
}
