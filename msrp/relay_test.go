package msrp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
)

const (
	relayURI = "msrp://192.0.2.9:2855;tcp"
	usePath  = "msrp://192.0.2.9:2855/jui787s2f;tcp"
	bobPath  = "msrp://192.0.2.2:4444/bob;tcp"
)

// A scene is alice behind a relay.
type scene struct {
	t     *testing.T
	net   *siptest.Network
	relay *standIn
	alice *Endpoint
}

// newScene makes one. It is called in a bubble.
func newScene(t *testing.T, change func(*Config)) *scene {
	t.Helper()
	n := siptest.NewNetwork(nil)
	s := &scene{t: t, net: n, relay: newStandIn(t, n.Host("192.0.2.9"), ":2855")}
	cfg := &Config{Network: n.Host("192.0.2.1"), Relays: []Relay{{URI: relayURI, Username: "alice", Password: "secret"}}}
	if change != nil {
		change(cfg)
	}
	var err error
	if s.alice, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.alice.Close() })
	return s
}

// offer returns the offer of a session, for which the relay gives one URI, and the connection.
func (s *scene) offer(session *Session) (*sdp.Media, *client) {
	s.t.Helper()
	offered := later(func() (*sdp.Media, error) { return session.Offer(s.t.Context()) })
	c := s.relay.accept()
	c.admit(usePath)
	m, err := offered()
	if err != nil {
		s.t.Fatal(err)
	}
	return m, c
}

// answerOf returns the answer of a peer.
func answerOf(path, setup string) *sdp.Media {
	m := &sdp.Media{Type: "message", Proto: "TCP/MSRP", Formats: []string{"*"}, Address: "192.0.2.2", Port: 4444}
	for _, a := range [][2]string{{"path", path}, {"accept-types", "*"}, {"setup", setup}} {
		m.Attributes = append(m.Attributes, sdp.Attribute{Name: a[0], Value: a[1]})
	}
	return m
}

func attribute(t testing.TB, m *sdp.Media, name string) string {
	t.Helper()
	value, ok := m.Attribute(name)
	if !ok {
		t.Errorf("no a=%s in %v", name, m)
	}
	return value
}

// own returns the URI of the session in a description: the last of its path.
func own(t testing.TB, m *sdp.Media) string {
	t.Helper()
	path := attribute(t, m, "path")
	return path[strings.LastIndexByte(path, ' ')+1:]
}

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

// RFC 4976 sections 3.1, 5.2 and 5.4: every session has a URI of its own, on one connection, which stays for an hour
// without any. The nonce of the last answer does for the next AUTH.
func TestRelayConnectionIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		one, two := NewSession(s.alice, nil), NewSession(s.alice, nil)
		first, c := s.offer(one)
		offered := later(func() (*sdp.Media, error) { return two.Offer(t.Context()) })
		req := c.next(frame.AUTH)
		if _, ok := req.Get("Authorization"); !ok {
			t.Errorf("%q has no credentials, want those for the nonce that is known", req.text)
		}
		c.answer(req, "200 OK", "Use-Path: msrp://192.0.2.9:2855/other;tcp")
		second, err := offered()
		if err != nil {
			t.Fatal(err)
		}
		if own(t, first) == own(t, second) || attribute(t, first, "path") == attribute(t, second, "path") {
			t.Errorf("paths are %s and %s, want two", attribute(t, first, "path"), attribute(t, second, "path"))
		}
		one.Close()
		two.Close()
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		c.silent()
		time.Sleep(time.Minute)
		if !c.gone() {
			t.Error("the connection is there after an hour without sessions")
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

// RFC 6135 section 4.5: who is active sends the first SEND, which has no body.
func TestRelayActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		m, c := s.offer(session)
		if err := session.Update(t.Context(), m, answerOf(bobPath, "passive")); err != nil {
			t.Fatal(err)
		}
		hello := c.next(frame.SEND)
		if hello.HasBody || hello.To != usePath+" "+bobPath || hello.From != own(t, m) {
			t.Errorf("the first request is %q, want an empty SEND to %s %s", hello.text, usePath, bobPath)
		}
		c.answer(hello, "200 OK")
		sent := later(func() (any, error) { return nil, session.SendText(t.Context(), "Hi") })
		req := c.next(frame.SEND)
		if req.body != "Hi" || req.To != hello.To || req.From != hello.From {
			t.Errorf("got %q, want Hi by the same way", req.text)
		}
		c.answer(req, "200 OK")
		if _, err := sent(); err != nil {
			t.Error(err)
		}
	})
}

