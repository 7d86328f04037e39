package digest

import (
	"errors"
	"fmt"
	"testing"
)

const uri = "msrps://relay.example.com:2855;tcp"

func alice() *Client { return &Client{Username: "alice", Password: "secret"} }

func authorize(t testing.TB, c *Client) string {
	t.Helper()
	value, err := c.Authorize("AUTH", uri)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// answer is what the client sends once it got these challenges.
func answer(t testing.TB, c *Client, challenges ...string) credentials {
	t.Helper()
	if err := c.Challenged(challenges); err != nil {
		t.Fatal(err)
	}
	return sentBy(t, c)
}

// sentBy is what the client sends now.
func sentBy(t testing.TB, c *Client) credentials {
	t.Helper()
	p, err := readCredentials(authorize(t, c))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func asked(nonce string, more string) string {
	return fmt.Sprintf(`Digest realm="example.com", qop="auth", nonce="%s"%s`, nonce, more)
}

// proof is the Authentication-Info of a relay that knows the password.
func proof(password string, p *credentials, nextnonce string) string {
	key := MD5.key(p.username, p.realm, password)
	info := authenticationInfo{
		nextnonce: nextnonce,
		rspauth:   MD5.response(key, "", p.uri, p),
		cnonce:    p.cnonce,
		nc:        p.nc,
		qop:       "auth",
	}
	return info.String()
}

// RFC 4976 sections 5.1 and 9.1: nothing without a challenge, then all parameters, with
// the qop not in quotes and the uri in quotes.
func TestAuthorize(t *testing.T) {
	c := alice()
	if got := authorize(t, c); got != "" {
		t.Errorf("Authorize() = %q before any challenge", got)
	}
	p := answer(t, c, `Digest realm="example.com", qop="auth", nonce="n-1", opaque="o\"\\", algorithm=md5, domain="/elsewhere"`)
	want := credentials{
		username:  "alice",
		realm:     "example.com",
		nonce:     "n-1",
		uri:       uri,
		qop:       "auth",
		nc:        "00000001",
		cnonce:    p.cnonce,
		response:  MD5.response(MD5.key("alice", "example.com", "secret"), "AUTH", uri, &p),
		opaque:    `o"\`,
		algorithm: "md5", // as the relay wrote it (RFC 2617 section 3.2.2)
	}
	if p != want {
		t.Errorf("credentials %+v, want %+v", p, want)
	}
	if got := c.sent.String(); got != `Digest username="alice", realm="example.com", nonce="n-1", uri="`+uri+
		`", qop=auth, nc=00000001, cnonce="`+p.cnonce+`", response="`+p.response+`", opaque="o\"\\", algorithm=md5` {
		t.Errorf("Authorize() = %s", got)
	}
	if len(p.cnonce) < 13 { // of 32 characters: 64 bits
		t.Errorf("cnonce %q is short", p.cnonce)
	}
}

// RFC 2617 section 3.2.2: each request with a nonce counts, and a new nonce starts anew.
func TestNonceCount(t *testing.T) {
	c := alice()
	first := answer(t, c, asked("n-1", ""))
	second := sentBy(t, c)
	if second.nc != "00000002" || second.nonce != "n-1" || second.cnonce == first.cnonce {
		t.Errorf("second request %+v, want nc 2 and another cnonce than %q", second, first.cnonce)
	}
	if p := answer(t, c, asked("n-1", ", stale=true")); p.nc != "00000003" {
		t.Errorf("nc = %s after the same nonce again, want 3", p.nc)
	}
	if p := answer(t, c, asked("n-2", ", stale=true")); p.nc != "00000001" || p.nonce != "n-2" {
		t.Errorf("nc = %s of %s after a new nonce, want 1 of n-2", p.nc, p.nonce)
	}
}

// RFC 4976 section 9.1: nextnonce is for the next AUTH.
func TestNextNonce(t *testing.T) {
	c := alice()
	p := answer(t, c, asked("n-1", ""))
	if proved, err := c.Verify(proof("secret", &p, "n-2")); !proved || err != nil {
		t.Errorf("Verify() = %v, %v, want true", proved, err)
	}
	if p = sentBy(t, c); p.nonce != "n-2" || p.nc != "00000001" {
		t.Errorf("nc %s of %s, want 1 of n-2", p.nc, p.nonce)
	}
	if proved, err := c.Verify(`nextnonce="n-3"`); proved || err != nil { // RFC 2617 allows it
		t.Errorf("Verify() = %v, %v, want false", proved, err)
	}
	if p = sentBy(t, c); p.nonce != "n-3" {
		t.Errorf("nonce = %s, want n-3", p.nonce)
	}
	if proved, err := c.Verify(proof("secret", &p, "n-3")); !proved || err != nil {
		t.Errorf("Verify() = %v, %v, want true", proved, err)
	}
	if p = sentBy(t, c); p.nc != "00000002" {
		t.Errorf("nc = %s after the same nonce as nextnonce, want 2", p.nc)
	}
}

// RFC 4976 section 9.1: rspauth, cnonce, nc and qop are those of the request. What is
// there is checked; whether it is there is told.
func TestVerifyAuthenticationInfo(t *testing.T) {
	for _, c := range []struct {
		name   string
		info   func(p *credentials) string
		proved bool
		err    error
	}{
		{"all", func(p *credentials) string { return proof("secret", p, "") }, true, nil},
		{"rspauth alone", func(p *credentials) string {
			i, _ := readAuthenticationInfo(proof("secret", p, ""))
			return (&authenticationInfo{rspauth: i.rspauth}).String()
		}, true, nil},
		{"nothing", func(*credentials) string { return "" }, false, nil},
		{"no rspauth", func(p *credentials) string { return `cnonce="` + p.cnonce + `", qop=auth` }, false, nil},
		{"another password", func(p *credentials) string { return proof("guess", p, "") }, false, ErrUnproved},
		{"the response again", func(p *credentials) string { return `rspauth="` + p.response + `"` }, false, ErrUnproved},
		{"cut", func(p *credentials) string {
			i, _ := readAuthenticationInfo(proof("secret", p, ""))
			return `rspauth="` + i.rspauth[:31] + `"`
		}, false, ErrUnproved},
		{"of another nc", func(p *credentials) string {
			q := *p
			q.nc = "00000002"
			return proof("secret", &q, "")
		}, false, ErrUnproved},
		{"of another cnonce", func(p *credentials) string {
			q := *p
			q.cnonce = "c"
			return proof("secret", &q, "")
		}, false, ErrUnproved},
		{"of another nc, without rspauth", func(*credentials) string { return `nc=00000002, qop=auth` }, false, ErrUnproved},
		{"of another cnonce, without rspauth", func(*credentials) string { return `cnonce="c", qop=auth` }, false, ErrUnproved},
		{"of another qop", func(p *credentials) string { return `qop=auth-int` }, false, ErrUnproved},
		{"garbled", func(p *credentials) string { return `rspauth="` }, false, ErrMalformed},
	} {
		client := alice()
		p := answer(t, client, asked("n-1", ""))
		if proved, err := client.Verify(c.info(&p)); proved != c.proved || !errors.Is(err, c.err) {
			t.Errorf("%s: Verify() = %v, %v, want %v, %v", c.name, proved, err, c.proved, c.err)
		}
	}
}

// Who proves nothing does not choose the next nonce, either.
func TestNextNonceOfAnImpostor(t *testing.T) {
	c := alice()
	p := answer(t, c, asked("n-1", ""))
	if _, err := c.Verify(proof("guess", &p, "n-2")); !errors.Is(err, ErrUnproved) {
		t.Errorf("Verify() = %v, want ErrUnproved", err)
	}
	if p = sentBy(t, c); p.nonce != "n-1" {
		t.Errorf("nonce = %s, want n-1", p.nonce)
	}
}

// RFC 7977 section 8.1.1: the relay knows the client already, and does not challenge it.
func TestVerifyWithoutChallenge(t *testing.T) {
	c := alice()
	authorize(t, c)
	if proved, err := c.Verify(`rspauth="0", nextnonce="n"`); proved || err != nil {
		t.Errorf("Verify() = %v, %v, want false", proved, err)
	}
	if got := authorize(t, c); got != "" {
		t.Errorf("Authorize() = %q, want nothing", got)
	}
}

// RFC 2617 section 3.2.1: stale=true says that the password may be right, and without it
// a new challenge says that it is wrong.
func TestWrongPasswordAndStale(t *testing.T) {
	for _, stale := range []string{", stale=true", `, stale="TRUE"`, ", STALE=True"} {
		c := alice()
		answer(t, c, asked("n-1", ""))
		if err := c.Challenged([]string{asked("n-2", stale)}); err != nil {
			t.Errorf("Challenged() = %v with %q", err, stale)
		}
	}
	for _, stale := range []string{"", ", stale=false"} {
		c := alice()
		answer(t, c, asked("n-1", ""))
		if err := c.Challenged([]string{asked("n-2", stale)}); !errors.Is(err, ErrRefused) {
			t.Errorf("Challenged() = %v with %q, want ErrRefused", err, stale)
		}
		if got := authorize(t, c); got != "" {
			t.Errorf("Authorize() = %q, which was refused", got)
		}
	}
}

// A nonce that was good for an earlier request has become stale, and the relay does not
// say so: one more try, and no second one.
func TestOldNonceIsNoRefusal(t *testing.T) {
	for _, next := range []string{"", `nextnonce="n-2"`} {
		c := alice()
		answer(t, c, asked("n-1", ""))
		if _, err := c.Verify(next); err != nil {
			t.Fatal(err)
		}
		authorize(t, c)
		if p := answer(t, c, asked("n-3", "")); p.nonce != "n-3" {
			t.Errorf("nonce = %s, want n-3", p.nonce)
		}
		if err := c.Challenged([]string{asked("n-4", "")}); !errors.Is(err, ErrRefused) {
			t.Errorf("Challenged() = %v, want ErrRefused", err)
		}
	}
	c := alice()
	answer(t, c, asked("n-1", ""))
	c.Verify("")
	authorize(t, c)
	if err := c.Challenged([]string{asked("n-1", "")}); !errors.Is(err, ErrRefused) {
		t.Errorf("Challenged() = %v with the nonce of before, want ErrRefused", err)
	}
}

// Stale is believed three times in a row, with whatever nonces.
func TestStaleEnds(t *testing.T) {
	for _, nonce := range []string{"n", "n-%d"} {
		c := alice()
		for range 2 { // an error leaves nothing behind
			answer(t, c, asked("n", ""))
			for i := range 3 {
				answer(t, c, asked(fmt.Sprintf(nonce, i), ", stale=true"))
			}
			if err := c.Challenged([]string{asked("n-9", ", stale=true")}); !errors.Is(err, ErrTooManyChallenges) {
				t.Errorf("Challenged() = %v, want ErrTooManyChallenges", err)
			}
		}
		answer(t, c, asked("n", ""))
		for i := range 9 { // each a request of its own
			answer(t, c, asked(fmt.Sprintf(nonce, i), ", stale=true"))
			c.Verify("")
			authorize(t, c)
		}
	}
}

// The topmost one with SHA-256, or else with MD5, whatever is between.
func TestChooseChallenge(t *testing.T) {
	const (
		basic  = `Basic realm="example.com"`
		sess   = `Digest realm="example.com", qop="auth", nonce="sess", algorithm=MD5-sess`
		noQOP  = `Digest realm="example.com", nonce="none"`
		auth   = `Digest realm="example.com", nonce="int", qop="auth-int"`
		broken = `Digest realm="example.com", nonce="`
		bare   = `Digest realm="example.com", qop="auth"`
		md5    = `Digest realm="example.com", qop="auth-int, auth", nonce="md5"`
		md5b   = `Digest realm="example.com", qop=AUTH, nonce="md5b"`
		sha    = `Digest nonce=sha, algorithm="SHA-256", qop=auth, realm=example.com`
		shaB   = `Digest nonce=shaB, algorithm="SHA-256", qop=auth, realm=example.com`
	)
	for _, c := range []struct {
		challenges []string
		nonce      string
	}{
		{[]string{md5}, "md5"},
		{[]string{md5b}, "md5b"},
		{[]string{md5, md5b}, "md5"},
		{[]string{md5, sha, shaB, md5b}, "sha"},
		{[]string{sha, md5}, "sha"},
		{[]string{basic, sess, noQOP, auth, broken, bare, md5}, "md5"},
	} {
		if p := answer(t, alice(), c.challenges...); p.nonce != c.nonce {
			t.Errorf("answered %q, want %q", p.nonce, c.nonce)
		}
	}
	p := answer(t, alice(), sha)
	if want := SHA256.response(SHA256.key("alice", "example.com", "secret"), "AUTH", uri, &p); p.response != want || p.algorithm != "SHA-256" {
		t.Errorf("%s response %s, want SHA-256 and %s", p.algorithm, p.response, want)
	}
	for _, none := range [][]string{nil, {""}, {basic, sess, noQOP, auth, broken, bare}} {
		c := alice()
		answer(t, c, md5)
		if err := c.Challenged(none); !errors.Is(err, ErrUnsupported) {
			t.Errorf("Challenged(%q) = %v, want ErrUnsupported", none, err)
		}
	}
}

// Kamailio 5.6.3 challenges with qop="auth" and MD5, and never sends Authentication-Info,
// which a relay must (RFC 4976 section 9.1). Its nonce is good for some minutes; then it
// asks again.
func TestKamailio(t *testing.T) {
	c := alice()
	p := answer(t, c, `Digest realm="example.com", nonce="ZFuRzGRbkKDSBPlqa7nD1w==", qop="auth"`)
	if p.nc != "00000001" || p.algorithm != "" || p.qop != "auth" {
		t.Errorf("credentials %+v, want nc 1, MD5 without a name, qop auth", p)
	}
	if proved, err := c.Verify(""); proved || err != nil {
		t.Errorf("Verify() = %v, %v, want false", proved, err)
	}
	if p = sentBy(t, c); p.nc != "00000002" || p.nonce != "ZFuRzGRbkKDSBPlqa7nD1w==" {
		t.Errorf("credentials %+v, want nc 2 of the same nonce", p)
	}
	p = answer(t, c, `Digest realm="example.com", nonce="ZFuS+GRbkczfLM3m4NDMUw==", qop="auth"`)
	if p.nc != "00000001" {
		t.Errorf("nc = %s of a new nonce, want 1", p.nc)
	}
}

// Names that would be another header field are not written.
func TestUnwritableNames(t *testing.T) {
	c := &Client{Username: "alice\r\nExpires: 1", Password: "secret"}
	c.Challenged([]string{asked("n", "")})
	if value, err := c.Authorize("AUTH", uri); err == nil {
		t.Errorf("Authorize() = %q, want an error", value)
	}
	c = alice()
	c.Challenged([]string{asked("n", "")})
	if value, err := c.Authorize("AUTH", "msrps://a;tcp\n"); err == nil {
		t.Errorf("Authorize() = %q, want an error", value)
	}
}
