package digest

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/goparley/parley/sip"
)

const fromAlice = "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n" +
	"Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\n"

func parseRequest(t testing.TB, text string) *sip.Request {
	t.Helper()
	m, err := sip.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sip.Request)
}

func register(t testing.TB, callID string) *sip.Request {
	t.Helper()
	return parseRequest(t, "REGISTER sip:example.com SIP/2.0\r\n"+fromAlice+
		"To: <sip:alice@example.com>\r\nCall-ID: "+callID+"\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n")
}

func invite(t testing.TB, callID, toTag string) *sip.Request {
	t.Helper()
	return parseRequest(t, "INVITE sip:bob@example.com SIP/2.0\r\n"+fromAlice+
		"To: <sip:bob@example.com>"+toTag+"\r\nCall-ID: "+callID+"\r\nCSeq: 1 INVITE\r\n"+
		"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n")
}

// refuse is the 401 with these challenges, or the 407 if proxy is set.
func refuse(t testing.TB, req *sip.Request, proxy bool, challenges ...string) *sip.Response {
	t.Helper()
	resp := req.Reply(sip.StatusUnauthorized)
	for _, ch := range challenges {
		f := sip.Field{Name: "WWW-Authenticate", Value: ch}
		if proxy {
			f.Name = "Proxy-Authenticate"
		}
		resp = resp.With(sip.Add(f))
	}
	if resp.Err() != nil {
		t.Fatal(resp.Err())
	}
	return resp
}

// sent returns all credentials of a request.
func sent(t testing.TB, req *sip.Request) []sip.DigestCredentials {
	t.Helper()
	var ps []sip.DigestCredentials
	for _, c := range readGiven(req) {
		if !c.digest {
			t.Fatalf("credentials %q cannot be read", c.text.Params)
		}
		ps = append(ps, c.p)
	}
	return ps
}

// accept answers and returns the only credentials.
func accept(t testing.TB, c *Client, req *sip.Request, resp *sip.Response) (*sip.Request, sip.DigestCredentials) {
	t.Helper()
	out, err := c.Authorize(req, resp)
	if err != nil {
		t.Fatal(err)
	}
	ps := sent(t, out)
	if len(ps) != 1 {
		t.Fatalf("%d credentials in\n%s", len(ps), out)
	}
	return out, ps[0]
}

func wantError(t *testing.T, c *Client, req *sip.Request, resp *sip.Response, want error) {
	t.Helper()
	out, err := c.Authorize(req, resp)
	if !errors.Is(err, want) || out != nil {
		t.Errorf("Authorize() = %v, want %v", err, want)
	}
	if e := (*Error)(nil); !errors.As(err, &e) {
		t.Errorf("Authorize() = %T, want *Error", err)
	}
}

func alice() Credentials { return Credentials{Username: "alice", Password: "alicepw"} }

// A phone registers: 401, the same with credentials, 200. Its refreshes need no
// challenge, and each raises the count.
func TestRegisterAndRefresh(t *testing.T) {
	c := NewClient(alice())
	req := register(t, "reg")
	if c.Prepare(req) != req {
		t.Error("Prepare() knew credentials before any challenge")
	}
	out, p := accept(t, c, req, refuse(t, req, false, `Digest realm="sip.test", nonce="n1", qop="auth,auth-int", opaque="o\"1", algorithm=SHA-256`))
	if p.URI != "sip:example.com" || p.Username != "alice" || p.Opaque != `o"1` || p.QOP != "auth" || p.NC != "00000001" || p.Algorithm != "SHA-256" {
		t.Errorf("credentials = %+v", p)
	}
	if text, _ := out.Value("Authorization"); !strings.Contains(text, `opaque="o\"1"`) || !strings.Contains(text, "qop=auth, nc=00000001") {
		t.Errorf("Authorization: %s", text)
	}
	h, _ := lookupHash("SHA-256")
	if want := h.response(h.key("alice", "sip.test", "alicepw"), "REGISTER", "", &p); p.Response != want {
		t.Errorf("response = %s, want %s", p.Response, want)
	}
	for i := 2; i <= 3; i++ {
		refresh := sent(t, c.Prepare(register(t, "reg")))
		if len(refresh) != 1 || refresh[0].Nonce != "n1" || refresh[0].NC != fmt.Sprintf("%08x", i) || refresh[0].Response == p.Response {
			t.Errorf("refresh %d = %+v", i, refresh)
		}
	}
	// RFC 3261 section 22.2: the cache is for this To.
	if other := invite(t, "call", ""); c.Prepare(other) != other {
		t.Error("credentials went to another destination")
	}
}

