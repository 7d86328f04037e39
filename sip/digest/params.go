package digest

import (
	"errors"
	"strings"

	"github.com/goparley/parley/sip"
)

const (
	scheme     = "Digest"
	qopAuth    = "auth"
	qopAuthInt = "auth-int"
)

// maxText bounds one challenge or one set of credentials, in bytes. What is
// longer is not understood. A nonce of 4 kB fits.
const maxText = 8192

var errTooLong = errors.New("too long")

func readChallenge(text sip.Challenge) (sip.DigestChallenge, error) {
	if len(text.Params) > maxText {
		return sip.DigestChallenge{}, errTooLong
	}
	return text.Digest()
}

func readCredentials(text sip.Challenge) (sip.DigestCredentials, error) {
	if len(text.Params) > maxText {
		return sip.DigestCredentials{}, errTooLong
	}
	return text.Credentials()
}

// chooseQOP picks the quality of protection from those of a challenge: auth before
// auth-int, for boxes on the path that rewrite SDP are many. A challenge that
// has none gets "" (RFC 2069).
func chooseQOP(offered []string) (qop string, ok bool) {
	for _, option := range offered {
		switch {
		case strings.EqualFold(option, qopAuth):
			return qopAuth, true
		case strings.EqualFold(option, qopAuthInt):
			qop = qopAuthInt
		}
	}
	return qop, qop != "" || len(offered) == 0
}

// requestURI returns the Request-URI as it is written, which is what the uri
// parameter holds and the digest covers (RFC 3261 section 22.4 item 3).
func requestURI(req *sip.Request) string {
	_, rest, _ := strings.Cut(req.String(), " ")
	uri, _, _ := strings.Cut(rest, " ")
	return uri
}
