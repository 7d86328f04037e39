package sip

import (
	"iter"
	"strings"
)

// Params is a list of parameters as text: ";tag=1928301774;lr", or "".
// Names are compared without regard to case.
type Params string

// Get returns the value of the first parameter with that name. The value of a
// parameter without one is "". Quotes around a value are removed.
func (p Params) Get(name string) (value string, ok bool) {
	for s := string(p); s != ""; {
		var n, v string
		n, v, s = cutParam(s)
		if equalFold(n, name) {
			return unquote(v), true
		}
	}
	return "", false
}

// Has reports whether there is a parameter with that name.
func (p Params) Has(name string) bool {
	_, ok := p.Get(name)
	return ok
}

// All yields the parameters in order.
func (p Params) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for s := string(p); s != ""; {
			var n, v string
			n, v, s = cutParam(s)
			if n != "" && !yield(n, unquote(v)) {
				return
			}
		}
	}
}

// With returns the parameters with one set: in its place if it was there, at
// the end otherwise. An empty value makes a parameter without one; a value
// that is neither a token nor a host is quoted.
func (p Params) With(name, value string) Params {
	var b []byte
	done := false
	for s := string(p); s != ""; {
		before := s
		var n string
		n, _, s = cutParam(s)
		switch {
		case !equalFold(n, name):
			b = append(b, before[:len(before)-len(s)]...)
		case !done:
			b, done = appendParam(b, name, value), true
		}
	}
	if !done {
		b = appendParam(b, name, value)
	}
	return Params(b)
}

// Without returns the parameters without those of that name.
func (p Params) Without(name string) Params {
	if !p.Has(name) {
		return p
	}
	var b []byte
	for s := string(p); s != ""; {
		before := s
		var n string
		n, _, s = cutParam(s)
		if !equalFold(n, name) {
			b = append(b, before[:len(before)-len(s)]...)
		}
	}
	return Params(b)
}

func appendParam(b []byte, name, value string) []byte {
	b = append(b, ';')
	b = append(b, name...)
	if value == "" {
		return b
	}
	b = append(b, '=')
	// A host in a parameter may be an IPv6 reference.
	if isToken(value) || value[0] == '[' && span(value, charParam) == len(value) {
		return append(b, value...)
	}
	return appendQuoted(b, value)
}

// cutParam takes the first parameter off a checked list.
func cutParam(s string) (name, value, rest string) {
	s = s[1:] // ';'
	end := len(s)
	eq := -1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '=':
			if eq < 0 {
				eq = i
			}
			continue
		case '"':
			n := quotedLen(s[i:])
			if n == 0 {
				return "", "", ""
			}
			i += n - 1
			continue
		case ';':
			end = i
		default:
			continue
		}
		break
	}
	name, rest = s[:end], s[end:]
	if eq >= 0 {
		name, value = s[:eq], trimWS(s[eq+1:end])
	}
	return trimWS(name), value, rest
}

// maxParams bounds the parameters of one value.
const maxParams = 200

// parseParams checks header parameters (generic-param) from the start of s to
// its end. White space may stand around ';' and '='.
func parseParams(s string) (Params, error) {
	whole := s
	count := 0
	for s != "" {
		if s[0] != ';' {
			return "", valueError("unexpected text after the value")
		}
		s = skipWS(s[1:])
		n := span(s, charToken)
		if n == 0 {
			return "", valueError("parameter without a name")
		}
		if count++; count > maxParams {
			return "", valueError("too many parameters")
		}
		s = s[n:]
		if s != "" && s[0] != ';' {
			s = skipWS(s)
		}
		if s != "" && s[0] == '=' {
			s = skipWS(s[1:])
			if s != "" && s[0] == '"' {
				n = quotedLen(s)
			} else {
				n = span(s, charGenValue)
			}
			if n == 0 {
				return "", valueError("parameter without a value after '='")
			}
			s = s[n:]
			if s != "" && s[0] != ';' {
				s = skipWS(s)
			}
		}
	}
	return Params(whole), nil
}

// parseURIParams checks the parameters of a URI, which know no white space and
// no quotes (RFC 3261 section 25.1, uri-parameters).
func parseURIParams(s string) error {
	count := 0
	for p := range strings.SplitSeq(s[1:], ";") {
		name, value, eq := strings.Cut(p, "=")
		if count++; count > maxParams {
			return valueError("too many URI parameters")
		}
		if name == "" || !isEscaped(name, charParam) {
			return valueError("bad URI parameter name")
		}
		if eq && (value == "" || !isEscaped(value, charParam)) {
			return valueError("bad URI parameter value")
		}
	}
	return nil
}
