package frame

import (
	"crypto/rand"
	"encoding/base32"
	fast "math/rand/v2"
)

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

// AppendID appends a transaction identifier: 13 characters of 65 random bits, as RFC 4975
// section 7.1 wants 64.
func AppendID(b []byte) []byte {
	// The generator of the runtime is ChaCha8 with a seed of the system's.
	x, y := fast.Uint64(), fast.Uint32()
	for range 12 {
		b = append(b, idAlphabet[x&31])
		x >>= 5
	}
	return append(b, idAlphabet[(uint32(x)|y<<4)&31])
}

// NewSessionID returns the session-id of a URI that nobody can guess: 26 characters of 128
// random bits, where RFC 4975 section 14.1 wants 80.
func NewSessionID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding).EncodeToString(b[:])
}
