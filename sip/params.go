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
	// Usually it is the first one, spelled like that and not in quotes.
	if n := len(name) + 1; len(p) > n+1 && p[n] == '=' && p[n+1] != '"' && p[n+1] > ' ' && string(p[1:n]) == name {
		value = string(p[n+1:])
		if end := strings.IndexByte(value, ';'); end >= 0 {
			value = value[:end]
		}
		return trimWS(value), true
	}
	for s := string(p); s != ""; {
		var n string
		n, value, s = cutParam(s)
		if len(n) == len(name) && equalFold(n, name) {
			if value != "" && value[0] == '"' {
				value = unquote(value)
			}
			return value, true
		}
	}
	return "", false
}

// Has reports whether there is a parameter with that name.
func (p Params) Has(name string) bool {
	_, ok := p.Get(name)
	return ok
}

// repeated returns where the second parameter with that name begins, -1 for
// nowhere.
func (p Params) repeated(name string) int {
	seen := false
	for s := string(p); s != ""; {
		at := len(p) - len(s)
		var n string
		if n, _, s = cutParam(s); equalFold(n, name) {
			if seen {
				return at
			}
			seen = true
		}
	}
	return -1
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
// that is neither a token nor a host is quoted; URI.WithParam is for values
// that go into a URI, which has escapes in place of quotes. A name that no
// parameter can have makes one that every parser refuses, and so does With of a message.
func (p Params) With(name, value string) Params {
	return p.with(name, appendParam(nil, name, value))
}

// with puts a parameter that is written already in the place of name.
func (p Params) with(name string, param []byte) Params {
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
			b, done = append(b, param...), true
		}
	}
	if !done {
		b = append(b, param...)
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
	if name != "" && span(name, charToken|charParam) == len(name) {
		b = append(b, name...)
	} else {
		b = append(b, '"')
		b = appendEscaped(b, name, charToken)
		b = append(b, '"')
	}
	if value == "" {
		return b
	}
	b = append(b, '=')
	// An IPv6 address stands in brackets as a host, and without them in the
	// received of a Via (RFC 5118 section 4.5).
	if _, ok := parseIPv6(strings.Trim(value, "[]")); ok || isToken(value) {
		return append(b, value...)
	}
	return appendQuoted(b, value)
}

// cutParam takes the first parameter off a checked list.
func cutParam(s string) (name, value, rest string) {
	end := 1 // behind the ';'
	for end < len(s) && s[end] != '=' && s[end] != ';' {
		end++
	}
	name, rest = s[1:end], s[end:]
	if name != "" && (name[0] <= ' ' || name[len(name)-1] <= ' ') {
		name = trimSome(name)
	}
	if rest == "" || rest[0] == ';' {
		return name, "", rest
	}
	value = skipWS(rest[1:])
	if value != "" && value[0] == '"' {
		// A ';' in quotes ends nothing.
		n := quotedLen(value)
		return name, value[:n], skipWS(value[n:])
	}
	if end = strings.IndexByte(value, ';'); end < 0 {
		end = len(value)
	}
	return name, trimWS(value[:end]), value[end:]
}

// maxParams bounds the parameters of one value.
const maxParams = 200

// parseParams takes header parameters, white space around them allowed.
func parseParams(s string) (Params, error) {
	s = skipWS(s)
	if err := checkParams(s, ""); err != nil {
		return "", err
	}
	return Params(s), nil
}

// checkParams checks header parameters (generic-param) from the start of s to
// its end. White space may stand around ';' and '='.
//
// The parameter called key, on which matching depends, may stand there once
// (RFC 3261 section 7.3.1), with a value and not in quotes, for it is a token. Peers put more
// into tags than a token takes, and that is let be.
func checkParams(s, key string) error {
	pos, seen := 0, false
	for count := 0; pos < len(s); count++ {
		if s[pos] != ';' {
			return errorAt(pos, "expected ';' or the end of the value")
		}
		if count == maxParams {
			return errorAt(pos, "expected no more than 200 parameters")
		}
		pos = afterWS(s, pos+1)
		n := span(s[pos:], charToken)
		if n == 0 {
			return errorAt(pos, "expected the name of a parameter")
		}
		isKey := n == len(key) && equalFold(s[pos:pos+n], key)
		if isKey && seen {
			return errorAt(pos, "expected no second "+key)
		}
		seen = seen || isKey
		pos = afterWS(s, pos+n)
		if pos == len(s) || s[pos] != '=' {
			if isKey {
				return errorAt(pos, "expected '=' and a value of the "+key)
			}
			continue
		}
		pos = afterWS(s, pos+1)
		if pos < len(s) && s[pos] == '"' {
			if isKey {
				return errorAt(pos, "expected a "+key+" without quotes")
			}
			n = quotedLen(s[pos:])
		} else {
			n = span(s[pos:], charGenValue)
		}
		if n == 0 {
			return errorAt(pos, "expected the value of a parameter")
		}
		pos = afterWS(s, pos+n)
	}
	return nil
}
