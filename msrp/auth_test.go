package msrp

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// RFC 4976 section 5.1: AUTH, a challenge, AUTH again, and the path of the relay goes before that of the session.
func TestRelayGivesPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c := s.relay.accept()
		first := c.next(frame.AUTH)
		want := crlf("MSRP %s AUTH\nTo-Path: %s\nFrom-Path: %s\n-------%s$\n", first.ID, relayURI, first.From, first.ID)
		if first.text != want {
			t.Errorf("first AUTH is %q, want %q", first.text, want)
		}
		c.challenge(first, false)
		second := c.admit(usePath, "Expires: 900")
		if second.From != first.From || second.ID == first.ID {
			t.Errorf("second AUTH is %q after %q, want the same URI and another transaction", second.text, first.text)
		}
		m, err := offered()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := attribute(t, m, "path"), usePath+" "+first.From; got != want {
			t.Errorf("path = %s, want %s", got, want)
		}
		if m.Proto != "TCP/MSRP" || m.Address != "192.0.2.1" || m.Port != 9 || attribute(t, m, "setup") != "actpass" {
			t.Errorf("offer is %+v, want TCP/MSRP, our address with port 9, and actpass", m)
		}
		if addr := s.alice.Addr(false); addr.IsValid() {
			t.Errorf("alice listens at %v, want nowhere", addr)
		}
	})
}

// AUTH requests are not pipelined (RFC 4976 section 9.1).
func TestRelayAuthOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		var waits []func() (*sdp.Media, error)
		for range 3 {
			session := NewSession(s.alice, nil)
			waits = append(waits, later(func() (*sdp.Media, error) { return session.Offer(t.Context()) }))
		}
		c := s.relay.accept()
		for i := range waits {
			req := c.next(frame.AUTH)
			c.silent()
			c.answer(req, "200 OK", "Use-Path: msrp://192.0.2.9:2855/"+string("abc"[i])+";tcp")
		}
		for _, wait := range waits {
			if _, err := wait(); err != nil {
				t.Error(err)
			}
		}
	})
}

// What a relay answers to AUTH, and what comes of it.
func TestRelayRefuses(t *testing.T) {
	challenge := `WWW-Authenticate: Digest realm="a", nonce="b", qop="auth"`
	for name, c := range map[string]struct {
		answers []string // status and fields
		want    error
	}{
		"a wrong password":        {[]string{"401 Unauthorized\n" + challenge, "401 Unauthorized\n" + challenge}, frame.StatusUnauthorized},
		"a wrong one by Kamailio": {[]string{"401 Unauthorized\n" + challenge, "401 Unauthorized\n" + strings.Replace(challenge, `"b"`, `"c"`, 1)}, frame.StatusUnauthorized},
		"no challenge":            {[]string{"401 Unauthorized"}, frame.StatusUnauthorized},
		"Basic":                   {[]string{"401 Unauthorized\nWWW-Authenticate: Basic realm=\"a\""}, frame.StatusUnauthorized},
		"MD5-sess":                {[]string{"401 Unauthorized\n" + challenge + ", algorithm=MD5-sess"}, frame.StatusUnauthorized},
		"not allowed":             {[]string{"401 Unauthorized\n" + challenge, "403 Forbidden"}, frame.StatusForbidden},
		"not a relay":             {[]string{"501 Unknown"}, frame.StatusUnknownMethod},
		"423, unasked":            {[]string{"423 No\nMin-Expires: 60"}, frame.StatusOutOfBounds},
		"a wrong proof":           {[]string{"401 Unauthorized\n" + challenge, "200 OK\nUse-Path: " + usePath + "\nAuthentication-Info: rspauth=\"00000000000000000000000000000000\""}, ErrUnproved},
		"a proof of nothing":      {[]string{"401 Unauthorized\n" + challenge, "200 OK\nUse-Path: " + usePath + "\nAuthentication-Info: rspauth"}, ErrUnproved},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, nil)
				session := NewSession(s.alice, nil)
				offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
				conn := s.relay.accept()
				for _, a := range c.answers {
					status, fields, _ := strings.Cut(a, "\n")
					var list []string
					if fields != "" {
						list = strings.Split(fields, "\n")
					}
					conn.answer(conn.next(frame.AUTH), status, list...)
				}
				if m, err := offered(); !errors.Is(err, c.want) {
					t.Errorf("Offer() = %v, %v, want %v", m, err, c.want)
				}
				if !conn.gone() {
					t.Error("the connection is there, want it closed")
				}
				s.alice.mu.Lock()
				defer s.alice.mu.Unlock()
				if n := len(s.alice.legs); n != 0 {
					t.Errorf("%d sessions are registered, want none", n)
				}
			})
		})
	}
}

