package digest

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Algorithm is the algorithm parameter of a challenge. RFC 4976 section 9.1 rules out
// MD5-sess, the only other one of RFC 2617.
type Algorithm string

const (
	MD5    Algorithm = "MD5"
	SHA256 Algorithm = "SHA-256" // RFC 7616 section 6.1
)

// lookup finds the algorithm by the text of its parameter, in any case. No text at all
// is MD5 (RFC 2617 section 3.2.1).
func lookup(text string) (a Algorithm, ok bool) {
	switch {
	case strings.EqualFold(text, string(SHA256)):
		return SHA256, true
	case text == "", strings.EqualFold(text, string(MD5)):
		// A program in FIPS 140-only mode has no MD5: crypto/md5 panics.
		return MD5, !fips140.Enforced()
	}
	return "", false
}

// param is what stands in messages. MD5 does not, as in the examples of RFC 4976.
func (a Algorithm) param() string {
	if a == MD5 {
		return ""
	}
	return string(a)
}

// key returns H(A1) (RFC 2617 section 3.2.2.2).
func (a Algorithm) key(username, realm, password string) string {
	return a.sum(username, realm, password)
}

// response returns what the response parameter must say (RFC 2617 section 3.2.2.1),
// and, for the method "", the rspauth parameter (section 3.2.3). c gives nonce, nc,
// cnonce and qop.
func (a Algorithm) response(key, method, uri string, c *credentials) string {
	return a.sum(key, c.nonce, c.nc, c.cnonce, c.qop, a.sum(method, uri))
}

// sum returns the hash of the parts with colons between them, in lower case hex
// digits.
func (a Algorithm) sum(parts ...string) string {
	var room [512]byte
	b := room[:0]
	for i, p := range parts {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, p...)
	}
	if a == MD5 {
		s := md5.Sum(b)
		return hex.EncodeToString(s[:])
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
