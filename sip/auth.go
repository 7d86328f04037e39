package sip

import (
	"iter"
	"strings"
)

// Challenge is a challenge or the credentials that answer it: a scheme and its
// parameters (RFC 3261 section 20.44, RFC 7616). The four digest header fields
// have its shape and convert to and from it.
type Challenge struct {
	Scheme string // "Digest"
	Params AuthParams
}

// AuthParams are the parameters of a challenge as text:
// `realm="example.com", nonce="84a4", algorithm=MD5`.
type AuthParams string

// Get returns the first parameter with that name, without quotes.
func (p AuthParams) Get(name string) (value string, ok bool) {
	for n, v := range p.All() {
		if equalFold(n, name) {
			return v, true
		}
	}
	return "", false
}

// All yields the parameters in order, values without their quotes, up to 200 of
// them.
func (p AuthParams) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		rest := string(p)
		for n := 0; rest != "" && n < maxParams; n++ {
			var param string
			param, rest = splitList(rest)
			name, value, _ := strings.Cut(param, "=")
			if name = trimWS(name); name != "" && !yield(name, unquote(trimWS(value))) {
				return
			}
		}
	}
}

// parseChallenge checks the parameters of Digest. A value without quotes should be
// a token; peers leave away the quotes of a uri and of a nonce in base64, too, and
// that is let be.
func parseChallenge(s string) (Challenge, error) {
	n := span(s, charToken)
	if n == 0 || n < len(s) && skipWS(s[n:]) == s[n:] {
		return Challenge{}, valueError("no scheme")
	}
	params := skipWS(s[n:])
	if equalFold(s[:n], "Digest") {
		some := false
		rest := params
		for n := 0; rest != ""; n++ {
			if n == maxParams {
				return Challenge{}, valueError("too many parameters")
			}
			var param string
			param, rest = splitList(rest)
			name, value, ok := strings.Cut(param, "=")
			value = trimWS(value)
			if param == "" {
				continue
			}
			some = true
			if !ok || !isToken(trimWS(name)) || value == "" {
				return Challenge{}, valueError("bad parameter")
			}
			switch {
			case value[0] == '"' && quotedLen(value) != len(value):
				return Challenge{}, valueError("quoted string does not end")
			case value[0] != '"' && span(value, charGenValue) < len(value):
				return Challenge{}, valueError("value needs quotes")
			}
		}
		if !some {
			return Challenge{}, valueError("no parameters")
		}
	}
	return Challenge{s[:n], AuthParams(params)}, nil
}

func (c Challenge) appendValue(b []byte) []byte {
	b = append(b, c.Scheme...)
	b = append(b, ' ')
	return append(b, c.Params...)
}

// WWWAuthenticate is the WWW-Authenticate header field (RFC 3261 section
// 20.44).
type WWWAuthenticate Challenge

// HeaderName returns "WWW-Authenticate".
func (WWWAuthenticate) HeaderName() string { return "WWW-Authenticate" }

// ParseValue reads one challenge.
func (WWWAuthenticate) ParseValue(s string) (WWWAuthenticate, error) {
	c, err := parseChallenge(s)
	return WWWAuthenticate(c), err
}

// AppendValue appends the value.
func (w WWWAuthenticate) AppendValue(b []byte) []byte { return Challenge(w).appendValue(b) }

// ProxyAuthenticate is the Proxy-Authenticate header field (RFC 3261 section
// 20.27).
type ProxyAuthenticate Challenge

// HeaderName returns "Proxy-Authenticate".
func (ProxyAuthenticate) HeaderName() string { return "Proxy-Authenticate" }

// ParseValue reads one challenge.
func (ProxyAuthenticate) ParseValue(s string) (ProxyAuthenticate, error) {
	c, err := parseChallenge(s)
	return ProxyAuthenticate(c), err
}

// AppendValue appends the value.
func (p ProxyAuthenticate) AppendValue(b []byte) []byte { return Challenge(p).appendValue(b) }

// Authorization is the Authorization header field (RFC 3261 section 20.7).
type Authorization Challenge

// HeaderName returns "Authorization".
func (Authorization) HeaderName() string { return "Authorization" }

// ParseValue reads the credentials.
func (Authorization) ParseValue(s string) (Authorization, error) {
	c, err := parseChallenge(s)
	return Authorization(c), err
}

// AppendValue appends the value.
func (a Authorization) AppendValue(b []byte) []byte { return Challenge(a).appendValue(b) }

// ProxyAuthorization is the Proxy-Authorization header field (RFC 3261 section
// 20.28).
type ProxyAuthorization Challenge

// HeaderName returns "Proxy-Authorization".
func (ProxyAuthorization) HeaderName() string { return "Proxy-Authorization" }

// ParseValue reads the credentials.
func (ProxyAuthorization) ParseValue(s string) (ProxyAuthorization, error) {
	c, err := parseChallenge(s)
	return ProxyAuthorization(c), err
}

// AppendValue appends the value.
func (p ProxyAuthorization) AppendValue(b []byte) []byte { return Challenge(p).appendValue(b) }
