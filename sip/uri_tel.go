package sip

import (
	"slices"
	"strings"
)

// Tel returns the telephone number that a URI stands for as a tel URI: a tel URI
// as it is, and of a sip or sips URI with user=phone the user part (RFC 3261
// section 19.1.6). ok is false for other URIs, and where the user part is no
// number.
func (u URI) Tel() (tel URI, ok bool) {
	u = u.parts()
	if u.Scheme == "tel" {
		return u, true
	}
	user, _ := u.Params.Get("user")
	if !u.isSIP() || !equalFold(user, "phone") {
		return URI{}, false
	}
	number, params, more := strings.Cut(u.User, ";")
	if number = unescape(number); strings.IndexByte(number, ';') >= 0 {
		return URI{}, false // an escaped one is text, and there is none in a number
	}
	b := append([]byte("tel:"), number...)
	if more {
		b = append(b, ';')
		b = appendTelParams(b, params)
	}
	tel, err := ParseURI(string(b))
	return tel, err == nil
}

// appendTelParams undoes the escapes that the parameters of a tel URI need in
// the user part of a sip URI only.
func appendTelParams(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if isEscape(s, i) {
			if c := escaped(s, i); is(c, charParam) && !is(c, charUser) {
				b = append(b, c)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return b
}

// SIP returns a tel URI as a sip URI with user=phone at a host, such as that of
// a gateway (RFC 3261 section 19.1.6). Case and the order of parameters, which
// make no difference in a tel URI, would make one in the user part of a sip URI:
// they become those of RFC 3966 section 3, so that equal numbers become equal
// URIs but for the visual separators. URIs of other schemes are returned as
// they are.
func (u URI) SIP(host string) URI {
	tel := u.parts()
	if tel.Scheme != "tel" {
		return u
	}
	var params []Field
	for name, value := range tel.Params.All() {
		params = append(params, Field{telCase(name), telCase(normalText(value, charParam))})
	}
	slices.SortStableFunc(params, func(a, b Field) int {
		if d := telRank(a.Name) - telRank(b.Name); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	user := []byte(telCase(tel.User))
	for _, p := range params {
		user = append(user, ';')
		user = append(user, p.Name...)
		if p.Value != "" {
			user = append(user, '=')
			user = append(user, p.Value...)
		}
	}
	return URI{Scheme: "sip", User: string(appendEscaped(nil, string(user), charUser)), Host: host, Params: ";user=phone"}
}

// telCase folds to lower case, but for the digits of escapes.
func telCase(s string) string { return normalEscapes(strings.ToLower(normalEscapes(s))) }

// telRank is the place of a parameter among those of a tel URI.
func telRank(name string) int {
	switch name {
	case "isub", "ext":
		return 0
	case "phone-context":
		return 1
	}
	return 2
}
