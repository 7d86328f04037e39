package sip

import (
	"net/netip"
	"strconv"
	"strings"
)

// URI is a sip, sips or tel URI, or any other absolute URI (RFC 3261 section
// 19.1, RFC 3966). Its parts are kept as they were written, escapes included,
// but for those of parameters that no character needs: ";%6C%72" is ";lr".
//
// What the parts say, escapes undone, is told by Username, Param and Header.
// WithUsername, WithParam and WithHeader go the other way: they take any text
// and escape all that needs it. A part that is set as a field is text that may
// hold escapes, so "%41" in a User is "A"; what may not stand in a user part,
// or in a parameter value that is in quotes, is escaped when the URI is written.
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
//
// It takes a little more than the grammar has (RFC 3261 section 25.1, RFC 3966
// section 3):
//
//   - a host of letters, digits, "-", "_" and "." in any order: ".." and
//     "1.2.3" are names here, and 999.999.999.999 is one, not an address. Addr
//     tells what is an address, and package resolve does not look up the rest.
//   - the address after three colons that RFC 5118 section 4.10 tells of
//   - a port with leading zeros
//   - ";", "?" and "/" in a password
//   - an empty password, which is taken for none: "sip:a:@h" is written as
//     "sip:a@h"
//   - any text for a parameter: a maddr that is no host, a ttl over 255, a
//     transport without a value
//   - a parameter that stands twice, of which the first one counts
//   - tel parameters in any order, ext, isub and phone-context without a value
//     or with one that is none, and a local number without the phone-context
//     that RFC 3966 section 5.1.5 asks for
func ParseURI(s string) (u URI, err error) {
	var x uriSpan[uint16]
	if err = x.scan(s); err == nil {
		x.fill(&u, s)
	}
	return u, err
}

// HostPort returns the host, with the port if the URI names one.
func (u URI) HostPort() string {
	if u.Port == 0 {
		return u.Host
	}
	return u.Host + ":" + strconv.Itoa(u.Port)
}

// Clone returns a copy that keeps no message alive, with memory of its own for
// all its text.
func (u URI) Clone() URI {
	var c cloner
	c.Grow(u.textLen())
	return c.uri(u)
}

// textLen returns how much text there is in the URI.
func (u *URI) textLen() int {
	return len(u.Scheme) + len(u.User) + len(u.Password) + len(u.Host) + len(u.Params) + len(u.Headers) + len(u.Opaque)
}

// cloner copies strings into one.
type cloner struct{ strings.Builder }

func (c *cloner) text(s string) string {
	at := c.Len()
	c.WriteString(s)
	return c.String()[at:]
}

func (c *cloner) uri(u URI) URI {
	return URI{
		Scheme:   c.text(u.Scheme),
		User:     c.text(u.User),
		Password: c.text(u.Password),
		Host:     c.text(u.Host),
		Port:     u.Port,
		Params:   Params(c.text(string(u.Params))),
		Headers:  c.text(u.Headers),
		Opaque:   c.text(u.Opaque),
	}
}

// Addr returns the host as an address, IPv4 or IPv6. It is not valid if the
// host is a name, or there is none.
func (u URI) Addr() netip.Addr { return hostAddr(u.Host) }

// hostAddr reads a host, which for an IPv6 address may go without brackets. An
// address with a zone, which is for one machine only, is none.
func hostAddr(host string) netip.Addr {
	if strings.IndexByte(host, ':') >= 0 {
		if n := len(host) - 1; host[0] == '[' && host[n] == ']' {
			host = host[1:n]
		}
		if addr, ok := parseIPv6(host); ok {
			return addr
		}
	} else if host != "" && isDigit(host[0]) { // ParseAddr allocates an error for a name
		addr, _ := netip.ParseAddr(host)
		return addr
	}
	return netip.Addr{}
}

// parts returns a sip, sips or tel URI that was set by Opaque with its parts.
func (u URI) parts() URI {
	if u.Opaque != "" && (u.isSIP() || equalFold(u.Scheme, "tel")) {
		if whole, err := ParseURI(u.String()); err == nil {
			return whole
		}
	}
	return u
}

// isSIP reports whether it is a sip or sips URI, in any case: a program that
// sets the field may not know that it is lower case.
func (u *URI) isSIP() bool { return equalFold(u.Scheme, "sip") || equalFold(u.Scheme, "sips") }

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