// RFC 4975 section 5.4: who is passive sends nothing before the peer has. It knows the peer by the end of From-Path.
func TestRelayPassive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		m, c := s.offer(session)
		if err := session.Update(t.Context(), m, answerOf(bobPath, "active")); err != nil {
			t.Fatal(err)
		}
		sent := later(func() (any, error) { return nil, session.SendText(t.Context(), "Hi") })
		c.silent()
		send := func(from string) request {
			t.Helper()
			c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: 1\n-------d93kswow$\n", own(t, m), from)
			return c.next("")
		}
		if got := send(usePath + " msrp://192.0.2.3:4444/eve;tcp"); got.Status != frame.StatusNoSession || got.To != usePath {
			t.Errorf("a stranger got %q, want 481 to %s alone", got.text, usePath)
		}
		c.silent()
		c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s %s\nMessage-ID: 1\n-------d93kswow$\n", own(t, m), usePath, bobPath)
		resp, req := c.any(), c.any()
		if resp.Method != "" {
			resp, req = req, resp // neither waits for the other
		}
		if resp.Status != frame.StatusOK || req.Method != frame.SEND {
			t.Errorf("bob got %q and %q, want 200 and a SEND", resp.text, req.text)
		}
		c.answer(req, "200 OK")
		if _, err := sent(); err != nil || req.body != "Hi" {
			t.Errorf("sent %q, %v, want Hi", req.text, err)
		}
		if got := send(usePath + " msrp://192.0.2.3:4444/eve;tcp"); got.Status != frame.StatusNoSession {
			t.Errorf("then a stranger got %q, want 481", got.text)
		}
	})
}

// The first SEND of the peer may be faster than its answer.
func TestRelayPeerBeforeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		m, c := s.offer(session)
		send := func(from string) frame.Status {
			c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s %s\nMessage-ID: 1\n-------d93kswow$\n", own(t, m), usePath, from)
			return c.next("").Status
		}
		if got := send(bobPath); got != frame.StatusOK {
			t.Errorf("before the answer: %v, want 200", got)
		}
		if err := session.Update(t.Context(), m, answerOf(bobPath, "active")); err != nil {
			t.Fatal(err)
		}
		if err := session.Connected(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Whoever was there before the answer has to be who has answered.
func TestRelayStrangerBeforeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		m, c := s.offer(session)
		for _, want := range []frame.Status{frame.StatusOK, frame.StatusNoSession} {
			c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s msrp://192.0.2.3:4444/eve;tcp\nMessage-ID: 1\n-------d93kswow$\n", own(t, m), usePath)
			if got := c.next(""); got.Status != want {
				t.Errorf("eve got %q, want %d", got.text, int(want))
			}
			if err := session.Update(t.Context(), m, answerOf(bobPath, "active")); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := session.Connected(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Connected() = %v, want to wait for bob", err)
		}
	})
}

