package proxy

import (
	"crypto/subtle"
	"slices"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
)

// A bond is a parameter of our Record-Route and Path that ties it to the requests
// that it is for. The token in front says that the entry is ours; without a bond
// it would open the way to everybody for whoever was once sent one.
type bond [16]byte

const (
	bondParam = "bond"
	maxBonds  = 8 // of one entry
)

// dialog returns the bond of the dialogs that a request makes: to its Call-ID, and
// the tag of who has sent it, which stands in the From or the To of every request
// to come.
func (k *key) dialog(callID, tag string) (b bond) {
	var room [256]byte
	text := field(field(k.hash(room[:0]), callID), tag)
	sum(b[:0], append(text, 'd'), len(b)/2)
	return b
}

// contact returns the bond of a Path: to a Contact that was registered, which is
// the Request-URI of what comes by it. The parameters of the two may differ, and
// the escapes of the user (RFC 3261 section 19.1.4).
func (k *key) contact(uri sip.URI) (b bond) {
	var room [256]byte
	text := field(field(k.hash(room[:0]), uri.Username()), hostname.Canonical(uri.Host))
	sum(b[:0], append(text, 'p'), len(b)/2)
	return b
}

// contacts returns the bonds of a Path one after another: to each Contact that a
// REGISTER binds, for they all get that Path (RFC 3327 section 5.3). Of more than
// maxBonds there are none, rather than of some: the Path opens no way then, but to
// the flow that it may name. A Contact of a domain of ours has none either: what is
// for it is for us to find, by whatever Route it comes, and a user who registers as
// another one elsewhere is to have no way to that.
func (k *key) contacts(req *sip.Request, domains []string) string {
	var bonds []byte
	for contact, err := range sip.All[sip.Contact](req) {
		if err != nil || contact.URI.Host == "" {
			continue
		}
		if expires, ok := contact.Expires(); ok && expires == 0 { // it goes
			continue
		}
		if slices.Contains(domains, hostname.Canonical(contact.URI.Host)) {
			continue
		}
		b := k.contact(contact.URI)
		if b.isIn(string(bonds)) { // another port or transport of the same
			continue
		}
		if len(bonds) == maxBonds*len(b) {
			return ""
		}
		bonds = append(bonds, b[:]...)
	}
	return string(bonds)
}

// A tie is how an entry is tied to a request.
type tie uint8

const (
	notTied tie = iota
	toPath
	toCaller // within a dialog that the sender of the request began
	toCallee // within one that the sender was called to
)

// tieOf returns how an entry is tied to a request whose Request-URI is to. Without a
// tag in its To a request is within no dialog.
func (k *key) tieOf(entry sip.URI, req *sip.Request, to sip.URI) tie {
	value, _ := entry.Param(bondParam)
	if value == "" {
		return notTied
	}
	if tag := req.To().Tag(); tag != "" {
		switch {
		case k.dialog(req.CallID(), req.From().Tag()).isIn(value):
			return toCaller
		case k.dialog(req.CallID(), tag).isIn(value):
			return toCallee
		}
	}
	if k.contact(to).isIn(value) {
		return toPath
	}
	return notTied
}

// isIn reports whether a bond is one of an entry's.
func (b bond) isIn(value string) bool {
	if len(value) > maxBonds*len(b) {
		return false
	}
	for ; len(value) >= len(b); value = value[len(b):] {
		if subtle.ConstantTimeCompare(b[:], []byte(value[:len(b)])) == 1 {
			return true
		}
	}
	return false
}
