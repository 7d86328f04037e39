package frame

import "strings"

// The sets of characters of RFC 4975 section 9 and RFC 3986.

func isAlphanum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

func isIdent(c byte) bool { return idents[c] }

// idents is a table, as each chunk and each response has an identifier.
var idents = func() (set [256]bool) {
	for c := range set {
		set[c] = isAlphanum(byte(c)) || strings.IndexByte(".-+%=", byte(c)) >= 0
	}
	return set
}()

func isUnreserved(c byte) bool {
	return isAlphanum(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isSessionID(c byte) bool { return isUnreserved(c) || c == '+' || c == '=' || c == '/' }

func isSubDelim(c byte) bool {
	switch c {
	case '!', '$', '&', '\'', '(', ')', '*', '+', ',', '=':
		return true
	}
	return false
}

func isHost(c byte) bool { return isUnreserved(c) || isSubDelim(c) || c == '%' }

func isUser(c byte) bool { return isHost(c) || c == ':' }

// isParams says what may stand in further parameters: what tokens have, and what separates them.
func isParams(c byte) bool { return isToken(c) || c == ';' || c == '=' }

func isToken(c byte) bool {
	return c == 0x21 || c >= 0x23 && c <= 0x27 || c == 0x2a || c == 0x2b || c == 0x2d || c == 0x2e ||
		c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 0x5e && c <= 0x7e
}

// isText says what may stand in the value of a header field. That it is UTF-8 is not looked at.
func isText(c byte) bool { return c >= 0x20 && c != 0x7f || c == '\t' }

func all(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

// clip cuts a text for an error.
func clip(s string) string { return s[:min(len(s), 80)] }
