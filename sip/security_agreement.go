package sip

// SecurityMechanism is a way to protect what goes between a user agent and its
// first hop (RFC 3329 section 2.2). The three Security header fields have its
// shape and convert to and from it, and so to each other: what a server offers
// goes back to it as Security-Verify.
type SecurityMechanism struct {
	Name   string // "tls", "digest", "ipsec-ike", "ipsec-man", "ipsec-3gpp" and so on
	Params Params // ";q=0.1;d-alg=MD5"
}

// Q returns the q parameter, 0 to 1: the mechanism with the highest is preferred.
// It is 1 without a q that can be read.
func (m SecurityMechanism) Q() float64 { return m.Params.preference() }

func parseMechanism(s string) (m SecurityMechanism, err error) {
	c := scanner{s: s}
	m.Name, m.Params = c.token("a security mechanism"), c.params()
	return scanned(&c, m)
}

func (m SecurityMechanism) appendValue(b []byte) []byte {
	return append(append(b, m.Name...), m.Params...)
}

func likeMechanism(got, want SecurityMechanism) bool {
	want.Params = trimParams(want.Params)
	return got == want
}

// SecurityClient is one value of a Security-Client header field: what the client
// can do (RFC 3329 section 2.2).
type SecurityClient SecurityMechanism

// HeaderName returns "Security-Client".
func (SecurityClient) HeaderName() string { return "Security-Client" }

// ParseValue reads one mechanism.
func (SecurityClient) ParseValue(s string) (SecurityClient, error) {
	m, err := parseMechanism(s)
	return SecurityClient(m), err
}

// AppendValue appends the value.
func (m SecurityClient) AppendValue(b []byte) []byte { return SecurityMechanism(m).appendValue(b) }

func (m SecurityClient) like(want SecurityClient) bool {
	return likeMechanism(SecurityMechanism(m), SecurityMechanism(want))
}

// SecurityServer is one value of a Security-Server header field: what the server
// can do (RFC 3329 section 2.2).
type SecurityServer SecurityMechanism

// HeaderName returns "Security-Server".
func (SecurityServer) HeaderName() string { return "Security-Server" }

// ParseValue reads one mechanism.
func (SecurityServer) ParseValue(s string) (SecurityServer, error) {
	m, err := parseMechanism(s)
	return SecurityServer(m), err
}

// AppendValue appends the value.
func (m SecurityServer) AppendValue(b []byte) []byte { return SecurityMechanism(m).appendValue(b) }

func (m SecurityServer) like(want SecurityServer) bool {
	return likeMechanism(SecurityMechanism(m), SecurityMechanism(want))
}

// SecurityVerify is one value of a Security-Verify header field: what the server
// said it can do, so that it sees whether somebody changed that on the way (RFC
// 3329 section 2.2).
type SecurityVerify SecurityMechanism

// HeaderName returns "Security-Verify".
func (SecurityVerify) HeaderName() string { return "Security-Verify" }

// ParseValue reads one mechanism.
func (SecurityVerify) ParseValue(s string) (SecurityVerify, error) {
	m, err := parseMechanism(s)
	return SecurityVerify(m), err
}

// AppendValue appends the value.
func (m SecurityVerify) AppendValue(b []byte) []byte { return SecurityMechanism(m).appendValue(b) }

func (m SecurityVerify) like(want SecurityVerify) bool {
	return likeMechanism(SecurityMechanism(m), SecurityMechanism(want))
}