// A wrong password: the second 401 is the end, with a new nonce or the old one.
func TestWrongPassword(t *testing.T) {
	for _, second := range []string{"n1", "n2"} {
		c := NewClient(alice())
		req := register(t, "reg")
		req, _ = accept(t, c, req, refuse(t, req, false, `Digest realm="r", nonce="n1", qop="auth"`))
		wantError(t, c, req, refuse(t, req, false, `Digest realm="r", nonce="`+second+`", qop="auth"`), ErrRefused)
		// Nor is it offered again unasked: servers lock accounts.
		if next := register(t, "reg"); c.Prepare(next) != next {
			t.Error("Prepare() sent what was refused")
		}
	}
}

// A refresh goes out with an old nonce and comes back with a new one, stale or
// not. The password was right before, so it is tried; then it is the end.
func TestNewNonceAfterSuccess(t *testing.T) {
	for _, qop := range []string{"", `, qop="auth"`} {
		for _, stale := range []string{"", ", stale=TRUE", ", stale=false"} {
			c := NewClient(alice())
			req := register(t, "reg")
			accept(t, c, req, refuse(t, req, false, `Digest realm="r", nonce="n1"`+qop))

			req = c.Prepare(register(t, "reg"))
			out, p := accept(t, c, req, refuse(t, req, false, `Digest realm="r", nonce="n2"`+qop+stale))
			if p.Nonce != "n2" || p.NC != "" && p.NC != "00000001" {
				t.Errorf("credentials = %+v, want the first for n2", p)
			}
			wantError(t, c, out, refuse(t, out, false, `Digest realm="r", nonce="n3"`+qop), ErrRefused)
		}
	}
	// Refused with the nonce that it carried, it is not tried again.
	c := NewClient(alice())
	req := register(t, "reg")
	accept(t, c, req, refuse(t, req, false, `Digest realm="r", nonce="n1", qop="auth"`))
	req = c.Prepare(register(t, "reg"))
	wantError(t, c, req, refuse(t, req, false, `Digest realm="r", nonce="n1", qop="auth"`), ErrRefused)
}

// A server that calls every nonce stale is believed three times.
func TestStaleLoop(t *testing.T) {
	for _, nonces := range [][]string{{"1", "2", "3", "4"}, {"same", "same", "same", "same"}} {
		c := NewClient(alice())
		req := register(t, "reg")
		for _, nonce := range nonces {
			req, _ = accept(t, c, req, refuse(t, req, false, `Digest realm="r", qop="auth", stale=true, nonce="`+nonce+`"`))
		}
		wantError(t, c, req, refuse(t, req, false, `Digest realm="r", qop="auth", stale=true, nonce="last"`), ErrTooManyChallenges)
	}
}

// Servers that take turns, or name a new realm each time, end the same.
func TestChallengeLoopOverRealms(t *testing.T) {
	for _, realms := range []int{2, 1000} {
		c := NewClient(alice())
		req := register(t, "reg")
		var err error
		round := 0
		for ; round < 100 && err == nil; round++ {
			var next *sip.Request
			next, err = c.Authorize(req, refuse(t, req, true,
				fmt.Sprintf(`Digest realm="r%d", nonce="n%d", qop="auth", stale=true`, round%realms, round)))
			if err == nil {
				req = next
			}
		}
		if !errors.Is(err, ErrTooManyChallenges) || round > maxTries*maxRealms {
			t.Errorf("%d realms ended after %d rounds with %v", realms, round, err)
		}
	}
}

