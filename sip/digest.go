package sip

import (
	"strings"
	"unicode/utf8"
)

const digestScheme = "Digest"

// DigestChallenge is what a challenge of the scheme Digest says (RFC 7616 section
// 3.3, RFC 8760). All values are without quotes.
type DigestChallenge struct {
	Realm     string
	Domain    string // URIs with spaces between them, which a proxy does not give
	Nonce     string
	Opaque    string   // to be sent back as it is
	Algorithm string   // "SHA-256", "MD5-sess" and so on; "" is MD5
	QOP       []string // "auth", "auth-int"; none is a server of RFC 2069
	Stale     bool     // the nonce was too old, and the password may be right
	Charset   string   // "UTF-8" or ""
	UserHash  bool     // the user name may be sent as a hash
}

func (d *DigestChallenge) fields(qop, stale, userhash *string) [9]authField {
	return [...]authField{
		{"realm", &d.Realm, inQuotes | always},
		{"domain", &d.Domain, inQuotes},
		{"nonce", &d.Nonce, inQuotes | always},
		{"opaque", &d.Opaque, inQuotes},
		{"algorithm", &d.Algorithm, 0},
		{"qop", qop, inQuotes},
		{"stale", stale, 0},
		{"charset", &d.Charset, 0},
		{"userhash", userhash, 0},
	}
}

// Digest reads a challenge of the scheme Digest. It is an error if the scheme is
// another one, if there is no realm or nonce, if there are more than 200 values
// of qop, and if a parameter comes twice: whoever reads the other one would see
// something else. Parameters that are not known are passed over.
func (c Challenge) Digest() (d DigestChallenge, err error) {
	var qop, stale, userhash string
	fields := d.fields(&qop, &stale, &userhash)
	seen, err := c.read(fields[:])
	if err == nil && seen&(1<<0|1<<2) != 1<<0|1<<2 {
		err = valueError("expected a realm and a nonce")
	}
	if err != nil {
		return DigestChallenge{}, err
	}
	for option := range strings.SplitSeq(qop, ",") {
		if option = trimWS(option); option == "" {
			continue
		}
		if len(d.QOP) == maxValues {
			return DigestChallenge{}, valueError("expected no more than 200 values of qop")
		}
		d.QOP = append(d.QOP, option)
	}
	d.Stale, d.UserHash = equalFold(stale, "true"), equalFold(userhash, "true")
	return d, nil
}

// Challenge returns the challenge for a WWW-Authenticate or Proxy-Authenticate:
//
//	sip.WWWAuthenticate(sip.DigestChallenge{Realm: "example.com", Nonce: nonce, QOP: []string{"auth"}}.Challenge())
func (d DigestChallenge) Challenge() Challenge {
	qop, stale, userhash := strings.Join(d.QOP, ","), "", ""
	if d.Stale {
		stale = "true"
	}
	if d.UserHash {
		userhash = "true"
	}
	fields := d.fields(&qop, &stale, &userhash)
	b := make([]byte, 0, 128+len(d.Realm)+len(d.Domain)+len(d.Nonce)+len(d.Opaque))
	return Challenge{digestScheme, AuthParams(appendAuthFields(b, fields[:]))}
}

// DigestCredentials are what answers a DigestChallenge (RFC 7616 section 3.4). All
// values are without quotes.
type DigestCredentials struct {
	Username  string // or its hash
	Realm     string
	Nonce     string // "" before the first challenge (RFC 8760 section 2.7)
	URI       string // the Request-URI as it was written: the response covers its text
	Response  string // lower case hex digits, "" before the first challenge
	Algorithm string // as in the challenge
	CNonce    string
	Opaque    string // as in the challenge
	QOP       string // "auth", "auth-int", or "" for none
	NC        string // eight hex digits: the response covers their text
	UserHash  bool   // Username is a hash
}

