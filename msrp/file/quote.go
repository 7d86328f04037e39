package file

import (
	"fmt"
	"strings"
)

// quote returns s as a filename-string in quotes (RFC 5547 section 6). The
// bytes of also are encoded beside those that the grammar leaves no choice for.
func quote(s, also string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := range len(s) {
		if c := s[i]; strings.IndexByte("\x00\r\n\"%", c) >= 0 || strings.IndexByte(also, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// unquote reads a string that quote could have written, and what follows it. A
// percent sign that begins no code stands for itself: some peers encode none.
func unquote(text string) (s, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		return "", "", false
	}
	in, rest, ok := strings.Cut(text[1:], `"`)
	if !strings.Contains(in, "%") {
		return in, rest, ok
	}
	b := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		if in[i] == '%' && i+2 < len(in) {
			hi, ok1 := hexDigit(in[i+1])
			lo, ok2 := hexDigit(in[i+2])
			if ok1 && ok2 {
				b = append(b, hi<<4|lo)
				i += 2
				continue
			}
		}
		b = append(b, in[i])
	}
	return string(b), rest, ok
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// isToken reports whether s is a token (RFC 4566 section 9).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
