package digest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	shared "github.com/goparley/parley/internal/digest"
	"github.com/goparley/parley/sip"
)

func passwords(ctx context.Context, user string) (string, error) {
	switch user {
	case "alice":
		return "alicepw", nil
	case "nobody":
		return "", nil
	case "broken":
		return "", context.DeadlineExceeded
	}
	return "", ErrUnknownUser
}

func newServer(t testing.TB, config ServerConfig) *Server {
	t.Helper()
	if config.Realm == "" {
		config.Realm = "sip.test"
	}
	if config.Key == nil {
		config.Password = passwords
	}
	s, err := NewServer(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// login is a request that is challenged and comes back with credentials.
func login(t testing.TB, s *Server, c *Client, req *sip.Request) *sip.Request {
	t.Helper()
	_, err := s.Verify(t.Context(), req)
	if err == nil {
		t.Fatal("Verify() let a bare request in")
	}
	out, err := c.Authorize(req, s.Reply(req, err))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantUser(t *testing.T, s *Server, req *sip.Request, want string, wantErr error) {
	t.Helper()
	user, err := s.Verify(t.Context(), req)
	if user != want || !errors.Is(err, wantErr) {
		t.Errorf("Verify() = %q, %v, want %q, %v", user, err, want, wantErr)
	}
}

// forge returns a request with one parameter of its credentials changed.
func forge(t testing.TB, req *sip.Request, edit func(p *sip.DigestCredentials)) *sip.Request {
	t.Helper()
	given := readGiven(req)
	edit(&given[0].p)
	given[0].text = given[0].p.Challenge()
	out, err := write(req, given)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Each algorithm and qop, as user agent server and as proxy.
func TestLogin(t *testing.T) {
	for _, proxy := range []bool{false, true} {
		for _, a := range []Algorithm{MD5, SHA256, SHA512256, MD5 + "-sess", SHA256 + "-sess", SHA512256 + "-sess"} {
			s := newServer(t, ServerConfig{Algorithms: []Algorithm{a}, Proxy: proxy, Integrity: true, Nonces: 10})
			c := NewClient(alice())
			req := invite(t, "call", "")
			resp := s.Reply(req, ErrNoCredentials)
			want := sip.StatusUnauthorized
			if proxy {
				want = sip.StatusProxyAuthRequired
			}
			if resp.Status() != want {
				t.Errorf("Reply() = %v, want %v", resp.Status(), want)
			}
			wantUser(t, s, login(t, s, c, req), "alice", nil)
			wantUser(t, s, c.Prepare(req), "alice", nil)
			wantUser(t, s, login(t, s, NewClient(Credentials{Username: "alice", Password: "x"}), req), "", ErrRefused)
			wantUser(t, s, login(t, s, NewClient(Credentials{Username: "nobody"}), req), "", ErrRefused)
			wantUser(t, s, login(t, s, NewClient(Credentials{Username: "mallory", Password: s.dummy}), req), "", ErrRefused)
			wantUser(t, s, login(t, s, NewClient(Credentials{Username: "broken", Password: "x"}), req), "", context.DeadlineExceeded)
		}
	}
}

// RFC 8760 section 2.3: one challenge an algorithm, the preferred one on top,
// always with qop (section 2.6 item 8).
func TestChallenge(t *testing.T) {
	s := newServer(t, ServerConfig{})
	var got []string
	for h, err := range sip.All[sip.WWWAuthenticate](s.Reply(register(t, "reg"), ErrStale)) {
		if err != nil {
			t.Fatal(err)
		}
		p, err := sip.Challenge(h).Digest()
		if err != nil || p.Realm != "sip.test" || p.Nonce == "" || !p.Stale {
			t.Errorf("challenge = %q", h.Params)
		}
		got = append(got, p.Algorithm+" "+strings.Join(p.QOP, ","))
	}
	if want := "SHA-256 auth,MD5 auth"; strings.Join(got, ",") != want {
		t.Errorf("challenges = %q, want %q", got, want)
	}
}

// A nonce that is too old is stale, not wrong, and the client tries again.
func TestNonceLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, ServerConfig{NonceLifetime: time.Minute})
		c := NewClient(alice())
		req := register(t, "reg")
		wantUser(t, s, login(t, s, c, req), "alice", nil)

		time.Sleep(time.Minute)
		wantUser(t, s, c.Prepare(req), "alice", nil)

		time.Sleep(time.Second)
		req = c.Prepare(req)
		wantUser(t, s, req, "", ErrStale)
		resp := s.Reply(req, ErrStale)
		req, err := c.Authorize(req, resp)
		if err != nil {
			t.Fatal(err)
		}
		wantUser(t, s, req, "alice", nil)
	})
}

