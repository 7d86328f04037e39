package ua

import (
	"math"
	"strconv"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// notifying is a subscription as its notifier has it (RFC 6665 section 4.2.2, RFC
// 6446): it says when a NOTIFY is to be sent, and what it is to say of the
// subscription. There is one at a time: what changes until it is answered is told
// in the next. It does no I/O and reads no clock.
type notifying struct {
	state      string // "pending", "active" or "terminated"; "" before open
	reason     string // of the end
	retryAfter time.Duration
	seen       bool // the watcher may see the state, or could when it ended
	ends       bool // terminate came before open
	over       bool // the last NOTIFY was sent, or there is no use in it

	until    time.Time     // when the subscription expires
	interval time.Duration // the least between two NOTIFYs, whatever is asked for
	rates    rates

	changed  bool      // there is something to tell
	urgent   bool      // however soon after the last one
	full     bool      // all of it, and not what has changed
	busy     bool      // one is being sent, or not answered
	asking   int       // SUBSCRIBEs that are not answered yet: what they ask for follows the answer
	sent     time.Time // when the last one was; zero: none was
	count    float64   // of those sent lately
	after    time.Time // not before this: the last one has failed
	failures int       // in a row
}

// due reports whether a NOTIFY is to be sent now, and else when to ask again; zero:
// when something has happened. ended says that the subscription has just expired.
func (m *notifying) due(now time.Time) (send bool, next time.Time, ended bool) {
	if m.state != "terminated" && !now.Before(m.until) {
		m.terminate("timeout", 0) // RFC 6665 section 4.2.1.4
		ended = true
	}
	if m.busy || m.over || m.asking > 0 {
		return false, time.Time{}, ended
	}
	var at time.Time
	switch idle := m.rates.idle(m.count); {
	case m.urgent:
		at = now
	case m.changed:
		at = m.sent.Add(m.rates.interval(m.interval))
	case idle > 0 && m.state == "active":
		at = m.sent.Add(idle)
	default:
		return false, m.until, ended
	}
	if m.state != "terminated" && at.Before(m.after) {
		at = m.after
	}
	if !at.After(now) {
		return true, time.Time{}, ended
	}
	if m.until.Before(at) {
		at = m.until
	}
	return false, at, ended
}

// asked takes a SUBSCRIBE that was granted until then; it is to be answered with all
// there is, at once (RFC 6665 section 4.2.1.2, RFC 6446 section 5.2).
func (m *notifying) asked(now, until time.Time, wants rates) {
	m.until, m.rates = until, wants.adjusted(m.interval, until.Sub(now))
	m.changed, m.urgent, m.full, m.failures, m.after = true, true, true, 0, time.Time{}
	if !until.After(now) {
		m.terminate("timeout", 0) // a fetch, or the end of it (sections 4.2.1.4 and 4.4.3)
	}
}

// open begins the subscription: it is active or pending, or what activate and terminate
// have said before.
func (m *notifying) open(pending bool) {
	m.seen = m.seen || !pending
	m.state = "pending"
	if m.seen {
		m.state = "active"
	}
	if m.ends {
		m.terminate(m.reason, m.retryAfter)
	}
}

// activate lets a pending watcher see the state.
func (m *notifying) activate() bool {
	switch m.state {
	case "":
		m.seen = true
		return false
	case "pending":
	default:
		return false
	}
	m.state, m.seen, m.changed, m.urgent, m.full = "active", true, true, true, true
	return true
}

// terminate ends the subscription.
func (m *notifying) terminate(reason string, retryAfter time.Duration) bool {
	switch {
	case m.state == "terminated", m.state == "" && m.ends:
		return false
	case m.state == "":
		m.ends, m.reason, m.retryAfter = true, reason, retryAfter
		return false
	}
	m.state, m.reason, m.retryAfter, m.changed, m.urgent = "terminated", reason, retryAfter, true, true
	return true
}

// begin notes that a NOTIFY is made now, and returns what it says.
func (m *notifying) begin(now time.Time) sip.SubscriptionState {
	if m.rates.adaptive > 0 {
		// A rolling average: so many, of which the old ones count less and less.
		if m.count == 0 {
			m.count = adaptivePeriods // as if it had been like that before
		} else {
			m.count = m.count*math.Exp(-now.Sub(m.sent).Seconds()*m.rates.adaptive/adaptivePeriods) + 1
		}
	}
	m.busy, m.changed, m.urgent, m.sent = true, false, false, now
	var params sip.Params
	if m.state != "terminated" {
		left := max(m.until.Sub(now)+time.Second-1, 0) / time.Second
		params = params.With("expires", strconv.FormatInt(int64(left), 10))
		return sip.SubscriptionState{State: m.state, Params: m.rates.params(params)}
	}
	if m.reason != "" {
		params = params.With("reason", m.reason)
	}
	if m.retryAfter > 0 {
		after := min((m.retryAfter+time.Second-1)/time.Second, math.MaxUint32)
		params = params.With("retry-after", strconv.FormatInt(int64(after), 10))
	}
	return sip.SubscriptionState{State: m.state, Params: params}
}

// done takes what came of the NOTIFY that has said that: the status of the response,
// 0 if there is none, or that the watcher is lost, because nobody has answered. ended
// says that the subscription has ended by it.
func (m *notifying) done(now time.Time, said string, status sip.Status, lost bool, retryAfter time.Duration) (ended bool) {
	m.busy = false
	switch {
	case said == "terminated":
		m.over = true
	case status.Success():
		m.failures, m.after = 0, time.Time{}
	case lost, dialog.EndsSubscription(sip.NOTIFY, status):
		ended = m.terminate("timeout", 0)
		m.over = true
	default:
		// It is kept, and what was to be told is told later.
		m.failures++
		m.changed, m.urgent, m.full = true, true, true
		m.after = now.Add(max(resubscribeIn(m.failures), retryAfter))
	}
	return ended
}
