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
// number, and the start of an HMAC over both and what the nonce is for. A server
// knows its own nonces without keeping them (RFC 7616 section 3.3), and so does any
// other that has the same secret.
const (
	nonceTime   = 8
	nonceRandom = 8
	nonceMAC    = 16
	nonceLen    = nonceTime + nonceRandom + nonceMAC
)

// Nonces makes the nonces of a server, and knows them again.
type Nonces struct{ secret []byte }

// NewNonces returns those of a secret, which is copied; nil is a random one.
func NewNonces(secret []byte) Nonces {
	if len(secret) == 0 {
		return Nonces{[]byte(rand.Text() + rand.Text())}
	}
	return Nonces{append([]byte(nil), secret...)}
}

// New makes a nonce for a realm, a connection, or whatever else the text is.
func (n Nonces) New(now time.Time, text string) string {
	var b [nonceLen]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixNano()))
	rand.Read(b[nonceTime : nonceTime+nonceRandom])
	mac := n.mac(b[:nonceTime+nonceRandom], text)
	copy(b[nonceTime+nonceRandom:], mac[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Read returns when a nonce was made, by a clock that may be set, and its random
// number. It fails for one that New has not made with this secret for this text.
func (n Nonces) Read(nonce, text string) (made time.Time, id uint64, ok bool) {
	var b [nonceLen]byte
	if len(nonce) != base64.RawURLEncoding.EncodedLen(nonceLen) {
		return time.Time{}, 0, false
	}
	if n, err := base64.RawURLEncoding.Decode(b[:], []byte(nonce)); err != nil || n != nonceLen {
		return time.Time{}, 0, false
	}
	mac := n.mac(b[:nonceTime+nonceRandom], text)
	if !hmac.Equal(mac[:], b[nonceTime+nonceRandom:]) {
		return time.Time{}, 0, false
	}
	made = time.Unix(0, int64(binary.BigEndian.Uint64(b[:])))
	return made, binary.BigEndian.Uint64(b[nonceTime:]), true
}

func (n Nonces) mac(b []byte, text string) (mac [nonceMAC]byte) {
	h := hmac.New(sha256.New, n.secret)
	h.Write(b)
	h.Write([]byte(text))
	var room [sha256.Size]byte
	copy(mac[:], h.Sum(room[:0]))
	return mac
}
