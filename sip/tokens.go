package sip

import "strings"

// Allow is the Allow header field: the methods that are understood (RFC 3261
// section 20.5). Values of several lines come as one.
type Allow []Method

// HeaderName returns "Allow".
func (Allow) HeaderName() string { return "Allow" }

// ParseValue reads the methods.
func (Allow) ParseValue(s string) (Allow, error) { return parseTokens[Allow](s) }

// AppendValue appends the value.
func (a Allow) AppendValue(b []byte) []byte { return appendTokens(b, a) }

// Supported is the Supported header field: option tags (RFC 3261 section
// 20.37).
type Supported []string

// HeaderName returns "Supported".
func (Supported) HeaderName() string { return "Supported" }

// ParseValue reads the option tags.
func (Supported) ParseValue(s string) (Supported, error) { return parseTokens[Supported](s) }

// AppendValue appends the value.
func (t Supported) AppendValue(b []byte) []byte { return appendTokens(b, t) }

// Require is the Require header field: option tags (RFC 3261 section 20.32). An
// empty one, which the grammar does not have, asks for nothing.
type Require []string

// HeaderName returns "Require".
func (Require) HeaderName() string { return "Require" }

// ParseValue reads the option tags.
func (Require) ParseValue(s string) (Require, error) { return parseTokens[Require](s) }

// AppendValue appends the value.
func (t Require) AppendValue(b []byte) []byte { return appendTokens(b, t) }

// ProxyRequire is the Proxy-Require header field: option tags (RFC 3261
// section 20.29).
type ProxyRequire []string

// HeaderName returns "Proxy-Require".
func (ProxyRequire) HeaderName() string { return "Proxy-Require" }

// ParseValue reads the option tags.
func (ProxyRequire) ParseValue(s string) (ProxyRequire, error) { return parseTokens[ProxyRequire](s) }

// AppendValue appends the value.
func (t ProxyRequire) AppendValue(b []byte) []byte { return appendTokens(b, t) }

// Unsupported is the Unsupported header field: option tags (RFC 3261 section
// 20.40).
type Unsupported []string

// HeaderName returns "Unsupported".
func (Unsupported) HeaderName() string { return "Unsupported" }

// ParseValue reads the option tags.
func (Unsupported) ParseValue(s string) (Unsupported, error) { return parseTokens[Unsupported](s) }

// AppendValue appends the value.
func (t Unsupported) AppendValue(b []byte) []byte { return appendTokens(b, t) }

// ContentLanguage is the Content-Language header field: the languages of the
// body, such as "fr" or "en-gb" (RFC 3261 section 20.13).
type ContentLanguage []string

// HeaderName returns "Content-Language".
func (ContentLanguage) HeaderName() string { return "Content-Language" }

// ParseValue reads the language tags, which may be any tokens, or none.
func (ContentLanguage) ParseValue(s string) (ContentLanguage, error) {
	return parseTokens[ContentLanguage](s)
}

// AppendValue appends the value.
func (t ContentLanguage) AppendValue(b []byte) []byte { return appendTokens(b, t) }

// parseTokens reads tokens with commas between them. No tokens at all are
// allowed (Allow and Supported may be empty), empty elements are skipped.
func parseTokens[L ~[]T, T ~string](s string) (L, error) {
	return parseForm[L](s, isToken, "expected tokens")
}

// parseForm is parseTokens for tokens that have a form of their own, which
// expected names.
func parseForm[L ~[]T, T ~string](s string, is func(string) bool, expected string) (L, error) {
	commas := strings.Count(s, ",")
	if commas >= maxValues {
		return nil, valueError("expected no more than 200 values")
	}
	list := make(L, 0, commas+1)
	for rest, more := s, true; more; {
		at := len(s) - len(rest)
		var t string
		t, rest, more = strings.Cut(rest, ",")
		if t = trimWS(t); t == "" {
			continue
		}
		if !is(t) {
			return nil, errorAt(afterWS(s, at), expected)
		}
		list = append(list, T(t))
	}
	return list, nil
}

func appendTokens[L ~[]T, T ~string](b []byte, list L) []byte {
	for i, t := range list {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, t...)
	}
	return b
}
