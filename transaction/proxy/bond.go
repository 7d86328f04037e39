package proxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/goparley/parley/sip"
)

// A bond is a parameter of our Record-Route and Path that ties it to the requests
// that it is for. The token in front says that the entry is ours; without a bond
// it would open the way to everybody for whoever was once sent one.
type bond [16]byte

const bondParam = "bond"

// newBondKey returns the key of bonds: one that lasts as long as that of tokens.
func newBondKey(flowKey []byte) (k key) {
	if len(flowKey) == 0 {
		return newKey()
	}
	h := hmac.New(sha256.New, flowKey)
	h.Write([]byte(bondParam))
	h.Sum(k[:0])
	return k
}

// dialog returns the bond of the dialogs that a request makes: to its Call-ID, and
// the tag of who has sent it, which stands in the From or the To of every request
// to come.
func (k *key) dialog(callID, tag string) (b bond) {
	var room [256]byte
	text := field(field(k.hash(room[:0]), callID), tag)
	sum(b[:0], append(text, 'd'), len(b)/2)
	return b
}

// contact returns the bond of a Path: to the Contact that was registered, which
// is the Request-URI of what comes by it. The parameters of the two may differ.
func (k *key) contact(uri sip.URI) (b bond) {
	var room [256]byte
	text := field(field(k.hash(room[:0]), uri.User), hostName(uri.Host))
	sum(b[:0], append(text, 'p'), len(b)/2)
	return b
}

// isBound reports whether an entry is tied to a request whose Request-URI is to.
// Without a tag in its To a request is within no dialog.
func (k *key) isBound(entry sip.URI, req *sip.Request, to sip.URI) bool {
	value, _ := entry.Param(bondParam)
	if len(value) != len(bond{}) {
		return false
	}
	if tag := req.To().Tag(); tag != "" {
		if k.dialog(req.CallID(), req.From().Tag()).is(value) || k.dialog(req.CallID(), tag).is(value) {
			return true
		}
	}
	return k.contact(to).is(value)
}

func (b bond) is(value string) bool { return subtle.ConstantTimeCompare(b[:], []byte(value)) == 1 }
