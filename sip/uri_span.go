package sip

import (
	"net/netip"
	"strings"
)

// offset is the place of something in a text: a byte while the text is short,
// as the values that a message keeps the spans of nearly always are.
type offset interface{ uint8 | uint16 }

// tooLong reports whether s has places that an O cannot tell.
func tooLong[O offset](s string) bool { return len(s) > int(^O(0)) }

// uriSpan says where the parts of a URI are in its text. Scanning a URI checks
// it and comes to this; a message keeps the spans of what is read most, so that
// its getters need not scan again.
type uriSpan[O offset] struct {
	port    uint16
	scheme  uriScheme
	userEnd O // past the user part, or past a scheme that is kept whole
	host    O // past the "@", if there is one
	hostEnd O
	params  O // the first ";"
	headers O // the "?"
}

type uriScheme uint8

const (
	schemeNone uriScheme = iota // nothing was scanned
	schemeSIP
	schemeSIPS
	schemeTel
	schemeOther
)

// fill sets u, which is zero, to the URI whose spans these are.
func (x *uriSpan[O]) fill(u *URI, s string) {
	switch x.scheme {
	case schemeNone:
		return
	case schemeSIP:
		u.Scheme = "sip"
	case schemeSIPS:
		u.Scheme = "sips"
	case schemeTel:
		u.Scheme = "tel"
	case schemeOther:
		u.Scheme, u.Opaque = strings.ToLower(s[:x.userEnd]), s[x.userEnd+1:]
		return
	}
	u.User = s[len(u.Scheme)+1 : x.userEnd]
	if x.userEnd+1 < x.host {
		u.Password = s[x.userEnd+1 : x.host-1]
	}
	u.Host = s[x.host:x.hostEnd]
	u.Port = int(x.port)
	if x.params < x.headers {
		u.Params = Params(normalEscapes(s[x.params:x.headers]))
	}
	if int(x.headers) < len(s) {
		u.Headers = s[x.headers+1:]
	}
}

// scan finds the parts of s and checks their characters (RFC 3261 section
// 25.1, SIP-URI and absoluteURI).
func (x *uriSpan[O]) scan(s string) error {
	pos := len("sip:")
	// Nearly every URI is one of the first two.
	switch {
	case tooLong[O](s):
		return valueError("expected a URI of up to 65535 bytes")
	case strings.HasPrefix(s, "sip:"):
		x.scheme = schemeSIP
	case strings.HasPrefix(s, "sips:"):
		x.scheme = schemeSIPS
		pos = len("sips:")
	default:
		colon := strings.IndexByte(s, ':')
		if colon <= 0 || !isAlpha(s[0]) || span(s[:colon], charScheme) < colon {
			return valueError("expected a scheme and ':'")
		}
		pos = colon + 1
		switch scheme := s[:colon]; {
		case equalFold(scheme, "sip"):
			x.scheme = schemeSIP
		case equalFold(scheme, "sips"):
			x.scheme = schemeSIPS
		case equalFold(scheme, "tel"):
			return x.scanTel(s)
		default:
			x.scheme, x.userEnd = schemeOther, O(colon)
			opaque := s[colon+1:]
			if n := spanEscaped(opaque, charURI); n == 0 || n < len(opaque) {
				return errorAt(colon+1+n, "expected a character that a URI may have")
			}
			return nil
		}
	}

	x.userEnd = O(pos)
	if n := spanEscaped(s[pos:], charUser); n > 0 && pos+n < len(s) && s[pos+n] == '@' {
		pos += n
		x.userEnd = O(pos)
		pos++
	} else if at := strings.IndexByte(s[pos:], '@'); at >= 0 {
		// A password, for "@" stands nowhere else without an escape.
		at += pos
		n := spanEscaped(s[pos:at], charUser)
		if pos += n; n == 0 || pos < at && s[pos] != ':' {
			return errorAt(pos, "expected a character that a user part may have")
		}
		x.userEnd = O(pos)
		if pos < at {
			pos++
			if pos += spanEscaped(s[pos:at], charUser); pos < at {
				return errorAt(pos, "expected a character that a password may have")
			}
		}
		pos = at + 1
	}
	x.host = O(pos)
	end, port, n, err := scanHostPort(s[pos:])
	if err != nil {
		return shifted(err, pos)
	}
	x.hostEnd, x.port = O(pos+end), uint16(port)
	pos += n
	x.params = O(pos)
	if n, err = scanURIParams(s[pos:]); err != nil {
		return shifted(err, pos)
	}
	pos += n
	x.headers = O(pos)
	if pos < len(s) && s[pos] == '?' {
		return shifted(checkURIHeaders(s[pos+1:]), pos+1)
	}
	if pos < len(s) {
		return errorAt(pos, "expected a character that a URI may have there")
	}
	return nil
}

// scanHostPort finds host [":" port] at the start of s: where the host ends,
// what the port is, 0 if there is none, and how long both are.
func scanHostPort(s string) (hostEnd, port, n int, err error) {
	hostEnd, err = scanHost(s)
	if err != nil || hostEnd == len(s) || s[hostEnd] != ':' {
		return hostEnd, 0, hostEnd, err
	}
	port, n, err = scanPort(s[hostEnd+1:])
	return hostEnd, port, hostEnd + 1 + n, shifted(err, hostEnd+1)
}