// RFC 8760 section 2.4, with MD5 last whatever the order.
func TestChooseAlgorithm(t *testing.T) {
	const md5, sha256, sha512 = `Digest realm="r", nonce="n", qop="auth", algorithm=MD5`,
		`Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256`,
		`Digest realm="r", nonce="n", qop="auth", algorithm=SHA-512-256-sess`
	for _, test := range []struct {
		challenges []string
		want       string
	}{
		{[]string{md5, sha256}, "SHA-256"},
		{[]string{sha512, sha256, md5}, "SHA-512-256-sess"},
		{[]string{sha256, sha512, md5}, "SHA-256"},
		{[]string{`Digest realm="r", nonce="n", algorithm=X`, md5}, "MD5"},
		{[]string{`Basic realm="r"`, `Digest realm="r", nonce="n", qop="token", algorithm=SHA-256`, md5}, "MD5"},
		{[]string{`Digest realm="r", nonce="n", algorithm=SHA-256-sess`, md5}, "MD5"},
		{[]string{`Digest realm="r", nonce="n", algorithm=sha-256`}, "sha-256"},
		{[]string{`Digest realm="r", nonce="n"`}, ""},
	} {
		c := NewClient(alice())
		req := register(t, "reg")
		if _, p := accept(t, c, req, refuse(t, req, false, test.challenges...)); p.Algorithm != test.want {
			t.Errorf("%q answered with %q, want %q", test.challenges, p.Algorithm, test.want)
		}
	}
}

// A server that writes its challenges on one line, against RFC 3261 section
// 7.3.1.
func TestChallengesOnOneLine(t *testing.T) {
	c := NewClient(alice())
	req := register(t, "reg")
	line := `Digest realm="r", nonce="1", qop="auth", algorithm=MD5, Digest realm="r", nonce="2", qop="auth", algorithm=SHA-256, Bearer scope="sip"`
	resp, ok := withField(req.Reply(sip.StatusUnauthorized), "WWW-Authenticate", line).(*sip.Response)
	if !ok {
		t.Fatal("the response did not parse")
	}
	if _, p := accept(t, c, req, resp); p.Nonce != "2" || p.Algorithm != "SHA-256" {
		t.Errorf("answered nonce %q with %q, want 2 with SHA-256", p.Nonce, p.Algorithm)
	}
}

func TestUnanswerable(t *testing.T) {
	c := NewClient(Credentials{Username: "alice", Password: "x", Realm: "mine"})
	req := register(t, "reg")
	for _, challenges := range [][]string{
		nil,
		{`Basic realm="mine"`},
		{`Digest realm="mine", nonce="n", algorithm=X`, `Digest realm="mine", nonce="n", algorithm=Y`},
		{`Digest realm="mine", nonce="n", qop="other"`},
		{`Digest realm="mine"`},
		{`Digest nonce="n"`},
		{`Digest realm="mine", nonce="n", nonce="m"`},
		{`Digest realm="mine", nonce="n", qop="-"`},
		{`Digest realm="mine", nonce="` + strings.Repeat("n", maxText) + `"`},
	} {
		wantError(t, c, req, refuse(t, req, false, challenges...), ErrUnsupported)
	}
	wantError(t, c, req, refuse(t, req, false, `Digest realm="theirs", nonce="n"`), ErrNoCredentials)

	// One that can be answered is enough (RFC 3261 section 22.3).
	_, p := accept(t, c, req, refuse(t, req, false, `Digest realm="theirs", nonce="n"`, `Digest realm="mine", nonce="n"`))
	if p.Realm != "mine" {
		t.Errorf("answered %q, want mine", p.Realm)
	}
}

