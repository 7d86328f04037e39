package sip

// PAssociatedURI is one value of a P-Associated-URI header field: another URI that
// a registrar has for the user who registers (RFC 7315 section 4.1). The zero
// value is a header field without a value, by which a registrar says that there
// is none.
type PAssociatedURI Address

// HeaderName returns "P-Associated-URI".
func (PAssociatedURI) HeaderName() string { return "P-Associated-URI" }

// ParseValue reads one value of a P-Associated-URI.
func (PAssociatedURI) ParseValue(s string) (PAssociatedURI, error) {
	if s == "" {
		return PAssociatedURI{}, nil
	}
	a, err := ParseAddress(s)
	return PAssociatedURI(a), err
}

// AppendValue appends the value.
func (p PAssociatedURI) AppendValue(b []byte) []byte {
	if p == (PAssociatedURI{}) {
		return b
	}
	return Address(p).AppendValue(b)
}

func (p PAssociatedURI) like(want PAssociatedURI) bool {
	return likeAddress(Address(p), Address(want))
}

// PCalledPartyID is the P-Called-Party-ID header field: the URI that was called,
// before a proxy put the address of the user agent in its place (RFC 7315
// section 4.2).
type PCalledPartyID Address

// HeaderName returns "P-Called-Party-ID".
func (PCalledPartyID) HeaderName() string { return "P-Called-Party-ID" }

// ParseValue reads a P-Called-Party-ID.
func (PCalledPartyID) ParseValue(s string) (PCalledPartyID, error) {
	a, err := ParseAddress(s)
	return PCalledPartyID(a), err
}

// AppendValue appends the value.
func (p PCalledPartyID) AppendValue(b []byte) []byte { return Address(p).AppendValue(b) }

func (p PCalledPartyID) like(want PCalledPartyID) bool {
	return likeAddress(Address(p), Address(want))
}

// PServedUser is the P-Served-User header field: the user whom an application
// server is to serve (RFC 5502 section 6). It is to be believed only if it comes
// from the network's own proxy.
type PServedUser Address

// HeaderName returns "P-Served-User".
func (PServedUser) HeaderName() string { return "P-Served-User" }

// ParseValue reads a P-Served-User.
func (PServedUser) ParseValue(s string) (PServedUser, error) {
	a, err := ParseAddress(s)
	return PServedUser(a), err
}

// AppendValue appends the value.
func (p PServedUser) AppendValue(b []byte) []byte { return Address(p).AppendValue(b) }

// SessionCase returns the parameter called sescase: "orig" if the user calls,
// "term" if the user is called, "" if the value does not say. A user who
// diverted the call has the parameter orig-cdiv in its place (RFC 8498 section
// 6).
func (p PServedUser) SessionCase() string { c, _ := p.Params.Get("sescase"); return c }

// RegState returns the parameter called regstate: "reg" if the user is
// registered, "unreg" if not, "" if the value does not say.
func (p PServedUser) RegState() string { r, _ := p.Params.Get("regstate"); return r }

func (p PServedUser) like(want PServedUser) bool { return likeAddress(Address(p), Address(want)) }

// PProfileKey is the P-Profile-Key header field: under which of its wildcards a
// user or service is found in a database, "<sip:chatroom-!.*!@example.com>"
// (RFC 5002).
type PProfileKey Address

// HeaderName returns "P-Profile-Key".
func (PProfileKey) HeaderName() string { return "P-Profile-Key" }

// ParseValue reads a P-Profile-Key.
func (PProfileKey) ParseValue(s string) (PProfileKey, error) {
	a, err := ParseAddress(s)
	return PProfileKey(a), err
}

// AppendValue appends the value.
func (p PProfileKey) AppendValue(b []byte) []byte { return Address(p).AppendValue(b) }

func (p PProfileKey) like(want PProfileKey) bool { return likeAddress(Address(p), Address(want)) }

// PUserDatabase is the P-User-Database header field: the database that knows a
// user, "<aaa://hss.example.com;transport=tcp>" (RFC 4457).
type PUserDatabase struct {
	URI    URI
	Params Params
}

// HeaderName returns "P-User-Database".
func (PUserDatabase) HeaderName() string { return "P-User-Database" }

// ParseValue reads a P-User-Database.
func (PUserDatabase) ParseValue(s string) (PUserDatabase, error) {
	x, err := parseInfoURI(s)
	return PUserDatabase(x), err
}

// AppendValue appends the value.
func (p PUserDatabase) AppendValue(b []byte) []byte { return infoURI(p).appendValue(b) }

func (p PUserDatabase) like(want PUserDatabase) bool { return infoURI(p).likeInfo(infoURI(want)) }
