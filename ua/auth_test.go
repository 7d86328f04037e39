package ua_test

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// gate is the one server of the domain 192.0.2.100, registrar and callee in one,
// that asks for the password "secret" as the test says. It works out by itself
// what the answer has to be.
type gate struct {
	t *testing.T
	// refuse returns the challenges for a request, nil to let it in. creds is nil
	// if there are none.
	refuse func(name string, creds *sip.DigestCredentials) []sip.Edit

	mu     sync.Mutex
	came   []string            // requests with credentials: "BYE auth 00000001"
	sent   map[string]int      // requests of each name
	seen   map[string]string   // what each response was for
	invite []sip.Authorization // the credentials of the last INVITE
	acked  int
}

const (
	gateAddr = "192.0.2.100"
	gateURI  = "sip:bob@192.0.2.100"
	gateAOR  = "sip:alice@192.0.2.100"
)

func newGate(t *testing.T, n *siptest.Network, refuse func(string, *sip.DigestCredentials) []sip.Edit) *gate {
	g := &gate{t: t, refuse: refuse, sent: map[string]int{}, seen: map[string]string{}}
	newPeer(t, n, gateAddr, g.handle)
	return g
}

// nameOf is the method of a request, and "re-INVITE" within a call.
func nameOf(req *sip.Request) string {
	if req.Method() == sip.INVITE && req.To().Tag() != "" {
		return "re-INVITE"
	}
	return string(req.Method())
}

func (g *gate) handle(tx *transaction.Server, req *sip.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := nameOf(req)
	given := slices.Collect(authorizations(req))
	if req.Method() == sip.ACK {
		// RFC 3261 section 22.1: that of a 2xx has what its INVITE had.
		if g.acked++; !slices.Equal(given, g.invite) {
			g.t.Errorf("the ACK has %v, want %v of its INVITE", given, g.invite)
		}
		return
	}
	g.sent[name]++
	var creds *sip.DigestCredentials
	if len(given) > 1 {
		g.t.Errorf("%s has %d credentials, want one", name, len(given))
	}
	if len(given) > 0 {
		p, err := sip.Challenge(given[0]).Credentials()
		if err != nil {
			g.t.Errorf("%s: %v", name, err)
		}
		if want := digestOf(req, &p, "secret"); p.Response != want {
			g.t.Errorf("%s: response %s, want %s", name, p.Response, want)
		}
		use := p.Nonce + " " + p.NC + " " + p.Response
		if before, again := g.seen[use]; again {
			g.t.Errorf("%s has the very credentials of %s again", name, before)
		}
		g.seen[use] = fmt.Sprintf("%s %d", name, req.CSeq().Seq)
		creds = &p
	}
	if challenges := g.refuse(name, creds); challenges != nil {
		tx.Reply(sip.StatusUnauthorized, challenges...)
		return
	}
	if creds != nil {
		g.came = append(g.came, strings.Join(strings.Fields(name+" "+creds.Algorithm+" "+creds.QOP+" "+creds.NC), " "))
	}
	switch req.Method() {
	case sip.REGISTER:
		contact, _ := sip.Get[sip.Contact](req)
		expires, _ := sip.Get[sip.Expires](req)
		tx.Reply(sip.StatusOK, contact, expires)
	case sip.INVITE:
		g.invite = given
		section := "audio 5000 RTP/AVP 0"
		if name == "re-INVITE" {
			section += "|a=recvonly"
		}
		tx.Reply(sip.StatusOK, contactAt(gateAddr), describe(gateAddr, 1, section))
	default:
		tx.Reply(sip.StatusOK)
	}
}

// authorizations yields the credentials for the user agent server of a request.
func authorizations(req *sip.Request) func(func(sip.Authorization) bool) {
	return func(yield func(sip.Authorization) bool) {
		for h, err := range sip.All[sip.Authorization](req) {
			if err == nil && !yield(h) {
				return
			}
		}
	}
}

