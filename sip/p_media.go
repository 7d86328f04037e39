package sip

// PEarlyMedia is the P-Early-Media header field: which media may flow before a
// call is answered, "sendrecv", "sendonly", "recvonly" or "inactive" for each
// media line, and "gated"; "supported" says that the header field is understood
// (RFC 5009 section 8). Values of several lines come as one.
type PEarlyMedia []string

// HeaderName returns "P-Early-Media".
func (PEarlyMedia) HeaderName() string { return "P-Early-Media" }

// ParseValue reads the directions.
func (PEarlyMedia) ParseValue(s string) (PEarlyMedia, error) { return parseTokens[PEarlyMedia](s) }

// AppendValue appends the value.
func (p PEarlyMedia) AppendValue(b []byte) []byte { return appendTokens(b, p) }

// PMediaAuthorization is the P-Media-Authorization header field: what allows a
// user agent to ask the network for quality of service, in hex digits (RFC 3313
// section 5). Values of several lines come as one.
type PMediaAuthorization []string

// HeaderName returns "P-Media-Authorization".
func (PMediaAuthorization) HeaderName() string { return "P-Media-Authorization" }

// ParseValue reads the tokens, one at least.
func (PMediaAuthorization) ParseValue(s string) (PMediaAuthorization, error) {
	list, err := parseForm[PMediaAuthorization](s, isHex, "expected hex digits")
	if err == nil && len(list) == 0 {
		return nil, valueError("expected hex digits")
	}
	return list, err
}

// AppendValue appends the value.
func (p PMediaAuthorization) AppendValue(b []byte) []byte { return appendTokens(b, p) }

func isHex(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) && (s[i]|0x20)-'a' >= 6 {
			return false
		}
	}
	return s != ""
}
