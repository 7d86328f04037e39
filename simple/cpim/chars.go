package cpim

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isNameChar reports whether c is a NAMECHAR of RFC 3862 section 3.6.
func isNameChar(c byte) bool {
	switch {
	case isAlpha(c), isDigit(c):
		return true
	case c > ' ' && c < 0x7f:
		return strings.IndexByte(`"()<>@,;:\/[]?={}.`, c) < 0
	}
	return false
}

func isName(s string) bool {
	for i := range len(s) {
		if !isNameChar(s[i]) {
			return false
		}
	}
	return s != ""
}

// isLang reports whether s can be a language tag: letters, digits and hyphens
// (RFC 3066 section 2.1).
func isLang(s string) bool {
	for i := range len(s) {
		if !isAlpha(s[i]) && !isDigit(s[i]) && s[i] != '-' {
			return false
		}
	}
	return s != ""
}

// hasControl reports whether s has a control character, which a header must not
// (RFC 3862 section 2.2).
func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// unescape returns the text that s stands for (RFC 3862 section 2.3). A backslash
// before anything unknown goes away, and so does one at the end.
func unescape(s string) string {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for ; i >= 0; i = strings.IndexByte(s, '\\') {
		b = append(b, s[:i]...)
		if s = s[i+1:]; s == "" {
			break
		}
		c := s[0]
		switch c {
		case 'u':
			r, n := codePoint(s)
			if n > 0 {
				b, s = utf8.AppendRune(b, r), s[n:]
				continue
			}
		case 'b':
			c = '\b'
		case 't':
			c = '\t'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		}
		if c >= utf8.RuneSelf {
			continue // the character stays, and is not cut
		}
		b, s = append(b, c), s[1:]
	}
	return string(append(b, s...))
}

// codePoint reads the uxxxx of an escape, or of two that are a surrogate pair, for
// what is escaped are UCS-2 characters. It returns how long that is, 0 if it is none.
func codePoint(s string) (r rune, n int) {
	unit := func(s string) (rune, bool) {
		if len(s) < 5 || s[0] != 'u' {
			return 0, false
		}
		v, err := strconv.ParseUint(s[1:5], 16, 16)
		return rune(v), err == nil
	}
	r, ok := unit(s)
	if !ok {
		return 0, 0
	}
	if utf16.IsSurrogate(r) {
		if strings.HasPrefix(s[5:], `\`) {
			if low, ok := unit(s[6:]); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return pair, 11
				}
			}
		}
		return utf8.RuneError, 5
	}
	return r, 5
}

// escape appends a text as a header may have it: with escapes for what must have
// them, and for nothing else (RFC 3862 section 2.3.1).
func escape(b []byte, s string, quoted bool) []byte {
	for _, r := range s {
		switch {
		case r == '\\', r == '"' && quoted:
			b = append(b, '\\', byte(r))
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r < ' ', r == 0x7f:
			const hex = "0123456789abcdef"
			b = append(b, `\u00`...)
			b = append(b, hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r) // U+FFFD for what is no UTF-8
		}
	}
	return b
}