// Servers that share a secret and a realm know each other's nonces; no others
// do.
func TestSharedSecret(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	one := newServer(t, ServerConfig{Secret: secret})
	two := newServer(t, ServerConfig{Secret: secret})
	req := login(t, one, NewClient(alice()), register(t, "reg"))
	wantUser(t, two, req, "alice", nil)
	wantUser(t, newServer(t, ServerConfig{}), req, "", ErrStale)

	elsewhere := newServer(t, ServerConfig{Secret: secret, Realm: "other.test"})
	wantUser(t, elsewhere, req, "", ErrNoCredentials)
	nonce := elsewhere.nonces.New(time.Now(), "other.test")
	wantUser(t, one, forge(t, req, func(p *sip.DigestCredentials) { p.Nonce = nonce }), "", ErrStale)
}

// A server that keeps H(A1) instead of passwords.
func TestKeys(t *testing.T) {
	md5, _ := lookupHash("MD5")
	key := md5.key("alice", "sip.test", "alicepw")
	var asked []Algorithm
	s := newServer(t, ServerConfig{
		Algorithms: []Algorithm{MD5 + "-sess"},
		Key: func(_ context.Context, user string, a Algorithm) (string, error) {
			asked = append(asked, a)
			return map[string]string{"alice": key}[user], nil
		},
	})
	wantUser(t, s, login(t, s, NewClient(alice()), register(t, "reg")), "alice", nil)
	if len(asked) != 1 || asked[0] != MD5 {
		t.Errorf("asked for %v, want MD5", asked)
	}
	// A missing entry is no key that a stranger could know.
	req := login(t, s, NewClient(Credentials{Username: "eve", Password: "x"}), register(t, "reg"))
	req = forge(t, req, func(p *sip.DigestCredentials) {
		p.Response = hash{Hash: shared.MD5, sess: true}.response("", "REGISTER", "", p)
	})
	if user, err := s.Verify(t.Context(), req); err == nil || user != "" {
		t.Errorf("Verify() = %q, %v with an empty key", user, err)
	}
}

