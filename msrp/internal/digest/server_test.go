package digest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// A clock is set by the test.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

var passwords = map[string]string{"alice": "secret", "nobody": ""}

func newServer(t testing.TB, config ServerConfig) *Server {
	t.Helper()
	if config.Realm == "" {
		config.Realm = "example.com"
	}
	if config.Password == nil {
		config.Password = func(_ context.Context, user string) (string, error) {
			if password, ok := passwords[user]; ok {
				return password, nil
			}
			return "", ErrUnknownUser
		}
	}
	s, err := NewServer(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func verify(t testing.TB, s *Server, value string) (user, info string, err error) {
	t.Helper()
	return s.Verify(t.Context(), "conn", value, "AUTH", uri)
}

func wantVerified(t testing.TB, s *Server, value, want string, wantErr error) {
	t.Helper()
	user, info, err := verify(t, s, value)
	if user != want || !errors.Is(err, wantErr) || (info == "") != (err != nil) {
		t.Errorf("Verify() = %q, %q, %v, want %q, %v", user, info, err, want, wantErr)
	}
}

// login is the value that a client answers the server with.
func login(t testing.TB, s *Server, c *Client) string {
	t.Helper()
	if err := c.Challenged(s.Challenge("conn", false)); err != nil {
		t.Fatal(err)
	}
	return authorize(t, c)
}

// edit changes one parameter of an Authorization value.
func edit(t testing.TB, value string, change func(c *credentials)) string {
	t.Helper()
	c, err := readCredentials(value)
	if err != nil {
		t.Fatal(err)
	}
	change(&c)
	return c.String()
}

// RFC 4976 section 5.1: AUTH, 401, AUTH, 200, and the next AUTH with the nonce of the
// 200. Each side knows the other.
func TestClientAndServer(t *testing.T) {
	for _, algorithms := range [][]Algorithm{nil, {MD5}, {SHA256}, {SHA256, MD5}, {MD5, SHA256}} {
		s := newServer(t, ServerConfig{Algorithms: algorithms})
		c := alice()
		wantVerified(t, s, authorize(t, c), "", ErrNoCredentials)
		if err := c.Challenged(s.Challenge("conn", false)); err != nil {
			t.Fatal(err)
		}
		nonces := make(map[string]bool)
		for range 3 {
			value := authorize(t, c)
			user, info, err := verify(t, s, value)
			if user != "alice" || err != nil {
				t.Fatalf("%v: Verify() = %q, %v, want alice", algorithms, user, err)
			}
			if proved, err := c.Verify(info); !proved || err != nil {
				t.Errorf("%v: the client's Verify(%q) = %v, %v", algorithms, info, proved, err)
			}
			nonces[c.session.nonce] = true
		}
		if len(nonces) != 3 {
			t.Errorf("%d nonces in 3 Authentication-Infos", len(nonces))
		}
	}
}

// A client that passes nextnonce over goes on with its nonce.
func TestCountInPlaceOfNextNonce(t *testing.T) {
	s, c := newServer(t, ServerConfig{}), alice()
	wantVerified(t, s, login(t, s, c), "alice", nil)
	wantVerified(t, s, authorize(t, c), "alice", nil)
}

// RFC 4976 section 9.1: relays must include rspauth, cnonce, nc and qop, which has no
// quotes.
func TestAuthenticationInfo(t *testing.T) {
	s := newServer(t, ServerConfig{})
	value := login(t, s, alice())
	p, _ := readCredentials(value)
	_, info, err := verify(t, s, value)
	if err != nil {
		t.Fatal(err)
	}
	i, err := readAuthenticationInfo(info)
	if err != nil || i.nextnonce == "" || i.nextnonce == p.nonce {
		t.Errorf("nextnonce = %q, %v", i.nextnonce, err)
	}
	want := `nextnonce="` + i.nextnonce + `", rspauth="` + MD5.response(MD5.key("alice", "example.com", "secret"), "", uri, &p) +
		`", cnonce="` + p.cnonce + `", nc=00000001, qop=auth`
	if info != want {
		t.Errorf("Authentication-Info: %s, want %s", info, want)
	}
}

// RFC 4976 sections 7 and 9.1: qop="auth" in quotes and no other, no domain, nothing but
// what the examples have where it is MD5; one value for each algorithm.
func TestChallenge(t *testing.T) {
	s := newServer(t, ServerConfig{Algorithms: []Algorithm{SHA256, MD5}})
	for stale, more := range map[bool]string{false: "", true: ", stale=true"} {
		values := s.Challenge("conn", stale)
		ch, err := readChallenge(values[0])
		if err != nil {
			t.Fatal(err)
		}
		start := `Digest realm="example.com", qop="auth", nonce="` + ch.nonce + `"` + more
		if want := []string{start + ", algorithm=SHA-256", start}; !slices.Equal(values, want) {
			t.Errorf("Challenge() = %q, want %q", values, want)
		}
	}
}

func TestRefused(t *testing.T) {
	s := newServer(t, ServerConfig{})
	for _, c := range []*Client{
		{Username: "alice", Password: "guess"},
		{Username: "Alice", Password: "secret"},
		{Username: "mallory", Password: ""},
		{Username: "mallory", Password: s.dummy},
		{Username: "nobody", Password: ""}, // whose password is empty
		{Username: "nobody", Password: s.dummy},
	} {
		wantVerified(t, s, login(t, s, c), "", ErrRefused)
		if err := c.Challenged(s.Challenge("conn", false)); !errors.Is(err, ErrRefused) {
			t.Errorf("Challenged() = %v, want ErrRefused", err)
		}
	}
}

func TestPasswordFails(t *testing.T) {
	failure := errors.New("no database")
	s := newServer(t, ServerConfig{Password: func(context.Context, string) (string, error) { return "secret", failure }})
	wantVerified(t, s, login(t, s, alice()), "", failure)
}

// What belongs to another challenge, or to none, gets one of ours.
func TestNoCredentials(t *testing.T) {
	s := newServer(t, ServerConfig{})
	value := login(t, s, alice())
	for _, value := range []string{
		"",
		"Basic YWxpY2U6c2VjcmV0",
		"Digest",
		edit(t, value, func(c *credentials) { c.realm = "example.org" }),
		edit(t, value, func(c *credentials) { c.algorithm = "SHA-256" }), // was not offered
		edit(t, value, func(c *credentials) { c.algorithm = "MD5-sess" }),
	} {
		wantVerified(t, s, value, "", ErrNoCredentials)
	}
}

// RFC 4976 section 9.1: clients must send qop, cnonce and nc.
func TestMalformedCredentials(t *testing.T) {
	s := newServer(t, ServerConfig{})
	value := login(t, s, alice())
	for _, change := range []func(c *credentials){
		func(c *credentials) { c.username = "" },
		func(c *credentials) { c.nonce = "" },
		func(c *credentials) { c.response = "" },
		func(c *credentials) { c.cnonce = "" },
		func(c *credentials) { c.qop = "" },
		func(c *credentials) { c.qop = "auth-int" },
		func(c *credentials) { c.nc = "" },
		func(c *credentials) { c.nc = "00000000" },
		func(c *credentials) { c.nc = "1" },
		func(c *credentials) { c.nc = "0000000g" },
		func(c *credentials) { c.nc = "000000001" },
	} {
		wantVerified(t, s, edit(t, value, change), "", ErrMalformed)
	}
	wantVerified(t, s, value+"x", "", ErrMalformed)
	// But for quotes around qop, which do no harm.
	wantVerified(t, s, strings.Replace(value, "qop=auth", `qop="auth"`, 1), "alice", nil)
}

// However a value is cut, nobody gets in with it.
func TestCutCredentials(t *testing.T) {
	s := newServer(t, ServerConfig{})
	value := login(t, s, alice())
	for n := range len(value) {
		if user, _, err := verify(t, s, value[:n]); user != "" || err == nil {
			t.Errorf("Verify(%q) = %q, %v", value[:n], user, err)
		}
	}
	for n := range len(value) {
		garbled := value[:n] + "\x00" + value[n+1:]
		if user, _, err := verify(t, s, garbled); user != "" || err == nil {
			t.Errorf("Verify(%q) = %q, %v", garbled, user, err)
		}
	}
	wantVerified(t, s, value, "alice", nil)
}

// RFC 4976 section 9.1: the uri is the rightmost one of To-Path. Where the credentials
// have none, as the examples of section 5.1, that is still what the digest is of.
func TestURI(t *testing.T) {
	s := newServer(t, ServerConfig{})
	value := login(t, s, alice())
	if _, _, err := s.Verify(t.Context(), "conn", value, "AUTH", "msrps://other.example.com;tcp"); !errors.Is(err, ErrWrongURI) {
		t.Errorf("Verify() = %v, want ErrWrongURI", err)
	}
	without := edit(t, value, func(c *credentials) { c.uri = "" })
	if _, _, err := s.Verify(t.Context(), "conn", without, "AUTH", "msrps://other.example.com;tcp"); !errors.Is(err, ErrRefused) {
		t.Errorf("Verify() = %v, want ErrRefused", err)
	}
	if _, _, err := s.Verify(t.Context(), "conn", without, "SEND", uri); !errors.Is(err, ErrRefused) {
		t.Errorf("Verify() = %v, want ErrRefused", err)
	}
	wantVerified(t, s, without, "alice", nil)
}

// A nonce lasts an hour, is for one connection and one server, and whose it is not is
// not asked for a password.
func TestStale(t *testing.T) {
	at := &clock{time.Unix(1700000000, 0)}
	lookups := 0
	config := ServerConfig{Now: at.Now, Password: func(context.Context, string) (string, error) {
		lookups++
		return "secret", nil
	}}
	s := newServer(t, config)
	c := alice()
	value := login(t, s, c)
	at.now = at.now.Add(time.Hour + 1)
	wantVerified(t, s, value, "", ErrStale)

	fresh := login(t, s, alice())
	for _, nonce := range []string{"n", strings.Repeat("A", 43), strings.Repeat("!", 43)} {
		wantVerified(t, s, edit(t, fresh, func(c *credentials) { c.nonce = nonce }), "", ErrStale)
	}
	p, _ := readCredentials(fresh)
	for n := range p.nonce {
		garbled := p.nonce[:n] + string(p.nonce[n]^1) + p.nonce[n+1:]
		user, _, err := verify(t, s, edit(t, fresh, func(c *credentials) { c.nonce = garbled }))
		// Bits past the last byte may differ; then it is another text, of no digest.
		if user != "" || !errors.Is(err, ErrStale) && !(n == len(p.nonce)-1 && errors.Is(err, ErrRefused)) {
			t.Errorf("Verify() = %q, %v with nonce %q", user, err, garbled)
		}
	}
	wantVerified(t, newServer(t, config), fresh, "", ErrStale)
	if _, _, err := s.Verify(t.Context(), "another", fresh, "AUTH", uri); !errors.Is(err, ErrStale) {
		t.Errorf("Verify() = %v on another connection, want ErrStale", err)
	}
	if lookups > 1 {
		t.Errorf("a password was asked for %d times", lookups)
	}

	// The client takes the new nonce, just in time.
	if err := c.Challenged(s.Challenge("conn", true)); err != nil {
		t.Errorf("Challenged() = %v", err)
	}
	value = authorize(t, c)
	at.now = at.now.Add(time.Hour)
	wantVerified(t, s, value, "alice", nil)
}

// Who can read what Alice sends can not send it again.
func TestReplay(t *testing.T) {
	s, c := newServer(t, ServerConfig{}), alice()
	first := login(t, s, c)
	second, third := authorize(t, c), authorize(t, c)
	wantVerified(t, s, first, "alice", nil)
	wantVerified(t, s, first, "", ErrStale)
	wantVerified(t, s, edit(t, first, func(c *credentials) { c.nc = "00000009" }), "", ErrRefused)
	wantVerified(t, s, third, "alice", nil)
	wantVerified(t, s, second, "", ErrStale) // AUTH is not pipelined
}

func TestNewServerFails(t *testing.T) {
	password := func(context.Context, string) (string, error) { return "", nil }
	for _, config := range []ServerConfig{
		{Password: password},
		{Realm: "a\r\n", Password: password},
		{Realm: "a"},
		{Realm: "a", Password: password, Algorithms: []Algorithm{}},
		{Realm: "a", Password: password, Algorithms: []Algorithm{"MD5-sess"}},
		{Realm: "a", Password: password, Algorithms: []Algorithm{""}},
	} {
		if _, err := NewServer(config); err == nil {
			t.Errorf("NewServer(%+v) did not fail", config)
		}
	}
}
