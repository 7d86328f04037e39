package digest

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"strings"

	shared "github.com/goparley/parley/internal/digest"
)

// maxStale is how many stale nonces in a row are believed.
const maxStale = 3

// Client answers the challenges of one relay, to one user: the protection space is a
// realm at the authority of a URI (RFC 4976 section 9.1). It goes from one request to
// the next, as AUTH requests are not pipelined, and is not for several goroutines at a
// time. The zero value apart from the two names is ready to use.
type Client struct {
	Username string
	Password string

	session *session // nil until the first challenge, and once refused
	sent    *sent    // what the last request had, nil for nothing
	stale   int      // how many nonces in a row were
}

// session is one nonce and how often it was used (RFC 2617 section 3.3).
type session struct {
	algorithm Algorithm
	param     string // the algorithm as in the challenge, "" if it named none
	realm     string
	nonce     string
	opaque    string
	key       string // H(A1)
	count     uint32
	fresh     bool // right from a challenge, and not used yet
}

// sent are credentials whose response has not come.
type sent struct {
	credentials
	fresh bool
}

// Authorize returns the Authorization value for a request that is sent next: "" as long
// as there was no challenge. uri is the rightmost one of To-Path as it is written there
// (RFC 4976 section 9.1). Each call counts the nonce once and takes a new cnonce. The
// error is one of a user name or uri that cannot stand in a message.
func (c *Client) Authorize(method, uri string) (string, error) {
	c.sent = nil
	s := c.session
	if s == nil {
		return "", nil
	}
	if !writable(c.Username) || !writable(uri) {
		return "", fmt.Errorf("digest: control character in user name %q or uri %q", c.Username, uri)
	}
	s.count++
	p := credentials{
		username:  c.Username,
		realm:     s.realm,
		nonce:     s.nonce,
		uri:       uri,
		qop:       qopAuth,
		nc:        shared.CountText(s.count),
		cnonce:    rand.Text(), // 130 bits
		opaque:    s.opaque,
		algorithm: s.param,
	}
	p.response = s.algorithm.response(s.key, method, uri, &p)
	c.sent = &sent{p, s.fresh}
	s.fresh = false
	return p.String(), nil
}

// Challenged takes the WWW-Authenticate values of a 401 to the request that was sent
// last; Authorize then answers the topmost one with SHA-256, or else with MD5. What is
// not understood is passed over. The error is ErrRefused for a wrong password,
// ErrUnsupported or ErrTooManyChallenges; after each the client is as it was before the
// first challenge.
//
// A nonce of an earlier request may have become stale without a word, and so a 401 to it
// is no refusal where it brings another nonce.
func (c *Client) Challenged(values []string) error {
	sent, old := c.sent, c.session
	c.sent, c.session = nil, nil
	ch, a, err := choose(values)
	switch {
	case err != nil:
	case sent == nil:
		c.stale = 0
	case !ch.stale && (sent.fresh || sent.nonce == ch.nonce):
		err = ErrRefused
	case c.stale == maxStale:
		err = ErrTooManyChallenges
	default:
		c.stale++
	}
	if err != nil {
		c.stale = 0
		return err
	}
	c.session = &session{
		algorithm: a,
		param:     strings.Clone(ch.algorithm),
		realm:     strings.Clone(ch.realm),
		nonce:     strings.Clone(ch.nonce),
		opaque:    strings.Clone(ch.opaque),
		key:       a.key(c.Username, ch.realm, c.Password),
		fresh:     true,
	}
	if old != nil && old.nonce == ch.nonce {
		c.session.count = old.count // which must not start again
	}
	return nil
}

// Verify takes the Authentication-Info value of another response than 401 to the request
// that was sent last, "" if it has none. It reports whether the relay has proved that it
// knows the password: it must (RFC 4976 section 9.1), but Kamailio does not try, so that
// is for the caller to insist on. The error is ErrMalformed, or ErrUnproved for a proof
// that is wrong or of another request. The nextnonce of a value without an error is used
// from the next request on.
func (c *Client) Verify(value string) (proved bool, err error) {
	sent, s := c.sent, c.session
	c.sent, c.stale = nil, 0
	if sent == nil || value == "" {
		return false, nil
	}
	info, err := readAuthenticationInfo(value)
	if err != nil {
		return false, err
	}
	// RFC 2617 section 3.2.3: cnonce and nc are those of the request.
	if info.qop != "" && info.qop != qopAuth ||
		info.cnonce != "" && info.cnonce != sent.cnonce ||
		info.nc != "" && !strings.EqualFold(info.nc, sent.nc) {
		return false, ErrUnproved
	}
	if info.rspauth != "" {
		want := s.algorithm.response(s.key, "", sent.uri, &sent.credentials)
		if subtle.ConstantTimeCompare([]byte(info.rspauth), []byte(want)) != 1 {
			return false, ErrUnproved
		}
	}
	if info.nextnonce != "" && info.nextnonce != s.nonce {
		s.nonce, s.count = strings.Clone(info.nextnonce), 0
	}
	return info.rspauth != "", nil
}