// RFC 4976 section 11: the answer has the relay's path, whatever the offer's protocol is.
func TestRelayAnswer(t *testing.T) {
	for setup, active := range map[string]bool{"": false, "active": false, "actpass": false, "passive": true} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, nil)
			session := NewSession(s.alice, nil)
			use := "msrps://relay.example.com:9000/hjdhfha;tcp"
			answered := later(func() (*sdp.Media, error) { return session.Answer(t.Context(), answerOf(bobPath, setup)) })
			c := s.relay.accept()
			c.admit(use)
			m, err := answered()
			if err != nil || m == nil {
				t.Fatalf("Answer() = %v, %v", m, err)
			}
			if !strings.HasPrefix(attribute(t, m, "path"), use+" msrp://192.0.2.1:9/") || m.Proto != "TCP/TLS/MSRP" {
				t.Errorf("answer is %s with path %s, want TCP/TLS/MSRP and the relay first", m.Proto, attribute(t, m, "path"))
			}
			if got := attribute(t, m, "setup"); (got == "active") != active {
				t.Errorf("setup = %s to %q", got, setup)
			}
			if _, ok := m.Attribute("fingerprint"); ok {
				t.Error("the answer has a fingerprint, which nobody sees behind a relay")
			}
			if err := session.Update(t.Context(), m, answerOf(bobPath, setup)); err != nil {
				t.Fatal(err)
			}
			if active {
				c.next(frame.SEND)
			}
			c.silent()
		})
	}
}

// M-CEMA-3: with RFC 6714 the address of the relay is that of the section.
func TestRelayCEMA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		m, _ := s.offer(NewSession(s.alice, &SessionConfig{CEMA: true}))
		if m.Address != "192.0.2.9" || m.Port != 2855 {
			t.Errorf("offered %s:%d, want the relay's 192.0.2.9:2855", m.Address, m.Port)
		}
		attribute(t, m, "msrp-cema")
	})
}

// connected returns a session that has a peer, and the connection with its relay.
func (s *scene) connected(cfg *SessionConfig) (*Session, *client, *sdp.Media) {
	s.t.Helper()
	session := NewSession(s.alice, cfg)
	m, c := s.offer(session)
	if err := session.Update(s.t.Context(), m, answerOf(bobPath, "passive")); err != nil {
		s.t.Fatal(err)
	}
	c.answer(c.next(frame.SEND), "200 OK")
	return session, c, m
}

// Relays may take little at a time: chunks have 8192 bytes at most, and the program may choose less.
func TestRelayChunks(t *testing.T) {
	for limit, want := range map[int64]int{0: 8192, 2048: 2048} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, nil)
			session, c, _ := s.connected(&SessionConfig{MaxChunk: limit})
			data := strings.Repeat("0123456789", 2000)
			sent := later(func() (any, error) {
				return nil, session.Send(t.Context(), &Message{Body: strings.NewReader(data)})
			})
			var got strings.Builder
			for flag := frame.Continued; flag == frame.Continued; {
				req := c.next(frame.SEND)
				if len(req.body) > want {
					t.Errorf("a chunk has %d bytes, want at most %d", len(req.body), want)
				}
				got.WriteString(req.body)
				flag = req.flag
				c.answer(req, "200 OK")
			}
			if _, err := sent(); err != nil || got.String() != data {
				t.Errorf("%d bytes have arrived, %v, want %d", got.Len(), err, len(data))
			}
		})
	}
}

// RFC 4976 section 6.4.1: the relay answers for itself, and reports what becomes of the message.
func TestRelayReportsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session, c, m := s.connected(nil)
		reports := make(chan Report, 1)
		for _, success := range []bool{true, false} {
			sent := later(func() (any, error) {
				return nil, session.Send(t.Context(), &Message{Body: strings.NewReader("Hi"), SuccessReport: success, OnReport: func(r Report) { reports <- r }})
			})
			req := c.next(frame.SEND)
			c.answer(req, "200 OK")
			if !success {
				if _, err := sent(); err != nil {
					t.Errorf("Send() = %v, want nil: the relay has it", err)
				}
			}
			c.send("MSRP r408 REPORT\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: %s\nByte-Range: 1-2/2\nStatus: 000 408 Timeout\n-------r408$\n",
				own(t, m), usePath, req.MessageID)
			if r := <-reports; r.Status != frame.StatusTimeout {
				t.Errorf("reported %v, want 408", r)
			}
			if success {
				if _, err := sent(); !errors.Is(err, frame.StatusTimeout) {
					t.Errorf("Send() = %v, want 408", err)
				}
			}
		}
	})
}

