package sip

// PAssertedService is one value of a P-Asserted-Service header field: the service
// that the network says a request is for, as a URN:
// "urn:urn-7:3gpp-service.ims.icsi.mmtel" (RFC 6050).
type PAssertedService string

// HeaderName returns "P-Asserted-Service".
func (PAssertedService) HeaderName() string { return "P-Asserted-Service" }

// ParseValue reads one URN.
func (PAssertedService) ParseValue(s string) (PAssertedService, error) {
	return parseServiceID[PAssertedService](s)
}

// AppendValue appends the value.
func (p PAssertedService) AppendValue(b []byte) []byte { return append(b, p...) }

// PPreferredService is one value of a P-Preferred-Service header field: the
// service that a user agent would like the network to assert (RFC 6050).
type PPreferredService string

// HeaderName returns "P-Preferred-Service".
func (PPreferredService) HeaderName() string { return "P-Preferred-Service" }

// ParseValue reads one URN.
func (PPreferredService) ParseValue(s string) (PPreferredService, error) {
	return parseServiceID[PPreferredService](s)
}

// AppendValue appends the value.
func (p PPreferredService) AppendValue(b []byte) []byte { return append(b, p...) }

// parseServiceID reads "urn:urn-7:" and labels with dots between them, and lets
// other URNs be.
func parseServiceID[T ~string](s string) (T, error) {
	c := scanner{s: s}
	if !equalFold(c.token("a URN"), "urn") {
		c.pos = 0
		c.fail("expected a URN")
	}
	for more := true; more; more = c.peek() == ':' {
		if c.peek() != ':' {
			c.fail("expected ':' and more of the URN")
		} else {
			c.pos++
		}
		c.token("a part of the URN")
	}
	return scanned(&c, T(s))
}
