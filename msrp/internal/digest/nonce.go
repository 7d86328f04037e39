package digest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A nonce is the base64 text of its time in nanoseconds since the server began, a random
// number, and the start of an HMAC over both and the connection. A server knows its own
// nonces without keeping them (RFC 2617 section 3.2.1).
const (
	nonceTime   = 8
	nonceRandom = 8
	nonceMAC    = 16
	nonceLen    = nonceTime + nonceRandom + nonceMAC
)

// newNonce makes a nonce for a connection.
func (s *Server) newNonce(conn string) string {
	var b [nonceLen]byte
	binary.BigEndian.PutUint64(b[:], uint64(s.clock()))
	rand.Read(b[nonceTime : nonceTime+nonceRandom])
	mac := s.nonceMAC(b[:nonceTime+nonceRandom], conn)
	copy(b[nonceTime+nonceRandom:], mac[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// readNonce returns when a nonce was made and its random number. It fails for text that
// newNonce has not made for this connection.
func (s *Server) readNonce(text, conn string) (made time.Duration, id uint64, ok bool) {
	var b [nonceLen]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(nonceLen) {
		return 0, 0, false
	}
	if n, err := base64.RawURLEncoding.Decode(b[:], []byte(text)); err != nil || n != nonceLen {
		return 0, 0, false
	}
	mac := s.nonceMAC(b[:nonceTime+nonceRandom], conn)
	if !hmac.Equal(mac[:], b[nonceTime+nonceRandom:]) {
		return 0, 0, false
	}
	return time.Duration(binary.BigEndian.Uint64(b[:])), binary.BigEndian.Uint64(b[nonceTime:]), true
}

func (s *Server) nonceMAC(b []byte, conn string) (mac [nonceMAC]byte) {
	h := hmac.New(sha256.New, s.secret)
	h.Write(b)
	h.Write([]byte(conn))
	var room [sha256.Size]byte
	copy(mac[:], h.Sum(room[:0]))
	return mac
}