// What somebody who overheard a request can do with it.
func TestTampering(t *testing.T) {
	s := newServer(t, ServerConfig{Integrity: true})
	req := login(t, s, NewClient(alice()), invite(t, "call", ""))
	wantUser(t, s, req, "alice", nil)
	for name, test := range map[string]struct {
		edit func(p *sip.DigestCredentials)
		want error
	}{
		"user":      {func(p *sip.DigestCredentials) { p.Username = "bob" }, ErrRefused},
		"no user":   {func(p *sip.DigestCredentials) { p.Username = "" }, ErrMalformed},
		"nonce":     {func(p *sip.DigestCredentials) { p.Nonce = "A" + p.Nonce[1:] }, ErrStale},
		"no nonce":  {func(p *sip.DigestCredentials) { p.Nonce = "" }, ErrStale},
		"uri":       {func(p *sip.DigestCredentials) { p.URI = "sip:eve@example.com" }, ErrRefused},
		"no uri":    {func(p *sip.DigestCredentials) { p.URI = "" }, ErrMalformed},
		"bad uri":   {func(p *sip.DigestCredentials) { p.URI = `"` }, ErrRefused},
		"response":  {func(p *sip.DigestCredentials) { p.Response = strings.Repeat("0", 64) }, ErrRefused},
		"short":     {func(p *sip.DigestCredentials) { p.Response = p.Response[:32] }, ErrRefused},
		"nc":        {func(p *sip.DigestCredentials) { p.NC = "00000002" }, ErrRefused},
		"nc zero":   {func(p *sip.DigestCredentials) { p.NC = "00000000" }, ErrMalformed},
		"nc short":  {func(p *sip.DigestCredentials) { p.NC = "1" }, ErrMalformed},
		"nc sign":   {func(p *sip.DigestCredentials) { p.NC = "+0000001" }, ErrMalformed},
		"no cnonce": {func(p *sip.DigestCredentials) { p.CNonce = "" }, ErrMalformed},
		"qop":       {func(p *sip.DigestCredentials) { p.QOP = "auth-int" }, ErrRefused},
		"odd qop":   {func(p *sip.DigestCredentials) { p.QOP = "auth-conf" }, ErrMalformed},
		"downgrade": {func(p *sip.DigestCredentials) { p.Algorithm = "MD5" }, ErrRefused},
		"algorithm": {func(p *sip.DigestCredentials) { p.Algorithm = "SHA-512-256" }, ErrNoCredentials},
		"userhash":  {func(p *sip.DigestCredentials) { p.UserHash = true }, ErrMalformed},
		"realm":     {func(p *sip.DigestCredentials) { p.Realm = "SIP.TEST" }, ErrNoCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			wantUser(t, s, forge(t, req, test.edit), "", test.want)
		})
	}
	text, _ := req.Value("Authorization")
	wantUser(t, s, req.With(sip.Field{Name: "Authorization", Value: text + `, username="bob"`}), "", ErrMalformed)
	wantUser(t, s, req.With(sip.Field{Name: "Authorization", Value: text + `, x="` + strings.Repeat("x", maxText) + `"`}), "", ErrMalformed)
	wantUser(t, s, req.With(sip.Push(sip.Field{Name: "Authorization", Value: `Digest realm="other"`})), "alice", nil)
	wantUser(t, s, parseRequest(t, strings.Replace(req.String(), "Authorization: Digest ", "Authorization: Digest ,x,", 1)), "", ErrMalformed)
	for err, want := range map[error]sip.Status{ErrMalformed: 400, ErrWrongURI: 400, ErrRefused: 401, context.Canceled: 500} {
		if got := s.Reply(req, err).Status(); got != want {
			t.Errorf("Reply(%v) = %v, want %v", err, got, want)
		}
	}
}

// A name that stands in no quotes comes as username* (RFC 7616 section 3.4).
func TestExtendedUserName(t *testing.T) {
	s := newServer(t, ServerConfig{})
	req := login(t, s, NewClient(alice()), register(t, "reg"))
	text, _ := req.Value("Authorization")
	extended := strings.Replace(text, `username="alice"`, "username*=UTF-8''%61lic%65", 1)
	wantUser(t, s, req.With(sip.Field{Name: "Authorization", Value: extended}), "alice", nil)
	wantUser(t, s, req.With(sip.Field{Name: "Authorization", Value: extended + `, username="alice"`}), "", ErrMalformed)
}

// The body is covered by auth-int, and by nothing less.
func TestIntegrity(t *testing.T) {
	s := newServer(t, ServerConfig{Integrity: true})
	req := invite(t, "call", "")
	resp := s.Reply(req, ErrNoCredentials)
	text := strings.ReplaceAll(resp.String(), `"auth,auth-int"`, `"auth-int"`)
	m, err := sip.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	req, _ = NewClient(alice()).Authorize(req, m.(*sip.Response))
	wantUser(t, s, req, "alice", nil)
	wantUser(t, s, req.With(sip.Body{Type: "application/sdp", Content: "v=1\r\n"}), "", ErrRefused)
}

