package digest

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of one value. A nonce of 4 kB fits; the RFCs know 15 parameters.
const (
	maxValue  = 8192 // bytes
	maxParams = 32
)

const (
	scheme  = "Digest"
	qopAuth = "auth"
)

// params are the parameters of a value in its order, values without their quotes.
type params []param

type param struct{ name, value string }

// cutScheme takes "Digest" off the front of a value. It fails for other schemes.
func cutScheme(value string) (rest string, ok bool) {
	value = skipSpace(value)
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", false
	}
	rest = value[len(scheme):]
	return rest, rest == "" || isSpace(rest[0])
}

// parse reads a list of parameters (RFC 4976 section 7) in any order, in quotes or not,
// with spaces around commas and equals signs or without. A parameter that comes twice is
// malformed: two readers could take different ones. The error is ErrMalformed.
func parse(text string) (params, error) {
	if len(text) > maxValue {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxValue)
	}
	list := make(params, 0, 12)
	for rest := skipSpace(text); rest != ""; {
		if rest[0] == ',' {
			rest = skipSpace(rest[1:])
			continue
		}
		p, after, err := cutParam(rest)
		if err != nil {
			return nil, fmt.Errorf("%w at byte %d: %s", ErrMalformed, len(text)-len(rest), err)
		}
		if len(list) == maxParams {
			return nil, fmt.Errorf("%w: more than %d parameters", ErrMalformed, maxParams)
		}
		for _, other := range list {
			if strings.EqualFold(other.name, p.name) {
				return nil, fmt.Errorf("%w: %s twice", ErrMalformed, p.name)
			}
		}
		list = append(list, p)
		rest = after
	}
	return list, nil
}

// cutParam takes the parameter off the front of a list, and space after it.
func cutParam(s string) (p param, rest string, err error) {
	n := 0
	for n < len(s) && isToken(s[n]) {
		n++
	}
	p.name, rest = s[:n], skipSpace(s[n:])
	if n == 0 || rest == "" || rest[0] != '=' {
		return param{}, "", errors.New("no name and equals sign")
	}
	rest = skipSpace(rest[1:])
	if rest != "" && rest[0] == '"' {
		p.value, rest, err = cutQuoted(rest[1:])
	} else {
		p.value, rest, err = cutBare(rest)
	}
	if err != nil {
		return param{}, "", err
	}
	rest = skipSpace(rest)
	if rest != "" && rest[0] != ',' {
		return param{}, "", errors.New("no comma after the value")
	}
	return p, rest, nil
}

// cutBare takes off a value that has no quotes. Base64 is read too, with what a token
// may not have.
func cutBare(s string) (value, rest string, err error) {
	n := 0
	for n < len(s) && s[n] != ',' && !isSpace(s[n]) {
		if isControl(s[n]) || s[n] == '"' {
			return "", "", errors.New("a character that no value may have")
		}
		n++
	}
	if n == 0 {
		return "", "", errors.New("no value")
	}
	return s[:n], s[n:], nil
}

// cutQuoted takes off the rest of a quoted string, after its first quote. A backslash may
// come before any character, as in RFC 2617.
func cutQuoted(s string) (value, rest string, err error) {
	escaped := false
	for n := 0; n < len(s); n++ {
		switch {
		case isControl(s[n]):
			return "", "", errors.New("a control character")
		case s[n] == '"':
			value = s[:n]
			if escaped {
				value = unescape(value)
			}
			return value, s[n+1:], nil
		case s[n] == '\\':
			escaped = true
			n++
			if n < len(s) && isControl(s[n]) {
				return "", "", errors.New("a control character")
			}
		}
	}
	return "", "", errors.New("no quote at the end")
}

func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// get returns the value of a parameter, "" if there is none.
func (p params) get(name string) string {
	for _, q := range p {
		if strings.EqualFold(q.name, name) {
			return q.value
		}
	}
	return ""
}

func skipSpace(s string) string { return strings.TrimLeft(s, " \t") }

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// isToken reports whether a token may have a character (RFC 4975 section 9).
func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]`, rune(c))
}

// writable reports whether text can stand in a quoted string.
func writable(text string) bool {
	for i := range len(text) {
		if isControl(text[i]) {
			return false
		}
	}
	return true
}

// list is a list of parameters that is being written. Those without a value are left
// away.
type list struct {
	b   []byte
	sep string
}

func (l *list) quoted(name, value string) {
	if value == "" {
		return
	}
	l.start(name)
	l.b = append(l.b, '"')
	for i := range len(value) {
		if value[i] == '"' || value[i] == '\\' {
			l.b = append(l.b, '\\')
		}
		l.b = append(l.b, value[i])
	}
	l.b = append(l.b, '"')
}

func (l *list) bare(name, value string) {
	if value == "" {
		return
	}
	l.start(name)
	l.b = append(l.b, value...)
}

func (l *list) start(name string) {
	l.b = append(l.b, l.sep...)
	l.b = append(l.b, name...)
	l.b = append(l.b, '=')
	l.sep = ", "
}
