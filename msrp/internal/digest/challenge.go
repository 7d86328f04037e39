package digest

import "strings"

// challenge is the value of a WWW-Authenticate header field (RFC 2617 section 3.2.1).
// The domain parameter is ignored (RFC 4976 section 9.1).
type challenge struct {
	realm     string
	qop       string // a list with commas
	nonce     string
	opaque    string
	stale     bool
	algorithm string
}

// readChallenge returns ErrUnsupported for another scheme.
func readChallenge(value string) (challenge, error) {
	rest, ok := cutScheme(value)
	if !ok {
		return challenge{}, ErrUnsupported
	}
	p, err := parse(rest)
	if err != nil {
		return challenge{}, err
	}
	return challenge{
		realm:     p.get("realm"),
		qop:       p.get("qop"),
		nonce:     p.get("nonce"),
		opaque:    p.get("opaque"),
		stale:     strings.EqualFold(p.get("stale"), "true"),
		algorithm: p.get("algorithm"),
	}, nil
}

func (c *challenge) String() string {
	l := list{b: append(make([]byte, 0, 256), scheme+" "...)}
	l.quoted("realm", c.realm)
	l.quoted("qop", c.qop)
	l.quoted("nonce", c.nonce)
	l.quoted("opaque", c.opaque)
	if c.stale {
		l.bare("stale", "true")
	}
	l.bare("algorithm", c.algorithm)
	return string(l.b)
}

// offersAuth reports whether qop=auth is among those of the challenge. Relays must say
// so (RFC 4976 section 9.1).
func (c *challenge) offersAuth() bool {
	for qop := range strings.SplitSeq(c.qop, ",") {
		if strings.EqualFold(strings.Trim(qop, " \t"), qopAuth) {
			return true
		}
	}
	return false
}

// choose returns the challenge to answer, the topmost with SHA-256 or else the topmost
// one, and its algorithm. The error is ErrUnsupported where there is none.
func choose(values []string) (best challenge, a Algorithm, err error) {
	for _, value := range values {
		ch, err := readChallenge(value)
		if err != nil || ch.realm == "" || ch.nonce == "" || !ch.offersAuth() {
			continue
		}
		if found, ok := lookup(ch.algorithm); ok && found != a && a != SHA256 {
			best, a = ch, found
		}
	}
	if a == "" {
		return challenge{}, "", ErrUnsupported
	}
	return best, a, nil
}