// The URI that a phone wrote and the one that arrives may differ in ways that
// do not matter, or that only the proxy on the way can know of.
func TestURIs(t *testing.T) {
	equal, other := sip.URI{Scheme: "sip", Host: "EXAMPLE.com"}, sip.URI{Scheme: "sip", Host: "10.0.0.1"}

	s := newServer(t, ServerConfig{})
	req := login(t, s, NewClient(alice()), register(t, "reg"))
	wantUser(t, s, req.WithURI(equal), "alice", nil)
	wantUser(t, s, req.WithURI(other), "", ErrWrongURI)

	s.config.AcceptURI = func(_ *sip.Request, uri sip.URI) bool { return uri.Host == "example.com" }
	wantUser(t, s, req.WithURI(other), "alice", nil)
}

// A stranger cannot make the server do work: URIs are compared for those who
// know a password, and passwords looked up for those who have a fresh nonce.
func TestCheapFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		compared, asked := 0, 0
		s := newServer(t, ServerConfig{
			AcceptURI: func(*sip.Request, sip.URI) bool { compared++; return false },
		})
		s.config.Password = func(ctx context.Context, user string) (string, error) {
			asked++
			return passwords(ctx, user)
		}
		expect := func(what string, req *sip.Request, err error, wantCompared, wantAsked int) {
			t.Helper()
			compared, asked = 0, 0
			wantUser(t, s, req, "", err)
			if compared != wantCompared || asked != wantAsked {
				t.Errorf("%s: compared %d URIs and asked for %d passwords, want %d and %d",
					what, compared, asked, wantCompared, wantAsked)
			}
		}
		here := sip.URI{Scheme: "sip", Host: "10.0.0.1"}
		req := login(t, s, NewClient(alice()), register(t, "reg"))
		expect("no nonce of ours", forge(t, req, func(p *sip.DigestCredentials) { p.Nonce = "n" }).WithURI(here), ErrStale, 0, 0)
		expect("no user", forge(t, req, func(p *sip.DigestCredentials) { p.Username = "eve" }).WithURI(here), ErrRefused, 0, 1)
		expect("no password", forge(t, req, func(p *sip.DigestCredentials) { p.Response = strings.Repeat("0", 64) }).WithURI(here), ErrRefused, 0, 1)
		expect("another URI", req.WithURI(here), ErrWrongURI, 1, 1)
		time.Sleep(6 * time.Minute)
		expect("an old nonce", req.WithURI(here), ErrStale, 0, 0)
	})
}

// A client of RFC 2069 knows no qop.
func TestOldClient(t *testing.T) {
	s := newServer(t, ServerConfig{Algorithms: []Algorithm{MD5}, Nonces: 10})
	req := login(t, s, NewClient(alice()), register(t, "reg"))
	old := forge(t, req, func(p *sip.DigestCredentials) {
		p.QOP, p.NC, p.CNonce, p.Algorithm = "", "", "", ""
		h := hash{Hash: shared.MD5}
		p.Response = h.response(h.key("alice", "sip.test", "alicepw"), "REGISTER", "", p)
	})
	wantUser(t, s, old, "alice", nil)
	wantUser(t, s, old, "", ErrStale) // its nonce serves once
}

// A registrar and its proxy ask for the same passwords, each in its own header
// field; what was shown to one is a replay to the other.
func TestForProxy(t *testing.T) {
	users, err := NewServer(ServerConfig{Realm: "sip.test", Nonces: 10, Password: Passwords(map[string]string{"alice": "alicepw", "nobody": ""})})
	if err != nil {
		t.Fatal(err)
	}
	proxy := users.ForProxy()
	c := NewClient(alice())
	req := invite(t, "call", "")
	for s, want := range map[*Server]sip.Status{users: sip.StatusUnauthorized, proxy: sip.StatusProxyAuthRequired} {
		if got := s.Reply(req, ErrNoCredentials).Status(); got != want {
			t.Errorf("Reply() = %v, want %v", got, want)
		}
		for _, user := range []string{"nobody", "mallory"} {
			wantUser(t, s, login(t, s, NewClient(Credentials{Username: user}), req), "", ErrRefused)
		}
	}
	shown := login(t, users, c, req)
	wantUser(t, proxy, shown, "", ErrNoCredentials)
	credentials, err := sip.Get[sip.Authorization](shown)
	if err != nil {
		t.Fatal(err)
	}
	copied := req.With(sip.ProxyAuthorization(credentials))
	wantUser(t, users, shown, "alice", nil)
	wantUser(t, proxy, copied, "", ErrStale)
	wantUser(t, proxy, login(t, proxy, c, req), "alice", nil)
}

