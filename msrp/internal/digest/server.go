package digest

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	shared "github.com/goparley/parley/internal/digest"
)

// nonceLifetime is how long a nonce may be used. It is longer than URIs usually last,
// so that the nextnonce of an AUTH serves the next one.
const nonceLifetime = time.Hour

// maxNonces is how many nonces are remembered at least once they were used.
const maxNonces = 1 << 14

// ServerConfig says who may pass a Server. Realm and Password are required.
type ServerConfig struct {
	// Realm is the protection domain, such as the host name of the relay (RFC 4976
	// section 5.1).
	Realm string

	// Password returns the password of a user, or ErrUnknownUser. Any other error is
	// a failure of the server and comes out of Verify. With the password "" nobody
	// gets in.
	Password func(ctx context.Context, user string) (string, error)

	// Algorithms are offered in this order and no others are accepted. Nil is MD5,
	// all that RFC 4976 has.
	Algorithms []Algorithm

	// Now tells the time. Nil is time.Now.
	Now func() time.Time
}

// Server challenges requests and checks credentials. It keeps no state for a challenge.
// It may be used by many goroutines.
type Server struct {
	config  ServerConfig
	start   time.Time
	nonces  shared.Nonces
	dummy   string // the password of those who do not exist
	replays *shared.Replays
}

// NewServer returns a server. It fails for a configuration without a realm or a
// Password, or with an algorithm that it does not know.
func NewServer(config ServerConfig) (*Server, error) {
	if config.Realm == "" || !writable(config.Realm) {
		return nil, fmt.Errorf("digest: bad realm %q", config.Realm)
	}
	if config.Password == nil {
		return nil, errors.New("digest: no Password")
	}
	if config.Algorithms == nil {
		config.Algorithms = []Algorithm{MD5}
	}
	if len(config.Algorithms) == 0 {
		return nil, errors.New("digest: no algorithm")
	}
	config.Algorithms = slices.Clone(config.Algorithms)
	for _, a := range config.Algorithms {
		if known, ok := lookup(string(a)); !ok || known != a {
			return nil, fmt.Errorf("digest: unknown algorithm %q", a)
		}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	start := config.Now()
	return &Server{
		config: config,
		start:  start,
		nonces: shared.NewNonces(nil),
		dummy:  rand.Text(),
		// The highest count alone: AUTH requests are not pipelined (RFC 4976 section 9.1).
		replays: shared.NewReplays(maxNonces, 1, start),
	}, nil
}

// now tells the time by a clock that is not set after the server began.
func (s *Server) now() time.Time { return s.start.Add(s.config.Now().Sub(s.start)) }

// Challenge returns the WWW-Authenticate values of a 401, one for each algorithm. conn
// stands for the connection that the request came on, which the answer must come on,
// too; it is "" where that does not matter. stale tells the client that its password may
// be right.
func (s *Server) Challenge(conn string, stale bool) []string {
	ch := challenge{realm: s.config.Realm, qop: qopAuth, nonce: s.nonces.New(s.now(), conn), stale: stale}
	values := make([]string, 0, 2)
	for _, a := range s.config.Algorithms {
		ch.algorithm = a.param()
		values = append(values, ch.String())
	}
	return values
}

// Verify returns the user whose credentials are in an Authorization value, "" if a
// request has none, and the Authentication-Info value for the 200, which proves to the
// client that this is its relay and brings the next nonce. uri is the rightmost one of
// To-Path as it is written there (RFC 4976 section 9.1), conn what Challenge got.
//
// The error is ErrNoCredentials, ErrStale or ErrRefused, which want a 401 with a
// Challenge; ErrMalformed or ErrWrongURI, which want a 400; or what Password failed
// with. What is cheap is checked first: credentials with a nonce that is not ours cost
// one HMAC, and Password is not asked. Whoever counts failures to close a connection
// (RFC 4976 section 6.3) counts ErrStale as well, for a stranger can have it for ever.
func (s *Server) Verify(ctx context.Context, conn, value, method, uri string) (user, info string, err error) {
	if value == "" {
		return "", "", ErrNoCredentials
	}
	c, err := readCredentials(value)
	if err != nil {
		return "", "", err
	}
	a, ok := lookup(c.algorithm)
	if !ok || !slices.Contains(s.config.Algorithms, a) || c.realm != s.config.Realm {
		return "", "", ErrNoCredentials // the answer to a challenge that is not ours
	}
	count, err := c.check()
	if err != nil {
		return "", "", err
	}
	now := s.now()
	made, id, ok := s.nonces.Read(c.nonce, conn)
	if !ok || now.Sub(made) > nonceLifetime {
		return "", "", ErrStale
	}
	if c.uri != "" && c.uri != uri {
		return "", "", ErrWrongURI
	}
	key, known, err := s.key(ctx, a, c.username)
	if err != nil {
		return "", "", err
	}
	want := a.response(key, method, uri, &c)
	if subtle.ConstantTimeCompare([]byte(c.response), []byte(want)) != 1 || !known {
		return "", "", ErrRefused
	}
	if !s.replays.Use(id, made, now, count) {
		return "", "", ErrStale
	}
	proof := authenticationInfo{
		nextnonce: s.nonces.New(s.now(), conn),
		rspauth:   a.response(key, "", uri, &c),
		cnonce:    c.cnonce,
		nc:        c.nc,
		qop:       qopAuth,
	}
	return strings.Clone(c.username), proof.String(), nil
}

// key returns H(A1). For a user who does not exist it takes as long.
func (s *Server) key(ctx context.Context, a Algorithm, user string) (key string, known bool, err error) {
	password, err := s.config.Password(ctx, user)
	if err != nil && !errors.Is(err, ErrUnknownUser) {
		return "", false, fmt.Errorf("digest: look up user: %w", err)
	}
	known = err == nil && password != ""
	if !known {
		password = s.dummy
	}
	return a.key(user, s.config.Realm, password), known, nil
}