func TestLongNonce(t *testing.T) {
	c := NewClient(alice())
	req := register(t, "reg")
	nonce := strings.Repeat("n", 4096)
	if _, p := accept(t, c, req, refuse(t, req, false, `Digest realm="r", nonce="`+nonce+`"`)); p.Nonce != nonce {
		t.Errorf("a nonce of %d bytes came back as %d", len(nonce), len(p.Nonce))
	}
}

// RFC 7616 section 3.4.4.
func TestUserHash(t *testing.T) {
	c := NewClient(Credentials{Username: "J\u00e4s\u00f8n Doe", Password: "Secret, or not?"})
	req := register(t, "reg")
	out, p := accept(t, c, req, refuse(t, req, false, `Digest realm="api@example.org", nonce="n", qop="auth", algorithm=SHA-512-256, userhash=true`))
	const want = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
	if p.Username != want || !p.UserHash {
		t.Errorf("username = %s, userhash = %v, want %s\n%s", p.Username, p.UserHash, want, out)
	}
	h, _ := lookupHash("SHA-512-256")
	if got := h.response(h.key("J\u00e4s\u00f8n Doe", "api@example.org", "Secret, or not?"), "REGISTER", "", &p); p.Response != got {
		t.Errorf("response = %s, want %s from the plain name", p.Response, got)
	}
}

// Only auth-int on offer: the digest covers the body.
func TestAuthInt(t *testing.T) {
	c := NewClient(alice())
	req := invite(t, "call", "")
	_, p := accept(t, c, req, refuse(t, req, false, `Digest realm="r", nonce="n", qop="auth-int"`))
	h, _ := lookupHash("")
	key := h.key("alice", "r", "alicepw")
	if want := h.response(key, "INVITE", "v=0\r\n", &p); p.QOP != "auth-int" || p.Response != want {
		t.Errorf("qop = %s, response = %s, want %s", p.QOP, p.Response, want)
	}
}

// A user name is written as data, or not at all.
func TestUserNameIsEscaped(t *testing.T) {
	req := register(t, "reg")
	resp := refuse(t, req, false, `Digest realm="a\", nonce=\"x", nonce="n"`)
	_, p := accept(t, NewClient(Credentials{Username: `a", uri="\`, Password: "x"}), req, resp)
	if p.Username != `a", uri="\` || p.Realm != `a", nonce="x` || p.Nonce != "n" {
		t.Errorf("credentials = %+v", p)
	}
	out, err := NewClient(Credentials{Username: "a\r\nRoute: <sip:evil.example>", Password: "x"}).Authorize(req, resp)
	if err == nil {
		t.Errorf("a user name with a line break made\n%s", out)
	}
}

func kept[V any](all iter.Seq[V]) (n int) {
	for range all {
		n++
	}
	return n
}

// What a client remembers is bounded, whoever challenges it.
func TestClientMemory(t *testing.T) {
	c := NewClient(alice())
	for i := range 9000 {
		req := register(t, fmt.Sprint("call", i))
		accept(t, c, req, refuse(t, req, false, fmt.Sprintf(`Digest realm="r%d", nonce="n"`, i)))
	}
	for name, got := range map[string][3]int{
		"sessions": {kept(c.sessions.All()), 32, 64},
		"scopes":   {kept(c.scopes.All()), 8192, 16384},
		"answers":  {kept(c.answers.All()), 1024, 2048},
	} {
		if got[0] < got[1] || got[0] > got[2] {
			t.Errorf("%d %s, want %d to %d", got[0], name, got[1], got[2])
		}
	}
}

// Many requests share a nonce: no count is used twice.
func TestCountsAreUnique(t *testing.T) {
	c := NewClient(alice())
	req := register(t, "reg")
	resp := refuse(t, req, false, `Digest realm="r", nonce="n", qop="auth"`)
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				first, err := c.Authorize(req, resp)
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range []*sip.Request{first, c.Prepare(req)} {
					nc := readGiven(r)[0].p.NC
					mu.Lock()
					if seen[nc] {
						t.Errorf("nc=%s twice", nc)
					}
					seen[nc] = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
}
