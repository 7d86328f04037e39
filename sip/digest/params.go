package digest

import (
	"strings"

	"github.com/goparley/parley/sip"
)

const (
	qopAuth    = "auth"
	qopAuthInt = "auth-int"
)

// maxText bounds one challenge or one set of credentials, in bytes. What is
// longer is not understood. A nonce of 4 kB fits.
const maxText = 8192

// params are the parameters of a challenge or of credentials that this package
// knows, without their quotes (RFC 7616 sections 3.3 and 3.4).
type params struct {
	realm, nonce, opaque, algorithm, qop, userhash string

	stale                               string // of a challenge
	username, uri, response, cnonce, nc string // of credentials
}

// parse reads a digest challenge or credentials. It fails for another scheme,
// for too much text, without a realm, and where a parameter comes twice:
// whoever reads the other one would see something else.
func parse(c sip.Challenge) (p params, ok bool) {
	if !strings.EqualFold(c.Scheme, scheme) || len(c.Params) > maxText {
		return params{}, false
	}
	seen := 0
	for name, value := range c.Params.All() {
		dst, bit := p.field(name)
		if dst == nil {
			continue
		}
		if seen&bit != 0 {
			return params{}, false
		}
		seen |= bit
		*dst = value
	}
	return p, seen&1 != 0
}

const scheme = "Digest"

// field returns where the parameter with that name is kept, and a bit of its
// own; realm has the lowest.
func (p *params) field(name string) (*string, int) {
	for i, f := range [...]struct {
		name string
		dst  *string
	}{
		{"realm", &p.realm},
		{"nonce", &p.nonce},
		{"opaque", &p.opaque},
		{"algorithm", &p.algorithm},
		{"qop", &p.qop},
		{"userhash", &p.userhash},
		{"stale", &p.stale},
		{"username", &p.username},
		{"uri", &p.uri},
		{"response", &p.response},
		{"cnonce", &p.cnonce},
		{"nc", &p.nc},
	} {
		if strings.EqualFold(name, f.name) {
			return f.dst, 1 << i
		}
	}
	return nil, 0
}

// credentials writes the parameters as the value of an Authorization header
// field. Which ones stand in quotes is set by RFC 7616 section 3.4.
func (p *params) credentials() sip.AuthParams {
	b := make([]byte, 0, 256+len(p.realm)+len(p.nonce)+len(p.opaque)+len(p.uri))
	b = appendQuoted(b, "username", p.username)
	b = appendQuoted(b, "realm", p.realm)
	b = appendQuoted(b, "nonce", p.nonce)
	b = appendQuoted(b, "uri", p.uri)
	b = appendQuoted(b, "response", p.response)
	if p.algorithm != "" {
		b = appendToken(b, "algorithm", p.algorithm)
	}
	if p.opaque != "" {
		b = appendQuoted(b, "opaque", p.opaque)
	}
	if p.qop != "" {
		b = appendQuoted(b, "cnonce", p.cnonce)
		b = appendToken(b, "qop", p.qop)
		b = appendToken(b, "nc", p.nc)
	}
	if p.userhash != "" {
		b = appendToken(b, "userhash", p.userhash)
	}
	return sip.AuthParams(b)
}

// appendToken appends name=value to a list of parameters.
func appendToken(b []byte, name, value string) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(b, name...)
	b = append(b, '=')
	return append(b, value...)
}

// appendQuoted appends name="value", quotes and backslashes escaped.
func appendQuoted(b []byte, name, value string) []byte {
	b = appendToken(b, name, `"`)
	for i := 0; i < len(value); i++ {
		if value[i] == '"' || value[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, value[i])
	}
	return append(b, '"')
}

// chooseQOP picks the quality of protection from the list in a challenge: auth
// before auth-int, for boxes on the path that rewrite SDP are many. A challenge
// without a list gets "" (RFC 2069).
func chooseQOP(list string) (qop string, ok bool) {
	if list == "" {
		return "", true
	}
	for item := range strings.SplitSeq(list, ",") {
		switch item = strings.TrimSpace(item); {
		case strings.EqualFold(item, qopAuth):
			return qopAuth, true
		case strings.EqualFold(item, qopAuthInt):
			qop = qopAuthInt
		}
	}
	return qop, qop != ""
}

// requestURI returns the Request-URI as it is written, which is what the uri
// parameter holds and the digest covers (RFC 3261 section 22.4 item 3).
func requestURI(req *sip.Request) string {
	_, rest, _ := strings.Cut(req.String(), " ")
	uri, _, _ := strings.Cut(rest, " ")
	return uri
}
