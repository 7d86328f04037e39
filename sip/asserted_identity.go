package sip

// PAssertedIdentity is one value of a P-Asserted-Identity header field: who the
// network says is calling (RFC 3325 section 9.1). From a peer that is not trusted
// it must not be used in any way (section 8). Of two values, one is a tel URI.
type PAssertedIdentity Address

// HeaderName returns "P-Asserted-Identity".
func (PAssertedIdentity) HeaderName() string { return "P-Asserted-Identity" }

// ParseValue reads one identity. The header field has no parameters of its own,
// so those of a URI without brackets are the URI's.
func (PAssertedIdentity) ParseValue(s string) (PAssertedIdentity, error) {
	a, err := parseIdentity(s)
	return PAssertedIdentity(a), err
}

// AppendValue appends the value.
func (p PAssertedIdentity) AppendValue(b []byte) []byte { return Address(p).AppendValue(b) }

func (p PAssertedIdentity) like(want PAssertedIdentity) bool {
	return likeAddress(Address(p), Address(want))
}

// PPreferredIdentity is one value of a P-Preferred-Identity header field: the
// identity that a user asks its proxy to assert (RFC 3325 section 9.2).
type PPreferredIdentity Address

// HeaderName returns "P-Preferred-Identity".
func (PPreferredIdentity) HeaderName() string { return "P-Preferred-Identity" }

// ParseValue reads one identity, as for P-Asserted-Identity.
func (PPreferredIdentity) ParseValue(s string) (PPreferredIdentity, error) {
	a, err := parseIdentity(s)
	return PPreferredIdentity(a), err
}

// AppendValue appends the value.
func (p PPreferredIdentity) AppendValue(b []byte) []byte { return Address(p).AppendValue(b) }

func (p PPreferredIdentity) like(want PPreferredIdentity) bool {
	return likeAddress(Address(p), Address(want))
}

// parseIdentity reads name-addr / addr-spec.
func parseIdentity(s string) (Address, error) {
	a, err := ParseAddress(s)
	if err != nil || a.Params == "" || a.Display != "" || s[0] == '<' || s[0] == '"' {
		return a, err
	}
	// No header parameters follow here, so "tel:7042;phone-context=example.com"
	// is one URI.
	a.Params = ""
	if a.URI, err = ParseURI(s); err != nil {
		return Address{}, err
	}
	return a, nil
}
