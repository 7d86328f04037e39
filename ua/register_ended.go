package ua

import (
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"
)

// ending is the word of the registrar that a binding is gone: by an event of RFC 3680
// section 5.1, with which probation may say when to try again.
type ending struct {
	b          *binding
	event      string
	retryAfter time.Duration
}

// errRemoved says that the registrar has ended a binding, which is made again.
var errRemoved = errors.New("ua: binding ended by the registrar")

// toldEnded takes what the registrar says that has ended. The registration is over with
// its last binding, if that was rejected or removed by somebody; a flow among several
// is made again later. Events that are none of an end change nothing.
func (r *Registration) toldEnded(all []ending) {
	var over error
	for _, e := range all {
		if e.event == "rejected" || e.event == "unregistered" {
			e.b.lost()
			over = fmt.Errorf("%w: %s", ErrUnregistered, e.event)
		}
	}
	if over != nil && !r.isBound() {
		r.over(over)
		return
	}
	for _, e := range all {
		switch e.event {
		case "expired", "deactivated":
			// The registrar wants us back (section 4.7.1). It has told others, too.
			e.b.again(e.event, mathrand.N(soon))
		case "probation":
			if e.retryAfter == 0 {
				e.retryAfter = retryIn(0, 30*time.Second)
			}
			e.b.again(e.event, min(e.retryAfter, longestRetry))
		case "rejected", "unregistered":
			e.b.again(e.event, retryIn(1, 90*time.Second)) // as after a failure where another flow is up (RFC 5626 section 4.5)
		}
	}
}

// soon is within what a binding is made again that the registrar wants back.
const soon = 2 * time.Second

// isBound reports whether there is a binding, as far as is known.
func (r *Registration) isBound() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.until())
}

// again makes a binding anew that the registrar has ended, after a while. The program is
// told if that is long.
func (b *binding) again(event string, in time.Duration) {
	b.lost()
	b.r.mu.Lock()
	in = b.later(time.Now(), in)
	b.err = fmt.Errorf("%w: %s", errRemoved, event)
	over, err := b.r.closed != nil || b.r.ended != nil, b.err
	b.r.mu.Unlock()
	b.schedule(in)
	if in > soon && !over {
		b.r.tell(err, in)
	}
}

// shorten takes the word of the registrar that the binding lasts no longer than that.
func (b *binding) shorten(life time.Duration) {
	now := time.Now()
	b.r.mu.Lock()
	until := now.Add(life)
	sooner := until.Before(b.until)
	in := refreshIn(life)
	if sooner {
		b.until = until
		in = b.later(now, in)
	}
	b.r.mu.Unlock()
	if sooner {
		b.schedule(in)
	}
}

// later returns when to do what the registrar wants done about a binding: later each time
// that it comes soon after the last REGISTER, lest the two of them go on as fast as they
// can. r.mu is held.
func (b *binding) later(now time.Time, in time.Duration) time.Duration {
	if now.Sub(b.since) >= settled {
		b.ends = 0
	}
	if b.ends > 0 {
		in = max(in, retryIn(b.ends-1, 30*time.Second))
	}
	b.ends++
	return in
}

// over ends the registration without a REGISTER, and has the program told.
func (r *Registration) over(err error) {
	r.mu.Lock()
	if r.closed != nil || r.ended != nil {
		r.mu.Unlock()
		return
	}
	r.ended = err
	for _, b := range r.bindings {
		b.stop()
	}
	r.mu.Unlock()
	r.forget()
	for _, b := range r.all() {
		b.leave()
	}
	r.tell(err, 0)
}