func (d *DigestCredentials) fields(userhash, extended *string) [12]authField {
	return [...]authField{
		{"username", &d.Username, inQuotes | always},
		{"realm", &d.Realm, inQuotes | always},
		{"nonce", &d.Nonce, inQuotes | always},
		{"uri", &d.URI, inQuotes | always},
		{"response", &d.Response, inQuotes | always},
		{"algorithm", &d.Algorithm, 0},
		{"opaque", &d.Opaque, inQuotes},
		{"cnonce", &d.CNonce, inQuotes},
		{"qop", &d.QOP, 0},
		{"nc", &d.NC, 0},
		{"userhash", userhash, 0},
		{"username*", extended, 0}, // read, not written
	}
}

// Credentials reads credentials of the scheme Digest. It is an error if the scheme
// is another one, if there is no realm, and if a parameter comes twice. A name
// that needs the parameter "username*" is decoded (RFC 7616 section 3.4); with
// a plain one beside it, that is an error.
func (c Challenge) Credentials() (d DigestCredentials, err error) {
	var userhash, extended string
	fields := d.fields(&userhash, &extended)
	seen, err := c.read(fields[:])
	switch {
	case err != nil:
	case seen&(1<<1) == 0:
		err = valueError("expected a realm")
	case seen&(1<<11) != 0 && seen&(1<<0) != 0:
		err = valueError("expected a username or a username*, not both")
	case seen&(1<<11) != 0:
		d.Username, err = decodeExtended(extended)
	}
	if err != nil {
		return DigestCredentials{}, err
	}
	d.UserHash = equalFold(userhash, "true")
	return d, nil
}

// Challenge returns the credentials for an Authorization or Proxy-Authorization.
func (d DigestCredentials) Challenge() Challenge {
	userhash := ""
	if d.UserHash {
		userhash = "true"
	}
	fields := d.fields(&userhash, new(string))
	b := make([]byte, 0, 256+len(d.Realm)+len(d.Nonce)+len(d.Opaque)+len(d.URI))
	return Challenge{digestScheme, AuthParams(appendAuthFields(b, fields[:]))}
}

// authField says where a parameter is kept, and how it is written.
type authField struct {
	name string
	dst  *string
	how  authForm
}

type authForm uint8

const (
	inQuotes authForm = 1 << iota // RFC 7616 sections 3.3 and 3.4 say of each whether it is
	always                        // written if empty, too
)

// read takes the fields from the parameters of a digest. It returns which of
// them are there, as bits.
func (c Challenge) read(fields []authField) (seen int, err error) {
	if !equalFold(c.Scheme, digestScheme) {
		return 0, valueError("expected the scheme Digest")
	}
	return c.Params.read(fields)
}

func (p AuthParams) read(fields []authField) (seen int, err error) {
	rest := string(p)
	for n := 0; rest != "" && n < maxParams; n++ {
		var name, value string
		name, value, rest = cutAuthParam(rest)
		for i, f := range fields {
			if !equalFold(name, f.name) {
				continue
			}
			if seen&(1<<i) != 0 {
				return seen, valueError("expected no second " + f.name)
			}
			*f.dst = unquote(value)
			seen |= 1 << i
		}
	}
	return seen, nil
}

func appendAuthFields(b []byte, fields []authField) []byte {
	for _, f := range fields {
		if *f.dst == "" && f.how&always == 0 {
			continue
		}
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, f.name...)
		b = append(b, '=')
		if f.how&inQuotes == 0 && isToken(*f.dst) {
			b = append(b, *f.dst...)
		} else {
			b = appendQuoted(b, *f.dst)
		}
	}
	return b
}

// decodeExtended reads an ext-value (RFC 8187 section 3.2.1):
//
//	UTF-8''J%C3%A4s%C3%B8n
//
// Only UTF-8 is left of the character sets that it once could have.
func decodeExtended(s string) (string, error) {
	charset, rest, _ := strings.Cut(s, "'")
	_, value, ok := strings.Cut(rest, "'") // after a language, which may be none
	if value = unescape(value); !ok || !equalFold(charset, "UTF-8") || !utf8.ValidString(value) {
		return "", valueError("expected a username* in UTF-8")
	}
	return value, nil
}
