package sip

import (
	"errors"
	"strings"
	"time"
)

// Date is the Date header field: when the message was first sent, to the second
// (RFC 3261 section 20.17). It is a time.Time and converts to and from it; what
// is read is in UTC.
type Date time.Time

// HeaderName returns "Date".
func (Date) HeaderName() string { return "Date" }

// rfc1123 is the one form of a SIP-date (RFC 3261 section 25.1).
const rfc1123 = "Mon, 02 Jan 2006 15:04:05 GMT"

// ParseValue reads a date, which must be GMT: what other names of zones mean,
// nobody can tell. Whether the day of the week is the right one is not looked
// at.
func (Date) ParseValue(s string) (Date, error) {
	t, err := time.Parse(rfc1123, s)
	if err == nil {
		// time.Parse takes an hour of one digit, and fractions of a second.
		if clock := s[len(s)-len("15:04:05 GMT"):]; isDigit(clock[0]) && clock[2] == ':' && clock[5] == ':' {
			return Date(t), nil
		}
	}
	at := 0
	var bad *time.ParseError
	if errors.As(err, &bad) && strings.HasSuffix(s, bad.ValueElem) {
		at = len(s) - len(bad.ValueElem)
	}
	return Date{}, errorAt(at, "expected a date like "+rfc1123)
}

// AppendValue appends the value.
func (d Date) AppendValue(b []byte) []byte { return time.Time(d).UTC().AppendFormat(b, rfc1123) }

func (d Date) like(want Date) bool {
	return time.Time(d).Equal(time.Time(want).Truncate(time.Second))
}
