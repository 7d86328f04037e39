package digest

import (
	"strings"

	"github.com/goparley/parley/sip"
)

// challenge is a challenge that this package can answer.
type challenge struct {
	space
	p    sip.DigestChallenge
	hash hash
	qop  string
}

// readChallenges returns the best challenge for each realm, in the order of the
// response. A response that a forking proxy put together may hold both kinds
// of header field (RFC 3261 section 22.3).
func readChallenges(resp *sip.Response) ([]challenge, error) {
	var best []challenge
	var realm string
	add := func(proxy bool, text sip.Challenge) {
		if realm == "" {
			realm, _ = text.Params.Get("realm")
		}
		p, err := readChallenge(text)
		if err != nil {
			return
		}
		ch, ok := newChallenge(proxy, p)
		if !ok {
			return
		}
		for i := range best {
			if best[i].space == ch.space {
				if ch.hash.strong() && !best[i].hash.strong() {
					best[i] = ch
				}
				return
			}
		}
		if len(best) < maxRealms {
			best = append(best, ch)
		}
	}
	for h, err := range sip.All[sip.ProxyAuthenticate](resp) {
		if err == nil {
			add(true, sip.Challenge(h))
		}
	}
	for h, err := range sip.All[sip.WWWAuthenticate](resp) {
		if err == nil {
			add(false, sip.Challenge(h))
		}
	}
	if len(best) == 0 {
		return nil, &Error{realm, ErrUnsupported}
	}
	return best, nil
}

func newChallenge(proxy bool, p sip.DigestChallenge) (ch challenge, ok bool) {
	ch = challenge{space: space{proxy, p.Realm}, p: p}
	if ch.hash, ok = lookupHash(p.Algorithm); !ok || p.Nonce == "" {
		return ch, false
	}
	// In quotes a NUL may be read (RFC 3261 section 25.1), and none is written.
	if strings.Contains(p.Realm, "\x00") || strings.Contains(p.Nonce, "\x00") || strings.Contains(p.Opaque, "\x00") {
		return ch, false
	}
	ch.qop, ok = chooseQOP(p.QOP)
	// RFC 3261 section 22.4 item 8: without qop there is no cnonce, which
	// the -sess algorithms need.
	return ch, ok && (ch.qop != "" || !ch.hash.sess)
}