// A relay of the peer reports in its own name, too.
func TestPeersRelayReportsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(cfg *Config) { cfg.Relays = nil })
		session := NewSession(s.alice, nil)
		path, err := session.Path(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		remote, err := frame.ParsePath(usePath + " " + bobPath)
		if err != nil {
			t.Fatal(err)
		}
		connected := later(func() (any, error) { return nil, session.Connect(t.Context(), remote, true) })
		c := s.relay.accept()
		c.answer(c.next(frame.SEND), "200 OK")
		if _, err := connected(); err != nil {
			t.Fatal(err)
		}
		sent := later(func() (any, error) {
			return nil, session.Send(t.Context(), &Message{Body: strings.NewReader("Hi"), SuccessReport: true})
		})
		req := c.next(frame.SEND)
		c.answer(req, "200 OK")
		c.send("MSRP r481 REPORT\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: %s\nStatus: 000 481 Gone\n-------r481$\n", path, usePath, req.MessageID)
		if _, err := sent(); !errors.Is(err, frame.StatusNoSession) {
			t.Errorf("Send() = %v, want 481", err)
		}
	})
}

// RFC 4975 sections 7.1.3 and 7.2: a response goes to the relay, a report the whole way back.
func TestRelayReportGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session, c, m := s.connected(nil)
		go func() { // ends with the session
			for m, err := range session.Messages(t.Context()) {
				if err == nil {
					io.Copy(io.Discard, m)
				}
			}
		}()
		back := usePath + " msrp://b.example.net:9000/aeiug;tcp " + bobPath
		c.send("MSRP juh76 SEND\nTo-Path: %s\nFrom-Path: %s\nSuccess-Report: yes\nByte-Range: 1-2/2\nMessage-ID: 87652\nContent-Type: text/plain\n\nHi\n-------juh76$\n", own(t, m), back)
		resp := c.next("")
		if resp.Status != frame.StatusOK || resp.To != usePath || resp.From != own(t, m) {
			t.Errorf("the response is %q, want 200 to %s", resp.text, usePath)
		}
		report := c.next(frame.REPORT)
		if report.To != back || report.Report != frame.StatusOK || report.MessageID != "87652" {
			t.Errorf("the report is %q, want 200 to %s", report.text, back)
		}
	})
}

// RFC 4976 section 9.4: before a path ends, an offer brings another one, and it ends when that is in use.
func TestRelayPathExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		told := make(chan time.Duration, 1)
		begin := time.Now()
		session := NewSession(s.alice, &SessionConfig{OnExpiring: func() { told <- time.Since(begin) }})
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c := s.relay.accept()
		c.admit(usePath, "Expires: 900")
		m, err := offered()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Update(t.Context(), m, answerOf(bobPath, "passive")); err != nil {
			t.Fatal(err)
		}
		c.answer(c.next(frame.SEND), "200 OK")
		if after := <-told; after != 840*time.Second {
			t.Errorf("told after %v, want 14 minutes", after)
		}
		offered = later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c.admit("msrp://192.0.2.9:2855/next;tcp", "Expires: 900")
		next, err := offered()
		if err != nil || own(t, next) == own(t, m) {
			t.Fatalf("the next offer is %v, %v, want one with another URI", next, err)
		}
		sent := later(func() (any, error) { return nil, session.SendText(t.Context(), "still there") })
		req := c.next(frame.SEND)
		c.answer(req, "200 OK")
		if _, err := sent(); err != nil || req.From != own(t, m) {
			t.Errorf("sent %q, %v, want it by the old path", req.text, err)
		}
		if err := session.Update(t.Context(), next, answerOf("msrp://192.0.2.2:4444/bob2;tcp", "passive")); err != nil {
			t.Fatal(err)
		}
		hello := c.next(frame.SEND)
		if hello.From != own(t, next) || !strings.HasPrefix(hello.To, "msrp://192.0.2.9:2855/next;tcp ") {
			t.Errorf("got %q, want a SEND by the new path", hello.text)
		}
		c.answer(hello, "200 OK")
		time.Sleep(60 * time.Second)
		if err := session.Connected(t.Context()); err != nil {
			t.Errorf("when the old path has ended: %v", err)
		}
	})
}

