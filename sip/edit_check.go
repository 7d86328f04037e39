package sip

import "strings"

// errOther is said of a value whose text says something else: a field holds
// what ends it.
const errOther = valueError("a part of the value holds more than its part")

// checkEdit checks s, the value that an edit wrote for a header field of the
// table, by the parser of that header field.
func checkEdit(id headerID, e Edit, s string) error {
	switch e.(type) {
	case Via, From, To, Route, RecordRoute, Contact, CSeq, RetryAfter, ContentType,
		Allow, Supported, Require, ProxyRequire, Unsupported,
		WWWAuthenticate, ProxyAuthenticate, Authorization, ProxyAuthorization,
		*Via, *From, *To, *Route, *RecordRoute, *Contact, *CSeq, *RetryAfter, *ContentType,
		*Allow, *Supported, *Require, *ProxyRequire, *Unsupported,
		*WWWAuthenticate, *ProxyAuthenticate, *Authorization, *ProxyAuthorization:
		return e.(interface{ wrote(string) error }).wrote(s)
	}
	if lookupKind(id) != list {
		return checkText(id, s)
	}
	for more := true; more; more = s != "" {
		var value string
		value, s = splitList(s)
		if err := checkText(id, value); err != nil {
			return err
		}
	}
	return nil
}

// checkText checks a value of a header field that has a type in this package.
func checkText(id headerID, s string) (err error) {
	switch id {
	case idVia, idFrom, idTo, idCallID, idCSeq, idMaxForwards:
		return checkLong(id, s)
	case idContentLength:
		_, err = ContentLength(0).ParseValue(s)
	case idContact:
		_, err = Contact{}.ParseValue(s)
	case idRoute, idRecordRoute:
		_, err = parseNameAddr(s)
	case idContentType:
		_, err = ContentType{}.ParseValue(s)
	case idExpires, idMinExpires:
		_, err = Expires(0).ParseValue(s)
	case idRetryAfter:
		_, err = RetryAfter{}.ParseValue(s)
	case idAllow, idSupported, idRequire, idProxyRequire, idUnsupported:
		_, err = parseTokens[Require](s)
	case idWWWAuthenticate, idProxyAuthenticate, idAuthorization, idProxyAuthorization:
		_, err = parseChallenge(s)
	}
	return err
}

// The methods called wrote report whether s, which the value wrote, is read as
// that value and no other. White space around it counts for nothing.

func (v Via) wrote(s string) error {
	got, err := v.ParseValue(s)
	if err == nil && got != v {
		if v.Params = trimParams(v.Params); got != v {
			err = errOther
		}
	}
	return err
}

func (f From) wrote(s string) error {
	got, err := f.ParseValue(s)
	return wroteAddress(Address(got), Address(f), err)
}

func (t To) wrote(s string) error {
	got, err := t.ParseValue(s)
	return wroteAddress(Address(got), Address(t), err)
}

func (r Route) wrote(s string) error { return wroteNameAddr(s, Address(r)) }

func (r RecordRoute) wrote(s string) error { return wroteNameAddr(s, Address(r)) }

func (c Contact) wrote(s string) error {
	got, err := c.ParseValue(s)
	if err == nil && (got.Star || c.Star) {
		if got != c {
			err = errOther
		}
		return err
	}
	return wroteAddress(Address{got.Display, got.URI, got.Params}, Address{c.Display, c.URI, c.Params}, err)
}

func (c CSeq) wrote(s string) error {
	got, err := c.ParseValue(s)
	if err == nil && got != c {
		err = errOther
	}
	return err
}

func (r RetryAfter) wrote(s string) error {
	got, err := r.ParseValue(s)
	if err == nil && (got.Seconds != r.Seconds || got.Params != trimParams(r.Params)) {
		err = errOther
	}
	return err
}

func (c ContentType) wrote(s string) error {
	got, err := c.ParseValue(s)
	if err == nil && (got.Type != c.Type || got.Params != trimParams(c.Params)) {
		err = errOther
	}
	return err
}

func (a Allow) wrote(string) error        { return wroteTokens(a) }
func (t Supported) wrote(string) error    { return wroteTokens(t) }
func (t Require) wrote(string) error      { return wroteTokens(t) }
func (t ProxyRequire) wrote(string) error { return wroteTokens(t) }
func (t Unsupported) wrote(string) error  { return wroteTokens(t) }

func (w WWWAuthenticate) wrote(s string) error    { return wroteChallenge(s, Challenge(w)) }
func (p ProxyAuthenticate) wrote(s string) error  { return wroteChallenge(s, Challenge(p)) }
func (a Authorization) wrote(s string) error      { return wroteChallenge(s, Challenge(a)) }
func (p ProxyAuthorization) wrote(s string) error { return wroteChallenge(s, Challenge(p)) }

func wroteNameAddr(s string, want Address) error {
	got, err := parseNameAddr(s)
	return wroteAddress(got, want, err)
}

func wroteAddress(got, want Address, err error) error {
	if err == nil && (got.Display != want.Display || !wroteURI(&got.URI, &want.URI) ||
		got.Params != want.Params && got.Params != trimParams(want.Params)) {
		err = errOther
	}
	return err
}

// wroteURI reports whether the URI that was read is the one that was written,
// which may have been in want of escapes. A sip URI may also be written to the
// letter, by Opaque alone.
func wroteURI(got, want *URI) bool {
	if *got == *want {
		return true
	}
	if want.Opaque != "" && got.Opaque == "" {
		return equalFold(got.Scheme, want.Scheme) && *want == URI{Scheme: want.Scheme, Opaque: want.Opaque}
	}
	return equalFold(got.Scheme, want.Scheme) && got.Host == want.Host && got.Port == want.Port &&
		got.Headers == want.Headers && got.Opaque == want.Opaque &&
		wroteUser(got.User, want.User) && wroteUser(got.Password, want.Password) &&
		(got.Params == want.Params || string(got.Params) == normalEscapes(string(appendURIParams(nil, want.Params))))
}

func wroteUser(got, want string) bool {
	return got == want || got == string(appendEscaped(nil, want, charUser))
}

func wroteTokens[L ~[]T, T ~string](list L) error {
	for _, t := range list {
		if !isToken(string(t)) {
			return valueError("not a token")
		}
	}
	return nil
}

func wroteChallenge(s string, want Challenge) error {
	got, err := parseChallenge(s)
	if err == nil && (got.Scheme != want.Scheme || string(got.Params) != trimWS(string(want.Params))) {
		err = errOther
	}
	return err
}

func trimParams(p Params) Params { return Params(trimWS(string(p))) }

// badControl returns where in s, a part of one header line, a control character
// stands that is not the second half of a quoted-pair within quotes (RFC 3261
// section 25.1), -1 for nowhere. The line breaks of folds are none.
func badControl(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(s) && s[i+1] != '\r' && s[i+1] != '\n':
			i++
		case c == '\r' && strings.HasPrefix(s[i:], "\r\n"):
			i++
		case isControl(c):
			return i
		}
	}
	return -1
}
