package digest

import (
	"strings"
	"testing"
	"time"
)

// A nonce is known to who has the secret, for what it was made for, and to nobody else.
func TestNonce(t *testing.T) {
	now := time.Unix(1700000000, 123456789)
	nonces := NewNonces([]byte("of two servers"))
	nonce := nonces.New(now, "a realm")
	other := nonces.New(now, "a realm")
	made, id, ok := NewNonces([]byte("of two servers")).Read(nonce, "a realm")
	if !ok || !made.Equal(now) {
		t.Errorf("Read() = %v, %v, want %v", made, ok, now)
	}
	if _, second, _ := nonces.Read(other, "a realm"); second == id {
		t.Errorf("two nonces have the number %x", id)
	}
	for _, c := range []struct {
		name        string
		nonces      Nonces
		nonce, text string
	}{
		{"another text", nonces, nonce, "another realm"},
		{"another secret", NewNonces([]byte("of a third")), nonce, "a realm"},
		{"a random secret", NewNonces(nil), nonce, "a realm"},
		{"another time", nonces, "A" + nonce[1:], "a realm"},
		{"nothing", nonces, "", "a realm"},
		{"cut", nonces, nonce[:len(nonce)-1], "a realm"},
		{"longer", nonces, nonce + "A", "a realm"},
		{"no base64", nonces, strings.Repeat("!", len(nonce)), "a realm"},
		{"line ends, which base64 passes over", nonces, nonce[:len(nonce)-4] + "\r\n\r\n", "a realm"},
	} {
		if _, _, ok := c.nonces.Read(c.nonce, c.text); ok {
			t.Errorf("%s: Read(%q) knows it", c.name, c.nonce)
		}
	}
	a, b := NewNonces(nil), NewNonces(nil)
	if _, _, ok := a.Read(b.New(now, ""), ""); ok {
		t.Error("two random keys are one")
	}
}

// Whoever gives a secret may write over it.
func TestSecretIsCopied(t *testing.T) {
	secret := []byte("a secret")
	nonces := NewNonces(secret)
	nonce := nonces.New(time.Now(), "")
	clear(secret)
	if _, _, ok := nonces.Read(nonce, ""); !ok {
		t.Error("the nonces changed with the secret")
	}
}