// digestOf works out RFC 7616 section 3.4.1.
func digestOf(req *sip.Request, p *sip.DigestCredentials, password string) string {
	name, session := strings.CutSuffix(p.Algorithm, "-sess")
	h := func(parts ...string) string {
		text := []byte(strings.Join(parts, ":"))
		switch name {
		case "SHA-256":
			return fmt.Sprintf("%x", sha256.Sum256(text))
		case "SHA-512-256":
			return fmt.Sprintf("%x", sha512.Sum512_256(text))
		}
		return fmt.Sprintf("%x", md5.Sum(text))
	}
	a1 := h(p.Username, p.Realm, password)
	if session {
		a1 = h(a1, p.Nonce, p.CNonce)
	}
	a2 := []string{string(req.Method()), p.URI}
	if p.QOP == "auth-int" {
		a2 = append(a2, h(req.Body()))
	}
	if p.QOP == "" {
		return h(a1, p.Nonce, h(a2...))
	}
	return h(a1, p.Nonce, p.NC, p.CNonce, p.QOP, h(a2...))
}

func wwwAuthenticate(text string) sip.Edit {
	return sip.Add(sip.Field{Name: "WWW-Authenticate", Value: text})
}

// steps are a registration and a call, one request after the other. A step that
// follows one that failed is left out if it has nothing to go on with.
var steps = []string{"REGISTER", "OPTIONS", "MESSAGE", "INVITE", "re-INVITE", "BYE"}

// walk goes through the steps and returns what became of each.
func walk(t *testing.T, alice *ua.Agent) map[string]error {
	errs := map[string]error{}
	var reg *ua.Registration
	var call *ua.Call
	reg, errs["REGISTER"] = alice.Register(t.Context(), nil)
	_, errs["OPTIONS"] = alice.Options(t.Context(), gateURI)
	errs["MESSAGE"] = alice.Message(t.Context(), gateURI, "text/plain", "a body to be covered")
	call, errs["INVITE"] = alice.Invite(t.Context(), gateURI, streams(newStream(t)))
	if call != nil {
		errs["re-INVITE"] = call.Hold(t.Context())
		errs["BYE"] = call.Hangup(t.Context())
	}
	if reg != nil {
		reg.Close()
	}
	return errs
}

// A server asks for each request anew, in every way that there is: each request,
// outside of a call and in it, is answered with the best of what is offered, the
// count starts with the nonce, a body is covered where auth-int is asked for, and
// the ACK has what its INVITE had.
func TestEveryRequestIsAuthenticated(t *testing.T) {
	const r = `Digest realm="192.0.2.100", `
	long := strings.Repeat("n", 4096)
	for _, test := range []struct {
		name       string
		challenges []string // NONCE is a new one each time
		want       string   // algorithm, qop and count of each
	}{
		{"RFC 2069", []string{r + `nonce="NONCE"`}, ""},
		{"RFC 2617", []string{r + `nonce="NONCE", qop="auth,auth-int", opaque="x"`}, "auth 00000001"},
		{"auth-int alone", []string{r + `nonce="NONCE", qop="auth-int", algorithm=MD5`}, "MD5 auth-int 00000001"},
		{"auth-int with SHA-256", []string{r + `nonce="NONCE", qop="auth-int", algorithm=SHA-256`}, "SHA-256 auth-int 00000001"},
		{"a key for each session", []string{r + `nonce="NONCE", qop="auth", algorithm=MD5-sess`}, "MD5-sess auth 00000001"},
		{"RFC 8760: the topmost", []string{
			r + `nonce="NONCE", qop="auth", algorithm=SHA-512-256`,
			r + `nonce="NONCE", qop="auth", algorithm=SHA-256`,
			r + `nonce="NONCE", qop="auth", algorithm=MD5`,
		}, "SHA-512-256 auth 00000001"},
		{"MD5 on top of better", []string{
			r + `nonce="NONCE", qop="auth", algorithm=MD5`,
			r + `nonce="NONCE", qop="auth", algorithm=SHA-256`,
		}, "SHA-256 auth 00000001"},
		{"unknown ones on top", []string{
			r + `nonce="NONCE", qop="auth", algorithm=AKAv1-MD5`,
			r + `nonce="NONCE", qop="auth", algorithm=ROT13`,
			r + `nonce="NONCE", qop="auth", algorithm=SHA-256`,
		}, "SHA-256 auth 00000001"},
		{"a nonce of 4 kB", []string{r + `nonce="` + long + `NONCE", qop="auth"`}, "auth 00000001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
				nonce, count := "", 0
				g := newGate(t, n, func(_ string, creds *sip.DigestCredentials) []sip.Edit {
					if creds != nil && nonce != "" && strings.HasSuffix(creds.Nonce, nonce) {
						nonce = "" // good for one request
						return nil
					}
					count++
					nonce = fmt.Sprintf(".%d.", count)
					var edits []sip.Edit
					for _, ch := range test.challenges {
						ch = strings.ReplaceAll(ch, "NONCE", nonce)
						if creds != nil {
							ch += ", stale=true"
						}
						edits = append(edits, wwwAuthenticate(ch))
					}
					return edits
				})
				alice := newAgent(t, n, "192.0.2.1", gateAOR, ua.Config{Password: "secret"})
				for step, err := range walk(t, alice) {
					if err != nil {
						t.Errorf("%s: %v", step, err)
					}
				}
				var want []string
				for _, step := range append(steps, "REGISTER") {
					want = append(want, strings.TrimSpace(step+" "+test.want))
				}
				g.mu.Lock()
				defer g.mu.Unlock()
				if !slices.Equal(g.came, want) {
					t.Errorf("authenticated are %q, want %q", g.came, want)
				}
				if g.acked != 2 {
					t.Errorf("%d ACKs, want 2", g.acked)
				}
			})
		})
	}
}

