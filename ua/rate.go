package ua

import (
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// rates are how many NOTIFYs per second a watcher wants (RFC 6446); 0 is what it
// does not say.
type rates struct {
	max, min, adaptive float64
}

// readRates reads those of an Event.
func readRates(p sip.Params) (r rates) {
	for name, rate := range map[string]*float64{"max-rate": &r.max, "min-rate": &r.min, "adaptive-min-rate": &r.adaptive} {
		if s, ok := p.Get(name); ok {
			*rate = parseRate(s)
		}
	}
	return r
}

// parseRate reads a rate (RFC 6446 section 9.2), 0 if it is none.
func parseRate(s string) float64 {
	whole, fraction, point := strings.Cut(s, ".")
	if !isDigits(whole, 2) || point && !isDigits(fraction, 10) {
		return 0
	}
	rate, _ := strconv.ParseFloat(s, 64)
	return rate
}

// isDigits reports whether s is 1 to most digits.
func isDigits(s string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// leastPeriod is the shortest time in which a watcher can have a NOTIFY sent again
// and again that says nothing new: it is us who pay for it.
const leastPeriod = 5 * time.Second

// adjusted returns the rates that a watcher gets, where interval is the shortest
// time between two NOTIFYs whatever it wants, and left how long its subscription
// lasts (sections 5.3, 6.3, 7.3 and 8).
func (r rates) adjusted(interval, left time.Duration) rates {
	if interval > 0 {
		r.max = min(r.max, perSecond(interval))
	}
	if r.max > 0 && left > 0 {
		r.max = max(r.max, perSecond(left))
	}
	most := perSecond(max(interval, leastPeriod))
	if r.max > 0 {
		most = min(most, r.max)
	}
	r.min, r.adaptive = min(r.min, most), min(r.adaptive, most)
	if r.adaptive > 0 && r.min >= r.adaptive {
		r.min = 0
	}
	return r
}

// interval returns the shortest time between two NOTIFYs.
func (r rates) interval(least time.Duration) time.Duration { return max(least, period(r.max)) }

// adaptivePeriods is over how many periods of its rate the adaptive minimum rate is
// reached ("period" of section 7.4, times the rate).
const adaptivePeriods = 10

// idle returns the longest time without a NOTIFY, 0 if there is none such. count is
// how many there were lately.
func (r rates) idle(count float64) time.Duration {
	longest := period(r.min)
	if r.adaptive > 0 {
		// timeout = count / (rate² · period), and period is adaptivePeriods / rate.
		timeout := max(period(r.max), time.Duration(count/(r.adaptive*adaptivePeriods)*float64(time.Second)))
		if longest == 0 || timeout < longest {
			longest = timeout
		}
	}
	return longest
}

// params adds the rates to those of a Subscription-State.
func (r rates) params(p sip.Params) sip.Params {
	for _, rate := range []struct {
		name  string
		value float64
	}{{"max-rate", r.max}, {"min-rate", r.min}, {"adaptive-min-rate", r.adaptive}} {
		if rate.value == 0 {
			continue
		}
		s := strconv.FormatFloat(rate.value, 'f', 10, 64)
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		if parseRate(s) > 0 { // too little to be written
			p = p.With(rate.name, s)
		}
	}
	return p
}

func perSecond(d time.Duration) float64 { return 1 / d.Seconds() }

// period returns the time between two at a rate, at most a day; 0 for 0.
func period(rate float64) time.Duration {
	const day = 24 * time.Hour
	switch {
	case rate == 0:
		return 0
	case rate < perSecond(day):
		return day
	}
	return time.Duration(float64(time.Second) / rate)
}
