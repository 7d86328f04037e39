package sip

import "strconv"

// Reason is one value of a Reason header field: why a request was sent, such as
// a CANCEL or a BYE (RFC 3326 section 2).
//
// It is an error for those to whom a request is the end of something, and for who
// ends a context: as its cause it goes into the CANCEL.
type Reason struct {
	Protocol string // "SIP" or "Q.850", spelled so when read; or another token
	Cause    int    // for SIP a status code, for Q.850 a cause value; 0 for none
	Text     string // for people, without quotes; "" for none
	Params   Params // the other ones
}

// HeaderName returns "Reason".
func (Reason) HeaderName() string { return "Reason" }

// ParseValue reads one reason. A cause that is no number from 1 to 2147483647
// stays in the Params.
func (Reason) ParseValue(s string) (h Reason, err error) {
	c := scanner{s: s}
	h.Protocol, h.Params = known(c.token("a protocol"), "SIP", "Q.850"), c.params()
	cause, rest := h.Params.cut("cause")
	if n, ok := number(cause, 1<<31-1); ok && n > 0 {
		h.Cause, h.Params = int(n), rest
	}
	if text, rest := h.Params.cut("text"); text != "" {
		h.Text, h.Params = text, rest
	}
	return scanned(&c, h)
}

// AppendValue appends the value.
func (r Reason) AppendValue(b []byte) []byte {
	b = append(b, r.Protocol...)
	if r.Cause != 0 {
		b = append(b, ";cause="...)
		b = strconv.AppendInt(b, int64(r.Cause), 10)
	}
	if r.Text != "" {
		b = append(b, ";text="...)
		b = appendQuoted(b, r.Text)
	}
	return append(b, r.Params...)
}

// Error returns the value, in a form for people.
func (r Reason) Error() string {
	text := r.Protocol
	if r.Cause != 0 {
		text += " " + strconv.Itoa(r.Cause)
	}
	if r.Text != "" {
		text += " " + r.Text
	}
	return text
}

func (r Reason) like(want Reason) bool {
	want.Params = trimParams(want.Params)
	if equalFold(r.Protocol, want.Protocol) {
		want.Protocol = r.Protocol
	}
	return r == want
}

// cut returns the value of the first parameter with that name, and the other
// parameters.
func (p Params) cut(name string) (value string, rest Params) {
	for s := string(p); s != ""; {
		before := s
		var n string
		if n, value, s = cutParam(s); equalFold(n, name) {
			front := string(p)[:len(p)-len(before)]
			if front != "" && s != "" {
				s = front + s
			} else {
				s = trimWS(front + s)
			}
			return unquote(value), Params(s)
		}
	}
	return "", p
}