// Without another offer the session is lost with its path.
func TestRelayPathHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c := s.relay.accept()
		begin := time.Now()
		c.admit(usePath, "Expires: 60")
		if _, err := offered(); err != nil {
			t.Fatal(err)
		}
		for _, err := range session.Messages(t.Context()) {
			if !errors.Is(err, ErrLost) || time.Since(begin) != time.Minute {
				t.Errorf("after %v: %v, want ErrLost after a minute", time.Since(begin), err)
			}
		}
	})
}

// A relay that is gone takes its sessions along; an offer makes a new connection with a new path.
func TestRelayGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session, c, m := s.connected(nil)
		c.nc.Close()
		for _, err := range session.Messages(t.Context()) {
			if !errors.Is(err, ErrLost) {
				t.Errorf("Messages: %v, want ErrLost", err)
			}
		}
		if err := session.SendText(t.Context(), "Hi"); !errors.Is(err, ErrLost) {
			t.Errorf("SendText() = %v, want ErrLost", err)
		}
		next, _ := s.offer(session)
		if own(t, next) == own(t, m) {
			t.Error("the next offer has the same URI")
		}
		s.relay.l.Close()
		session.Close()
		s.alice.mu.Lock()
		for _, d := range s.alice.dialed {
			d.conn.link.Close()
		}
		s.alice.mu.Unlock()
		synctest.Wait()
		var network *net.OpError
		if _, err := NewSession(s.alice, nil).Offer(t.Context()); !errors.As(err, &network) {
			t.Errorf("Offer() = %v, want a *net.OpError", err)
		}
	})
}

// A connection that has ended while nobody looked is made again.
func TestRelayGoneMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		_, c := s.offer(NewSession(s.alice, nil))
		two := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return two.Offer(t.Context()) })
		c.next(frame.AUTH)
		c.nc.Close()
		s.relay.accept().admit(usePath)
		if _, err := offered(); err != nil {
			t.Error(err)
		}
	})
}

// A relay that does not answer is given 30 seconds, and the next session tries another connection.
func TestRelaySilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		begin := time.Now()
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		s.relay.accept().next(frame.AUTH)
		if _, err := offered(); !errors.Is(err, frame.StatusTimeout) || time.Since(begin) != 30*time.Second {
			t.Errorf("Offer() = %v after %v, want 408 after 30 seconds", err, time.Since(begin))
		}
		s.offer(session)
		// One that has answered before is given up, too.
		if _, err := NewSession(s.alice, nil).Offer(t.Context()); !errors.Is(err, frame.StatusTimeout) {
			t.Errorf("Offer() = %v, want 408", err)
		}
		s.offer(NewSession(s.alice, nil))
	})
}

// A relay that takes the connection and no TLS is given 30 seconds.
func TestRelayWithoutHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(cfg *Config) { cfg.Relays[0].URI = "msrps://192.0.2.9:2855;tcp" })
		begin := time.Now()
		var network *net.OpError
		var offers []func() (*sdp.Media, error)
		for range 3 {
			session := NewSession(s.alice, nil)
			offers = append(offers, later(func() (*sdp.Media, error) { return session.Offer(t.Context()) }))
		}
		for _, offer := range offers {
			_, err := offer()
			if !errors.As(err, &network) || !network.Timeout() || time.Since(begin) != connectTime {
				t.Errorf("Offer() = %v after %v, want a timeout after %v", err, time.Since(begin), connectTime)
			}
		}
	})
}

// A context that ends is heard, and does not hold up others: the next request is authenticated in its turn.
func TestRelayGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		one, two := NewSession(s.alice, nil), NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return one.Offer(ctx) })
		c := s.relay.accept()
		c.next(frame.AUTH)
		other := later(func() (*sdp.Media, error) { return two.Offer(t.Context()) })
		synctest.Wait()
		cancel()
		if _, err := offered(); !errors.Is(err, context.Canceled) {
			t.Errorf("Offer() = %v, want %v", err, context.Canceled)
		}
		c.admit(usePath)
		if _, err := other(); err != nil {
			t.Error(err)
		}
	})
}

