package sip

import "iter"

// Challenge is a challenge or the credentials that answer it: a scheme and its
// parameters (RFC 3261 sections 20.44 and 22). The four header fields of
// authentication have its shape and convert to and from it. Digest and
// DigestCredentials read what it says; of another scheme, such as Bearer
// (RFC 8898), Params is whatever follows, which may be a token.
type Challenge struct {
	Scheme string // "Digest", in any case
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
			var name, value string
			name, value, rest = cutAuthParam(rest)
			if name != "" && !yield(name, unquote(value)) {
				return
			}
		}
	}
}

// cutAuthParam takes the first parameter off a list. It goes on to the comma
// after it, whatever comes before that.
func cutAuthParam(s string) (name, value, rest string) {
	end := 0
	for end < len(s) && s[end] != '=' && s[end] != ',' {
		end++
	}
	name, rest = trimWS(s[:end]), s[end:]
	if rest != "" && rest[0] == '=' {
		value = skipWS(rest[1:])
		end = 0
		if value != "" && value[0] == '"' {
			end = quotedLen(value)
		}
		quoted := end
		for end < len(value) && value[end] != ',' {
			end++
		}
		value, rest = value[:end], value[end:]
		if quoted == 0 {
			quoted = end
		}
		value = trimWS(value[:quoted])
	}
	if rest != "" {
		rest = rest[1:] // ','
	}
	return name, value, rest
}

// authParams takes the parameters of a challenge to the end of the text. Between
// commas there may be nothing.
func (c *scanner) authParams() AuthParams {
	from, some := c.pos, false
	for n := 0; c.err == nil && c.pos < len(c.s); n++ {
		if n == maxParams {
			c.fail("expected no more than 200 parameters")
		}
		if c.separator(',') {
			continue
		}
		some = true
		c.token("the name of a parameter")
		if !c.separator('=') {
			c.fail("expected '=' and a value")
		}
		c.authValue()
		if !c.separator(',') && c.err == nil {
			if end := afterWS(c.s, c.pos); end == len(c.s) {
				c.pos = end
			} else {
				c.fail("expected ',' and another parameter")
			}
		}
	}
	if !some {
		c.fail("expected a parameter")
	}
	if c.err != nil {
		return ""
	}
	return AuthParams(trimWS(c.s[from:]))
}

// authValue takes a value in quotes, or one without them. That should be a
// token; peers leave away the quotes of a uri and of a nonce in base64, too, and
// that is let be.
func (c *scanner) authValue() {
	if c.peek() == '"' {
		if n := quotedLen(c.s[c.pos:]); n > 0 {
			c.pos += n
			return
		}
		c.fail("expected the end of a quoted string")
	}
	if c.span(charGenValue) == "" {
		c.fail("expected a value")
	}
}

func parseChallenge(s string) (h Challenge, err error) {
	c := scanner{s: s}
	h.Scheme = c.token("a scheme")
	if c.pos < len(s) && !isSpace(s[c.pos]) {
		c.fail("expected white space after the scheme")
	}
	if c.err == nil {
		c.pos = afterWS(s, c.pos)
	}
	if equalFold(h.Scheme, digestScheme) {
		h.Params = c.authParams()
	} else if _, rest := splitChallenges(s); rest != "" {
		c.pos = len(s) - len(rest)
		c.fail("expected one challenge, not several")
	} else if c.err == nil {
		h.Params, c.pos = AuthParams(s[c.pos:]), len(s)
	}
	return scanned(&c, h)
}

// splitChallenges returns the first challenge of a line and what follows the
// comma after it. RFC 3261 section 7.3.1 wants each on a line of its own; the
// servers of other protocols write several on one, and there is but one way to
// read that: a challenge begins where a word follows a comma and white space,
// but no "=", follows the word.
func splitChallenges(s string) (first, rest string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			n := quotedLen(s[i:])
			if n == 0 {
				return s, "" // the parser says what is wrong
			}
			i += n - 1
		case ',':
			word := afterWS(s, i+1)
			end := word + span(s[word:], charToken)
			if next := afterWS(s, end); end > word && next > end && next < len(s) && s[next] != '=' && s[next] != ',' {
				return trimWS(s[:i]), s[word:]
			}
		}
	}
	return s, ""
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
