package sip

import "strconv"

// Geolocation is one value of a Geolocation header field: where somebody is, by
// reference (RFC 6442 section 4.1). A URI of the scheme cid names a part of the
// body: its Opaque is the Content-ID without brackets.
type Geolocation struct {
	URI    URI
	Params Params
}

// HeaderName returns "Geolocation".
func (Geolocation) HeaderName() string { return "Geolocation" }

// ParseValue reads one value of a Geolocation.
func (Geolocation) ParseValue(s string) (Geolocation, error) {
	x, err := parseInfoURI(s)
	return Geolocation(x), err
}

// AppendValue appends the value.
func (g Geolocation) AppendValue(b []byte) []byte { return infoURI(g).appendValue(b) }

func (g Geolocation) like(want Geolocation) bool { return infoURI(g).likeInfo(infoURI(want)) }

// GeolocationRouting is the Geolocation-Routing header field: whether a proxy
// may look at the location to route by it (RFC 6442 section 4.2). Without the
// header field it may not.
type GeolocationRouting bool

// HeaderName returns "Geolocation-Routing".
func (GeolocationRouting) HeaderName() string { return "Geolocation-Routing" }

// ParseValue reads "yes" or "no". Any other value of the grammar means "no", as
// section 4.2 has it.
func (GeolocationRouting) ParseValue(s string) (GeolocationRouting, error) {
	// generic-param, so it is a list of parameters but for the ";" before it.
	c := scanner{s: s}
	yes := equalFold(c.token("yes or no"), "yes")
	if c.separator('=') {
		yes = false
		if c.peek() == '"' {
			c.quoted("a value")
		} else if c.span(charGenValue) == "" {
			c.fail("expected a value")
		}
	}
	return scanned(&c, GeolocationRouting(yes))
}

// AppendValue appends the value.
func (g GeolocationRouting) AppendValue(b []byte) []byte {
	if g {
		return append(b, "yes"...)
	}
	return append(b, "no"...)
}

// GeolocationError is the Geolocation-Error header field: what is wrong with
// the location of a request (RFC 6442 section 4.4).
type GeolocationError struct {
	Code   int    // 0 to 999; the hundreds say what kind of error it is
	Params Params // `;code="Dereference Failure"`
}

// HeaderName returns "Geolocation-Error".
func (GeolocationError) HeaderName() string { return "Geolocation-Error" }

// ParseValue reads a Geolocation-Error.
func (GeolocationError) ParseValue(s string) (h GeolocationError, err error) {
	c := scanner{s: s}
	h.Code = int(c.number(999, "an error code of up to three digits"))
	if c.pos > 3 {
		c.failAt(0, "expected an error code of up to three digits")
	}
	h.Params = c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (g GeolocationError) AppendValue(b []byte) []byte {
	b = strconv.AppendInt(b, int64(g.Code), 10)
	return append(b, g.Params...)
}

// Text returns what the code means in words, which the parameter called code
// says. It is "" if there is none.
func (g GeolocationError) Text() string { text, _ := g.Params.Get("code"); return text }

func (g GeolocationError) like(want GeolocationError) bool {
	want.Params = trimParams(want.Params)
	return g == want
}
