package digest

import (
	"fmt"

	"github.com/goparley/parley/sip"
)

// credential is one set of credentials in a request.
type credential struct {
	space
	digest  bool          // false: of another scheme, or not readable
	text    sip.Challenge // as it stands in the message
	p       sip.DigestCredentials
	session *session // what to make new ones from, nil to keep the text
	answer  answer
}

// readGiven returns the credentials in a request. What is no digest is kept as
// text.
func readGiven(req *sip.Request) []credential {
	var given []credential
	add := func(proxy bool, text sip.Challenge) {
		p, err := readCredentials(text)
		given = append(given, credential{space: space{proxy, p.Realm}, digest: err == nil, text: text, p: p})
	}
	for h, err := range sip.All[sip.ProxyAuthorization](req) {
		if err == nil {
			add(true, sip.Challenge(h))
		}
	}
	for h, err := range sip.All[sip.Authorization](req) {
		if err == nil {
			add(false, sip.Challenge(h))
		}
	}
	return given
}

func find(given []credential, s space) *credential {
	for i := range given {
		if given[i].digest && given[i].space == s {
			return &given[i]
		}
	}
	return nil
}

// CopyCredentials returns the ACK for a 2xx with the credentials of its INVITE,
// as RFC 3261 section 22.1 asks. They are copied as they are: their digest was
// made with the method INVITE and its Request-URI, and servers accept them for
// the ACK as they did before.
func CopyCredentials(ack, invite *sip.Request) *sip.Request {
	given := readGiven(invite)
	if len(given) == 0 {
		return ack
	}
	out, err := write(ack, given)
	if err != nil {
		return ack
	}
	return out
}

// write replaces the credentials of a request.
func write(req *sip.Request, given []credential) (*sip.Request, error) {
	edits := append(make([]sip.Edit, 0, 2+maxRealms), sip.Del("Authorization"), sip.Del("Proxy-Authorization"))
	for _, g := range given {
		if g.proxy {
			edits = append(edits, sip.Add(sip.ProxyAuthorization(g.text)))
		} else {
			edits = append(edits, sip.Add(sip.Authorization(g.text)))
		}
	}
	out := req.With(edits...)
	if err := out.Err(); err != nil {
		return nil, fmt.Errorf("digest: write credentials: %w", err)
	}
	return out, nil
}
