package interop_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// SIPp challenges our calls with qop="auth-int", which covers the description, and
// calls the first nonce stale. It works out the answers by itself, that to the
// challenge of the BYE too. Kamailio, between us, challenges the call as well, and
// passes on what is not its own.
func TestSIPpChallengesUs(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			for _, transport := range []string{"udp", "tcp"} {
				t.Run(transport, func(t *testing.T) {
					t.Parallel()
					alice, uri := w.agent(t, &ua.Config{Realm: "sip.test"})
					us, err := sip.ParseURI(uri)
					if err != nil {
						t.Fatal(err)
					}
					peer, target := w.called(t, "uas_digest", &interop.SIPpOptions{Transport: transport, Text: us.User})
					must(t, place(t, alice, target, nil).Hangup(t.Context()))
					wantCalls(t, peer, 1)
				})
			}
		})
	})
}

// We challenge SIPp, with auth-int on offer and without, and call its nonce stale
// when it has waited for too long. Kamailio passes that on.
func TestWeChallengeSIPp(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			for name, integrity := range map[string]bool{"auth": false, "auth-int": true} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					server, err := digest.NewServer(digest.ServerConfig{
						Realm: "sip.test", Password: digest.Passwords(map[string]string{"alice": "alice"}),
						Algorithms: []digest.Algorithm{digest.MD5}, Integrity: integrity,
						NonceLifetime: time.Second, Nonces: 100,
						// SIPp leaves the user out of the uri, and the proxy changes what it called.
						AcceptURI: func(req *sip.Request, uri sip.URI) bool {
							return w.proxy != nil || uri.HostPort() == req.URI().HostPort()
						},
					})
					if err != nil {
						t.Fatal(err)
					}
					users := make(chan string, 1)
					_, target := w.agent(t, &ua.Config{
						Authenticate: func(*sip.Request) *digest.Server { return server },
						OnInvite: func(ctx context.Context, in *ua.Invitation) {
							users <- in.User()
							must(t, pickUp(ctx, in))
						},
					})
					wantCalls(t, w.calls(t, target, "uac_digest", &interop.SIPpOptions{Hold: 1500 * time.Millisecond}), 1)
					select {
					case user := <-users:
						if user != "alice" {
							t.Errorf("the caller is %q, want alice", user)
						}
					default:
						t.Error("no call came")
					}
				})
			}
		})
	})
}

// Kamailio, as the proxy of our domain, calls a nonce stale after two seconds. The
// message after that takes one challenge, and the one before took none.
func TestStaleAtKamailio(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		for _, algorithm := range []string{"MD5", "SHA-256"} {
			t.Run(algorithm, func(t *testing.T) {
				t.Parallel()
				proxy := interop.StartKamailio(t, &interop.KamailioOptions{Algorithm: algorithm, NonceExpire: 2 * time.Second})
				texts := make(chan string, 4)
				bob := newAgent(t, "sip:bob@sip.test", &ua.Config{
					Password: "bobpw", Proxy: "sip:" + proxy.Addr,
					OnMessage: func(_ context.Context, m ua.Message) error { texts <- m.Body; return nil },
				})
				var mu sync.Mutex
				var answers []string
				alice := newAgent(t, "sip:alice@sip.test", &ua.Config{
					Password: "alicepw", Proxy: "sip:" + proxy.Addr,
					Trace: &transport.Trace{Received: func(m transport.TraceMessage) {
						if resp, ok := m.Message.(*sip.Response); ok && resp.CSeq().Method == sip.MESSAGE {
							h, err := sip.Get[sip.ProxyAuthenticate](resp)
							d, _ := sip.Challenge(h).Digest()
							if err == nil && d.Algorithm != algorithm && algorithm != "MD5" {
								t.Errorf("challenged with %q", d.Algorithm)
							}
							mu.Lock()
							defer mu.Unlock()
							answers = append(answers, fmt.Sprint(int(resp.Status())))
						}
					}},
				})
				if _, err := bob.Register(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				began, slow := time.Now(), false
				for _, text := range []string{"first", "second", "late"} {
					if text == "late" {
						slow = time.Since(began) > time.Second // the second may have been late, too
						time.Sleep(3 * time.Second)            // until the nonce is stale
					}
					if err := alice.Message(t.Context(), "sip:bob@sip.test", "text/plain", text); err != nil {
						t.Fatalf("%s: %v", text, err)
					}
					if got := <-texts; got != text {
						t.Errorf("Bob got %q, want %q", got, text)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				want := []string{"407", "200", "200", "407", "200"}
				if !slices.Equal(answers, want) && !slow {
					t.Errorf("the answers are %v, want %v", answers, want)
				}
			})
		}
	})
}

// linphone is a client of our digest.Server, which knows SHA-256 alone: it registers,
// and its call is challenged by our agent.
func TestWeChallengeLinphone(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		server, err := digest.NewServer(digest.ServerConfig{
			Realm: "sip.test", Password: digest.Passwords(map[string]string{"carol": "carolpw"}),
			Algorithms: []digest.Algorithm{digest.SHA256}, Nonces: 100,
		})
		if err != nil {
			t.Fatal(err)
		}
		users := make(chan string, 1)
		bob := newAgent(t, "sip:bob@sip.test", &ua.Config{
			Listen:       []string{"udp:127.0.0.1:0"}, // linphone has no TCP here
			Authenticate: func(*sip.Request) *digest.Server { return server },
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				users <- in.User()
				if err := pickUp(ctx, in); err != nil {
					t.Error(err)
				}
			},
		})
		at := bob.Addr("udp")
		hop := sip.URI{Scheme: "sip", Host: at.Addr().String(), Port: int(at.Port())}
		// A registrar that keeps nothing, and a proxy that knows one way.
		l, err := transaction.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0"}}, &transaction.Config{
			Handler: func(tx *transaction.Server, req *sip.Request) {
				if req.Method() == sip.REGISTER {
					if _, err := server.Verify(tx.Context(), req); err != nil {
						tx.Respond(server.Reply(req, err))
						return
					}
					contact, _ := sip.Get[sip.Contact](req)
					tx.Reply(sip.StatusOK, contact.WithExpires(600))
					return
				}
				out := req.With(sip.Pop("Route"), sip.MaxForwards(req.MaxForwards()-1))
				ctx := transaction.WithNextHop(tx.Context(), hop)
				if req.Method() == sip.ACK {
					tx.Layer().Send(ctx, out)
					return
				}
				for resp, err := range tx.Layer().Responses(ctx, out) {
					if err != nil {
						tx.Reply(sip.StatusRequestTimeout)
						return
					}
					tx.Respond(resp.With(sip.Pop("Via")))
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		carol := interop.StartLinphone(t, &interop.LinphoneOptions{Proxy: l.Endpoint().Addr("udp").String()})
		carol.Dial(t, "sip:bob@sip.test")
		carol.Expect(t, "StreamsRunning")
		if got := <-users; got != "carol" {
			t.Errorf("the caller is %q, want carol", got)
		}
		carol.Hangup(t)
		carol.Expect(t, "Released")
	})
}
