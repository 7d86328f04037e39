package sip

import "strconv"

// Warning is one value of a Warning header field: what an element has to say
// about a response (RFC 3261 section 20.43).
type Warning struct {
	Code  int    // 100 to 999; what SIP defines is 300 to 399
	Agent string // the host, with its port if it has one, or a name: who says it
	Text  string // for people, without quotes
}

// HeaderName returns "Warning".
func (Warning) HeaderName() string { return "Warning" }

// ParseValue reads one warning. For the agent, all is taken that peers put into
// the value of a parameter.
func (Warning) ParseValue(s string) (h Warning, err error) {
	c := scanner{s: s}
	h.Code = int(c.number(999, "a code of three digits"))
	if c.pos != 3 || h.Code < 100 {
		c.fail("expected a code of 100 to 999")
	}
	c.space("the agent")
	if h.Agent = c.span(charGenValue); h.Agent == "" {
		c.fail("expected the agent")
	}
	c.space("the text")
	h.Text = c.quoted("a text")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (w Warning) AppendValue(b []byte) []byte {
	b = strconv.AppendInt(b, int64(w.Code), 10)
	b = append(b, ' ')
	b = append(b, w.Agent...)
	b = append(b, ' ')
	return appendQuoted(b, w.Text)
}