// One nonce for all: only the first request of each kind is challenged, and each
// raises the count.
func TestOneNonceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		g := newGate(t, n, func(_ string, creds *sip.DigestCredentials) []sip.Edit {
			if creds != nil {
				return nil
			}
			return []sip.Edit{wwwAuthenticate(`Digest realm="192.0.2.100", nonce="n", qop="auth"`)}
		})
		alice := newAgent(t, n, "192.0.2.1", gateAOR, ua.Config{Password: "secret"})
		for step, err := range walk(t, alice) {
			if err != nil {
				t.Errorf("%s: %v", step, err)
			}
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		want := []string{"REGISTER auth 00000001", "OPTIONS auth 00000002", "MESSAGE auth 00000003", "INVITE auth 00000004",
			"re-INVITE auth 00000005", "BYE auth 00000006", "REGISTER auth 00000007"}
		if !slices.Equal(g.came, want) {
			t.Errorf("authenticated are %q, want %q", g.came, want)
		}
		// The second and third are for somebody who has been asked for before.
		if got := fmt.Sprint(g.sent); got != "map[BYE:1 INVITE:1 MESSAGE:1 OPTIONS:2 REGISTER:3 re-INVITE:1]" {
			t.Errorf("sent were %v", got)
		}
	})
}

// A server that is never content, with each kind of request: it ends, no
// credentials are sent twice, and none after those that were refused (lest the
// account be locked), unless it was the nonce's fault; that is believed three
// times.
func TestNeverContent(t *testing.T) {
	for _, test := range []struct {
		name      string
		challenge string // NONCE is another one each time
		answers   int
		want      error
	}{
		{"stale for ever", `Digest realm="a", nonce="NONCE", qop="auth", stale=true`, 4, digest.ErrTooManyChallenges},
		{"the same nonce stale for ever", `Digest realm="a", nonce="1", qop="auth", stale=true`, 4, digest.ErrTooManyChallenges},
		{"a new nonce each time", `Digest realm="a", nonce="NONCE", qop="auth"`, 1, digest.ErrRefused},
		{"the same nonce", `Digest realm="a", nonce="1", qop="auth"`, 1, digest.ErrRefused},
		{"unknown algorithms", `Digest realm="a", nonce="1", algorithm=X|Digest realm="a", nonce="1", algorithm=AKAv1-MD5`, 0, digest.ErrUnsupported},
		{"another realm", `Digest realm="mallory", nonce="1"`, 0, digest.ErrUnexpectedRealm},
	} {
		for _, step := range steps {
			t.Run(test.name+"/"+step, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := siptest.NewNetwork(nil)
					answers, count := 0, 0
					newGate(t, n, func(name string, creds *sip.DigestCredentials) []sip.Edit {
						if name != step {
							return nil
						}
						if creds != nil {
							answers++
						}
						count++
						var edits []sip.Edit
						for ch := range strings.SplitSeq(test.challenge, "|") {
							edits = append(edits, wwwAuthenticate(strings.ReplaceAll(ch, "NONCE", fmt.Sprint(count))))
						}
						return edits
					})
					alice := newAgent(t, n, "192.0.2.1", gateAOR, ua.Config{Password: "secret", Realm: "a"})
					err := walk(t, alice)[step]
					synctest.Wait()
					if !errors.Is(err, test.want) && step != "BYE" {
						t.Errorf("the error is %v, want %v", err, test.want)
					}
					if answers != test.answers {
						t.Errorf("%d answers, want %d", answers, test.answers)
					}
				})
			})
		}
	}
}

