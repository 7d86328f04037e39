package sip

import (
	"iter"
	"strconv"
	"strings"
)

// URI is a sip, sips or tel URI, or any other absolute URI (RFC 3261 section
// 19.1, RFC 3966). Its parts are kept as they were written, escapes included,
// but for those of parameters that no character needs: ";%6C%72" is ";lr".
// Username gives the user part without escapes. Writing a URI escapes what may
// not stand in its user part, and parameter values that are in quotes.
type URI struct {
	Scheme   string // "sip", "sips", "tel" and so on, in lower case
	User     string // the user, or the number of a tel URI
	Password string // deprecated by RFC 3261 section 19.1.1, but seen
	Host     string // a name, an IPv4 address, or an IPv6 address in brackets
	Port     int    // 0 if the URI names none
	Params   Params // ";transport=tcp;lr"
	Headers  string // "subject=lunch&priority=urgent"
	Opaque   string // what follows the colon of other schemes; if set, it is what is written for any
}

// ParseURI reads a URI of up to 65535 bytes. A scheme that is not sip, sips or
// tel is kept whole in Opaque.
func ParseURI(s string) (u URI, err error) {
	var x uriSpan[uint16]
	if err = x.scan(s); err == nil {
		x.fill(&u, s)
	}
	return u, err
}

// Username returns the user part with its escapes undone.
func (u URI) Username() string { return unescape(u.User) }

// HostPort returns the host, with the port if the URI names one.
func (u URI) HostPort() string {
	if u.Port == 0 {
		return u.Host
	}
	return u.Host + ":" + strconv.Itoa(u.Port)
}

// Header yields the header fields that the URI asks for, escapes undone
// (RFC 3261 section 19.1.1). They come from whoever wrote the URI: most are
// not safe to follow (section 19.1.5).
func (u URI) Header() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		if u.Headers == "" {
			return
		}
		for h := range strings.SplitSeq(u.Headers, "&") {
			name, value, _ := strings.Cut(h, "=")
			if !yield(unescape(name), unescape(value)) {
				return
			}
		}
	}
}

// String returns the URI as text.
func (u URI) String() string { return string(u.appendTo(nil)) }

func (u URI) appendTo(b []byte) []byte {
	b = append(b, u.Scheme...)
	b = append(b, ':')
	if u.Opaque != "" {
		return append(b, u.Opaque...)
	}
	if u.Scheme == "tel" {
		b = append(b, u.User...)
		return appendURIParams(b, u.Params)
	}
	if u.User != "" {
		b = appendEscaped(b, u.User, charUser)
		if u.Password != "" {
			b = append(b, ':')
			b = appendEscaped(b, u.Password, charUser)
		}
		b = append(b, '@')
	}
	b = append(b, u.Host...)
	if u.Port != 0 {
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(u.Port), 10)
	}
	b = appendURIParams(b, u.Params)
	if u.Headers != "" {
		b = append(b, '?')
		b = append(b, u.Headers...)
	}
	return b
}

// appendURIParams appends parameters as they stand in a URI, which knows escapes
// where header fields have quotes.
func appendURIParams(b []byte, p Params) []byte {
	if strings.IndexByte(string(p), '"') < 0 {
		return append(b, p...)
	}
	start := len(b)
	for s := string(p); s != ""; {
		var name, value string
		name, value, s = cutParam(s)
		whole := unquote(value)
		if s != "" && s[0] != ';' || strings.IndexByte(name, '"') >= 0 ||
			len(whole) == len(value) && strings.IndexByte(value, '"') >= 0 {
			// No list of parameters: left to the reader to refuse.
			return append(b[:start], p...)
		}
		b = append(b, ';')
		b = append(b, name...)
		if whole != "" {
			b = append(b, '=')
			b = appendEscaped(b, whole, charParam)
		}
	}
	return b
}

// unescape undoes the escapes of s, which are whole.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && is(s[i+1], charHex) && is(s[i+2], charHex) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

const hexDigits = "0123456789ABCDEF"

// appendEscaped appends s and escapes what is neither of the class nor part of
// an escape already.
func appendEscaped(b []byte, s string, class uint16) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		escape := c == '%' && i+2 < len(s) && is(s[i+1], charHex) && is(s[i+2], charHex)
		if escape || c != '%' && is(c, class) {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}