// RFC 4976 section 4.2: URIs in Use-Path have ports and sessions.
func TestRelayUsePathIsNone(t *testing.T) {
	for _, use := range []string{"", "Use-Path: ", "Use-Path: nonsense", "Use-Path: msrps://relay.example.com/x;tcp", "Use-Path: " + relayURI,
		"Use-Path: " + strings.Repeat(usePath+" ", 17)} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, nil)
			session := NewSession(s.alice, nil)
			offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
			c := s.relay.accept()
			c.answer(c.next(frame.AUTH), "200 OK", use, "Expires: 900")
			var syntax *frame.SyntaxError
			if m, err := offered(); !errors.As(err, &syntax) {
				t.Errorf("Offer() with %q = %v, %v, want a *frame.SyntaxError", use, m, err)
			}
		})
	}
}

// RFC 4976 section 9.1: a relay must prove itself. Kamailio does not, and is taken unless the program insists.
func TestRelayProof(t *testing.T) {
	for _, require := range []bool{false, true} {
		for _, proves := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, func(cfg *Config) { cfg.Relays[0].RequireProof = require })
				session := NewSession(s.alice, nil)
				offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
				c := s.relay.accept()
				if proves {
					c.admit(usePath)
				} else {
					c.challenge(c.next(frame.AUTH), false)
					c.answer(c.next(frame.AUTH), "200 OK", "Use-Path: "+usePath)
				}
				if _, err := offered(); errors.Is(err, ErrUnproved) != (require && !proves) {
					t.Errorf("RequireProof %v, proved %v: Offer() = %v", require, proves, err)
				}
			})
		}
	}
}

// A nonce that has become old is replaced (RFC 2617 section 3.2.1).
func TestRelayStaleNonce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		_, c := s.offer(NewSession(s.alice, nil))
		two := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return two.Offer(t.Context()) })
		c.challenge(c.next(frame.AUTH), true)
		c.admit("msrp://192.0.2.9:2855/other;tcp")
		if _, err := offered(); err != nil {
			t.Error(err)
		}
	})
}

// RFC 4976 sections 5.1 and 6.3: Expires if the program wants it, and within the relay's bounds.
func TestRelayExpires(t *testing.T) {
	for name, c := range map[string]struct {
		wish    time.Duration
		answers []string // to AUTH with Expires
		sent    []string // Expires of each AUTH
		err     error
	}{
		"not asked for":     {0, nil, []string{""}, nil},
		"taken":             {10 * time.Minute, nil, []string{"600"}, nil},
		"rounded up":        {time.Millisecond, nil, []string{"1"}, nil},
		"too little":        {time.Minute, []string{"Min-Expires: 300"}, []string{"60", "300"}, nil},
		"too much":          {time.Hour, []string{"Max-Expires: 300"}, []string{"3600", "300"}, nil},
		"neither":           {time.Hour, []string{"Min-Expires: 60\nMax-Expires: 120"}, []string{"3600", "120"}, nil},
		"no bounds":         {time.Hour, []string{""}, []string{"3600", ""}, nil},
		"within the bounds": {time.Hour, []string{"Min-Expires: 1"}, []string{"3600", ""}, nil},
		"absurd":            {time.Hour, []string{"Min-Expires: 99999999999999999999999999"}, []string{"3600", "31536000"}, nil},
		"without an end": {time.Minute, []string{"Min-Expires: 90", "Max-Expires: 30", "Min-Expires: 90", "Max-Expires: 30", "Min-Expires: 90", "Max-Expires: 30",
			"Min-Expires: 90", "Max-Expires: 30"}, []string{"60", "90", "30", "90", "30", "90", "30", "90"}, frame.StatusOutOfBounds},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, func(cfg *Config) { cfg.Relays[0].Expires = c.wish })
				session := NewSession(s.alice, nil)
				offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
				conn := s.relay.accept()
				for i, want := range c.sent {
					req := conn.next(frame.AUTH)
					if got, _ := req.Get("Expires"); got != want {
						t.Errorf("AUTH %d has Expires %q, want %q", i, got, want)
					}
					if i == len(c.answers) {
						conn.answer(req, "200 OK", "Use-Path: "+usePath)
						break
					}
					var fields []string
					if c.answers[i] != "" {
						fields = strings.Split(c.answers[i], "\n")
					}
					conn.answer(req, "423 Interval Out-of-Bounds", fields...)
				}
				if _, err := offered(); !errors.Is(err, c.err) {
					t.Errorf("Offer() = %v, want %v", err, c.err)
				}
			})
		})
	}
}

