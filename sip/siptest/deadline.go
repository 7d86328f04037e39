package siptest

import "time"

// A deadline is the time at which what waits gives up. Network.mu guards it.
type deadline struct {
	at    time.Time // zero: none
	timer *time.Timer
}

// set moves the deadline to t; the zero time takes it away. When it comes, wake
// runs in the timer's goroutine, which ends with it. Each deadline has one wake.
func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at = time.Time{}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	d.at = time.Now().Add(wait) // on the monotonic clock, as the timer is
	switch {
	case wait <= 0:
	case d.timer == nil:
		d.timer = time.AfterFunc(wait, wake)
	default:
		d.timer.Reset(wait)
	}
}

func (d *deadline) passed() bool {
	return !d.at.IsZero() && !time.Now().Before(d.at)
}
