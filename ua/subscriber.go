package ua

import (
	"errors"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// subscriber is the subscriber of RFC 6665 section 4.1.2: it follows one
// subscription after the other, as the figure there goes from terminated back to
// init. It does no I/O and reads no clock. Its owner calls a method for what has
// happened, and step when the time has come that next names.
type subscriber struct {
	expires time.Duration // asked for; 0 fetches the state once (section 4.4.3)
	timerN  time.Duration // how long a NOTIFY is waited for: 64*T1
	single  bool          // not subscribed anew: a fork, or what a REFER began

	phase    subscriberPhase
	until    time.Time // when the subscription expires; zero: not said yet
	due      time.Time // when to subscribe, or to refresh
	deadline time.Time // of timer N; zero: stopped
	asked    time.Time // when the SUBSCRIBE was sent that is the last one
	began    time.Time // when the one was sent that began the subscription
	pending  bool      // the SUBSCRIBE is not answered yet
	heard    bool      // a NOTIFY came since it was sent
	told     bool      // likewise, and said when the subscription expires
	begun    bool      // a SUBSCRIBE was accepted, once
	leaving  bool      // the last SUBSCRIBE was one to unsubscribe
	raised   bool      // expires was, for a 423
	failures int       // in a row: subscriptions that were short or did not come about, and refreshes
}

type subscriberPhase int

const (
	subscriberIdle subscriberPhase = iota // init: a SUBSCRIBE is to be sent when it is due
	notifyWait
	subscribed // pending or active
	subscriberOver
)

// subscriberOutput is what the owner is to do.
type subscriberOutput struct {
	send bool  // a SUBSCRIBE: the first one of a dialog in notifyWait, else a refresh
	gone bool  // the subscription that was there is no more
	err  error // why it has failed or was lost; nil if that is as it should be
	end  bool  // there will be no other one: because of err, if it is not nil
}

// settled is how long a subscription lasts that was worth having. One that ends
// sooner is made anew as its reason wants it, but once only: then it takes longer
// each time, lest two machines subscribe and terminate as fast as they can.
const settled = time.Minute

// ErrNoNotify says that no NOTIFY came for a SUBSCRIBE in 64*T1, 32 seconds.
var ErrNoNotify = errors.New("ua: the notifier sent no NOTIFY")

// errExpired says that no refresh has come through in time.
var errExpired = errors.New("ua: the subscription has expired")

// next returns when to call step; zero: never.
func (m *subscriber) next() time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	switch m.phase {
	case subscriberIdle:
		return m.due
	case notifyWait, subscribed:
		if !m.pending { // timer F ends before timer N
			sooner(m.deadline)
		}
		if m.phase == subscribed && !m.leaving {
			sooner(m.until)
			if !m.pending {
				sooner(m.due)
			}
		}
	}
	return at
}

// step does what is due.
func (m *subscriber) step(now time.Time) subscriberOutput {
	reached := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch m.phase {
	case subscriberIdle:
		if !reached(m.due) {
			break
		}
		m.phase, m.began, m.until = notifyWait, now, time.Time{}
		return m.ask(now)
	case notifyWait:
		if !m.pending && reached(m.deadline) {
			return m.failed(now, ErrNoNotify, 0)
		}
	case subscribed:
		switch {
		case !m.pending && reached(m.deadline):
			return m.lost(now, ErrNoNotify)
		case m.leaving:
		case reached(m.until):
			return m.lost(now, errExpired)
		case !m.pending && reached(m.due):
			return m.ask(now)
		}
	}
	return subscriberOutput{}
}

// leave unsubscribes (section 4.1.2.3). It is for when there is a subscription.
func (m *subscriber) leave(now time.Time) subscriberOutput {
	m.leaving = true
	return m.ask(now)
}

// ask sends a SUBSCRIBE, and starts timer N (sections 4.1.2.2 and 4.1.2.4).
func (m *subscriber) ask(now time.Time) subscriberOutput {
	m.asked, m.deadline, m.pending, m.heard, m.told = now, now.Add(m.timerN), true, false, false
	return subscriberOutput{send: true}
}

// accepted takes a 2xx with its Expires, -1 if it has none. quiet says that no
// NOTIFY follows (204, RFC 5839 section 6), which is only so when there was one before,
// and after the last SUBSCRIBE means that it is over.
func (m *subscriber) accepted(now time.Time, expires time.Duration, quiet bool) subscriberOutput {
	m.pending, m.raised, m.begun = false, false, true
	if expires < 0 || expires > m.expires {
		expires = m.expires
	}
	// A NOTIFY that came first may have said less.
	switch until := now.Add(expires); {
	case expires == 0: // there is nothing to refresh: the NOTIFY that says so is waited for
		m.until, m.due = now.Add(m.timerN), time.Time{}
	case !m.told || until.Before(m.until):
		m.last(now, until)
	}
	if quiet && m.phase == subscribed {
		if m.leaving {
			return m.over(nil)
		}
		m.deadline = time.Time{}
	}
	m.calm(now)
	return subscriberOutput{}
}

// last notes when the subscription expires.
func (m *subscriber) last(now, until time.Time) {
	// The time that is left is told again and again, in whole seconds; the refresh
	// is not put off for that.
	const same = 2 * time.Second
	if d := until.Sub(m.until); m.until.IsZero() || d < -same || d > same || !m.due.After(m.asked) {
		m.due = now.Add(max(refreshIn(until.Sub(now)), leastRefresh(m.expires)))
	}
	m.until = until
}

