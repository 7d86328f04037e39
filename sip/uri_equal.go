package sip

import "strings"

// Equal reports whether two URIs are the same by RFC 3261 section 19.1.4, for
// tel URIs by RFC 3966 section 4, and for others by their text. It is not
// transitive: a parameter that only one of them has is ignored, unless it is
// one of transport, user, ttl, method and maddr.
//
// Where the section has each header field compared by rules of its own, Equal
// wants values that are the same to the letter once escapes are undone.
func (u URI) Equal(v URI) bool {
	if u.Scheme != v.Scheme {
		return false
	}
	if u.Opaque != "" || v.Opaque != "" {
		u, v = u.parts(), v.parts()
	}
	switch {
	case u.Opaque != "" || v.Opaque != "":
		return u.Opaque == v.Opaque
	case u.Scheme == "tel":
		return sameNumber(u.User, v.User) && sameTelParams(u.Params, v.Params) && sameTelParams(v.Params, u.Params)
	}
	return sameUser(u.User, v.User) && sameUser(u.Password, v.Password) &&
		sameHost(u.Host, v.Host) && u.Port == v.Port &&
		sameURIParams(u.Params, v.Params) && sameURIParams(v.Params, u.Params) &&
		sameURIHeaders(u, v)
}

// sameUser compares case-sensitively; a character and its escape are the same,
// unless the character is a reserved one (RFC 3261 section 19.1.4).
func sameUser(a, b string) bool {
	return a == b || normalText(a, charUser) == normalText(b, charUser)
}

// normalText returns a part of a URI as it is written, with no more escapes
// than it needs.
func normalText(s string, class uint16) string {
	if span(s, class) == len(s) {
		return s
	}
	return normalEscapes(string(appendEscaped(nil, s, class)))
}

// sameText compares parameter values without regard to case.
func sameText(a, b string) bool {
	return equalFold(a, b) || equalFold(normalText(a, charParam), normalText(b, charParam))
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
		if ok && !sameText(value, other) && !(equalFold(name, "maddr") && sameHost(value, other)) {
			return false
		}
		if !ok && makesAnother(name) {
			return false
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
		rest = append(rest, Field{headerName(name), value})
	}
next:
	for name, value := range u.Header() {
		name = headerName(name)
		for i, f := range rest {
			if f.Value == value && equalFold(f.Name, name) {
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

// sameTelParams reports whether b has each parameter of a with the same value.
// Every one counts. Extensions compare as numbers, and so do the digits of a
// phone-context; all else, as the domain of one, by its text (RFC 3966 section
// 4).
func sameTelParams(a, b Params) bool {
	if a == b {
		return true
	}
	var room [8]Field
	others := b.fields(room[:0])
	for name, value := range a.All() {
		other, ok := lookup(others, name)
		if !ok {
			return false
		}
		number := equalFold(name, "ext") || equalFold(name, "phone-context") && strings.HasPrefix(value, "+")
		if !sameText(value, other) && !(number && sameNumber(value, other)) {
			return false
		}
	}
	return true
}
