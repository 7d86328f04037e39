package digest

import (
	"fmt"

	shared "github.com/goparley/parley/internal/digest"
)

// credentials is the value of an Authorization header field (RFC 2617 section 3.2.2).
type credentials struct {
	username  string
	realm     string
	nonce     string
	uri       string
	qop       string
	nc        string // eight hex digits
	cnonce    string
	response  string
	opaque    string
	algorithm string
}

// readCredentials returns ErrNoCredentials for another scheme.
func readCredentials(value string) (credentials, error) {
	rest, ok := cutScheme(value)
	if !ok {
		return credentials{}, ErrNoCredentials
	}
	p, err := parse(rest)
	if err != nil {
		return credentials{}, err
	}
	return credentials{
		username:  p.get("username"),
		realm:     p.get("realm"),
		nonce:     p.get("nonce"),
		uri:       p.get("uri"),
		qop:       p.get("qop"),
		nc:        p.get("nc"),
		cnonce:    p.get("cnonce"),
		response:  p.get("response"),
		opaque:    p.get("opaque"),
		algorithm: p.get("algorithm"),
	}, nil
}

// String writes qop without quotes, unlike a challenge (RFC 4976 section 9.1).
func (c *credentials) String() string {
	l := list{b: append(make([]byte, 0, 512), scheme+" "...)}
	l.quoted("username", c.username)
	l.quoted("realm", c.realm)
	l.quoted("nonce", c.nonce)
	l.quoted("uri", c.uri)
	l.bare("qop", c.qop)
	l.bare("nc", c.nc)
	l.quoted("cnonce", c.cnonce)
	l.quoted("response", c.response)
	l.quoted("opaque", c.opaque)
	l.bare("algorithm", c.algorithm)
	return string(l.b)
}

// check holds that all is there which a client must send (RFC 4976 section 9.1), and
// returns the nonce count. A uri need not be there: the examples of RFC 4976 section 5.1
// have none, and neither does its grammar.
func (c *credentials) check() (count uint32, err error) {
	if c.username == "" || c.nonce == "" || c.response == "" || c.cnonce == "" {
		return 0, fmt.Errorf("%w: no username, nonce, response or cnonce", ErrMalformed)
	}
	if c.qop != qopAuth {
		return 0, fmt.Errorf("%w: qop is not auth", ErrMalformed)
	}
	count, ok := shared.ReadCount(c.nc)
	if !ok {
		return 0, fmt.Errorf("%w: bad nc", ErrMalformed)
	}
	return count, nil
}
