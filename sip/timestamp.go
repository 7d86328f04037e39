package sip

import (
	"strconv"
	"time"
)

// Timestamp is the Timestamp header field: when a request was sent, and in a
// response how long the answer took (RFC 3261 sections 8.2.6.1 and 20.38). Reply
// puts that of the request into a 100.
type Timestamp struct {
	// Time is the sender's clock in seconds, "54" or "1282321615.782". It is text
	// because it goes back to the sender as it came, and only the sender knows
	// where its clock began.
	Time string

	// Delay is what lay between the request and the response, less than 2^32
	// seconds; 0 is not written.
	Delay time.Duration
}

// HeaderName returns "Timestamp".
func (Timestamp) HeaderName() string { return "Timestamp" }

// ParseValue reads a Timestamp.
func (Timestamp) ParseValue(s string) (h Timestamp, err error) {
	c := scanner{s: s}
	if c.digits() == "" {
		c.fail("expected a number of seconds")
	}
	if c.peek() == '.' {
		c.pos++
		c.digits()
	}
	if h.Time = s[:c.pos]; c.pos < len(s) {
		c.space("the delay")
		h.Delay = c.delay()
	}
	return scanned(&c, h)
}

// delay takes seconds with decimals, of which neither must be there.
func (c *scanner) delay() time.Duration {
	from := c.pos
	seconds, ok := number(orZero(c.digits()), 1<<32-1)
	if !ok {
		c.pos = from
		c.fail("expected a delay below 4294967296 seconds")
	}
	d := time.Duration(seconds) * time.Second
	if c.peek() == '.' {
		c.pos++
		decimal := time.Second / 10
		for _, digit := range []byte(c.digits()) {
			d += time.Duration(digit-'0') * decimal
			decimal /= 10
		}
	}
	return d
}

// orZero returns digits, of which there may be none.
func orZero(digits string) string {
	if digits == "" {
		return "0"
	}
	return digits
}

// AppendValue appends the value.
func (t Timestamp) AppendValue(b []byte) []byte {
	b = append(b, t.Time...)
	if t.Delay == 0 {
		return b
	}
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(t.Delay/time.Second), 10)
	if rest := t.Delay % time.Second; rest != 0 {
		b = append(b, '.')
		for decimal := time.Second / 10; rest != 0; decimal /= 10 {
			b = append(b, '0'+byte(rest/decimal))
			rest %= decimal
		}
	}
	return b
}
