package sip

import (
	"strconv"
	"strings"
)

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
// header field and the URI can have none. It takes up to 65535 bytes.
func ParseAddress(s string) (a Address, err error) {
	var x addressSpan[uint16]
	if err = x.scan(s, ""); err == nil {
		x.fill(&a, s)
	}
	return a, err
}

// parseTagged reads the address of a From or To.
func parseTagged(s string) (a Address, err error) {
	var x addressSpan[uint16]
	if err = x.scan(s, "tag"); err == nil {
		x.fill(&a, s)
	}
	return a, err
}

// addressSpan says where the parts of an address are in its text, as uriSpan
// does for a URI.
type addressSpan[O offset] struct {
	displayEnd O
	uriStart   O
	uriEnd     O
	params     O
	uri        uriSpan[O]
}

// fill sets a, which is zero, to the address whose spans these are.
func (x *addressSpan[O]) fill(a *Address, s string) {
	if x.uri.scheme == schemeNone {
		return
	}
	a.Display = x.display(s)
	x.uri.fill(&a.URI, s[x.uriStart:x.uriEnd])
	a.Params = Params(s[x.params:])
}

func (x *addressSpan[O]) display(s string) string {
	if x.displayEnd == 0 {
		return ""
	}
	if s = s[:x.displayEnd]; s[0] == '"' {
		s = unquote(s)
	}
	return s
}