// refused takes a final response that is no 2xx, or the error of a SUBSCRIBE that
// got none, which has status 0.
func (m *subscriber) refused(now time.Time, status sip.Status, err error, least, retryAfter time.Duration) subscriberOutput {
	m.pending = false
	if status == sip.StatusIntervalTooBrief && least > m.expires && m.expires > 0 && !m.raised && !m.heard {
		m.expires, m.raised = least, true // once (RFC 6665 section 4.2.1.1)
		return m.ask(now)
	}
	switch m.phase {
	case notifyWait:
		return m.failed(now, err, retryAfter)
	case subscribed:
		gone := dialog.EndsSubscription(sip.SUBSCRIBE, status)
		switch {
		case m.leaving && gone:
			return m.over(nil)
		case gone, m.leaving:
			return m.lost(now, err)
		case m.told:
			return subscriberOutput{} // who sends NOTIFYs has had it
		case errors.Is(err, transaction.ErrTimeout) && !m.heard:
			return m.lost(now, err) // timer N fires in the same moment
		}
		m.deadline = time.Time{} // nothing follows
		m.failures++
		m.due = now.Add(max(resubscribeIn(m.failures), retryAfter))
		return subscriberOutput{err: err}
	}
	return subscriberOutput{}
}

// notified takes the Subscription-State of a NOTIFY (section 4.1.3).
func (m *subscriber) notified(now time.Time, s sip.SubscriptionState) subscriberOutput {
	m.heard, m.begun = true, true
	if s.State == "terminated" || m.expires == 0 {
		return m.terminated(now, s)
	}
	if m.leaving {
		return subscriberOutput{} // it has crossed the SUBSCRIBE
	}
	m.deadline = time.Time{}
	if m.phase == notifyWait {
		m.phase = subscribed
	}
	switch seconds, ok := s.Expires(); {
	case ok:
		m.told = true
		// It may not be longer than what was asked for.
		m.last(now, now.Add(min(time.Duration(seconds)*time.Second, m.expires)))
	case m.until.IsZero():
		m.last(now, now.Add(m.expires)) // a peer of RFC 3265, or one that says it in the 2xx
	}
	m.calm(now)
	return subscriberOutput{}
}

// calm forgets what has failed before a subscription that lasts.
func (m *subscriber) calm(now time.Time) {
	if m.phase == subscribed && now.Sub(m.began) >= settled {
		m.failures = 0
	}
}

// terminated takes the end of a subscription, by the reason for it.
func (m *subscriber) terminated(now time.Time, s sip.SubscriptionState) subscriberOutput {
	var retryAfter time.Duration
	if seconds, ok := s.RetryAfter(); ok {
		retryAfter = time.Duration(seconds) * time.Second
	}
	reason := s.Reason()
	err := &TerminatedError{Reason: reason, RetryAfter: retryAfter}
	switch {
	case m.expires == 0, m.leaving: // as it should be
		return m.over(nil)
	case m.single, reason == "rejected", reason == "noresource", reason == "invariant":
		return m.over(err)
	case reason == "deactivated", reason == "timeout":
		m.anew(now, 0) // retry-after means nothing with these
	case reason == "probation", reason == "giveup":
		if retryAfter == 0 {
			retryAfter = resubscribeIn(m.failures + 1)
		}
		m.anew(now, min(retryAfter, longestRetry))
	default:
		m.anew(now, min(retryAfter, longestRetry))
	}
	if m.due.After(now) { // until then there is none
		return subscriberOutput{gone: true, err: err}
	}
	return subscriberOutput{gone: true}
}

// failed takes the end of a subscription that has not come about.
func (m *subscriber) failed(now time.Time, err error, retryAfter time.Duration) subscriberOutput {
	if m.single || m.leaving || !m.begun || m.expires == 0 || forGood(err) {
		return m.over(err)
	}
	m.failures++
	m.idle(now.Add(max(resubscribeIn(m.failures), retryAfter)))
	return subscriberOutput{gone: true, err: err}
}

// forGood reports whether there is no use in subscribing again.
func forGood(err error) bool {
	return errors.Is(err, sip.StatusForbidden) || errors.Is(err, sip.StatusBadEvent) ||
		errors.Is(err, sip.StatusDecline) || errors.Is(err, sip.StatusDoesNotExistAnywhere)
}

// resubscribeIn returns when to try again after some failures in a row, as for a
// registration but in half of the time: 15 to 30 s after the first, and up to half an
// hour.
func resubscribeIn(failures int) time.Duration { return retryIn(failures-1, 30*time.Second) }

// lost takes the end of a subscription that the notifier has not told of.
func (m *subscriber) lost(now time.Time, err error) subscriberOutput {
	if m.single || m.leaving {
		return m.over(err)
	}
	m.anew(now, 0)
	return subscriberOutput{gone: true, err: err}
}

// anew has a subscription made, in a dialog of its own, when in has passed, and
// later if the last ones were short.
func (m *subscriber) anew(now time.Time, in time.Duration) {
	if now.Sub(m.began) >= settled {
		m.failures = 0
	}
	if m.failures > 0 {
		in = max(in, resubscribeIn(m.failures))
	}
	m.failures++
	m.idle(now.Add(in))
}

func (m *subscriber) idle(due time.Time) {
	m.phase, m.due, m.deadline, m.pending, m.raised = subscriberIdle, due, time.Time{}, false, false
}

func (m *subscriber) over(err error) subscriberOutput {
	m.phase, m.pending = subscriberOver, false
	return subscriberOutput{gone: true, err: err, end: true}
}
