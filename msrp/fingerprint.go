package msrp

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"strings"
)

// A fingerprint is the hash of a certificate, as a session description says it (RFC 8122 section 5).
type fingerprint struct {
	algorithm string // "sha-256"
	sum       string
}

// parseFingerprint reads "sha-256 12:AF:...". ok is false for what is none, or of a hash that is not known or not
// trusted any more.
func parseFingerprint(s string) (f fingerprint, ok bool) {
	algorithm, digits, ok := strings.Cut(strings.TrimSpace(s), " ")
	if !ok {
		return f, false
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(digits), ":", ""))
	f = fingerprint{strings.ToLower(algorithm), string(sum)}
	want := f.of(nil)
	return f, err == nil && want != nil && len(want) == len(sum)
}

// of returns the hash of a certificate by the same algorithm, nil if that is not known.
func (f fingerprint) of(der []byte) []byte {
	switch f.algorithm {
	case "sha-1": // what the examples of RFC 4975 have, and old peers
		sum := sha1.Sum(der)
		return sum[:]
	case "sha-224":
		sum := sha256.Sum224(der)
		return sum[:]
	case "sha-256":
		sum := sha256.Sum256(der)
		return sum[:]
	case "sha-384":
		sum := sha512.Sum384(der)
		return sum[:]
	case "sha-512":
		sum := sha512.Sum512(der)
		return sum[:]
	}
	return nil
}

// fingerprintOf returns the fingerprint of a certificate as it stands in a description.
func fingerprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	var b strings.Builder
	b.WriteString("SHA-256 ")
	for i, c := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	return b.String()
}

var errFingerprint = errors.New("msrp: the certificate is not the one of the session description")

// shows returns a check that a peer shows a certificate with one of these fingerprints (RFC 4975 section
// 14.4).
func shows(want []fingerprint) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errFingerprint
		}
		for _, f := range want {
			if bytes.Equal(f.of(state.PeerCertificates[0].Raw), []byte(f.sum)) {
				return nil
			}
		}
		return errFingerprint
	}
}