// scan finds the parts of s. The parameter called key is one that checkParams
// knows of.
func (x *addressSpan[O]) scan(s, key string) error {
	if tooLong[O](s) {
		return valueError("expected up to 65535 bytes")
	}
	if hasAVX2 && len(s) <= usualValue && x.quickText(s, key) {
		return nil
	}
	*x = addressSpan[O]{}
	lt := -1
	if s != "" && s[0] == '"' {
		n := quotedLen(s)
		if n == 0 {
			return errorAt(len(s), "expected the end of a quoted string")
		}
		x.displayEnd = O(n)
		lt = len(s) - len(skipWS(s[n:]))
		if lt == len(s) || s[lt] != '<' {
			return errorAt(lt, "expected '<' after the display name")
		}
	} else if s != "" && s[0] == '<' {
		lt = 0
	} else if lt = strings.IndexByte(s, '<'); lt > 0 {
		if strings.IndexByte(s[:lt], ';') >= 0 {
			lt = -1 // the '<' is in a parameter
		} else {
			x.displayEnd = O(len(trimWS(s[:lt])))
			for i := range int(x.displayEnd) {
				if !is(s[i], charToken) && !isWS(s[i]) {
					return errorAt(i, "expected quotes around such a display name")
				}
			}
		}
	}

	end := len(s)
	if lt >= 0 {
		n := strings.IndexByte(s[lt:], '>')
		if n < 0 {
			return errorAt(len(s), "expected '>' after the URI")
		}
		x.uriStart, end = O(lt+1), lt+n
		x.params = O(afterWS(s, end+1))
	} else {
		if n := strings.IndexByte(s, ';'); n >= 0 {
			end = n
		}
		x.params = O(end)
		end = len(trimWS(s[:end]))
		// RFC 3261 section 20.10: such a URI must stand in brackets.
		if strings.IndexByte(s[:end], '?') >= 0 || strings.IndexByte(s[:end], ',') >= 0 {
			return errorAt(0, "expected angle brackets around a URI with '?' or ','")
		}
	}
	x.uriEnd = O(end)
	if err := x.uri.scan(s[x.uriStart:end]); err != nil {
		return shifted(err, int(x.uriStart))
	}
	return shifted(checkParams(s[x.params:], key), int(x.params))
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

// Clone returns a copy that keeps no message alive, with memory of its own for
// all its text. What has this shape is cloned by way of it:
// Route(Address(route).Clone()).
func (a Address) Clone() Address {
	var c cloner
	c.Grow(len(a.Display) + a.URI.textLen() + len(a.Params))
	return Address{
		Display: c.text(a.Display),
		URI:     c.uri(a.URI),
		Params:  Params(c.text(string(a.Params))),
	}
}

// withTag returns the parameters of a From or To with another tag.
func (p Params) withTag(tag string) Params {
	switch {
	case tag == "":
		return p.Without("tag")
	case span(tag, charGenValue) == len(tag): // peers put more into tags than a token takes
		return p.with("tag", append([]byte(";tag="), tag...))
	}
	return p.With("tag", tag) // which every parser refuses
}

// From is the From header field (RFC 3261 section 20.20).
type From Address

// HeaderName returns "From".
func (From) HeaderName() string { return "From" }

// ParseValue reads the value of a From.
func (From) ParseValue(s string) (From, error) { a, err := parseTagged(s); return From(a), err }

// AppendValue appends the value.
func (f From) AppendValue(b []byte) []byte { return Address(f).AppendValue(b) }

// Tag returns the tag, "" if there is none.
func (f From) Tag() string { tag, _ := f.Params.Get("tag"); return tag }

// WithTag returns the From with another tag, "" for none.
func (f From) WithTag(tag string) From { f.Params = f.Params.withTag(tag); return f }

// To is the To header field (RFC 3261 section 20.39).
type To Address

// HeaderName returns "To".
func (To) HeaderName() string { return "To" }

// ParseValue reads the value of a To.
func (To) ParseValue(s string) (To, error) { a, err := parseTagged(s); return To(a), err }

// AppendValue appends the value.
func (t To) AppendValue(b []byte) []byte { return Address(t).AppendValue(b) }

// Tag returns the tag, "" if there is none.
func (t To) Tag() string { tag, _ := t.Params.Get("tag"); return tag }

// WithTag returns the To with another tag, "" for none.
func (t To) WithTag(tag string) To { t.Params = t.Params.withTag(tag); return t }

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
func parseNameAddr(s string) (a Address, err error) {
	var x addressSpan[uint16]
	if err = x.scan(s, ""); err != nil {
		return a, err
	}
	if x.uriStart == 0 {
		return a, valueError("expected angle brackets around the URI")
	}
	x.fill(&a, s)
	return a, nil
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
func (Contact) ParseValue(s string) (c Contact, err error) {
	if s == "*" {
		c.Star = true
		return c, nil
	}
	var x addressSpan[uint16]
	if err = x.scan(s, ""); err == nil {
		x.fillContact(&c, s)
	}
	return c, err
}

// fillContact sets c, which is zero, to the Contact whose spans these are.
func (x *addressSpan[O]) fillContact(c *Contact, s string) {
	c.Display = x.display(s)
	x.uri.fill(&c.URI, s[x.uriStart:x.uriEnd])
	c.Params = Params(s[x.params:])
}

// AppendValue appends the value.
func (c Contact) AppendValue(b []byte) []byte {
	if c.Star {
		return append(b, '*')
	}
	return Address{c.Display, c.URI, c.Params}.AppendValue(b)
}

// Clone returns a copy that keeps no message alive, with memory of its own for
// all its text.
func (c Contact) Clone() Contact {
	a := Address{c.Display, c.URI, c.Params}.Clone()
	return Contact{a.Display, a.URI, a.Params, c.Star}
}

// Expires returns the expires parameter in seconds. ok is false if there is
// none that can be read, and if there are two.
func (c Contact) Expires() (seconds uint32, ok bool) {
	v, _ := c.Params.Get("expires")
	if c.Params.repeated("expires") >= 0 {
		return 0, false
	}
	n, ok := number(v, 1<<32-1)
	return uint32(n), ok
}

// WithExpires returns the Contact with that expires parameter.
func (c Contact) WithExpires(seconds uint32) Contact {
	c.Params = c.Params.With("expires", strconv.FormatUint(uint64(seconds), 10))
	return c
}
