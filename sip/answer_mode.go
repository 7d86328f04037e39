package sip

// AnswerMode is the Answer-Mode header field: how a caller would like its call
// to be answered (RFC 5373 section 2). In a 200 it says how it was.
type AnswerMode struct {
	Mode   string // "Manual", "Auto" or a token to be ignored, in any case
	Params Params // ";require"
}

// HeaderName returns "Answer-Mode".
func (AnswerMode) HeaderName() string { return "Answer-Mode" }

// ParseValue reads an Answer-Mode.
func (AnswerMode) ParseValue(s string) (h AnswerMode, err error) {
	c := scanner{s: s}
	h.Mode = c.token("Manual or Auto")
	h.Params = c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (a AnswerMode) AppendValue(b []byte) []byte {
	return append(append(b, a.Mode...), a.Params...)
}

// Require reports whether a call that cannot be answered so is to be refused.
func (a AnswerMode) Require() bool { return a.Params.Has("require") }

func (a AnswerMode) like(want AnswerMode) bool {
	want.Params = trimParams(want.Params)
	return a == want
}

// PrivAnswerMode is the Priv-Answer-Mode header field: an Answer-Mode that asks
// to overrule what the callee has set (RFC 5373 section 2). It is for callers
// that are known and may do that (section 7.4).
type PrivAnswerMode AnswerMode

// HeaderName returns "Priv-Answer-Mode".
func (PrivAnswerMode) HeaderName() string { return "Priv-Answer-Mode" }

// ParseValue reads a Priv-Answer-Mode.
func (PrivAnswerMode) ParseValue(s string) (PrivAnswerMode, error) {
	h, err := AnswerMode{}.ParseValue(s)
	return PrivAnswerMode(h), err
}

// AppendValue appends the value.
func (p PrivAnswerMode) AppendValue(b []byte) []byte { return AnswerMode(p).AppendValue(b) }

// Require reports whether a call that cannot be answered so is to be refused.
func (p PrivAnswerMode) Require() bool { return AnswerMode(p).Require() }

func (p PrivAnswerMode) like(want PrivAnswerMode) bool {
	return AnswerMode(p).like(AnswerMode(want))
}
