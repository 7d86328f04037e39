package proxy

import (
	"sync"
	"time"

	"github.com/goparley/parley/sip"
)

// later finds the server transaction of an INVITE whose 2xx comes again, or comes
// from another fork further on, after its branch has ended (RFC 3261 section 16.7
// step 5). Beside the INVITEs that are under way there is a table of those that
// were accepted of late, and one of those before. Both move on after a time, and
// with them goes what is longer over than a client transaction waits (timer M of
// RFC 6026). One timer does it, while there is something to forget.
type later struct {
	mu       sync.Mutex
	hold     time.Duration
	now      map[*sip.Request]*Server
	of, past map[*sip.Request]*Server
	moving   *time.Timer
	closed   bool
}

// add notes by which transaction an INVITE came that is forwarded.
func (l *later) add(invite *sip.Request, s *Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == nil {
		l.now = map[*sip.Request]*Server{}
	}
	l.now[invite] = s
}

// end is for an INVITE whose branch has ended: one with a 2xx is found for as
// long as that may come again.
func (l *later) end(invite *sip.Request, success bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.now[invite]
	delete(l.now, invite)
	if !success || s == nil || l.closed {
		return
	}
	if l.of == nil {
		l.of = map[*sip.Request]*Server{}
	}
	l.of[invite] = s
	if l.moving == nil {
		l.hold = s.Layer().Timers().M + time.Second
		l.moving = time.AfterFunc(l.hold, l.move)
	}
}

// find returns the transaction of an INVITE, nil if it is not known any more.
func (l *later) find(invite *sip.Request) *Server {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, table := range []map[*sip.Request]*Server{l.now, l.of, l.past} {
		if s := table[invite]; s != nil {
			return s
		}
	}
	return nil
}

// move forgets what was there when it was last called.
func (l *later) move() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.past, l.of = l.of, nil
	if len(l.past) == 0 || l.closed {
		l.past, l.moving = nil, nil
		return
	}
	l.moving.Reset(l.hold)
}

// close forgets everything.
func (l *later) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.of, l.past = true, nil, nil
	if l.moving != nil {
		l.moving.Stop()
	}
}

// accepted passes on a 2xx that comes after the first one of its branch. Once the
// server transaction is gone it goes nowhere (RFC 6026 section 7.3).
func (p *Proxy) accepted(invite *sip.Request, resp *sip.Response) {
	s := p.later.find(invite)
	if s == nil {
		return
	}
	if up := s.back(resp); up != nil {
		if err := s.Respond(up); err != nil {
			p.log.Debug("response not forwarded", "error", err, "call-id", resp.CallID())
		}
	}
}
