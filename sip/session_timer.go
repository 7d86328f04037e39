package sip

import "strconv"

// SessionExpires is the Session-Expires header field: how long a session lasts
// unless it is refreshed (RFC 4028 section 4).
type SessionExpires struct {
	// Seconds is the session interval. Less than 90 is not allowed, and is for
	// whoever serves the request to refuse: with 422 (Session Interval Too Small).
	Seconds uint32
	Params  Params // ";refresher=uac"
}

// HeaderName returns "Session-Expires".
func (SessionExpires) HeaderName() string { return "Session-Expires" }

// ParseValue reads a Session-Expires. Its refresher may be there once: two user
// agents that each take the other one for it lose the session.
func (SessionExpires) ParseValue(s string) (h SessionExpires, err error) {
	c := scanner{s: s}
	h.Seconds = uint32(c.number(1<<32-1, "a number from 0 to 4294967295"))
	h.Params = c.params("refresher")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (s SessionExpires) AppendValue(b []byte) []byte {
	return append(strconv.AppendUint(b, uint64(s.Seconds), 10), s.Params...)
}

// Refresher returns who is to refresh the session: "uac", "uas", or "" if that
// is not said, or not in these words.
func (s SessionExpires) Refresher() string {
	value, _ := s.Params.Get("refresher")
	switch value = known(value, "uac", "uas"); value {
	case "uac", "uas":
		return value
	}
	return ""
}

func (s SessionExpires) like(want SessionExpires) bool {
	want.Params = trimParams(want.Params)
	return s == want
}

// MinSE is the Min-SE header field in seconds: the shortest session interval
// that may be (RFC 4028 section 5). A message without one means 90. Parameters,
// of which none is defined, are passed over.
type MinSE uint32

// HeaderName returns "Min-SE".
func (MinSE) HeaderName() string { return "Min-SE" }

// ParseValue reads a Min-SE.
func (MinSE) ParseValue(s string) (MinSE, error) {
	h, err := SessionExpires{}.ParseValue(s)
	return MinSE(h.Seconds), err
}

// AppendValue appends the value.
func (m MinSE) AppendValue(b []byte) []byte { return strconv.AppendUint(b, uint64(m), 10) }
