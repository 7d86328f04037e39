package sip

// infoURI is what Alert-Info, Call-Info, Error-Info and Geolocation have in
// common: a URI in angle brackets and parameters.
type infoURI struct {
	URI    URI
	Params Params
}

// parseInfoURI also takes a URI without brackets, if it has neither "," nor "?",
// as phones write it.
func parseInfoURI(s string) (infoURI, error) {
	a, err := ParseAddress(s)
	if err == nil && a.Display != "" {
		err = valueError("expected '<' and no display name before it")
	}
	if err != nil {
		return infoURI{}, err
	}
	return infoURI{a.URI, a.Params}, nil
}

func (x infoURI) appendValue(b []byte) []byte { return Address{"", x.URI, x.Params}.AppendValue(b) }

func (x infoURI) likeInfo(want infoURI) bool {
	return likeAddress(Address{"", x.URI, x.Params}, Address{"", want.URI, want.Params})
}

// readBackOwn is the check of edits of a header field that phones are told
// things by which no grammar knows: "Alert-Info: Bellcore-dr1" for an ATA of
// Cisco, "Alert-Info: Ring Answer" for Polycom, "Call-Info: answer-after=0" for
// Grandstream and Snom. As a Field such text is written; an H must say what it
// is.
func readBackOwn[H fieldType[H]](like func(got, want H) bool) func(kind, Edit, string) error {
	return func(k kind, e Edit, s string) error {
		switch any(e).(type) {
		case Field, *Field, several: // each value of a list was checked before
			return nil
		}
		return readBackAs(k, e, s, like)
	}
}

// AlertInfo is one value of an Alert-Info header field: another ring tone, in a
// 180 another ringback tone (RFC 3261 section 20.4). Its URI comes from whoever
// sent the message, so it is for the user to say whether it is fetched.
type AlertInfo struct {
	URI    URI
	Params Params
}

// HeaderName returns "Alert-Info".
func (AlertInfo) HeaderName() string { return "Alert-Info" }

// ParseValue reads one value of an Alert-Info.
func (AlertInfo) ParseValue(s string) (AlertInfo, error) {
	x, err := parseInfoURI(s)
	return AlertInfo(x), err
}

// AppendValue appends the value.
func (a AlertInfo) AppendValue(b []byte) []byte { return infoURI(a).appendValue(b) }

func (a AlertInfo) like(want AlertInfo) bool { return infoURI(a).likeInfo(infoURI(want)) }

// CallInfo is one value of a Call-Info header field: something about the caller
// or the callee (RFC 3261 section 20.9). Its URI comes from whoever sent the
// message; what is fetched from there may be of any kind.
type CallInfo struct {
	URI    URI
	Params Params
}

// HeaderName returns "Call-Info".
func (CallInfo) HeaderName() string { return "Call-Info" }

// ParseValue reads one value of a Call-Info.
func (CallInfo) ParseValue(s string) (CallInfo, error) {
	x, err := parseInfoURI(s)
	return CallInfo(x), err
}

// AppendValue appends the value.
func (c CallInfo) AppendValue(b []byte) []byte { return infoURI(c).appendValue(b) }

// Purpose returns what the URI is for: "icon", "info", "card" or another token,
// in any case. It is "" if the value does not say.
func (c CallInfo) Purpose() string { purpose, _ := c.Params.Get("purpose"); return purpose }

func (c CallInfo) like(want CallInfo) bool { return infoURI(c).likeInfo(infoURI(want)) }

// ErrorInfo is one value of an Error-Info header field: more about an error
// response, such as an announcement to call or a page to read (RFC 3261 section
// 20.18).
type ErrorInfo struct {
	URI    URI
	Params Params
}

// HeaderName returns "Error-Info".
func (ErrorInfo) HeaderName() string { return "Error-Info" }

// ParseValue reads one value of an Error-Info.
func (ErrorInfo) ParseValue(s string) (ErrorInfo, error) {
	x, err := parseInfoURI(s)
	return ErrorInfo(x), err
}

// AppendValue appends the value.
func (e ErrorInfo) AppendValue(b []byte) []byte { return infoURI(e).appendValue(b) }

func (e ErrorInfo) like(want ErrorInfo) bool { return infoURI(e).likeInfo(infoURI(want)) }
