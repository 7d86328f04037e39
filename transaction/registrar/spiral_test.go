package registrar

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

const abroad = "192.0.2.40"

// spirals runs f with a proxy of example.com where dave has a phone that takes
// everything, bob is forwarded abroad, and users call anybody. alice is there.
func spirals(t *testing.T, f func(t *testing.T, n *siptest.Network, alice *transaction.Layer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		location := must(New(&Config{Domains: []string{"example.com", proxyAddr}, Users: secrets(t), Logger: quiet}))
		p, err := proxy.Listen(
			&transport.Config{Listen: []string{"udp:" + proxyAddr + ":5060"}, Network: n.Host(proxyAddr), Logger: quiet},
			&proxy.Config{Domains: []string{"example.com"}, Recurse: true, Handler: func(tx *proxy.Server, req *sip.Request) {
				req, user := location.Authenticate(tx, req)
				switch {
				case req == nil:
				case tx.Local() && req.URI().User == "dave":
					tx.Forward(req, proxy.Target{URI: uri(t, "sip:dave@"+phoneAddr)})
				case tx.Local():
					tx.Forward(req, proxy.Target{URI: uri(t, "sip:carol@"+abroad)})
				case user != "":
					tx.Relay(req)
				default:
					tx.Reply(sip.StatusForbidden)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		listen(t, n.Host(phoneAddr), func(tx *transaction.Server, req *sip.Request) {
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri(t, "sip:dave@"+phoneAddr)})
		})
		f(t, n, listen(t, n.Host("192.0.2.30"), nil))
	})
}

// withPassword sends a request, and again with the password of alice. It returns what
// comes of that.
func withPassword(t *testing.T, l *transaction.Layer, req *sip.Request) *sip.Response {
	t.Helper()
	resp, err := l.Do(t.Context(), req)
	if err == nil && resp.Status() != sip.StatusProxyAuthRequired {
		t.Fatalf("%s got %v, want 407", req.Method(), resp.Status())
	}
	if err == nil {
		req, err = digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"}).Authorize(req, resp)
	}
	if err == nil {
		resp, err = l.Do(t.Context(), req.With(sip.CSeq{Seq: 2, Method: req.Method()}))
	}
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// A call comes back to the proxy: from another domain, or by a redirection to one of
// our users. Who was asked for the password by then has no other one to give.
func TestAuthenticateSpiral(t *testing.T) {
	for _, redirects := range []bool{false, true} {
		spirals(t, func(t *testing.T, n *siptest.Network, alice *transaction.Layer) {
			dave, here := uri(t, "sip:dave@"+proxyAddr), sip.Route{URI: uri(t, "sip:"+proxyAddr+";lr")}
			other, err := proxy.Listen(
				&transport.Config{Listen: []string{"udp:" + abroad + ":5060"}, Network: n.Host(abroad), Logger: quiet},
				&proxy.Config{Handler: func(tx *proxy.Server, req *sip.Request) {
					if redirects {
						tx.Reply(302, sip.Contact{URI: dave})
						return
					}
					tx.Forward(req, proxy.Target{URI: dave, Route: []sip.Route{here}})
				}})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			for _, method := range []sip.Method{sip.INVITE, sip.MESSAGE} {
				req := from(t, method, aliceAOR).With(sip.CallID(method))
				if resp := withPassword(t, alice, req); resp.Status() != sip.StatusOK {
					t.Errorf("%s got %v, want 200, where carol redirects: %v", method, resp.Status(), redirects)
				}
			}
		})
	}
}

// Mallory abroad is called by alice, and has the INVITE with our Via. While it rings he
// could have forwarded it to one of our users, as what it is. Nothing else passes by
// that Via, nowhere else, and nothing when the call is over.
func TestAuthenticateACopiedVia(t *testing.T) {
	spirals(t, func(t *testing.T, n *siptest.Network, alice *transaction.Layer) {
		invites, pick := make(chan *sip.Request, 1), make(chan bool)
		mallory := listen(t, n.Host(abroad), func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusRinging)
				invites <- req
				<-pick
				tx.Reply(sip.StatusOK, sip.Contact{URI: uri(t, "sip:carol@"+abroad)})
			}
		})
		done := make(chan struct{})
		go func() { // ends with the call
			defer close(done)
			if resp := withPassword(t, alice, from(t, sip.INVITE, aliceAOR)); resp.Status() != sip.StatusOK {
				t.Errorf("the call got %v, want 200", resp.Status())
			}
		}()
		copied := (<-invites).With(sip.Route{URI: uri(t, "sip:"+proxyAddr+";lr")})
		expect := func(want sip.Status, to string, edits ...sip.Edit) {
			t.Helper()
			resp, err := mallory.Do(t.Context(), copied.WithURI(uri(t, to)).With(edits...))
			if err != nil && !errors.Is(err, transaction.ErrTimeout) || resp == nil || resp.Status() != want {
				t.Errorf("got %v, %v, want %v, for %v %v", resp, err, want, to, edits)
			}
		}
		dave, caller := "sip:dave@example.com", copied.From()
		expect(200, dave)
		expect(403, "sip:premium@192.0.2.99")
		expect(407, dave+";n=1", sip.From{URI: uri(t, "sip:dave@example.com"), Params: caller.Params})
		expect(407, dave+";n=2", sip.From{Display: "The Boss", URI: caller.URI, Params: caller.Params})
		expect(407, dave+";n=3", sip.CallID("another"))
		expect(407, dave+";n=4", sip.CSeq{Seq: 3, Method: sip.INVITE})
		expect(407, dave+";n=5", sip.Del("Via"))
		message := sip.NewRequest(sip.MESSAGE, uri(t, dave+";n=6"), sip.MaxForwards(70), caller, copied.To(), sip.CallID(copied.CallID()),
			sip.CSeq{Seq: copied.CSeq().Seq, Method: sip.MESSAGE}, sip.Route{URI: uri(t, "sip:"+proxyAddr+";lr")}, copied.Via())
		if resp, err := mallory.Do(t.Context(), message); err != nil || resp.Status() != sip.StatusProxyAuthRequired {
			t.Errorf("a MESSAGE got %v, %v, want 407", resp, err)
		}
		close(pick)
		<-done
		time.Sleep(time.Second)
		expect(407, dave+";n=7")
	})
}
