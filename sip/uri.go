package sip

import (
	"iter"
	"net/netip"
	"strconv"
	"strings"
)

// URI is a sip, sips or tel URI, or any other absolute URI (RFC 3261 section
// 19.1, RFC 3966). Its parts are kept as they were written, escapes included;
// Username gives the user part without them. Writing a URI escapes whatever
// may not stand in its place.
type URI struct {
	Scheme   string // "sip", "sips", "tel", …, in lower case
	User     string // the user, or the number of a tel URI
	Password string // deprecated by RFC 3261 section 19.1.1, but seen
	Host     string // a name, an IPv4 address, or an IPv6 address in brackets
	Port     int    // 0 if the URI names none
	Params   Params // ";transport=tcp;lr"
	Headers  string // "subject=lunch&priority=urgent"
	Opaque   string // what follows the colon of other schemes
}

// ParseURI reads a URI. A scheme that is not sip, sips or tel is kept whole in
// Opaque.
func ParseURI(s string) (URI, error) {
	var u URI
	// Nearly every URI is one of these.
	switch {
	case strings.HasPrefix(s, "sip:"):
		u.Scheme = "sip"
	case strings.HasPrefix(s, "sips:"):
		u.Scheme = "sips"
	default:
		colon := strings.IndexByte(s, ':')
		if colon <= 0 || !isAlpha(s[0]) {
			return URI{}, valueError("URI without a scheme")
		}
		for i := 1; i < colon; i++ {
			if c := s[i]; !isAlpha(c) && !isDigit(c) && c != '+' && c != '-' && c != '.' {
				return URI{}, valueError("URI without a scheme")
			}
		}
		u.Scheme = strings.ToLower(s[:colon])
		switch u.Scheme {
		case "sip", "sips":
		case "tel":
			return parseTel(s[colon+1:])
		default:
			u.Opaque = s[colon+1:]
			if u.Opaque == "" || !isEscaped(u.Opaque, charURI) {
				return URI{}, valueError("bad character in URI")
			}
			return u, nil
		}
	}
	s = s[len(u.Scheme)+1:]

	if at := strings.IndexByte(s, '@'); at >= 0 {
		u.User = s[:at]
		if colon := strings.IndexByte(u.User, ':'); colon >= 0 {
			u.User, u.Password = u.User[:colon], u.User[colon+1:]
			if !isEscaped(u.Password, charUser) {
				return URI{}, valueError("bad character in password of URI")
			}
		}
		if u.User == "" || !isEscaped(u.User, charUser) {
			return URI{}, valueError("bad user part of URI")
		}
		s = s[at+1:]
	}
	var err error
	if u.Host, u.Port, s, err = parseHostPort(s); err != nil {
		return URI{}, err
	}
	if s != "" && s[0] == ';' {
		end := strings.IndexByte(s, '?')
		if end < 0 {
			end = len(s)
		}
		u.Params, s = Params(s[:end]), s[end:]
		if err := parseURIParams(string(u.Params)); err != nil {
			return URI{}, err
		}
	}
	if s != "" && s[0] == '?' {
		u.Headers, s = s[1:], ""
		for h := range strings.SplitSeq(u.Headers, "&") {
			name, value, eq := strings.Cut(h, "=")
			if !eq || name == "" || !isEscaped(name, charHeader) || !isEscaped(value, charHeader) {
				return URI{}, valueError("bad header of URI")
			}
		}
	}
	if s != "" {
		return URI{}, valueError("bad character in host of URI")
	}
	return u, nil
}

// parseHostPort takes host [":" port] off the front of s.
func parseHostPort(s string) (host string, port int, rest string, err error) {
	if s != "" && s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0, "", valueError("IPv6 address without closing bracket")
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", 0, "", valueError("bad IPv6 address")
		}
		host, s = s[:end+1], s[end+1:]
	} else {
		n := span(s, charHost)
		if n == 0 {
			return "", 0, "", valueError("no host")
		}
		host, s = s[:n], s[n:]
	}
	if s == "" || s[0] != ':' {
		return host, 0, s, nil
	}
	s = s[1:]
	n := 0
	for n < len(s) && isDigit(s[n]) {
		port = port*10 + int(s[n]-'0')
		if n++; port > 65535 {
			break
		}
	}
	if port == 0 || port > 65535 {
		return "", 0, "", valueError("port is not 1 to 65535")
	}
	return host, port, s[n:], nil
}

// parseTel reads what follows "tel:" (RFC 3966 section 3).
func parseTel(s string) (URI, error) {
	number, params := s, ""
	if i := strings.IndexByte(s, ';'); i >= 0 {
		number, params = s[:i], s[i:]
	}
	digits := 0
	for i := 0; i < len(number); i++ {
		switch c := number[i]; {
		case c == '+' && i == 0, c == '-', c == '.', c == '(', c == ')':
		case is(c, charHex), c == '*', c == '#':
			if number[0] == '+' && !isDigit(c) {
				return URI{}, valueError("bad digit in global number")
			}
			digits++
		default:
			return URI{}, valueError("bad character in telephone number")
		}
	}
	if digits == 0 {
		return URI{}, valueError("telephone number without digits")
	}
	if params != "" {
		if err := parseURIParams(params); err != nil {
			return URI{}, err
		}
	}
	return URI{Scheme: "tel", User: number, Params: Params(params)}, nil
}

// Username returns the user part with its escapes undone.
func (u URI) Username() string { return unescape(u.User) }

// Secure reports whether the URI asks for TLS on every hop: the sips scheme.
func (u URI) Secure() bool { return u.Scheme == "sips" }

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
		return append(b, u.Params...)
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
	b = append(b, u.Params...)
	if u.Headers != "" {
		b = append(b, '?')
		b = append(b, u.Headers...)
	}
	return b
}

// isEscaped reports whether s holds characters of the class and whole escapes.
func isEscaped(s string, class uint8) bool {
	for i := 0; i < len(s); i++ {
		if is(s[i], class) {
			if s[i] != '%' {
				continue
			}
		} else if s[i] != '%' {
			return false
		}
		if i+2 >= len(s) || !is(s[i+1], charHex) || !is(s[i+2], charHex) {
			return false
		}
		i += 2
	}
	return true
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

// appendEscaped appends s and escapes what is neither of the class nor part of
// an escape already.
func appendEscaped(b []byte, s string, class uint8) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		escape := c == '%' && i+2 < len(s) && is(s[i+1], charHex) && is(s[i+2], charHex)
		if escape || c != '%' && is(c, class) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
