package sip

import "strings"

// Privacy is the Privacy header field: what is to be hidden (RFC 3323 section
// 4.2). Its values are "header", "session", "user", "none", "critical", "id"
// (RFC 3325 section 9.3), "history" (RFC 7044 section 10.1) and tokens to come.
// Values of several lines come as one.
type Privacy []string

// HeaderName returns "Privacy".
func (Privacy) HeaderName() string { return "Privacy" }

// ParseValue reads the values. They stand between semicolons; commas are taken
// too, for who misses a value here tells what was to be hidden. More than 200 are
// refused. "none" beside others, which RFC 3323 forbids, is taken: what to make
// of it is for the reader, and to hide what the others say is safe.
func (Privacy) ParseValue(s string) (Privacy, error) {
	list := make(Privacy, 0, min(strings.Count(s, ";")+strings.Count(s, ",")+1, maxValues))
	for value := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ';' || r == ',' }) {
		if value = trimWS(value); value == "" {
			continue
		}
		if !isToken(value) {
			return nil, valueError("expected a privacy value")
		}
		if len(list) == maxValues {
			return nil, valueError("expected no more than 200 values")
		}
		list = append(list, value)
	}
	if len(list) == 0 {
		return nil, valueError("expected a privacy value")
	}
	return list, nil
}

// AppendValue appends the value.
func (p Privacy) AppendValue(b []byte) []byte {
	for i, value := range p {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, value...)
	}
	return b
}

// Has reports whether the value is among them, in any case.
func (p Privacy) Has(value string) bool {
	for _, v := range p {
		if equalFold(v, value) {
			return true
		}
	}
	return false
}

// checkPrivacy is the check of edits of Privacy.
func checkPrivacy(_ kind, e Edit, s string) (err error) {
	switch p := e.(type) {
	case Privacy:
		err = wroteTokens(p)
	case *Privacy:
		err = wroteTokens(*p)
	}
	if err == nil {
		_, err = Privacy(nil).ParseValue(s)
	}
	return err
}
