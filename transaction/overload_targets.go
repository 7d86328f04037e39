package transaction

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/sip"
)

// maxThrottles bounds the servers of which something is remembered.
const maxThrottles = 1024

// targets are the throttles of all servers that requests go to. A server is an
// address and a port (RFC 7339 section 5.4).
type targets struct {
	rand func() float64
	any  atomic.Bool // there are some

	mu        sync.Mutex
	throttles recent[netip.AddrPort, throttle]
}

// learn takes what a server says in a response, and whether that is the final one
// to its request.
func (t *targets) learn(now time.Time, server netip.AddrPort, oc sip.OverloadControl, final bool) {
	news := !oc.Offer && oc.Validity > 0
	if !news && !t.any.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	th := t.throttles.get(server)
	if th == nil && !news {
		return
	}
	th = t.entry(th, server)
	if final {
		th.judge(now, !oc.Offer)
	}
	th.learn(now, oc)
	t.tidy(now, server, th)
}

// allow reports whether a request may be sent to a server now. spared says whether
// it is to go before others, with a server that is closed or only wants less.
func (t *targets) allow(now time.Time, server netip.AddrPort, spared func(closed bool) bool) bool {
	if !t.any.Load() {
		return true
	}
	// The user is asked without the lock.
	active, closed := t.state(now, server)
	is := active && spared(closed)
	t.mu.Lock()
	defer t.mu.Unlock()
	th := t.throttles.get(server)
	if th == nil {
		return true
	}
	ok := th.allow(now, is)
	t.tidy(now, server, th)
	return ok
}

// state reports whether a server has requests held back, so that it matters which,
// and whether it wants none.
func (t *targets) state(now time.Time, server netip.AddrPort) (active, closed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	th := t.throttles.get(server)
	return th != nil && th.active(now), th != nil && th.isClosed()
}

// failed says that a request to a server came to nothing, answered that one was
// answered.
func (t *targets) failed(now time.Time, server netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry(t.throttles.get(server), server).failed(now)
}

func (t *targets) answered(now time.Time, server netip.AddrPort) {
	if !t.any.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if th := t.throttles.get(server); th != nil {
		th.answered()
		t.tidy(now, server, th)
	}
}

// entry returns th, or a new entry if that is nil.
func (t *targets) entry(th *throttle, server netip.AddrPort) *throttle {
	if th == nil {
		th = t.throttles.add(server, newThrottle(t.rand))
		t.any.Store(true)
	}
	return th
}

// tidy forgets a server of which there is nothing to remember.
func (t *targets) tidy(now time.Time, server netip.AddrPort, th *throttle) {
	if th.isIdle(now) {
		t.throttles.remove(server)
		t.any.Store(t.throttles.len() > 0)
	}
}
