package digest

import (
	"errors"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

// withField puts a header line into a message as it would arrive. It returns
// nil for what the parser stops.
func withField(m sip.Message, name, value string) sip.Message {
	out, err := sip.Parse(strings.Replace(m.String(), "Content-Length:", name+": "+value+"\r\nContent-Length:", 1))
	if err != nil {
		return nil
	}
	return out
}

// Whatever a server writes, the answer is an error or a request with one more
// header field.
func FuzzAuthorize(f *testing.F) {
	f.Add(`Digest realm="r", nonce="n", qop="auth,auth-int", opaque="o", algorithm=SHA-256, stale=true, userhash=true`)
	f.Add(`Digest realm="a\"b\\", nonce="\\\"", qop=auth`)
	f.Add(`Digest realm=r,nonce=n,,algorithm="MD5-sess"`)
	f.Add(`Basic realm="r"`)
	f.Fuzz(func(t *testing.T, value string) {
		req := register(t, "reg")
		m := withField(req.Reply(sip.StatusUnauthorized), "WWW-Authenticate", value)
		resp, ok := m.(*sip.Response)
		if !ok {
			return
		}
		c := NewClient(alice())
		out, err := c.Authorize(req, resp)
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) {
				t.Errorf("Authorize() = %v, want *Error", err)
			}
			return
		}
		if out.Err() != nil || strings.Count(out.String(), "\r\n") != strings.Count(req.String(), "\r\n")+len(readGiven(out)) {
			t.Fatalf("challenge %q made\n%s", value, out)
		}
		again, err := sip.Parse(out.String())
		if err != nil {
			t.Fatal(err)
		}
		p := sent(t, again.(*sip.Request))[0]
		ch, _ := readChallenges(resp)
		if p.Realm != ch[0].realm || p.Nonce != ch[0].p.Nonce || p.Opaque != ch[0].p.Opaque {
			t.Errorf("credentials %+v do not answer %+v", p, ch[0])
		}
		if next := c.Prepare(req); next.Err() != nil || next == req {
			t.Errorf("Prepare() = %v", next.Err())
		}
	})
}

// Whatever a client writes, nobody gets in without the password.
func FuzzVerify(f *testing.F) {
	f.Add(`Digest username="alice", realm="sip.test", nonce="n", uri="sip:example.com", response="0", cnonce="c", qop=auth, nc=00000001`)
	f.Add(`Digest username="alice", realm="sip.test", nonce="n", uri="sip:example.com", response="0"`)
	f.Add(`Digest realm="sip.test",,`)
	s := newServer(f, ServerConfig{Nonces: 4, Integrity: true, Algorithms: []Algorithm{MD5, SHA256, SHA512256 + "-sess"}})
	f.Fuzz(func(t *testing.T, value string) {
		m := withField(register(t, "reg"), "Authorization", value)
		req, ok := m.(*sip.Request)
		if !ok {
			return
		}
		user, err := s.Verify(t.Context(), req)
		if err == nil || user != "" {
			t.Fatalf("Verify() = %q, %v", user, err)
		}
		if resp := s.Reply(req, err); resp != nil && resp.Err() != nil {
			t.Errorf("Reply() = %v", resp.Err())
		}
	})
}