// scanHost returns the length of the host at the start of s.
func scanHost(s string) (int, error) {
	if s != "" && s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return 0, errorAt(len(s), "expected ']' after an IPv6 address")
		}
		if _, ok := parseIPv6(s[1:end]); !ok {
			return 0, errorAt(1, "expected an IPv6 address without a zone")
		}
		return end + 1, nil
	}
	n := span(s, charHost)
	if n == 0 {
		return 0, valueError("expected a host")
	}
	return n, nil
}

// scanPort reads the digits of a port at the start of s.
func scanPort(s string) (port, n int, err error) {
	for n < len(s) && isDigit(s[n]) && port <= 65535 {
		port = port*10 + int(s[n]-'0')
		n++
	}
	if port == 0 || port > 65535 {
		return 0, 0, valueError("expected a port from 1 to 65535")
	}
	return port, n, nil
}

// maxIPv6 is the longest text of an IPv6 address, one that ends in the text of an
// IPv4 address, and one colon more.
const maxIPv6 = 46

// parseIPv6 reads an IPv6 address without its brackets. One with a zone means
// something to one host only and is refused.
func parseIPv6(s string) (addr netip.Addr, ok bool) {
	if len(s) > maxIPv6 {
		return addr, false
	}
	addr, err := netip.ParseAddr(s)
	if err != nil && strings.Contains(s, ":::") {
		// The grammar of RFC 3261 has such addresses by mistake, and they are
		// to be tolerated (RFC 5118 section 4.10).
		addr, err = netip.ParseAddr(strings.Replace(s, ":::", "::", 1))
	}
	return addr, err == nil && addr.Is6() && addr.Zone() == ""
}

// scanURIParams returns the length of the parameters at the start of s. Those
// of a URI know no white space and no quotes.
func scanURIParams(s string) (int, error) {
	pos := 0
	for count := 0; pos < len(s) && s[pos] == ';'; count++ {
		if count == maxParams {
			return 0, errorAt(pos, "expected no more than 200 URI parameters")
		}
		pos++
		n := spanEscaped(s[pos:], charParam)
		if n == 0 {
			return 0, errorAt(pos, "expected the name of a URI parameter")
		}
		if pos += n; pos == len(s) || s[pos] != '=' {
			continue
		}
		pos++
		if n = spanEscaped(s[pos:], charParam); n == 0 {
			return 0, errorAt(pos, "expected the value of a URI parameter")
		}
		pos += n
	}
	return pos, nil
}

// maxURIHeaders bounds what follows the "?" of a URI.
const maxURIHeaders = 100

// checkURIHeaders checks what follows the "?".
func checkURIHeaders(s string) error {
	pos := 0
	for count := 1; ; count++ {
		if count > maxURIHeaders {
			return errorAt(pos, "expected no more than 100 headers of a URI")
		}
		end := pos + spanEscaped(s[pos:], charHeader)
		if end == pos || end == len(s) || s[end] != '=' {
			return errorAt(pos, "expected the name and the value of a header of a URI")
		}
		end++
		if end += spanEscaped(s[end:], charHeader); end == len(s) {
			return nil
		}
		if s[end] != '&' {
			return errorAt(end, "expected the value of a header of a URI")
		}
		pos = end + 1
	}
}

// scanTel finds the parts of a tel URI (RFC 3966 section 3).
func (x *uriSpan[O]) scanTel(s string) error {
	x.scheme = schemeTel
	start := len("tel:")
	pos, digits := start, 0
	for ; pos < len(s) && s[pos] != ';'; pos++ {
		switch c := s[pos]; {
		case c == '+' && pos == start, c == '-', c == '.', c == '(', c == ')':
		case is(c, charHex), c == '*', c == '#':
			if s[start] == '+' && !isDigit(c) {
				return errorAt(pos, "expected a decimal digit of a global number")
			}
			digits++
		default:
			return errorAt(pos, "expected a digit of a telephone number")
		}
	}
	if digits == 0 {
		return errorAt(pos, "expected a telephone number")
	}
	n, err := scanURIParams(s[pos:])
	err = shifted(err, pos)
	if err == nil && pos+n < len(s) {
		err = errorAt(pos+n, "expected a character that a URI may have there")
	}
	x.userEnd, x.host, x.hostEnd = O(pos), O(pos), O(pos)
	x.params, x.headers = O(pos), O(len(s))
	return err
}

// spanEscaped returns how many bytes at the start of s are of the class or
// belong to a whole escape.
func spanEscaped(s string, class uint16) int {
	i := 0
	for i < len(s) {
		if chars[s[i]]&class != 0 {
			i++
			continue
		}
		if s[i] != '%' || i+2 >= len(s) || !is(s[i+1], charHex) || !is(s[i+2], charHex) {
			break
		}
		i += 3
	}
	return i
}
