package digest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

// A call through two proxies to a server that asks too: each adds its own, and
// who was satisfied before gets a higher count.
func TestThreeOnThePath(t *testing.T) {
	c := NewClient(alice(), Credentials{Username: "al", Password: "x", Realm: "p2"})
	req := invite(t, "call", "")
	req, err := c.Authorize(req, refuse(t, req, true, `Digest realm="p1", nonce="a", qop="auth"`))
	if err != nil {
		t.Fatal(err)
	}
	if req, err = c.Authorize(req, refuse(t, req, true, `Digest realm="p2", nonce="b", qop="auth"`)); err != nil {
		t.Fatal(err)
	}
	if req, err = c.Authorize(req, refuse(t, req, false, `Digest realm="p1", nonce="c"`)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for f := range req.Fields() {
		if strings.HasSuffix(f.Name, "Authorization") {
			p, _ := sip.AuthParams(f.Value[len("Digest "):]).Get("realm")
			nc, _ := sip.AuthParams(f.Value).Get("nc")
			got = append(got, f.Name+" "+p+" "+nc)
		}
	}
	want := "[Proxy-Authorization p1 00000003 Proxy-Authorization p2 00000002 Authorization p1 ]"
	if fmt.Sprint(got) != want {
		t.Errorf("credentials = %v, want %v", got, want)
	}
	if ps := sent(t, req); ps[1].Username != "al" {
		t.Errorf("user for p2 = %q, want the one that names it", ps[1].Username)
	}
	// A later request of the dialog carries the proxies' from the start.
	bye := invite(t, "call", ";tag=b")
	if ps := sent(t, c.Prepare(bye)); len(ps) != 3 {
		t.Errorf("%d credentials in the dialog, want 3", len(ps))
	}
	// So does another call that goes the same way.
	if ps := sent(t, c.Prepare(invite(t, "call2", ""))); len(ps) != 3 {
		t.Errorf("%d credentials in another call, want 3", len(ps))
	}
}

// Nobody sees the credentials for a proxy who is not on its way: neither who is
// called straight, nor who is called through the same first proxy in another
// domain, whether or not the configuration names the realm.
func TestProxyCredentialsKeepTheirWay(t *testing.T) {
	for _, realm := range []string{"", "p"} {
		c := NewClient(Credentials{Username: "alice", Password: "alicepw", Realm: realm})
		through := func(proxy, target, callID string) *sip.Request {
			uri, err := sip.ParseURI(target)
			if err != nil {
				t.Fatal(err)
			}
			req := invite(t, callID, "").WithURI(uri).With(sip.To{URI: uri})
			if host, params, _ := strings.Cut(proxy, ";"); host != "" {
				req = req.With(sip.Route{URI: sip.URI{Scheme: "sip", Host: host, Params: ";lr"}.WithParam("maddr", strings.TrimPrefix(params, "maddr="))})
			}
			return req
		}
		remote := sip.To{URI: sip.URI{Scheme: "sip", User: "bob", Host: "example.com"}, Params: ";tag=b"}
		ours := sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "example.com"}, Params: ";tag=another"}
		req := through("proxy.example", "sip:bob@example.com", "1")
		accept(t, c, req, refuse(t, req, true, `Digest realm="p", nonce="a", qop="auth"`))
		for _, test := range []struct {
			req  *sip.Request
			want int
		}{
			{through("proxy.example", "sip:bob@example.com", "2"), 1},
			{through("PROXY.example", "sip:carol@Example.com", "3"), 1},
			{through("proxy.example", "sip:mallory@mallory.example", "4"), 0},
			{through("mallory.example", "sip:bob@example.com", "5"), 0},
			{through("", "sip:bob@example.com", "6"), 0},
			{through("", "sip:bob@192.0.2.2", "1"), 0},                             // whoever it was redirected to
			{through("", "sip:bob@192.0.2.2", "1").With(remote), 1},                // of the call that was asked
			{through("", "sip:bob@192.0.2.2", "1").With(remote, ours), 0},          // a call of somebody who knows its Call-ID
			{through("proxy.example", "sip:bob@example.com", "7").With(remote), 0}, // one that came in
			{through("proxy.example;maddr=192.0.2.2", "sip:bob@example.com", "8"), 0},
		} {
			if got := len(sent(t, c.Prepare(test.req))); got != test.want {
				t.Errorf("realm %q: %d credentials, want %d, in\n%s", realm, got, test.want, test.req)
			}
		}
	}
}

