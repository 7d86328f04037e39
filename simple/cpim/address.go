package cpim

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// An Address is a person and where to reach them (RFC 3862 section 4.1).
type Address struct {
	Name string // the formal name; "" if there is none
	URI  string // without the angle brackets
}

// ParseAddress reads the value of a header such as From: a formal name, which may
// be missing, bare or quoted, and a URI in angle brackets.
func ParseAddress(value string) (Address, error) {
	a, msg := parseAddress(value)
	if msg != "" {
		return Address{}, errors.New("cpim: address: " + msg)
	}
	return a, nil
}

// parseAddress returns what is wrong, or "".
func parseAddress(value string) (a Address, msg string) {
	value = strings.Trim(value, " ")
	rest := value
	if strings.HasPrefix(value, `"`) {
		end := quoteEnd(value)
		if end < 0 {
			return a, "quote without an end"
		}
		a.Name, rest = unescape(value[1:end]), strings.TrimLeft(value[end+1:], " ")
	} else {
		open := strings.IndexByte(value, '<')
		if open < 0 {
			return a, "no URI in angle brackets"
		}
		a.Name, rest = unescape(strings.TrimRight(value[:open], " ")), value[open:]
	}
	if len(rest) < 2 || rest[0] != '<' || rest[len(rest)-1] != '>' {
		return a, "no URI in angle brackets"
	}
	a.URI = rest[1 : len(rest)-1]
	if !isURI(a.URI) {
		return a, "no absolute URI in the angle brackets"
	}
	return a, ""
}

// quoteEnd returns the index of the quote that ends the string which s starts
// with, or -1.
func quoteEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// String returns the address as the value of a header: the formal name bare if it
// can be, and else quoted.
func (a Address) String() string { return string(a.append(nil)) }

func (a Address) append(b []byte) []byte {
	switch {
	case a.Name == "":
	case isBare(a.Name):
		b = append(append(b, a.Name...), ' ')
	default:
		// No space follows the quote: the grammar has none (RFC 3862 section 3.6).
		b = append(escape(append(b, '"'), a.Name, true), '"')
	}
	b = append(b, '<')
	b = append(b, a.URI...)
	return append(b, '>')
}

// isBare reports whether a formal name needs no quotes: it is words with one space
// between them (RFC 3862 section 3.6, Formal-name), all in UTF-8.
func isBare(name string) bool {
	if !utf8.ValidString(name) {
		return false
	}
	word := false
	for i := range len(name) {
		switch c := name[i]; {
		case c == ' ' && word:
			word = false
		case c == '.' || c >= 0x80 || isNameChar(c):
			word = true
		default:
			return false
		}
	}
	return word
}

// isURI reports whether s has the looks of an absolute URI: a scheme, and none of
// what would end it early.
func isURI(s string) bool {
	scheme := strings.IndexByte(s, ':')
	if scheme <= 0 || !isAlpha(s[0]) {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c == 0x7f, c == '<', c == '>', c == '"':
			return false
		case i < scheme && !isAlpha(c) && !isDigit(c) && c != '+' && c != '-' && c != '.':
			return false
		}
	}
	return true
}
