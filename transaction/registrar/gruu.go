package registrar

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/goparley/parley/sip"
)

// gruus makes and reads temporary GRUUs, and keeps none: one holds the key of its
// address-of-record and the epoch of its instance, enciphered. It is valid as
// long as a binding has that epoch (RFC 5627 section 5.3).
//
// Each is another one, by a random number, and nobody can tell of two whether
// they are of the same user (section 5.1): what is enciphered is filled up to
// one of few lengths. The tag over it is what AES counts from, so that two that
// were ever made alike would show nothing but that (a synthetic IV, as in RFC
// 5297).
type gruus struct {
	mac   []byte
	block cipher.Block
}

const (
	gruuTag    = 16
	gruuRandom = 8
	gruuEpoch  = 8
	gruuHead   = gruuRandom + gruuEpoch
	gruuStep   = 64 // lengths are multiples of it: one, for up to 47 bytes of key
)

// gruuText writes them in characters that no user part escapes.
var gruuText = base64.RawURLEncoding

func newGRUUs(secret []byte) *gruus {
	if len(secret) == 0 {
		secret = make([]byte, 32)
		rand.Read(secret)
	}
	derive := func(what string) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte("temporary GRUU " + what))
		return h.Sum(nil)
	}
	block, err := aes.NewCipher(derive("cipher"))
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	return &gruus{derive("tag"), block}
}

func (g *gruus) sum(text []byte) []byte {
	h := hmac.New(sha256.New, g.mac)
	h.Write(text)
	return h.Sum(nil)[:gruuTag]
}

// seal returns the user part of a new temporary GRUU.
func (g *gruus) seal(key string, epoch uint64) string {
	size := (gruuHead + len(key) + 1 + gruuStep - 1) / gruuStep * gruuStep
	b := make([]byte, gruuTag+size)
	text := b[gruuTag:]
	rand.Read(text[:gruuRandom])
	binary.BigEndian.PutUint64(text[gruuRandom:], epoch)
	copy(text[gruuHead:], key) // a zero ends it
	copy(b, g.sum(text))
	cipher.NewCTR(g.block, b[:gruuTag]).XORKeyStream(text, text)
	return gruuText.EncodeToString(b)
}

// open reads one. ok is false for what seal has not made.
func (g *gruus) open(user string) (key string, epoch uint64, ok bool) {
	if len(user) > gruuText.EncodedLen(gruuTag+gruuHead+maxKey+gruuStep) {
		return "", 0, false
	}
	b, err := gruuText.Strict().DecodeString(user)
	if err != nil || len(b) < gruuTag+gruuStep {
		return "", 0, false
	}
	text := b[gruuTag:]
	cipher.NewCTR(g.block, b[:gruuTag]).XORKeyStream(text, text)
	if !hmac.Equal(b[:gruuTag], g.sum(text)) {
		return "", 0, false
	}
	rest := text[gruuHead:]
	n := 0
	for n < len(rest) && rest[n] != 0 {
		n++
	}
	return string(rest[:n]), binary.BigEndian.Uint64(text[gruuRandom:]), true
}

// gruuRoom returns how many bytes the GRUUs of these bindings take in a 200, at the
// most.
func gruuRoom(key string, bindings []Binding) int {
	n := 0
	for i := range bindings {
		if instance := bindings[i].Contact.Instance(); instance != "" {
			const around = len(`;pub-gruu="sips:;gr=";temp-gruu="sips:@;gr"`)
			n += around + len(key) + 3*len(instance) + // each byte an escape
				len(key) + gruuText.EncodedLen(gruuTag+gruuHead+len(key)+gruuStep)
		}
	}
	return n
}

// newEpoch returns a number that no instance has had, which is not 0.
func newEpoch() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) | 1
}

// public returns the public GRUU of a user agent (RFC 5627 section 5.1, appendix
// A.1). Its scheme is that of the Contact (RFC 5630 section 5.2.1).
func public(key, scheme, instance string) sip.URI {
	return aorURI(key, scheme).WithParam("gr", instance)
}

// temporary returns a new temporary GRUU, on the host of the address-of-record.
func (g *gruus) temporary(key, scheme string, epoch uint64) sip.URI {
	uri := aorURI(key, scheme)
	uri.User, uri.Params = g.seal(key, epoch), ";gr"
	return uri
}
