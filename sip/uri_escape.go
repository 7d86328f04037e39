package sip

import (
	"iter"
	"strings"
)

// Username returns the user part with its escapes undone.
func (u URI) Username() string { return unescape(u.User) }

// WithUsername returns the URI, of scheme sip or sips, with another user, which
// may be any text: spaces, "@", "%" and bytes over 127 are escaped (RFC 3261
// section 19.1.2). Username of the result is that text.
func (u URI) WithUsername(user string) URI {
	u.User = string(appendText(nil, user, charUser))
	return u
}

// Param returns the value of a URI parameter with its escapes undone, as
// Params.Get gives it with escapes.
func (u URI) Param(name string) (value string, ok bool) {
	value, ok = u.Params.Get(name)
	return unescape(value), ok
}

// WithParam returns the URI with one parameter set, in its place if it was
// there. The value may be any text; an empty one makes a parameter without
// value.
func (u URI) WithParam(name, value string) URI {
	b := appendText([]byte{';'}, name, charParam)
	name = string(b[1:])
	if value != "" {
		b = append(b, '=')
		b = appendText(b, value, charParam)
	}
	u.Params = u.Params.with(name, b)
	return u
}

// Header yields the header fields that the URI asks for, escapes undone
// (RFC 3261 section 19.1.1); one called "body" is the body. They come from
// whoever wrote the URI, and not all are safe to follow: Requested tells.
func (u URI) Header() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for more := u.Headers != ""; more; {
			name, value := "", ""
			if name, value, u.Headers, more = cutURIHeader(u.Headers); !yield(name, value) {
				return
			}
		}
	}
}

// cutURIHeader takes the first header field off what follows the "?", with its
// escapes undone.
func cutURIHeader(s string) (name, value, rest string, more bool) {
	eq, end, escapes := -1, 0, false
	for ; end < len(s) && s[end] != '&'; end++ {
		switch s[end] {
		case '=':
			if eq < 0 {
				eq = end
			}
		case '%':
			escapes = true
		}
	}
	if name = s[:end]; eq >= 0 {
		name, value = s[:eq], s[eq+1:end]
	}
	if escapes {
		name, value = unescape(name), unescape(value)
	}
	if end == len(s) {
		return name, value, "", false
	}
	return name, value, s[end+1:], true
}

// WithHeader returns the URI with one more header field to ask for, such as the
// Replaces in the Refer-To of a transfer. The value may be any text.
func (u URI) WithHeader(name, value string) URI {
	b := []byte(u.Headers)
	if len(b) > 0 {
		b = append(b, '&')
	}
	// The grammar lets some reserved characters be, the text does not (RFC 3261
	// section 19.1.2).
	b = appendText(b, name, charUnreserved)
	b = append(b, '=')
	u.Headers = string(appendText(b, value, charUnreserved))
	return u
}

// unescape undoes the escapes of s. A "%" that begins none stands for itself.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if isEscape(s, i) {
			b = append(b, escaped(s, i))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// isEscape reports whether a whole escape is at this place of s.
func isEscape(s string, i int) bool {
	return s[i] == '%' && i+2 < len(s) && is(s[i+1], charHex) && is(s[i+2], charHex)
}

// escaped returns the character whose escape is there.
func escaped(s string, i int) byte { return unhex(s[i+1])<<4 | unhex(s[i+2]) }

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

const hexDigits = "0123456789ABCDEF"

func appendEscape(b []byte, c byte) []byte {
	return append(b, '%', hexDigits[c>>4], hexDigits[c&15])
}

// appendText appends any text and escapes what is not of the class.
func appendText(b []byte, s string, class uint16) []byte {
	for i := 0; i < len(s); i++ {
		if is(s[i], class) && s[i] != '%' {
			b = append(b, s[i])
		} else {
			b = appendEscape(b, s[i])
		}
	}
	return b
}

// appendEscaped appends s and escapes what is neither of the class nor part of
// an escape already.
func appendEscaped(b []byte, s string, class uint16) []byte {
	n := 0 // most need no escape
	for n < len(s) && s[n] != '%' && is(s[n], class) {
		n++
	}
	b = append(b, s[:n]...)
	for i := n; i < len(s); i++ {
		if isEscape(s, i) || s[i] != '%' && is(s[i], class) {
			b = append(b, s[i])
		} else {
			b = appendEscape(b, s[i])
		}
	}
	return b
}

// normalEscapes undoes the escapes of unreserved characters and writes the
// others in upper case.
func normalEscapes(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if !isEscape(s, i) {
			b = append(b, s[i])
			continue
		}
		if c := escaped(s, i); is(c, charUnreserved) {
			b = append(b, c)
		} else {
			b = appendEscape(b, c)
		}
		i += 2
	}
	return string(b)
}
