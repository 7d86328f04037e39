package digest

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"

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
	kind hashKind
	sess bool
}

type hashKind uint8

const (
	hashNone hashKind = iota // an algorithm that is not understood
	hashMD5
	hashSHA256
	hashSHA512256
)

// lookupHash finds the hash for the text of an algorithm parameter, in any
// case. No text at all is MD5 (RFC 7616 section 3.3).
func lookupHash(algorithm string) (h hash, ok bool) {
	base := algorithm
	if n := len(algorithm) - len("-sess"); n > 0 && strings.EqualFold(algorithm[n:], "-sess") {
		base, h.sess = algorithm[:n], true
	}
	switch {
	case base == "" || strings.EqualFold(base, string(MD5)):
		// A program in FIPS 140-only mode has no MD5: crypto/md5 panics.
		if !fips140.Enforced() {
			h.kind = hashMD5
		}
	case strings.EqualFold(base, string(SHA256)):
		h.kind = hashSHA256
	case strings.EqualFold(base, string(SHA512256)):
		h.kind = hashSHA512256
	}
	return h, h.kind != hashNone
}

// strong reports whether the algorithm is more than MD5.
func (h hash) strong() bool { return h.kind > hashMD5 }

// sum returns the hash of the parts with colons between them, in lower case
// hex digits (RFC 8760 section 2.2).
func (h hash) sum(parts ...string) string {
	var room [512]byte
	b := room[:0]
	for i, p := range parts {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, p...)
	}
	var sum [sha256.Size]byte
	n := sha256.Size
	switch h.kind {
	case hashMD5:
		s := md5.Sum(b)
		n = copy(sum[:], s[:])
	case hashSHA256:
		sum = sha256.Sum256(b)
	case hashSHA512256:
		sum = sha512.Sum512_256(b)
	}
	var digits [2 * sha256.Size]byte
	return string(digits[:hex.Encode(digits[:], sum[:n])])
}

// key returns H(A1) for a password. That of a -sess algorithm is the same: the
// nonces come in with response (RFC 7616 section 3.4.2).
func (h hash) key(username, realm, password string) string {
	return h.sum(username, realm, password)
}

// response returns what the response parameter must say (RFC 7616 section
// 3.4.1), without qop as in RFC 2069 (RFC 2617 section 3.2.2.1). p gives nonce,
// uri, qop, nc and cnonce.
func (h hash) response(key, method, body string, p *sip.DigestCredentials) string {
	if h.sess {
		key = h.sum(key, p.Nonce, p.CNonce)
	}
	var a2 string
	if p.QOP == qopAuthInt {
		a2 = h.sum(method, p.URI, h.sum(body))
	} else {
		a2 = h.sum(method, p.URI)
	}
	if p.QOP == "" {
		return h.sum(key, p.Nonce, a2)
	}
	return h.sum(key, p.Nonce, p.NC, p.CNonce, p.QOP, a2)
}
