package digest

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
)

// Hash is a hash by the name that algorithm parameters have for it (RFC 7616 section
// 6.1).
type Hash string

const (
	MD5       Hash = "MD5"
	SHA256    Hash = "SHA-256"
	SHA512256 Hash = "SHA-512-256"
)

// FindHash returns the hash of a name in any case. No name at all is MD5 (RFC 7616
// section 3.3).
func FindHash(name string) (h Hash, ok bool) {
	switch {
	case name == "", strings.EqualFold(name, string(MD5)):
		// A program in FIPS 140-only mode has no MD5: crypto/md5 panics.
		if !fips140.Enforced() {
			h = MD5
		}
	case strings.EqualFold(name, string(SHA256)):
		h = SHA256
	case strings.EqualFold(name, string(SHA512256)):
		h = SHA512256
	}
	return h, h != ""
}

// Sum returns the hash of the parts with colons between them, in lower case hex digits
// (RFC 8760 section 2.2). h is one that FindHash returns.
func (h Hash) Sum(parts ...string) string {
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
	switch h {
	case MD5:
		s := md5.Sum(b)
		n = copy(sum[:], s[:])
	case SHA256:
		sum = sha256.Sum256(b)
	case SHA512256:
		sum = sha512.Sum512_256(b)
	}
	var digits [2 * sha256.Size]byte
	return string(digits[:hex.Encode(digits[:], sum[:n])])
}
