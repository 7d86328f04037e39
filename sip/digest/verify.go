package digest

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	shared "github.com/goparley/parley/internal/digest"
	"github.com/goparley/parley/sip"
)

// Verify returns the user whose credentials a request carries. The error is
// ErrNoCredentials if there are none for this realm, ErrStale if only the
// nonce is at fault, ErrRefused, ErrMalformed, ErrWrongURI, or what Password
// or Key failed with; give it to Reply. That the user may do what the request
// asks for is for the caller to decide.
//
// What is cheap is checked first: a request with a nonce that is not ours, or
// too old, costs one HMAC, and Password or Key is not asked.
//
// An ACK is checked by the credentials it has from its INVITE, whatever became
// of their nonce since (RFC 3261 section 22.1); with auth-int it is refused, for
// that covers the body of the INVITE. A CANCEL has none: do not verify it.
func (s *Server) Verify(ctx context.Context, req *sip.Request) (user string, err error) {
	p, ok, err := s.credentials(req)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", ErrNoCredentials
	}
	h, algorithm, err := s.check(&p)
	if err != nil {
		return "", err
	}
	method := req.Method()
	ack := method == sip.ACK
	if ack {
		method = sip.INVITE
	}
	now := time.Now()
	made, id, ok := s.nonces.Read(p.Nonce, s.config.Realm)
	if age := now.Sub(made); !ok || !ack && (age > s.config.NonceLifetime || age < -s.config.NonceLifetime) {
		return "", ErrStale
	}
	key, err := s.key(ctx, p.Username, h, algorithm)
	unknown := errors.Is(err, ErrUnknownUser)
	if err != nil && !unknown {
		return "", fmt.Errorf("digest: look up user: %w", err)
	}
	body := ""
	if !ack {
		body = req.Body()
	}
	want := h.response(key, string(method), body, &p)
	if subtle.ConstantTimeCompare([]byte(p.Response), []byte(want)) != 1 || unknown {
		return "", ErrRefused
	}
	// After the response, which covers the uri parameter: only who knows a
	// password can have two long URIs compared.
	if !ack && !s.sameURI(req, p.URI) {
		return "", ErrWrongURI
	}
	if s.replays != nil && !ack {
		count, _ := shared.ReadCount(p.NC) // zero without qop
		// By the clock that is never set back: else all new nonces were stale then.
		made = now.Add(-now.Sub(made))
		if !s.replays.Use(id, made, now, count) {
			return "", ErrStale
		}
	}
	return p.Username, nil
}

// credentials finds those for this realm. Others are for somebody else on the
// path (RFC 3261 section 22.3).
func (s *Server) credentials(req *sip.Request) (p sip.DigestCredentials, ok bool, err error) {
	for c, bad := range s.all(req) {
		switch {
		case bad != nil:
			err = fmt.Errorf("%w: %w", ErrMalformed, bad)
		case s.isOurs(c):
			if p, bad = readCredentials(c); bad != nil {
				return p, false, fmt.Errorf("%w: %w", ErrMalformed, bad)
			}
			// A phone that has no nonce yet may say who it is (RFC 8760 section 2.7).
			return p, p.Nonce != "" || p.Response != "", nil
		}
	}
	return p, false, err
}

// check holds credentials against what was offered.
func (s *Server) check(p *sip.DigestCredentials) (h hash, algorithm Algorithm, err error) {
	if p.Username == "" || p.URI == "" || p.Response == "" || p.UserHash {
		return hash{}, "", fmt.Errorf("%w: no user name, uri or response", ErrMalformed)
	}
	h, _ = lookupHash(p.Algorithm)
	offered := false
	for _, a := range s.config.Algorithms {
		if other, _ := lookupHash(string(a)); other == h {
			offered = true
		}
	}
	if !offered {
		// The answer to a challenge that is not ours, or somebody tries for
		// a weaker algorithm.
		return hash{}, "", ErrNoCredentials
	}
	switch p.QOP {
	case "": // RFC 3261 section 22.4 item 8: a client may be that old
		if h.sess || p.NC != "" {
			return hash{}, "", fmt.Errorf("%w: no qop", ErrMalformed)
		}
	case qopAuth, qopAuthInt:
		if p.QOP == qopAuthInt && !s.config.Integrity {
			return hash{}, "", fmt.Errorf("%w: qop was not offered", ErrMalformed)
		}
		if _, ok := shared.ReadCount(p.NC); !ok || p.CNonce == "" {
			return hash{}, "", fmt.Errorf("%w: bad nc or cnonce", ErrMalformed)
		}
	default:
		return hash{}, "", fmt.Errorf("%w: unknown qop", ErrMalformed)
	}
	return h, Algorithm(h.Hash), nil
}

// sameURI reports whether the uri parameter stands for the Request-URI, or is
// accepted in its place.
func (s *Server) sameURI(req *sip.Request, text string) bool {
	if text == requestURI(req) {
		return true
	}
	uri, err := sip.ParseURI(text)
	if err != nil {
		return false
	}
	return uri.Equal(req.URI()) || s.config.AcceptURI != nil && s.config.AcceptURI(req, uri)
}

// key returns H(A1) before the nonces. For a user who does not exist it takes
// as long.
func (s *Server) key(ctx context.Context, user string, h hash, algorithm Algorithm) (string, error) {
	if s.config.Key != nil {
		key, err := s.config.Key(ctx, user, algorithm)
		if err == nil && len(key) != len(h.Sum()) {
			// A stranger can make the response to no key.
			err = fmt.Errorf("key has %d hex digits, %s needs %d", len(key), algorithm, len(h.Sum()))
		}
		if err != nil {
			return s.dummy, err
		}
		return key, nil
	}
	password, err := s.config.Password(ctx, user)
	if err == nil && password == "" {
		err = ErrUnknownUser
	}
	if err != nil {
		password = s.dummy
	}
	return h.key(user, s.config.Realm, password), err
}
