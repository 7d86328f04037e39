package dialog

import (
	"time"

	"github.com/goparley/parley/sip"
)

// SessionTimer has the options of session timers (RFC 4028): a call is refreshed
// by one side from time to time, and ended by either when that has stopped.
type SessionTimer struct {
	// Interval is how long a call may go without a refresh, in whole seconds;
	// half of it is how often it is refreshed. Zero means 30 minutes.
	Interval time.Duration
	// Min is the least that a peer may ask for, in whole seconds. Zero means 90 s;
	// less is not allowed (section 5), and may do in a test.
	Min time.Duration
	// Refresh is called, in a goroutine of its own, when it is our turn to refresh
	// a call whose peer has not said that it knows UPDATE, or has refused one with 405
	// or 501: it is to send an INVITE with the description that was sent last, and
	// whatever else that takes. A panic in it is logged. nil has UPDATE sent all the
	// same.
	Refresh func(s *Session)
}

const (
	defaultInterval = 30 * time.Minute
	leastInterval   = 90 * time.Second // RFC 4028 section 4
	// maxIntervals bounds how often a request is sent again with a longer interval.
	maxIntervals = 4
)

func (t *SessionTimer) interval() time.Duration {
	if t.Interval == 0 {
		return max(defaultInterval, t.min())
	}
	return max(t.Interval, t.min())
}

func (t *SessionTimer) min() time.Duration {
	if t.Min == 0 {
		return leastInterval
	}
	return max(t.Min, time.Second)
}

func inSeconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// minSE is what a 422 says.
func (l *Layer) minSE() sip.MinSE { return sip.MinSE(inSeconds(l.cfg.SessionTimer.min())) }

// timer is the session timer of a call that has one.
type timer struct {
	interval time.Duration
	refresh  bool      // by us
	since    time.Time // of the last 2xx to a request that refreshes
	next     *time.Timer
	tries    int // to refresh, since then
}

// goodbyeAt returns when a call ends that was not refreshed: a third of the
// interval, but no more than 32 s, before that is over (RFC 4028 section 10).
func (t *timer) goodbyeAt() time.Time {
	return t.since.Add(t.interval - min(32*time.Second, t.interval/3))
}

// nextAt returns when there is something to do. A refresh is due at half of the
// interval, and one that was refused is tried again at half of what is left.
func (t *timer) nextAt(now time.Time) time.Time {
	end := t.goodbyeAt()
	if !t.refresh {
		return end
	}
	if t.tries == 0 {
		return t.since.Add(t.interval / 2)
	}
	if left := end.Sub(now) / 2; left > time.Second {
		return now.Add(left)
	}
	return end
}

// timed returns an INVITE or UPDATE of ours with what it says of the session timer
// (RFC 4028 sections 7.1 and 7.4), unless it says something itself: ours is false then.
// It is called with s.mu held.
func (s *Session) timed(req *sip.Request) (_ *sip.Request, ours bool) {
	cfg := s.l.cfg.SessionTimer
	if _, said := req.Value("Session-Expires"); cfg == nil || said {
		return req, false
	}
	interval, refresher := cfg.interval(), sip.Params("")
	if t := s.timer; t != nil {
		interval, refresher = t.interval, ";refresher=uas"
		if t.refresh {
			refresher = ";refresher=uac"
		}
	}
	return timed(req, cfg, interval, s.minSE, refresher), true
}

// timed is that where said is the largest Min-SE that 422 responses, and requests of the
// peer, have named: it is repeated, also if it is the one that is meant without (section
// 7.4).
func timed(req *sip.Request, cfg *SessionTimer, interval, said time.Duration, refresher sip.Params) *sip.Request {
	least := max(said, cfg.min())
	edits := []sip.Edit{
		including[sip.Supported](req, sip.OptionTimer),
		sip.SessionExpires{Seconds: inSeconds(max(interval, least)), Params: refresher},
	}
	if said > 0 || least > leastInterval {
		edits = append(edits, sip.MinSE(inSeconds(least)))
	}
	return req.With(edits...)
}

// longer reports whether an INVITE or UPDATE of ours was refused because its interval is
// too short, so that it may be sent again with a longer one if the interval was ours
// (section 7.3). It notes what to ask for at least.
func (l *Layer) longer(minSE *time.Duration, ours bool, resp *sip.Response, err error) bool {
	if err != nil || resp == nil || resp.Status() != sip.StatusSessionIntervalTooSmall || l.cfg.SessionTimer == nil {
		return false
	}
	least, err := sip.Get[sip.MinSE](resp)
	longer := time.Duration(least) * time.Second
	if err != nil || longer <= *minSE {
		return false
	}
	*minSE = longer
	return ours
}

func (s *Session) longer(ours bool, resp *sip.Response, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.l.longer(&s.minSE, ours, resp, err)
}