func TestServerConfig(t *testing.T) {
	for name, config := range map[string]ServerConfig{
		"no realm":   {Password: passwords},
		"bad realm":  {Password: passwords, Realm: "a\r\nb"},
		"no lookup":  {Realm: "r"},
		"algorithm":  {Realm: "r", Password: passwords, Algorithms: []Algorithm{"SHA-1"}},
		"twice":      {Realm: "r", Password: passwords, Algorithms: []Algorithm{MD5, "md5"}},
		"none":       {Realm: "r", Password: passwords, Algorithms: []Algorithm{}},
		"empty name": {Realm: "r", Password: passwords, Algorithms: []Algorithm{""}},
	} {
		if s, err := NewServer(config); err == nil {
			t.Errorf("%s: NewServer() = %v, want an error", name, s)
		}
	}
}

// A 400 says which header field is at fault (RFC 3261 section 21.4.1): there is
// little else to go by for whoever looks at a trace.
func TestBadRequestNamesTheField(t *testing.T) {
	for _, proxy := range []bool{false, true} {
		name := "Authorization"
		if proxy {
			name = "Proxy-Authorization"
		}
		s := newServer(t, ServerConfig{Proxy: proxy})
		for _, value := range []string{
			`Digest x="`,
			``,
			`Digest realm="sip.test", realm="sip.test"`,
			`Digest realm="sip.test", nonce="n", username="alice"`,
		} {
			req := withField(register(t, "reg"), name, value).(*sip.Request)
			_, err := s.Verify(t.Context(), req)
			resp := s.Reply(req, err)
			if got, want := fmt.Sprint(int(resp.Status()), " ", resp.ReasonPhrase()), "400 Malformed "+name; got != want {
				t.Errorf("%s: %s: %v: replied %q, want %q", name, value, err, got, want)
			}
		}
		resp := s.Reply(register(t, "reg"), ErrWrongURI)
		if got, want := resp.ReasonPhrase(), name+" For Another Request-URI"; got != want {
			t.Errorf("Reply(ErrWrongURI) = %q, want %q", got, want)
		}
	}
}

// A proxy takes the credentials of its realm, whosever they are and however many, and
// leaves those for others on the path (RFC 3261 section 22.3).
func TestConsume(t *testing.T) {
	s, err := NewServer(ServerConfig{Realm: "example.com", Proxy: true, Password: Passwords(nil)})
	if err != nil {
		t.Fatal(err)
	}
	const ours, other = `Digest username="a", realm="example.com", response="1"`, `Digest username="a", realm="example.net", response="1"`
	req := invite(t, "1", "")
	for _, test := range []struct {
		name         string
		fields, want []string
	}{
		{"none", nil, nil},
		{"ours", []string{ours}, nil},
		{"of another realm", []string{other}, []string{other}},
		{"both", []string{ours, other, "digest REALM=\"example.com\""}, []string{other}},
		{"unreadable", []string{`Digest realm="example.com`}, nil},
		{"unreadable beside another's", []string{`Digest realm="example.com`, other}, []string{other}},
		{"of another scheme", []string{`Bearer realm="example.com"`, ours}, []string{`Bearer realm="example.com"`}},
	} {
		req := req
		for _, value := range test.fields {
			req = withField(req, "Proxy-Authorization", value).(*sip.Request).With(sip.Authorization{Scheme: "Digest", Params: `realm="example.com"`})
		}
		var got []string
		on := s.Consume(req)
		for h, err := range sip.All[sip.ProxyAuthorization](on) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(h.AppendValue(nil)))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: left are %q, want %q", test.name, got, test.want)
		}
		if _, has := on.Value("Authorization"); has != (len(test.fields) > 0) {
			t.Errorf("%s: has Authorization: %v, want what it had", test.name, has)
		}
	}
}
