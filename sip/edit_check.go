package sip

// errOther is said of a value whose text says something else: a field holds
// what ends it.
var errOther = valueError("expected no part of the value to hold more than that part")

// checkEdit checks s, the value that an edit wrote for a header field of the
// table, by the parser of that header field.
func checkEdit(id headerID, e Edit, s string) error {
	if check := headers[id].check; check != nil {
		return check(headers[id].kind, e, s)
	}
	return nil
}

// tooMany reports whether s, which an edit wrote as one value, is more than one
// of a comma list. Only a Field may be.
func tooMany(id headerID, e Edit, s string) bool {
	switch e.(type) {
	case Field, *Field: // Push and Add make pointers
		return false
	}
	k := kindOf(id, e)
	if !k.commas() {
		return false
	}
	_, rest := k.split(s)
	return rest != ""
}

// fieldType is what the checks need of the type of a header field.
type fieldType[H any] interface {
	Parser[H]
	Edit
	comparable
}

// readBack is the check of edits of a header field with the type H: what an H
// wrote is read as that value and no other, and what another edit wrote is text
// that H can read.
func readBack[H fieldType[H]](k kind, e Edit, s string) error {
	return readBackAs[H](k, e, s, nil)
}

// readBackLike is readBack for a type of which more than one value may be written
// alike, as with escapes.
func readBackLike[H fieldType[H]](like func(got, want H) bool) func(kind, Edit, string) error {
	return func(k kind, e Edit, s string) error { return readBackAs(k, e, s, like) }
}

func readBackAs[H fieldType[H]](k kind, e Edit, s string, like func(got, want H) bool) error {
	var want H
	switch e := any(e).(type) {
	case H:
		want = e
	case *H:
		want = *e
	default:
		return checkText[H](k, s)
	}
	got, err := want.ParseValue(s)
	if err == nil && got != want && (like == nil || !like(got, want)) {
		err = errOther
	}
	return err
}

// readBackTokens is the check of edits of a list of tokens.
func readBackTokens[L interface {
	~[]T
	Edit
}, T ~string](_ kind, e Edit, s string) error {
	switch list := any(e).(type) {
	case L:
		return wroteTokens(list)
	case *L:
		return wroteTokens(*list)
	}
	_, err := parseTokens[L](s)
	return err
}

// readBackForm is readBackTokens for tokens that have a form of their own.
func readBackForm[L interface {
	~[]T
	Parser[L]
	Edit
}, T ~string](k kind, e Edit, s string) error {
	err := readBackTokens[L](k, e, s)
	if err == nil {
		_, err = L(nil).ParseValue(s)
	}
	return err
}

func wroteTokens[L ~[]T, T ~string](list L) error {
	for _, t := range list {
		if !isToken(string(t)) {
			return valueError("expected a token")
		}
	}
	return nil
}

// checkText checks text for a header field by the parser of its type.
func checkText[H Parser[H]](k kind, s string) error {
	for more := true; more; more = s != "" {
		value := s
		s = ""
		if k.commas() {
			value, s = k.split(value)
		}
		var zero H
		if _, err := zero.ParseValue(value); err != nil {
			return err
		}
	}
	return nil
}

// The methods called like report whether a value, which was read, is what was
// asked to be written although the two are not equal. White space around
// parameters counts for nothing.

func (v Via) like(want Via) bool {
	want.Params = trimParams(want.Params)
	return v == want
}

func (f From) like(want From) bool               { return likeAddress(Address(f), Address(want)) }
func (t To) like(want To) bool                   { return likeAddress(Address(t), Address(want)) }
func (r Route) like(want Route) bool             { return likeAddress(Address(r), Address(want)) }
func (r RecordRoute) like(want RecordRoute) bool { return likeAddress(Address(r), Address(want)) }

func (c Contact) like(want Contact) bool {
	return !c.Star && !want.Star &&
		likeAddress(Address{c.Display, c.URI, c.Params}, Address{want.Display, want.URI, want.Params})
}

func (c ContentType) like(want ContentType) bool {
	want.Params = trimParams(want.Params)
	return c == want
}

func (c ContentDisposition) like(want ContentDisposition) bool {
	want.Params = trimParams(want.Params)
	return c == want
}

func (w WWWAuthenticate) like(want WWWAuthenticate) bool {
	return likeChallenge(Challenge(w), Challenge(want))
}

func (p ProxyAuthenticate) like(want ProxyAuthenticate) bool {
	return likeChallenge(Challenge(p), Challenge(want))
}

func (a Authorization) like(want Authorization) bool {
	return likeChallenge(Challenge(a), Challenge(want))
}

func (p ProxyAuthorization) like(want ProxyAuthorization) bool {
	return likeChallenge(Challenge(p), Challenge(want))
}

func likeChallenge(got, want Challenge) bool {
	want.Params = AuthParams(trimWS(string(want.Params)))
	return got == want
}

func likeAddress(got, want Address) bool {
	return got.Display == want.Display && likeURI(&got.URI, &want.URI) &&
		(got.Params == want.Params || got.Params == trimParams(want.Params))
}

// likeURI reports whether the URI that was read is the one that was written,
// which may have been in want of escapes. A sip URI may also be written to the
// letter, by Opaque alone.
func likeURI(got, want *URI) bool {
	if *got == *want {
		return true
	}
	if want.Opaque != "" && got.Opaque == "" {
		return equalFold(got.Scheme, want.Scheme) && *want == URI{Scheme: want.Scheme, Opaque: want.Opaque}
	}
	return equalFold(got.Scheme, want.Scheme) && got.Host == want.Host && got.Port == want.Port &&
		got.Headers == want.Headers && got.Opaque == want.Opaque &&
		likeUser(got.User, want.User) && likeUser(got.Password, want.Password) &&
		(got.Params == want.Params || string(got.Params) == normalEscapes(string(appendURIParams(nil, want.Params))))
}

func likeUser(got, want string) bool {
	return got == want || got == string(appendEscaped(nil, want, charUser))
}

func trimParams(p Params) Params { return Params(trimWS(string(p))) }

// badControl returns where in s, a part of one header line, a control character
// stands that is not the second half of a quoted-pair within quotes (RFC 3261
// section 25.1), -1 for nowhere. The line breaks of folds are none.
func badControl(s string) int {
	quoted := false
	for i := 0; i < len(s); {
		c := s[i]
		i++
		switch {
		case is(c, charText):
		case c == '\\':
			if quoted && i < len(s) && s[i] != '\r' && s[i] != '\n' {
				i++
			}
		case c == '"':
			quoted = !quoted
		case c == '\r' && i < len(s) && s[i] == '\n':
			i++
		default:
			return i - 1
		}
	}
	return -1
}