// Two proxies and the registrar ask at once, as a forking proxy puts it together
// (RFC 3261 section 22.3): all are answered in one request. Later one of them
// has a new nonce: its count starts again, and those of the others go on.
func TestThreeAskAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		outer := "o1"
		var came []string
		newPeer(t, n, gateAddr, func(tx *transaction.Server, req *sip.Request) {
			var edits []sip.Edit
			nonces := map[string]string{}
			for f := range req.Fields() {
				if text, ok := strings.CutPrefix(f.Value, "Digest "); ok {
					p, err := sip.Challenge{Scheme: "Digest", Params: sip.AuthParams(text)}.Credentials()
					if want := digestOf(req, &p, "secret"); err != nil || p.Response != want {
						t.Errorf("%s: %s: response %s, want %s, %v", f.Name, p.Realm, p.Response, want, err)
					}
					nonces[p.Realm] = p.Nonce
					came = append(came, p.Nonce+" "+p.NC)
				}
			}
			for _, proxy := range []struct{ realm, nonce string }{{"outer", outer}, {"inner", "i1"}} {
				if nonces[proxy.realm] != proxy.nonce {
					edits = append(edits, sip.Add(sip.Field{Name: "Proxy-Authenticate",
						Value: fmt.Sprintf(`Digest realm=%q, nonce=%q, qop="auth"`, proxy.realm, proxy.nonce)}))
				}
			}
			if nonces["registrar"] == "" {
				edits = append(edits, wwwAuthenticate(`Digest realm="registrar", nonce="r1", qop="auth"`))
			}
			if edits != nil {
				tx.Reply(sip.StatusUnauthorized, edits...)
				return
			}
			contact, _ := sip.Get[sip.Contact](req)
			tx.Reply(sip.StatusOK, contact, sip.Expires(600))
		})
		alice := newAgent(t, n, "192.0.2.1", gateAOR, ua.Config{Password: "secret"})
		reg, err := alice.Register(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		outer = "o2"
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want := []string{
			"o1 00000001", "i1 00000001", "r1 00000001",
			"o1 00000002", "i1 00000002", "r1 00000002",
			"o2 00000001", "i1 00000003", "r1 00000003",
		}
		slices.Sort(came)
		slices.Sort(want)
		if !slices.Equal(came, want) {
			t.Errorf("came %q, want %q", came, want)
		}
	})
}

// A CANCEL cannot be challenged, and has no credentials (RFC 3261 section 22.1).
func TestCancelHasNoCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var sent []string
		newCaller(t, n, gateAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if len(slices.Collect(authorizations(in.Request()))) == 0 {
				in.Reject(sip.StatusUnauthorized, wwwAuthenticate(`Digest realm="192.0.2.100", nonce="n", qop="auth"`))
				return
			}
			in.Provisional(sip.StatusRinging)
			<-ctx.Done()
		}})
		cfg := ua.Config{Password: "secret", Trace: tracing(func(req *sip.Request) {
			note := string(req.Method())
			if _, has := req.Value("Authorization"); has {
				note += " with credentials"
			}
			sent = append(sent, note)
		})}
		alice := newAgent(t, n, "192.0.2.1", gateAOR, cfg)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := alice.Invite(ctx, gateURI, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Invite() = %v", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		want := []string{"INVITE", "ACK", "INVITE with credentials", "CANCEL", "ACK"}
		if !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}
