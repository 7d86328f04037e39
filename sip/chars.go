package sip

import (
	"math/bits"
	"strings"
)

// Character classes of RFC 3261 section 25.1, as bits of one table.
const (
	charToken      = 1 << iota // token
	charHost                   // hostname, and '_' which the field uses
	charUser                   // user, without the escapes
	charParam                  // paramchar of a URI parameter, without the escapes
	charHeader                 // hname and hvalue of a URI, without the escapes
	charHex                    // HEXDIG
	charGenValue               // an unquoted value of a header parameter
	charURI                    // what may stand in a URI at all, without the escapes
	charScheme                 // scheme of a URI
	charUnreserved             // what an escape means the same as
	charCallID                 // what the field puts in a Call-ID
	charText                   // what means nothing where control characters are looked for
)

var chars = func() (t [256]uint16) {
	set := func(class uint16, s string) {
		for i := 0; i < len(s); i++ {
			t[s[i]] |= class
		}
	}
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const mark = "-_.!~*'()"
	set(charToken, alnum+"-.!%*_+`'~")
	set(charHost, alnum+"-._")
	set(charUser, alnum+mark+"&=+$,;?/")
	set(charParam, alnum+mark+"[]/:&+$")
	set(charHeader, alnum+mark+"[]/?:+$")
	set(charUnreserved, alnum+mark)
	set(charScheme, alnum+"+-.")
	set(charHex, "0123456789ABCDEFabcdef")
	for c := 0x21; c < 0x7f; c++ {
		if c != ',' && c != ';' && c != '"' && c != '<' && c != '>' {
			t[c] |= charGenValue
		}
		if c != ',' && c != ';' {
			t[c] |= charCallID
		}
		if c != '<' && c != '>' && c != '"' && c != '%' {
			t[c] |= charURI
		}
	}
	for c := range t {
		if !isControl(byte(c)) && c != '"' && c != '\\' {
			t[c] |= charText
		}
	}
	return t
}()

func is(c byte, class uint16) bool { return chars[c]&class != 0 }

func isWS(c byte) bool { return c == ' ' || c == '\t' }

// isSpace also takes the line breaks of folds.
func isSpace(c byte) bool {
	const spaces uint64 = 1<<' ' | 1<<'\t' | 1<<'\r' | 1<<'\n'
	return c <= ' ' && spaces>>c&1 != 0
}

// isControl reports what may stand in no value but in a quoted-pair. HTAB is
// white space.
func isControl(c byte) bool { return c < ' ' && c != '\t' }

// lineEnd returns where the line feed of the line is that begins at start,
// start-1 if there is none, and where in the line the first control character
// stands that is neither HTAB nor the carriage return of the line end, 0 for
// nowhere.
func lineEnd(s string, start int) (end, odd int) {
	const ones = 0x0101010101010101
	i := start
	for i+16 < len(s) {
		v, w := load(s, i), load(s, i+8)
		hit := (v - 0x20*ones) &^ v & (0x80 * ones) // the lowest bit is exact
		next := (w - 0x20*ones) &^ w & (0x80 * ones)
		if hit|next == 0 {
			i += 16
			continue
		}
		if hit == 0 {
			hit = next
			i += 8
		}
		i += bits.TrailingZeros64(hit) / 8
		if s[i] == '\r' && s[i+1] == '\n' {
			return i + 1, 0
		}
		break
	}
	n := strings.IndexByte(s[i:], '\n')
	if n < 0 {
		return start - 1, 0
	}
	end = i + n
	if n = findControl(strings.TrimSuffix(s[i:end], "\r")); n >= 0 {
		odd = i + n
	}
	return end, odd
}

// findControl returns where the first control character but HTAB stands in s, -1
// for nowhere.
func findControl(s string) int {
	const ones = 0x0101010101010101
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := load(s, i)
		tab := w ^ '\t'*ones
		below := (w&(0x7f*ones) + 0x60*ones) | w     // without the high bit: below 0x20
		other := (tab&(0x7f*ones) + 0x7f*ones) | tab // without it: HTAB
		if hit := other &^ below & (0x80 * ones); hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(s); i++ {
		if isControl(s[i]) {
			return i
		}
	}
	return -1
}

// hasControl reports whether a control character but HTAB may stand in s.
func hasControl(s string) bool {
	const ones = 0x0101010101010101
	i, hit := 0, uint64(0)
	for ; i+8 <= len(s); i += 8 {
		w := load(s, i)
		hit |= (w - 0x20*ones) &^ w
	}
	for ; i < len(s); i++ {
		if isControl(s[i]) {
			return true
		}
	}
	return hit&(0x80*ones) != 0
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isAlpha(c byte) bool { return (c|0x20)-'a' < 26 }

// span returns how many bytes at the start of s are of the class.
func span(s string, class uint16) int {
	for i := 0; i < len(s); i++ {
		if chars[s[i]]&class == 0 {
			return i
		}
	}
	return len(s)
}

func isToken(s string) bool { return s != "" && span(s, charToken) == len(s) }

// afterWS returns where white space, line breaks of folds included, that starts
// at pos ends.
func afterWS(s string, pos int) int {
	if pos < len(s) && s[pos] <= ' ' {
		return afterSome(s, pos)
	}
	return pos
}

func afterSome(s string, pos int) int {
	const ones = 0x0101010101010101
	for pos < len(s) && isSpace(s[pos]) {
		pos++
		for pos+8 <= len(s) {
			space, tab := load(s, pos)^' '*ones, load(s, pos)^'\t'*ones
			if (space&(0x7f*ones)+0x7f*ones|space)&(tab&(0x7f*ones)+0x7f*ones|tab)&(0x80*ones) != 0 {
				break // not all are one or the other
			}
			pos += 8
		}
	}
	return pos
}

// skipWS drops white space from the front.
func skipWS(s string) string { return s[afterWS(s, 0):] }

// trimWS drops white space from both ends.
func trimWS(s string) string {
	if s == "" || s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return trimSome(s)
}

func trimSome(s string) string {
	s = skipWS(s)
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// equalFold compares ASCII text without regard to case.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && (a[i]|0x20 != b[i]|0x20 || !isAlpha(a[i])) {
			return false
		}
	}
	return true
}

// number reads decimal digits, all of s, as a number up to limit.
func number(s string, limit uint64) (uint64, bool) {
	if s == "" {
		return 0, false
	}
	var n uint64
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
		if n > limit {
			return 0, false
		}
	}
	return n, true
}

// quotedLen returns the length of the quoted string at the start of s, quotes
// included, or 0 if it does not end.
func quotedLen(s string) int {
	end := strings.IndexByte(s[1:], '"') + 1
	if end == 0 {
		return 0
	}
	if strings.IndexByte(s[:end], '\\') < 0 {
		return end + 1
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// unquote returns what a quoted string says; other text is returned as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// appendQuoted appends s as a quoted string. A control character has no place
// there but in a quoted-pair.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == '"' || c == '\\' || isControl(c) || c == 0x7f {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// splitList returns the first value of a comma list and what follows the
// comma. Commas inside quotes and angle brackets belong to the value.
func splitList(s string) (first, rest string) {
	if strings.IndexByte(s, ',') < 0 {
		return s, ""
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			n := quotedLen(s[i:])
			if n == 0 {
				return s, "" // the value's own parser says what is wrong
			}
			i += n - 1
		case '<':
			for i < len(s) && s[i] != '>' {
				i++
			}
		case ',':
			return trimWS(s[:i]), skipWS(s[i+1:])
		}
	}
	return s, ""
}
