package iscomposing

import "time"

// A Sender is the state of a user who composes messages for one peer
// (RFC 3994 section 3.2, figure 1). The zero Sender is ready, with the default times.
// Change its fields only before the first call.
type Sender struct {
	// Refresh is the interval at which an active status is repeated as long as the
	// user goes on. 0 is 120 s; less than 60 s is 60 s, for it should be no shorter.
	// Negative: it is never repeated, and after 120 s the peer takes the user for
	// idle.
	Refresh time.Duration

	// Idle is for how long the user does nothing before an idle status is sent.
	// 0 is 15 s.
	Idle time.Duration

	// ContentType is what the user composes, as in Status.
	ContentType string

	active  bool
	stopped bool
	typed   time.Time // when the user last did something, if active
	refresh time.Time // when the active status is repeated, if active; zero: never
}

// An Output is what a Sender wants to be done.
type Output struct {
	Send *Status   // to be sent now; nil: nothing
	Next time.Time // when to call Tick; zero: never
}

const (
	defaultRefresh = 120 * time.Second // what a receiver assumes (RFC 3994 section 3.2)
	minRefresh     = 60 * time.Second
	defaultIdle    = 15 * time.Second
)

// Typed tells that the user has added or changed something.
func (s *Sender) Typed(now time.Time) Output {
	if s.stopped {
		return Output{}
	}
	s.typed = now
	if s.active {
		return s.repeat(now)
	}
	s.active = true
	return s.tell(now)
}

// Sent tells that the message was sent, which by itself says that the user is idle.
func (s *Sender) Sent() {
	s.active = false
}

// Tick tells the time.
func (s *Sender) Tick(now time.Time) Output {
	switch {
	case !s.active:
		return Output{}
	case !now.Before(s.idleAt()):
		s.active = false
		return Output{Send: &Status{LastActive: s.typed, ContentType: s.ContentType}}
	}
	return s.repeat(now)
}

// Stop tells that the peer does not understand a Status, and has answered 415: it gets no
// more of them (RFC 3994 section 4).
func (s *Sender) Stop() {
	s.active, s.stopped = false, true
}

// repeat tells that the user is active if that is due, and else says when it is.
func (s *Sender) repeat(now time.Time) Output {
	if !s.refresh.IsZero() && !now.Before(s.refresh) {
		return s.tell(now)
	}
	return Output{Next: s.next()}
}

// tell tells that the user is active.
func (s *Sender) tell(now time.Time) Output {
	status := &Status{Active: true, ContentType: s.ContentType}
	s.refresh = time.Time{}
	if interval := s.interval(); interval > 0 {
		status.Refresh = interval
		s.refresh = now.Add(interval)
	}
	return Output{Send: status, Next: s.next()}
}

// interval is that of refreshing, in whole seconds, for the document has no others.
func (s *Sender) interval() time.Duration {
	switch {
	case s.Refresh == 0:
		return defaultRefresh
	case s.Refresh < 0:
		return 0
	}
	return min(max(s.Refresh, minRefresh), maxRefresh).Truncate(time.Second)
}

func (s *Sender) next() time.Time {
	idle := s.idleAt()
	if s.refresh.IsZero() || idle.Before(s.refresh) {
		return idle
	}
	return s.refresh
}

func (s *Sender) idleAt() time.Time {
	if s.Idle <= 0 {
		return s.typed.Add(defaultIdle)
	}
	return s.typed.Add(s.Idle)
}