// A peer has begun a dialog and calls itself what it likes: who has asked for
// credentials elsewhere, under that name, or with that Call-ID. It gets none, but for
// a challenge in the dialog that was answered, and on that way alone.
func TestPeerBeginsDialog(t *testing.T) {
	c := NewClient(Credentials{Username: "alice", Password: "alicepw", Realm: "gw"})
	first := invite(t, "1", "")
	accept(t, c, first, refuse(t, first, false, `Digest realm="gw", nonce="a", qop="auth"`))
	ours := sip.From{URI: first.From().URI, Params: ";tag=ours"}
	bye := invite(t, "1", ";tag=theirs").With(ours)
	if got := len(sent(t, c.Prepare(bye))); got != 0 {
		t.Errorf("%d credentials in the peer's dialog, want none", got)
	}
	accept(t, c, bye, refuse(t, bye, false, `Digest realm="gw", nonce="b", qop="auth"`))
	if got := len(sent(t, c.Prepare(bye))); got != 1 {
		t.Errorf("%d credentials in the peer's dialog after a challenge, want 1", got)
	}
	elsewhere := bye.WithURI(sip.URI{Scheme: "sip", Host: "192.0.2.66"})
	if got := len(sent(t, c.Prepare(elsewhere))); got != 0 {
		t.Errorf("%d credentials in the peer's dialog, elsewhere, want none", got)
	}
}

// An ACK has what its INVITE had, unless it goes where another request would not have it.
func TestPrepareACK(t *testing.T) {
	c := NewClient(Credentials{Username: "alice", Password: "alicepw", Realm: "gw"})
	first := invite(t, "1", "")
	authorized, _ := accept(t, c, first, refuse(t, first, false, `Digest realm="gw", nonce="a", qop="auth"`))
	foreign := sip.Add(sip.Field{Name: "Authorization", Value: `Digest username="x", realm="other", nonce="n", uri="sip:x", response="0123456789abcdef0123456789abcdef"`})
	for from, want := range map[string]int{"1": 2, "another": 1} {
		ack := sip.NewRequest(sip.ACK, first.URI(), sip.MaxForwards(70), sip.From{URI: first.From().URI, Params: sip.Params(";tag=" + from)},
			sip.To{URI: first.To().URI, Params: ";tag=b"}, sip.CallID("1"), sip.CSeq{Seq: 1, Method: sip.ACK})
		ack = CopyCredentials(ack, authorized).With(foreign)
		if got := len(sent(t, c.Prepare(ack))); got != want {
			t.Errorf("From tag %s: %d credentials in the ACK, want %d", from, got, want)
		}
	}
}

// Inside a dialog the peer asks for a digest in a realm of its own.
func TestStrangerInDialog(t *testing.T) {
	c := NewClient(alice(), Credentials{Username: "alice", Password: "x", Realm: "named"})
	reg := register(t, "reg")
	accept(t, c, reg, refuse(t, reg, false, `Digest realm="home", nonce="n"`))

	bye := invite(t, "call", ";tag=b")
	wantError(t, c, bye, refuse(t, bye, true, `Digest realm="evil", nonce="n"`), ErrUnexpectedRealm)
	wantError(t, c, bye, refuse(t, bye, true, `Digest realm="", nonce="n"`), ErrUnexpectedRealm)
	for _, realm := range []string{"home", "named"} {
		if _, p := accept(t, c, bye, refuse(t, bye, true, `Digest realm="`+realm+`", nonce="n"`)); p.Realm != realm {
			t.Errorf("answered %q, want %q", p.Realm, realm)
		}
	}
}

// The ACK for a 2xx repeats the credentials of the INVITE.
func TestACK(t *testing.T) {
	c := NewClient(alice())
	req := invite(t, "call", "")
	req, err := c.Authorize(req, refuse(t, req, true, `Digest realm="r", nonce="n", qop="auth"`))
	if err != nil {
		t.Fatal(err)
	}
	ack := parseRequest(t, "ACK sip:bob@192.0.2.1 SIP/2.0\r\n"+fromAlice+
		"To: <sip:bob@example.com>;tag=b\r\nCall-ID: call\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n")
	if c.Prepare(ack) != ack {
		t.Error("Prepare() changed an ACK")
	}
	got, _ := CopyCredentials(ack, req).Value("Proxy-Authorization")
	want, _ := req.Value("Proxy-Authorization")
	if got != want || got == "" {
		t.Errorf("ACK has %q, want %q", got, want)
	}
	if bare := invite(t, "call", ""); CopyCredentials(ack, bare) != ack {
		t.Error("CopyCredentials() copied what is not there")
	}
}

// What others put into a request stays.
func TestForeignCredentialsStay(t *testing.T) {
	c := NewClient(alice())
	req := register(t, "reg").With(sip.Add(sip.Field{Name: "Authorization", Value: "Bearer abc"}),
		sip.Add(sip.Field{Name: "Authorization", Value: `Digest username="alice", realm="r", nonce="", uri="sip:example.com", response=""`}))
	out, err := c.Authorize(req, refuse(t, req, false, `Digest realm="r", nonce="n"`))
	if err != nil {
		t.Fatal(err)
	}
	given := readGiven(out)
	if len(given) != 2 || given[0].text.Scheme != "Bearer" || given[0].text.Params != "abc" || given[1].p.Nonce != "n" {
		t.Errorf("credentials = %+v", given)
	}
}
