package sip

import "strings"

// Address is a name-addr or addr-spec with the parameters of the header field
// it stands in (RFC 3261 section 20.10). From, To, Contact, Route and
// Record-Route have its shape and convert to and from it.
type Address struct {
	Display string // the display name without quotes, "" for none
	URI     URI
	Params  Params // those of the header field, after the ">"
}

// ParseAddress reads `"Bob" <sip:bob@example.com;lr>;tag=1` or, without
// brackets, `sip:bob@example.com;tag=1`, where the parameters belong to the
// header field and the URI can have none.
func ParseAddress(s string) (Address, error) {
	var a Address
	lt := strings.IndexByte(s, '<')
	if s != "" && s[0] == '"' {
		n := quotedLen(s)
		if n == 0 {
			return Address{}, valueError("quoted string does not end")
		}
		a.Display = unquote(s[:n])
		s = skipWS(s[n:])
		if s == "" || s[0] != '<' {
			return Address{}, valueError("no '<' after the display name")
		}
		lt = 0
	} else if semi := strings.IndexByte(s, ';'); semi >= 0 && lt > semi {
		lt = -1 // the '<' is in a parameter
	}

	var rest string
	uri := s
	if lt >= 0 {
		if lt > 0 {
			a.Display = trimWS(s[:lt])
			for word := range strings.FieldsSeq(a.Display) {
				if !isToken(word) {
					return Address{}, valueError("display name needs quotes")
				}
			}
		}
		gt := strings.IndexByte(s, '>')
		if gt < lt {
			return Address{}, valueError("no '>' after the URI")
		}
		uri, rest = s[lt+1:gt], s[gt+1:]
		if rest != "" && rest[0] != ';' {
			rest = skipWS(rest)
		}
	} else {
		end := len(s)
		if semi := strings.IndexByte(s, ';'); semi >= 0 {
			end = semi
		}
		uri, rest = trimWS(s[:end]), s[end:]
		// RFC 3261 section 20.10: such a URI must stand in brackets.
		if strings.IndexByte(uri, '?') >= 0 || strings.IndexByte(uri, ',') >= 0 {
			return Address{}, valueError("URI with '?' or ',' needs angle brackets")
		}
	}
	var err error
	if a.URI, err = ParseURI(uri); err != nil {
		return Address{}, err
	}
	a.Params, err = parseParams(rest)
	return a, err
}

// String returns the address as it stands in a header field.
func (a Address) String() string { return string(a.AppendValue(nil)) }

// AppendValue appends the address as it stands in a header field.
func (a Address) AppendValue(b []byte) []byte {
	if a.Display != "" {
		b = appendQuoted(b, a.Display)
		b = append(b, ' ')
	}
	b = append(b, '<')
	b = a.URI.appendTo(b)
	b = append(b, '>')
	return append(b, a.Params...)
}

// From is the From header field (RFC 3261 section 20.20).
type From Address

// HeaderName returns "From".
func (From) HeaderName() string { return "From" }

// ParseValue reads the value of a From.
func (From) ParseValue(s string) (From, error) { a, err := ParseAddress(s); return From(a), err }

// AppendValue appends the value.
func (f From) AppendValue(b []byte) []byte { return Address(f).AppendValue(b) }

// Tag returns the tag, "" if there is none.
func (f From) Tag() string { tag, _ := f.Params.Get("tag"); return tag }

// To is the To header field (RFC 3261 section 20.39).
type To Address

// HeaderName returns "To".
func (To) HeaderName() string { return "To" }

// ParseValue reads the value of a To.
func (To) ParseValue(s string) (To, error) { a, err := ParseAddress(s); return To(a), err }

// AppendValue appends the value.
func (t To) AppendValue(b []byte) []byte { return Address(t).AppendValue(b) }

// Tag returns the tag, "" if there is none.
func (t To) Tag() string { tag, _ := t.Params.Get("tag"); return tag }

// Route is one value of a Route header field (RFC 3261 section 20.34).
type Route Address

// HeaderName returns "Route".
func (Route) HeaderName() string { return "Route" }

// ParseValue reads one value of a Route.
func (Route) ParseValue(s string) (Route, error) {
	a, err := parseNameAddr(s)
	return Route(a), err
}

// AppendValue appends the value.
func (r Route) AppendValue(b []byte) []byte { return Address(r).AppendValue(b) }

// RecordRoute is one value of a Record-Route header field (RFC 3261 section
// 20.30).
type RecordRoute Address

// HeaderName returns "Record-Route".
func (RecordRoute) HeaderName() string { return "Record-Route" }

// ParseValue reads one value of a Record-Route.
func (RecordRoute) ParseValue(s string) (RecordRoute, error) {
	a, err := parseNameAddr(s)
	return RecordRoute(a), err
}

// AppendValue appends the value.
func (r RecordRoute) AppendValue(b []byte) []byte { return Address(r).AppendValue(b) }

// parseNameAddr reads an address that must have angle brackets.
func parseNameAddr(s string) (Address, error) {
	a, err := ParseAddress(s)
	if err == nil && !strings.Contains(s, "<") {
		err = valueError("no angle brackets around the URI")
	}
	return a, err
}

// Contact is one value of a Contact header field (RFC 3261 section 20.10).
type Contact struct {
	Display string
	URI     URI
	Params  Params
	Star    bool // "*", which stands alone in a REGISTER that removes all bindings
}

// HeaderName returns "Contact".
func (Contact) HeaderName() string { return "Contact" }

// ParseValue reads one value of a Contact.
func (Contact) ParseValue(s string) (Contact, error) {
	if s == "*" {
		return Contact{Star: true}, nil
	}
	a, err := ParseAddress(s)
	return Contact{Display: a.Display, URI: a.URI, Params: a.Params}, err
}

// AppendValue appends the value.
func (c Contact) AppendValue(b []byte) []byte {
	if c.Star {
		return append(b, '*')
	}
	return Address{c.Display, c.URI, c.Params}.AppendValue(b)
}

// Expires returns the expires parameter in seconds. ok is false if there is
// none that can be read.
func (c Contact) Expires() (seconds uint32, ok bool) {
	v, _ := c.Params.Get("expires")
	n, ok := number(v, 1<<32-1)
	return uint32(n), ok
}
