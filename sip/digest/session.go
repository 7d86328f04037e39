package digest

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	shared "github.com/goparley/parley/internal/digest"
	"github.com/goparley/parley/sip"
)

// session is the authentication session of RFC 7616 section 3.6: one nonce, and
// how often it was used. All but the last two stay as they are.
type session struct {
	space
	hash      hash
	algorithm string // as in the challenge, "" if it named none
	qop       string
	nonce     string
	opaque    string
	userhash  bool
	username  string // as it goes on the wire
	key       string // H(A1)
	cnonce    string
	count     uint32
	refused   bool // somebody said that the password is wrong
}

// begin starts a session with the nonce of a challenge, or goes on with the one
// that has this nonce: the count must not start again.
func (c *Client) begin(ch challenge, cred *Credentials) *session {
	s := c.session(ch.space)
	if s != nil && s.nonce == ch.p.Nonce && s.hash == ch.hash && s.qop == ch.qop && s.opaque == ch.p.Opaque {
		s.refused = false
		return s
	}
	var random [16]byte
	rand.Read(random[:])
	s = &session{
		space:     space{ch.proxy, strings.Clone(ch.realm)},
		hash:      ch.hash,
		algorithm: strings.Clone(ch.p.Algorithm),
		qop:       ch.qop,
		nonce:     strings.Clone(ch.p.Nonce),
		opaque:    strings.Clone(ch.p.Opaque),
		userhash:  ch.p.UserHash,
		username:  cred.Username,
		key:       ch.hash.key(cred.Username, ch.realm, cred.Password),
		// One cnonce for the whole session. RFC 7616 section 3.4.2 makes
		// the key of a -sess algorithm from the first one; servers differ
		// in whether they remember it.
		cnonce: hex.EncodeToString(random[:]),
	}
	if s.userhash {
		s.username = ch.hash.Sum(cred.Username, ch.realm) // RFC 7616 section 3.4.4
	}
	c.sessions.Put(c.spaceKey(s.space), s)
	return s
}

// authorize makes credentials for a request.
func (s *session) authorize(req *sip.Request) sip.DigestCredentials {
	p := sip.DigestCredentials{
		Username:  s.username,
		Realm:     s.realm,
		Nonce:     s.nonce,
		URI:       requestURI(req),
		Algorithm: s.algorithm,
		Opaque:    s.opaque,
		QOP:       s.qop,
		UserHash:  s.userhash,
	}
	if s.qop != "" {
		s.count++
		p.CNonce = s.cnonce
		p.NC = shared.CountText(s.count)
	}
	p.Response = s.hash.response(s.key, string(req.Method()), req.Body(), &p)
	return p
}
