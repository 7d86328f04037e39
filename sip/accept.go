package sip

import "strings"

// Accept is one value of an Accept header field: a media range that the peer
// takes bodies of (RFC 3261 section 20.1). The zero Accept is the empty header
// field, with which the peer takes none; a message without the field takes
// application/sdp. An empty element of a list is none.
type Accept struct {
	Type   string // "application/sdp", "text/*" or "*/*"
	Params Params
}

// HeaderName returns "Accept".
func (Accept) HeaderName() string { return "Accept" }

// ParseValue reads one media range.
func (Accept) ParseValue(s string) (Accept, error) {
	if s == "" {
		return Accept{}, nil
	}
	t, err := ContentType{}.ParseValue(s)
	return Accept(t), err
}

// AppendValue appends the value.
func (a Accept) AppendValue(b []byte) []byte { return append(append(b, a.Type...), a.Params...) }

// Q returns the q parameter: how welcome this is, from 0 for not at all to 1,
// which is also what goes without a q that can be read.
func (a Accept) Q() float64 { return a.Params.preference() }

// Matches reports whether the media type, such as "application/sdp", is in the
// range. Parameters are not compared.
func (a Accept) Matches(mediaType string) bool {
	if a.Type == "*/*" || equalFold(a.Type, mediaType) {
		return true
	}
	prefix, ok := strings.CutSuffix(a.Type, "*")
	return ok && prefix != "" && len(mediaType) > len(prefix) && equalFold(mediaType[:len(prefix)], prefix)
}

func (a Accept) like(want Accept) bool {
	want.Params = trimParams(want.Params)
	return a == want
}

// AcceptEncoding is one value of an Accept-Encoding header field: a content
// coding that the peer can undo (RFC 3261 section 20.2). The zero value is the
// empty header field, which means the same as "identity" alone.
type AcceptEncoding struct {
	Coding string // "gzip", "identity", or "*" for any
	Params Params
}

// HeaderName returns "Accept-Encoding".
func (AcceptEncoding) HeaderName() string { return "Accept-Encoding" }

// ParseValue reads one coding.
func (AcceptEncoding) ParseValue(s string) (h AcceptEncoding, err error) {
	if s == "" {
		return h, nil
	}
	c := scanner{s: s}
	h.Coding, h.Params = c.token("a content coding"), c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (a AcceptEncoding) AppendValue(b []byte) []byte {
	return append(append(b, a.Coding...), a.Params...)
}

// Q returns the q parameter, as that of Accept.
func (a AcceptEncoding) Q() float64 { return a.Params.preference() }

func (a AcceptEncoding) like(want AcceptEncoding) bool {
	want.Params = trimParams(want.Params)
	return a == want
}

// AcceptLanguage is one value of an Accept-Language header field: a language
// that the peer's user reads (RFC 3261 section 20.3). The zero value is the
// empty header field.
type AcceptLanguage struct {
	Language string // "en-gb", or "*" for any
	Params   Params
}

// HeaderName returns "Accept-Language".
func (AcceptLanguage) HeaderName() string { return "Accept-Language" }

// ParseValue reads one language range.
func (AcceptLanguage) ParseValue(s string) (h AcceptLanguage, err error) {
	if s == "" {
		return h, nil
	}
	c := scanner{s: s}
	h.Language, h.Params = c.token("a language"), c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (a AcceptLanguage) AppendValue(b []byte) []byte {
	return append(append(b, a.Language...), a.Params...)
}

// Q returns the q parameter, as that of Accept.
func (a AcceptLanguage) Q() float64 { return a.Params.preference() }

func (a AcceptLanguage) like(want AcceptLanguage) bool {
	want.Params = trimParams(want.Params)
	return a == want
}
