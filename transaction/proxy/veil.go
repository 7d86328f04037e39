package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// The token of a flow in a Record-Route is veiled: its signature is good with the
// bond of the entry alone. Both ends of a dialog get the entry, which without the
// bond would be a Path to the other end, for anybody to register.
const veilMark = "."

// tokenText is how transport writes tokens, and signature how many bytes they begin
// with that nobody else can make.
var tokenText = base64.RawURLEncoding.Strict()

const (
	signature = 16
	maxToken  = 128 // in characters
)

// veil returns a token veiled, which begins with veilMark.
func (k *key) veil(token, bond string) string {
	return veilMark + k.cover(token, bond)
}

// unveil returns what was veiled. With another bond it is no token of ours.
func (k *key) unveil(veiled, bond string) string {
	return k.cover(strings.TrimPrefix(veiled, veilMark), bond)
}

func isVeiled(user string) bool { return strings.HasPrefix(user, veilMark) }

// cover puts over a signature what only we know of the rest and the bond. Twice
// takes it off again. What is no token comes to nothing.
func (k *key) cover(token, bond string) string {
	if len(token) > maxToken {
		return ""
	}
	b, err := tokenText.DecodeString(token)
	if err != nil || len(b) <= signature {
		return ""
	}
	var room [256]byte
	text := append(field(field(k.hash(room[:0]), string(b[signature:])), bond), 'v')
	over := sha256.Sum256(text)
	subtle.XORBytes(b, b[:signature], over[:])
	return tokenText.EncodeToString(b)
}

// flowOf returns the flow of an entry, as FlowOf of the Endpoint does.
func (s *self) flowOf(ep *transport.Endpoint, entry sip.URI) (transport.Flow, error) {
	if !isVeiled(entry.User) {
		return ep.FlowOf(entry.User)
	}
	bond, _ := entry.Param(bondParam)
	return ep.FlowOf(s.veils.unveil(entry.User, bond))
}

// recorded returns an entry for a Record-Route.
func (p *passage) recorded(uri sip.URI, flow transport.Flow, secure bool, b bond) sip.URI {
	bond := string(b[:])
	uri = p.entry(uri, flow, secure, bond)
	if !flow.IsZero() {
		uri.User = p.p.bonds.veil(uri.User, bond)
	}
	return uri
}
