package digest

import (
	"strings"

	shared "github.com/goparley/parley/internal/digest"
	"github.com/goparley/parley/sip"
)

// Algorithm is the algorithm parameter of a challenge (RFC 7616 section 6.1).
// Each of the three also exists with "-sess" appended, whose key lasts as long
// as a nonce (RFC 7616 section 3.4.2): SHA256 + "-sess".
type Algorithm string

// The algorithms of RFC 8760. SHA512256 is SHA-512/256 of FIPS 180-4, not
// SHA-512 cut to 256 bits, which is what the example in RFC 7616 section 3.9.2
// shows by mistake.
const (
	MD5       Algorithm = "MD5"
	SHA256    Algorithm = "SHA-256"
	SHA512256 Algorithm = "SHA-512-256"
)

// hash is an algorithm as code: which hash, and whether keys are per session.
type hash struct {
	shared.Hash // "" for an algorithm that is not understood
	sess        bool
}

// lookupHash finds the hash for the text of an algorithm parameter, in any
// case. No text at all is MD5 (RFC 7616 section 3.3).
func lookupHash(algorithm string) (h hash, ok bool) {
	base := algorithm
	if n := len(algorithm) - len("-sess"); n > 0 && strings.EqualFold(algorithm[n:], "-sess") {
		base, h.sess = algorithm[:n], true
	}
	h.Hash, ok = shared.FindHash(base)
	return h, ok
}

// strong reports whether the algorithm is more than MD5.
func (h hash) strong() bool { return h.Hash != shared.MD5 }

// key returns H(A1) for a password. That of a -sess algorithm is the same: the
// nonces come in with response (RFC 7616 section 3.4.2).
func (h hash) key(username, realm, password string) string {
	return h.Sum(username, realm, password)
}

// response returns what the response parameter must say (RFC 7616 section
// 3.4.1), without qop as in RFC 2069 (RFC 2617 section 3.2.2.1). p gives nonce,
// uri, qop, nc and cnonce.
func (h hash) response(key, method, body string, p *sip.DigestCredentials) string {
	if h.sess {
		key = h.Sum(key, p.Nonce, p.CNonce)
	}
	var a2 string
	if p.QOP == qopAuthInt {
		a2 = h.Sum(method, p.URI, h.Sum(body))
	} else {
		a2 = h.Sum(method, p.URI)
	}
	if p.QOP == "" {
		return h.Sum(key, p.Nonce, a2)
	}
	return h.Sum(key, p.Nonce, p.NC, p.CNonce, p.QOP, a2)
}