// RFC 4976 section 9.2: the certificate is for the host of the URI, and the client shows none.
func TestRelayTLS(t *testing.T) {
	authority := siptest.NewAuthority()
	for name, c := range map[string]struct {
		certificate string
		trusted     bool
		ok          bool
	}{
		"the domain":   {"example.com", true, true},
		"another name": {"relay.example.net", true, false},
		"by nobody":    {"example.com", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			relay := newStandIn(t, n.Host("192.0.2.9"), ":9000")
			relay.tls = &tls.Config{Certificates: []tls.Certificate{authority.Certificate(c.certificate)}, ClientAuth: tls.RequestClientCert}
			mine := &tls.Config{Certificates: []tls.Certificate{authority.Certificate("192.0.2.1")}}
			if c.trusted {
				mine.RootCAs = authority.Pool()
			}
			alice, err := New(&Config{TLS: mine, Network: named{n.Host("192.0.2.1"), map[string]string{"example.com": "192.0.2.9"}},
				Relays: []Relay{{URI: "msrps://alice@example.com:9000;tcp", Username: "alice", Password: "secret"}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { alice.Close() })
			session := NewSession(alice, nil)
			offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
			conn := relay.accept()
			if !c.ok {
				go conn.read() // the handshake; ends with the connection
				var certificate *tls.CertificateVerificationError
				if _, err := offered(); !errors.As(err, &certificate) {
					t.Errorf("Offer() = %v, want a *tls.CertificateVerificationError", err)
				}
				return
			}
			req := conn.admit("msrps://example.com:9000/x;tcp")
			m, err := offered()
			if err != nil {
				t.Fatal(err)
			}
			if m.Proto != "TCP/TLS/MSRP" || !strings.HasPrefix(own(t, m), "msrps://192.0.2.1:9/") {
				t.Errorf("offered %s with %s, want TLS", m.Proto, own(t, m))
			}
			if want := "msrps://alice@example.com:9000;tcp"; req.To != want {
				t.Errorf("AUTH to %s, want %s", req.To, want)
			}
			if state := conn.nc.(*tls.Conn).ConnectionState(); len(state.PeerCertificates) != 0 || state.ServerName != "example.com" {
				t.Errorf("the client has shown %d certificates and asked for %q, want none and example.com", len(state.PeerCertificates), state.ServerName)
			}
		})
	}
}

// named is a host that knows others by name.
type named struct {
	*siptest.Host
	names map[string]string
}

func (n named) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if a, ok := n.names[host]; ok {
		host = a
	}
	return n.Host.DialContext(ctx, network, net.JoinHostPort(host, port))
}

