package digest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	shared "github.com/goparley/parley/internal/digest"
	"github.com/goparley/parley/sip"
)

// ServerConfig says who may pass a Server. Realm and one of Password and Key
// are required.
type ServerConfig struct {
	// Realm is the protection domain, globally unique, best a domain name
	// (RFC 3261 section 22.1).
	Realm string

	// Password returns the password of a user, or ErrUnknownUser. Any other
	// error is a failure of the server and comes out of Verify. With the
	// password "" nobody gets in. Passwords makes one from a map.
	Password func(ctx context.Context, user string) (string, error)

	// Key is asked instead of Password where passwords are not kept. It
	// returns H(user:realm:password) in lower case hex digits for an
	// algorithm (never a "-sess" one: theirs is the same).
	Key func(ctx context.Context, user string, algorithm Algorithm) (string, error)

	// Algorithms are offered in this order and no others are accepted. Nil is
	// SHA256 and MD5, which most phones still need (RFC 8760 section 2.3).
	Algorithms []Algorithm

	// Proxy makes the server one of a proxy: 407, Proxy-Authenticate and
	// Proxy-Authorization in place of 401, WWW-Authenticate and Authorization.
	Proxy bool

	// Integrity offers qop=auth-int next to auth, which covers the body.
	Integrity bool

	// Secret is the key of the nonces, which servers that share a realm must
	// share, or they ask each other's clients once more. Nil is a random one.
	// To keep one for the next run is of no use where Nonces is set.
	Secret []byte

	// NonceLifetime is how long a nonce may be used. Zero is five minutes.
	NonceLifetime time.Duration

	// Nonces is of how many nonces at least it is remembered how often they
	// were used, so that a request cannot be replayed; of twice as many at
	// most, at some 50 bytes each. Past that, nonces that may have been
	// forgotten are stale, and so are those from before NewServer, which an
	// earlier run with the same Secret may have seen. It takes a transaction
	// layer that absorbs retransmissions. Each server knows only what it saw
	// itself: where several have one Secret, a request can be repeated once at
	// each that has run for as long as its nonce is old. Zero keeps nothing:
	// whoever overhears a request can repeat it until its nonce is too old.
	Nonces int

	// AcceptURI decides about credentials whose uri parameter does not equal
	// the Request-URI by the rules of RFC 3261 section 19.1.4, as happens
	// where a proxy on the way changed it (RFC 8760 section 2.6 item 6). It is
	// asked only where user and password are right. Nil accepts none.
	AcceptURI func(req *sip.Request, uri sip.URI) bool
}

// Server challenges requests and checks credentials. It keeps no state for a
// challenge. It may be used by many goroutines.
type Server struct {
	config  ServerConfig
	nonces  shared.Nonces
	dummy   string // the key of those who do not exist
	replays *shared.Replays
}

// NewServer returns a server. It fails for a configuration without a realm or
// a way to passwords, or with an unknown algorithm.
func NewServer(config ServerConfig) (*Server, error) {
	if config.Realm == "" || strings.ContainsAny(config.Realm, "\r\n\x00") {
		return nil, fmt.Errorf("digest: bad realm %q", config.Realm)
	}
	if config.Password == nil && config.Key == nil {
		return nil, errors.New("digest: neither Password nor Key")
	}
	if config.Algorithms == nil {
		config.Algorithms = []Algorithm{SHA256, MD5}
		if _, ok := lookupHash(string(MD5)); !ok {
			config.Algorithms = config.Algorithms[:1]
		}
	}
	config.Algorithms = append([]Algorithm(nil), config.Algorithms...)
	for i, a := range config.Algorithms {
		h, ok := lookupHash(string(a))
		if !ok || a == "" {
			return nil, fmt.Errorf("digest: unknown algorithm %q", a)
		}
		for _, b := range config.Algorithms[:i] {
			if other, _ := lookupHash(string(b)); other == h {
				return nil, fmt.Errorf("digest: algorithm %q twice", a)
			}
		}
	}
	if len(config.Algorithms) == 0 {
		return nil, errors.New("digest: no algorithm")
	}
	if config.NonceLifetime <= 0 {
		config.NonceLifetime = 5 * time.Minute
	}
	s := &Server{config: config, nonces: shared.NewNonces(config.Secret), dummy: rand.Text()}
	if config.Nonces > 0 {
		s.replays = shared.NewReplays(config.Nonces, 64, time.Now())
	}
	return s, nil
}

