package sip

// AuthenticationInfo is the Authentication-Info header field: what a server says
// of credentials that it took (RFC 3261 section 20.6, RFC 7616 section 3.5). All
// values are without quotes.
type AuthenticationInfo struct {
	NextNonce string // to be used next, "" for the same again
	QOP       string // of the credentials
	RspAuth   string // proves that the server knows the password, too
	CNonce    string // of the credentials
	NC        string // of the credentials, eight hex digits
}

func (a *AuthenticationInfo) fields() [5]authField {
	return [...]authField{
		{"nextnonce", &a.NextNonce, inQuotes},
		{"qop", &a.QOP, 0},
		{"rspauth", &a.RspAuth, inQuotes},
		{"cnonce", &a.CNonce, inQuotes},
		{"nc", &a.NC, 0},
	}
}

// HeaderName returns "Authentication-Info".
func (AuthenticationInfo) HeaderName() string { return "Authentication-Info" }

// ParseValue reads an Authentication-Info. Parameters that are not known are
// passed over.
func (AuthenticationInfo) ParseValue(s string) (h AuthenticationInfo, err error) {
	c := scanner{s: s}
	p := c.authParams()
	fields := h.fields()
	if _, err := p.read(fields[:]); err != nil {
		return AuthenticationInfo{}, err
	}
	if h == (AuthenticationInfo{}) {
		c.fail("expected nextnonce, rspauth, qop, cnonce or nc")
	}
	return scanned(&c, h)
}

// AppendValue appends the value.
func (a AuthenticationInfo) AppendValue(b []byte) []byte {
	fields := a.fields()
	return append(b, appendAuthFields(nil, fields[:])...)
}