// RFC 4976 section 8: without a port a relay is found by SRV records, and at port 2855 if there are none.
func TestRelayFound(t *testing.T) {
	authority := siptest.NewAuthority()
	for name, c := range map[string]struct {
		zone, address string
		ok            bool
	}{
		"by a record":       {"_msrps._tcp.example.com. IN SRV 0 1 9000 server1.example.com.", "192.0.2.9:9000", true},
		"by the second one": {"_msrps._tcp.example.com. IN SRV 0 1 9000 server2.example.com.\n_msrps._tcp.example.com. IN SRV 1 1 9000 server1.example.com.", "192.0.2.9:9000", true},
		"by its name":       {"", "192.0.2.9:2855", true},
		"not at all":        {"_msrps._tcp.example.com. IN SRV 0 0 0 .", "192.0.2.9:2855", false},
	} {
		t.Run(name, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			dns, err := siptest.NewDNS(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			defer dns.Close()
			if err := dns.Listen(n.Host("192.0.2.53")); err != nil {
				t.Fatal(err)
			}
			n.Host("192.0.2.10")
			relay := newStandIn(t, n.Host("192.0.2.9"), c.address)
			relay.tls = &tls.Config{Certificates: []tls.Certificate{authority.Certificate("example.com")}}
			host := named{n.Host("192.0.2.1"), map[string]string{"example.com": "192.0.2.9", "server1.example.com": "192.0.2.9", "server2.example.com": "192.0.2.10"}}
			alice, err := New(&Config{TLS: &tls.Config{RootCAs: authority.Pool()}, Network: host,
				Relays: []Relay{{URI: "msrps://example.com;tcp", Username: "alice", Password: "secret"}}})
			if err != nil {
				t.Fatal(err)
			}
			defer alice.Close()
			alice.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return host.Host.DialContext(ctx, network, "192.0.2.53:53")
			}}
			session := NewSession(alice, nil)
			offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
			if !c.ok {
				var none *net.DNSError
				if _, err := offered(); !errors.As(err, &none) || !none.IsNotFound {
					t.Errorf("Offer() = %v, want a *net.DNSError", err)
				}
				return
			}
			relay.accept().admit("msrps://server1.example.com:9000/x;tcp")
			if _, err := offered(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRelayURIs(t *testing.T) {
	for uri, ok := range map[string]bool{
		"msrps://relay.example.com;tcp":      true,
		"msrps://relay.example.com:443;ws":   true,
		"msrp://[2001:db8::1]:2855;TCP":      true,
		"":                                   false,
		"relay.example.com":                  false,
		"msrps://relay.example.com/x;tcp":    false, // of a session
		"msrps://relay.example.com;dc":       false,
		"msrps://192.0.2.1;tcp":              false, // RFC 4976 section 8
		"msrps://relay.example.com:2855;udp": false,
	} {
		e, err := New(&Config{Relays: []Relay{{URI: uri}}})
		if (err == nil) != ok {
			t.Errorf("New() with %q: %v", uri, err)
		}
		if err == nil {
			e.Close()
		}
	}
}

// Another phone answers the same offer: the session goes on with it by the same relay.
func TestRelayFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session, c, m := s.connected(nil)
		if err := session.Update(t.Context(), m, answerOf("msrp://192.0.2.3:4444/carol;tcp", "passive")); err != nil {
			t.Fatal(err)
		}
		if hello := c.next(frame.SEND); hello.To != usePath+" msrp://192.0.2.3:4444/carol;tcp" || hello.From != own(t, m) {
			t.Errorf("got %q, want a SEND to carol", hello.text)
		}
		c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s %s\nMessage-ID: 1\n-------d93kswow$\n", own(t, m), usePath, bobPath)
		if got := c.next(""); got.Status != frame.StatusNoSession {
			t.Errorf("bob got %q, want 481", got.text)
		}
		c.nc.Close()
		for _, err := range session.Messages(t.Context()) {
			if !errors.Is(err, ErrLost) {
				t.Errorf("then: %v, want ErrLost", err)
			}
		}
	})
}

// The relay of a peer knows certificates by name alone (RFC 4976 section 9.2): who has none of that kind
// connects to it, where it may choose.
func TestAnswerToPeerWithRelay(t *testing.T) {
	certificate := siptest.NewAuthority().Certificate("192.0.2.1")
	for name, c := range map[string]struct {
		cfg  *tls.Config
		path string
		want string
	}{
		"a fingerprint":              {nil, "msrps://relay.example.com:2855/a;tcp msrps://192.0.2.2:9/b;tcp", "active"},
		"a certificate":              {&tls.Config{Certificates: []tls.Certificate{certificate}}, "msrps://relay.example.com:2855/a;tcp msrps://192.0.2.2:9/b;tcp", "passive"},
		"a fingerprint, to the peer": {nil, "msrps://192.0.2.2:9/b;tcp", "passive"},
	} {
		e, err := New(&Config{TLS: c.cfg, Listen: []string{"tls:192.0.2.1:0"}, Network: siptest.NewNetwork(nil).Host("192.0.2.1")})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		offer := answerOf(c.path, "actpass")
		offer.Proto = "TCP/TLS/MSRP"
		offer.Address, offer.Port = "192.0.2.2", 9
		m, err := NewSession(e, nil).Answer(t.Context(), offer)
		if err != nil || m == nil {
			t.Fatalf("Answer() = %v, %v", m, err)
		}
		if got := attribute(t, m, "setup"); got != c.want {
			t.Errorf("with %s: setup = %s, want %s", name, got, c.want)
		}
	}
}
