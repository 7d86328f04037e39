package digest

import shared "github.com/goparley/parley/internal/digest"

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
	h, ok := shared.FindHash(text)
	if !ok || h == shared.SHA512256 {
		return "", false
	}
	return Algorithm(h), true
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

func (a Algorithm) sum(parts ...string) string { return shared.Hash(a).Sum(parts...) }
