package iscomposing

import "time"

// A Receiver is what is known of a peer who may be composing a message
// (RFC 3994 section 3.3, figure 2). The zero Receiver is ready, and its peer idle.
//
// Its methods return whether the peer is active, and if so, until when that holds
// unless something arrives: call Tick then. If the peer is idle that time is zero.
type Receiver struct {
	until time.Time // zero: idle
}

// Status tells that a status has arrived.
func (r *Receiver) Status(now time.Time, s Status) (active bool, next time.Time) {
	switch {
	case !s.Active:
		r.until = time.Time{}
	case s.Refresh > 0:
		r.until = now.Add(s.Refresh)
	default:
		r.until = now.Add(defaultRefresh)
	}
	return r.Tick(now)
}

// Content tells that a message has arrived.
func (r *Receiver) Content() {
	r.until = time.Time{}
}

// Tick tells the time.
func (r *Receiver) Tick(now time.Time) (active bool, next time.Time) {
	if !now.Before(r.until) {
		r.until = time.Time{}
	}
	return !r.until.IsZero(), r.until
}
