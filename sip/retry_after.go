package sip

import "strconv"

// RetryAfter is the Retry-After header field: when to try again (RFC 3261
// section 20.33).
type RetryAfter struct {
	Seconds uint32
	Comment string // what stands in parentheses, escapes and all; of several, from the first to the last
	Params  Params // ";duration=3600"
}

// HeaderName returns "Retry-After".
func (RetryAfter) HeaderName() string { return "Retry-After" }

// ParseValue reads a Retry-After.
func (RetryAfter) ParseValue(s string) (h RetryAfter, err error) {
	c := scanner{s: s}
	h.Seconds = uint32(c.number(1<<32-1, "a number from 0 to 4294967295"))
	h.Comment = c.comment()
	h.Params = c.params("duration")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (r RetryAfter) AppendValue(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(r.Seconds), 10)
	if r.Comment != "" {
		b = append(b, " ("...)
		b = append(b, r.Comment...)
		b = append(b, ')')
	}
	return append(b, r.Params...)
}

// Duration returns for how many seconds the peer will be there from then on. ok
// is false if it does not say so in a way that can be read.
func (r RetryAfter) Duration() (seconds uint32, ok bool) { return r.Params.seconds("duration") }

func (r RetryAfter) like(want RetryAfter) bool {
	want.Params = trimParams(want.Params)
	return r == want
}

// seconds returns a parameter that is delta-seconds.
func (p Params) seconds(name string) (n uint32, ok bool) {
	value, _ := p.Get(name)
	v, ok := number(value, 1<<32-1)
	return uint32(v), ok
}