// RFC 4976 section 9.1: the digest is about the rightmost URI of To-Path, the relay that is asked, and not about that on the
// way to it.
func TestRelayDigestIsOfTheRightmostURI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const extra = "msrp://extra.example.com;tcp"
		s := newScene(t, func(cfg *Config) {
			cfg.Relays = append(cfg.Relays, Relay{URI: extra, Username: "alice", Password: "secret"})
		})
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c := s.relay.accept()
		for i, want := range []string{relayURI, extra} {
			c.challenge(c.next(frame.AUTH), false)
			req := c.next(frame.AUTH)
			credentials, _ := req.Get("Authorization")
			if uris := strings.Fields(req.To); len(uris) != i+1 || uris[i] != want {
				t.Errorf("AUTH %d is to %q", i, req.To)
			}
			_, info, err := s.relay.digest.Verify(t.Context(), "one", credentials, "AUTH", want)
			if err != nil || !strings.Contains(credentials, `uri="`+want+`"`) {
				t.Errorf("AUTH %d has %s: %v, want credentials about %s", i, credentials, err, want)
			}
			c.answer(req, "200 OK", "Use-Path: "+usePath, "Authentication-Info: "+info)
		}
		if _, err := offered(); err != nil {
			t.Error(err)
		}
	})
}

// RFC 4976 section 5.1: the AUTH for the second relay goes by the first one, by the URI that it has given.
func TestRelayChain(t *testing.T) {
	intra, extra := "msrp://192.0.2.9:2855/jui787s2f;tcp", "msrp://extra.example.com:9000/mywdEe1233;tcp"
	for name, use := range map[string]string{"all of the path": intra + " " + extra, "itself alone": extra} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, func(cfg *Config) {
					cfg.Relays = append(cfg.Relays, Relay{URI: "msrp://extra.example.com;tcp", Username: "alice", Password: "secret"})
				})
				session := NewSession(s.alice, nil)
				offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
				c := s.relay.accept()
				first := c.admit(intra)
				second := c.admit(use)
				if want := intra + " msrp://extra.example.com;tcp"; second.To != want || second.From != first.From {
					t.Errorf("the second AUTH is to %s from %s, want %s and %s", second.To, second.From, want, first.From)
				}
				m, err := offered()
				if err != nil {
					t.Fatal(err)
				}
				if got, want := attribute(t, m, "path"), extra+" "+intra+" "+first.From; got != want {
					t.Errorf("path = %s, want %s", got, want)
				}
				if err := session.Update(t.Context(), m, answerOf(bobPath, "passive")); err != nil {
					t.Fatal(err)
				}
				if send := c.next(frame.SEND); send.To != intra+" "+extra+" "+bobPath {
					t.Errorf("To-Path = %s, want %s %s %s", send.To, intra, extra, bobPath)
				}
			})
		})
	}
}

// A path by several relays is good for as long as the one says that forgets it first (RFC 4976 sections 5.1 and 9.4).
func TestRelayChainExpires(t *testing.T) {
	for _, c := range []struct{ first, second string }{{"900", "300"}, {"300", "900"}, {"300", "300"}, {"", "300"}, {"300", ""}} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, func(cfg *Config) {
				cfg.Relays = append(cfg.Relays, Relay{URI: "msrp://extra.example.com;tcp", Username: "alice", Password: "secret"})
			})
			session := NewSession(s.alice, nil)
			begin := time.Now()
			offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
			conn := s.relay.accept()
			for i, expires := range []string{c.first, c.second} {
				var fields []string
				if expires != "" {
					fields = append(fields, "Expires: "+expires)
				}
				conn.admit([]string{usePath, usePath + " msrp://extra.example.com:9000/x;tcp"}[i], fields...)
			}
			if _, err := offered(); err != nil {
				t.Fatal(err)
			}
			for _, err := range session.Messages(t.Context()) {
				if after := time.Since(begin); !errors.Is(err, ErrLost) || after != 300*time.Second {
					t.Errorf("%q and %q: after %v: %v, want ErrLost after 300 s", c.first, c.second, after, err)
				}
			}
		})
	}
}
