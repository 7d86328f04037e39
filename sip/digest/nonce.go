package digest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A nonce is the base64 text of its time in nanoseconds since 1970, a random
// number, and the start of an HMAC over both and the realm. A server knows its
// own nonces without keeping them (RFC 7616 section 3.3), and so does any other
// that has the same secret and realm.
const (
	nonceTime   = 8
	nonceRandom = 8
	nonceMAC    = 16
	nonceLen    = nonceTime + nonceRandom + nonceMAC
)

// newNonce makes a nonce.
func (s *Server) newNonce(now time.Time) string {
	var b [nonceLen]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixNano()))
	rand.Read(b[nonceTime : nonceTime+nonceRandom])
	mac := s.nonceMAC(b[:nonceTime+nonceRandom])
	copy(b[nonceTime+nonceRandom:], mac[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// readNonce returns when a nonce was made and its random number. It fails for
// text that newNonce has not made.
func (s *Server) readNonce(text string) (made time.Time, id uint64, ok bool) {
	var b [nonceLen]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(nonceLen) {
		return time.Time{}, 0, false
	}
	if n, err := base64.RawURLEncoding.Decode(b[:], []byte(text)); err != nil || n != nonceLen {
		return time.Time{}, 0, false
	}
	mac := s.nonceMAC(b[:nonceTime+nonceRandom])
	if !hmac.Equal(mac[:], b[nonceTime+nonceRandom:]) {
		return time.Time{}, 0, false
	}
	made = time.Unix(0, int64(binary.BigEndian.Uint64(b[:])))
	return made, binary.BigEndian.Uint64(b[nonceTime:]), true
}

func (s *Server) nonceMAC(b []byte) (mac [nonceMAC]byte) {
	h := hmac.New(sha256.New, s.secret)
	h.Write(b)
	h.Write([]byte(s.config.Realm))
	var room [sha256.Size]byte
	copy(mac[:], h.Sum(room[:0]))
	return mac
}