// tooShort reports whether the peer asks for an interval that is too short for us
// (section 9), and notes the least that it names, which a refusal does not change. It is
// called with s.mu held.
func (s *Session) tooShort(req *sip.Request) bool {
	cfg := s.l.cfg.SessionTimer
	s.minSE = max(s.minSE, minSEOf(req))
	if cfg == nil || !lists[sip.Supported](req, sip.OptionTimer) {
		return false
	}
	se, err := sip.Get[sip.SessionExpires](req)
	return err == nil && time.Duration(se.Seconds)*time.Second < cfg.min()
}

// minSEOf returns the Min-SE of a request; 0: there is none.
func minSEOf(req *sip.Request) time.Duration {
	least, _ := sip.Get[sip.MinSE](req)
	return time.Duration(least) * time.Second
}

// timedAnswer returns our 2xx to an INVITE or UPDATE of the peer with what it says of
// the session timer (section 9, table 2), unless it says something itself. What a proxy
// asks for on behalf of a peer without timers may be too short for us, and is taken: to
// refuse it would cost the call (section 8.1). What is less than there may be, or than the
// Min-SE beside it, can neither be granted nor raised: then there is no timer. A 422 would
// not help where a proxy has made it so, and would again. It is called with s.mu held.
func (s *Session) timedAnswer(req *sip.Request, resp *sip.Response) *sip.Response {
	cfg := s.l.cfg.SessionTimer
	supported := lists[sip.Supported](req, sip.OptionTimer)
	asked, err := sip.Get[sip.SessionExpires](req)
	if _, said := resp.Value("Session-Expires"); cfg == nil || said || err != nil && !supported {
		return resp
	}
	least := max(minSEOf(req), min(leastInterval, cfg.min()))
	interval := max(cfg.interval(), least)
	if err == nil { // never more than was asked for
		interval = min(interval, time.Duration(asked.Seconds)*time.Second)
	}
	if interval < least {
		return resp
	}
	refresher := "uas" // for who asks cannot do it: it was a proxy
	if supported && asked.Refresher() != "uas" {
		refresher = "uac"
	}
	edits := []sip.Edit{sip.SessionExpires{Seconds: inSeconds(interval), Params: sip.Params(";refresher=" + refresher)}}
	if supported {
		edits = append(edits, including[sip.Require](resp, sip.OptionTimer))
	}
	return resp.With(edits...)
}

// timerAgreed takes a 2xx to an INVITE or UPDATE, and who has sent that request:
// from here on the call lasts for the interval that it names. Without one there is
// no timer any more. It is called with s.mu held.
func (s *Session) timerAgreed(resp *sip.Response, from side) {
	se, err := sip.Get[sip.SessionExpires](resp)
	if err != nil || se.Seconds == 0 || s.over {
		s.stopTimer()
		return
	}
	if s.timer == nil {
		s.timer = &timer{}
	}
	t := s.timer
	t.interval, t.since, t.tries = time.Duration(se.Seconds)*time.Second, time.Now(), 0
	least := leastInterval // less would have us refresh without pause
	t.refresh = false
	if cfg := s.l.cfg.SessionTimer; cfg != nil {
		least = min(least, cfg.min())
		t.refresh = se.Refresher() == "" || (se.Refresher() == "uac") == (from == local)
	}
	t.interval = max(t.interval, least)
	s.startTimer()
}

// startTimer is called with s.mu held.
func (s *Session) startTimer() {
	t := s.timer
	wait := time.Until(t.nextAt(time.Now()))
	if t.next == nil {
		t.next = time.AfterFunc(wait, func() { s.timerFired(t) })
	} else {
		t.next.Reset(wait)
	}
}

// stopTimer is called with s.mu held.
func (s *Session) stopTimer() {
	if s.timer != nil {
		s.timer.next.Stop()
		s.timer = nil
	}
}

// timerFired refreshes the call, or ends it. Its goroutine ends with the request.
func (s *Session) timerFired(t *timer) {
	defer s.l.fence()
	s.mu.Lock()
	now := time.Now()
	switch {
	case s.timer != t || s.over:
		s.mu.Unlock()
		return
	case !now.Before(t.goodbyeAt()):
		s.mu.Unlock()
		s.hangUp(ErrNotRefreshed)
		return
	case now.Before(t.nextAt(t.since)): // it was refreshed in this moment
		s.startTimer()
		s.mu.Unlock()
		return
	}
	t.tries++
	// What becomes of it is seen by timerAgreed, or not at all.
	s.startTimer()
	update := s.updates
	s.mu.Unlock()
	refresh := s.l.cfg.SessionTimer.Refresh
	if refresh == nil || update {
		resp, err := s.Do(s.l.ctx, sip.UPDATE)
		if refresh == nil || err != nil ||
			resp.Status() != sip.StatusMethodNotAllowed && resp.Status() != sip.StatusNotImplemented {
			return
		}
		// Its Allow may be that of somebody on the way.
		s.mu.Lock()
		s.updates = false
		s.mu.Unlock()
	}
	refresh(s)
}
