package sip

// AcceptContact is one value of an Accept-Contact header field: features of the
// user agents that a caller would like to reach, in Params.Features (RFC 3841
// section 9.2).
type AcceptContact struct {
	Params Params // ";video;methods=\"INVITE,MESSAGE\";require"
}

// HeaderName returns "Accept-Contact".
func (AcceptContact) HeaderName() string { return "Accept-Contact" }

// ParseValue reads one value of an Accept-Contact.
func (AcceptContact) ParseValue(s string) (AcceptContact, error) {
	p, err := parseStarred(s)
	return AcceptContact{p}, err
}

// AppendValue appends the value.
func (a AcceptContact) AppendValue(b []byte) []byte { return append(append(b, '*'), a.Params...) }

// Require reports whether the request is not for a user agent that does not
// match.
func (a AcceptContact) Require() bool { return a.Params.Has("require") }

// Explicit reports whether a user agent that says nothing of a feature does not
// match.
func (a AcceptContact) Explicit() bool { return a.Params.Has("explicit") }

func (a AcceptContact) like(want AcceptContact) bool { return a.Params == trimParams(want.Params) }

// RejectContact is one value of a Reject-Contact header field: features of the
// user agents that a caller would not like to reach, in Params.Features
// (RFC 3841 section 9.2).
type RejectContact struct {
	Params Params // ";actor=\"msg-taker\""
}

// HeaderName returns "Reject-Contact".
func (RejectContact) HeaderName() string { return "Reject-Contact" }

// ParseValue reads one value of a Reject-Contact.
func (RejectContact) ParseValue(s string) (RejectContact, error) {
	p, err := parseStarred(s)
	return RejectContact{p}, err
}

// AppendValue appends the value.
func (r RejectContact) AppendValue(b []byte) []byte { return append(append(b, '*'), r.Params...) }

func (r RejectContact) like(want RejectContact) bool { return r.Params == trimParams(want.Params) }

// FeatureCaps is one value of a Feature-Caps header field: what a proxy on the
// path can do, in Params.Features (RFC 6809 section 6.2). Push notifications use
// "+sip.pns", "+sip.vapid", "+sip.pnsreg" and "+sip.pnspurr" (RFC 8599 section
// 8).
type FeatureCaps struct {
	Params Params // ";+sip.pns=\"webpush\""
}

// HeaderName returns "Feature-Caps".
func (FeatureCaps) HeaderName() string { return "Feature-Caps" }

// ParseValue reads one value of a Feature-Caps.
func (FeatureCaps) ParseValue(s string) (FeatureCaps, error) {
	p, err := parseStarred(s)
	return FeatureCaps{p}, err
}

// AppendValue appends the value.
func (f FeatureCaps) AppendValue(b []byte) []byte { return append(append(b, '*'), f.Params...) }

func (f FeatureCaps) like(want FeatureCaps) bool { return f.Params == trimParams(want.Params) }

// parseStarred reads "*" and the parameters after it.
func parseStarred(s string) (Params, error) {
	c := scanner{s: s}
	if c.peek() == '*' {
		c.pos++
	} else {
		c.fail("expected '*'")
	}
	return scanned(&c, c.params())
}

// RequestDisposition is the Request-Disposition header field: what a caller
// would like proxies to do, such as "no-fork" or "recurse" (RFC 3841 section
// 9.1). Values of several lines come as one.
type RequestDisposition []string

// HeaderName returns "Request-Disposition".
func (RequestDisposition) HeaderName() string { return "Request-Disposition" }

// ParseValue reads the directives.
func (RequestDisposition) ParseValue(s string) (RequestDisposition, error) {
	return parseTokens[RequestDisposition](s)
}

// AppendValue appends the value.
func (r RequestDisposition) AppendValue(b []byte) []byte { return appendTokens(b, r) }
