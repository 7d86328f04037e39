package sip

import "strings"

// Equal reports whether two URIs are the same by RFC 3261 section 19.1.4, for
// tel URIs by RFC 3966 section 4, and for others by their text. It is not
// transitive: a parameter that only one of them has is ignored, unless it is
// one of transport, user, ttl, method and maddr.
func (u URI) Equal(v URI) bool {
	if u.Scheme != v.Scheme {
		return false
	}
	switch u.Scheme {
	case "sip", "sips":
		return sameUser(u.User, v.User) && sameUser(u.Password, v.Password) &&
			sameHost(u.Host, v.Host) && u.Port == v.Port &&
			sameURIParams(u.Params, v.Params) && sameURIParams(v.Params, u.Params) &&
			sameURIHeaders(u, v)
	case "tel":
		return sameNumber(u.User, v.User) && sameTelParams(u.Params, v.Params) && sameTelParams(v.Params, u.Params)
	}
	return u.Opaque == v.Opaque
}

// sameUser compares case-sensitively; a character and its escape are the same,
// unless the character is a reserved one (RFC 3261 section 19.1.4).
func sameUser(a, b string) bool {
	return a == b || normalEscapes(a) == normalEscapes(b)
}

// normalEscapes undoes the escapes of unreserved characters and writes the
// others in upper case.
func normalEscapes(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) {
			b = append(b, s[i])
			continue
		}
		c := unhex(s[i+1])<<4 | unhex(s[i+2])
		if is(c, charUnreserved) {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
		i += 2
	}
	return string(b)
}

// sameHost compares names without regard to case and IPv6 references by value.
func sameHost(a, b string) bool {
	if equalFold(a, b) {
		return true
	}
	if len(a) < 2 || len(b) < 2 || a[0] != '[' || b[0] != '[' {
		return false
	}
	x, okA := parseIPv6(a[1 : len(a)-1])
	y, okB := parseIPv6(b[1 : len(b)-1])
	return okA && okB && x == y
}

// sameURIParams reports whether each parameter of a agrees with b.
func sameURIParams(a, b Params) bool {
	if a == b {
		return true
	}
	var room [8]Field
	others := b.fields(room[:0])
	for name, value := range a.All() {
		other, ok := lookup(others, name)
		if ok && !equalFold(normalEscapes(value), normalEscapes(other)) {
			return false
		}
		if !ok {
			switch strings.ToLower(name) {
			case "transport", "user", "ttl", "method", "maddr":
				return false
			}
		}
	}
	return true
}

// fields appends the parameters to list, so that finding one of them does not
// take them apart again.
func (p Params) fields(list []Field) []Field {
	for name, value := range p.All() {
		list = append(list, Field{name, value})
	}
	return list
}

// lookup returns the value of the first one with that name.
func lookup(list []Field, name string) (string, bool) {
	for i := range list {
		if len(list[i].Name) == len(name) && equalFold(list[i].Name, name) {
			return list[i].Value, true
		}
	}
	return "", false
}

// sameURIHeaders reports whether both URIs have the same headers in any order.
func sameURIHeaders(u, v URI) bool {
	if u.Headers == v.Headers {
		return true
	}
	var rest []Field
	for name, value := range v.Header() {
		rest = append(rest, Field{name, value})
	}
next:
	for name, value := range u.Header() {
		for i, f := range rest {
			if equalFold(f.Name, name) && f.Value == value {
				rest = append(rest[:i], rest[i+1:]...)
				continue next
			}
		}
		return false
	}
	return len(rest) == 0
}

// sameNumber compares without visual separators and regard to case.
func sameNumber(a, b string) bool {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune("-.()", r) {
				return -1
			}
			return r
		}, s)
	}
	return equalFold(clean(a), clean(b))
}

// sameTelParams reports whether b has each parameter of a. Every one counts,
// and extensions and domains of phone-context compare as numbers or names.
func sameTelParams(a, b Params) bool {
	if a == b {
		return true
	}
	var room [8]Field
	others := b.fields(room[:0])
	for name, value := range a.All() {
		other, ok := lookup(others, name)
		if !ok || !sameNumber(value, other) {
			return false
		}
	}
	return true
}