// Passwords returns a ServerConfig.Password for users whose passwords are in a
// map, which must not be changed any more. Others are unknown.
func Passwords(users map[string]string) func(ctx context.Context, user string) (string, error) {
	return func(_ context.Context, user string) (string, error) {
		if password, ok := users[user]; ok {
			return password, nil
		}
		return "", ErrUnknownUser
	}
}

// ForProxy returns a Server of the same realm for a proxy, as ServerConfig.Proxy
// makes one: for a program that is registrar and proxy to the same users. The two
// know each other's nonces, and what either has seen is a replay to both.
func (s *Server) ForProxy() *Server {
	proxy := *s
	proxy.config.Proxy = true
	return &proxy
}

// Challenge returns the edits that put challenges for this realm into a 401 or
// 407, one for each algorithm with the preferred one on top. stale tells the
// client that its password may be right.
func (s *Server) Challenge(stale bool) []sip.Edit {
	ch := sip.DigestChallenge{Realm: s.config.Realm, Nonce: s.nonces.New(time.Now(), s.config.Realm), QOP: []string{qopAuth}, Stale: stale}
	if s.config.Integrity {
		ch.QOP = append(ch.QOP, qopAuthInt)
	}
	edits := make([]sip.Edit, 0, 3)
	for _, a := range s.config.Algorithms {
		ch.Algorithm = string(a)
		text := ch.Challenge()
		if s.config.Proxy {
			edits = append(edits, sip.Add(sip.ProxyAuthenticate(text)))
		} else {
			edits = append(edits, sip.Add(sip.WWWAuthenticate(text)))
		}
	}
	return edits
}

// Reply returns the response to a request that Verify refused with err: 401 or
// 407 with challenges, 400 for credentials that are malformed or for another
// Request-URI, and 500 where the server itself failed. The reason phrase of a
// 400 names the header field (RFC 3261 section 21.4.1). For an ACK, which is
// never answered, it returns nil.
func (s *Server) Reply(req *sip.Request, err error) *sip.Response {
	switch {
	case req.Method() == sip.ACK:
		return nil
	case errors.Is(err, ErrNoCredentials), errors.Is(err, ErrRefused), errors.Is(err, ErrStale):
		status := sip.StatusUnauthorized
		if s.config.Proxy {
			status = sip.StatusProxyAuthRequired
		}
		return req.Reply(status, s.Challenge(errors.Is(err, ErrStale))...)
	case errors.Is(err, ErrMalformed):
		return req.Reply(sip.StatusBadRequest, sip.ReasonPhrase("Malformed "+s.field()))
	case errors.Is(err, ErrWrongURI):
		return req.Reply(sip.StatusBadRequest, sip.ReasonPhrase(s.field()+" For Another Request-URI"))
	}
	return req.Reply(sip.StatusServerInternalError)
}

// Consume returns a request without the credentials for this realm: for a proxy that
// sends it on, to whom they say nothing and who should not have them. Those of other
// realms are for others on the path, and stay (RFC 3261 section 22.3). What cannot be
// read may be for this one, and goes. Other edits that the request needs are made with
// that.
func (s *Server) Consume(req *sip.Request, also ...sip.Edit) *sip.Request {
	edits := []sip.Edit{sip.Del(s.field())}
	found := false
	for c, err := range s.all(req) {
		switch {
		case err != nil || s.isOurs(c):
			found = true
		case s.config.Proxy:
			edits = append(edits, sip.Add(sip.ProxyAuthorization(c)))
		default:
			edits = append(edits, sip.Add(sip.Authorization(c)))
		}
	}
	switch {
	case found:
		return req.With(append(edits, also...)...)
	case len(also) > 0:
		return req.With(also...)
	}
	return req
}

// all yields the credentials of a request, for whichever realm.
func (s *Server) all(req *sip.Request) iter.Seq2[sip.Challenge, error] {
	return func(yield func(sip.Challenge, error) bool) {
		if s.config.Proxy {
			for c, err := range sip.All[sip.ProxyAuthorization](req) {
				if !yield(sip.Challenge(c), err) {
					return
				}
			}
			return
		}
		for c, err := range sip.All[sip.Authorization](req) {
			if !yield(sip.Challenge(c), err) {
				return
			}
		}
	}
}

// isOurs reports whether credentials are for this realm.
func (s *Server) isOurs(c sip.Challenge) bool {
	realm, _ := c.Params.Get("realm")
	return realm == s.config.Realm && strings.EqualFold(c.Scheme, scheme)
}

// field returns the name of the header field with credentials for the server.
func (s *Server) field() string {
	if s.config.Proxy {
		return sip.ProxyAuthorization{}.HeaderName()
	}
	return sip.Authorization{}.HeaderName()
}
