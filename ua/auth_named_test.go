package ua_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// ofGateway has the password for calls by way of a gateway.
var ofGateway = []digest.Credentials{{Username: "alice", Password: "secret", Realm: "gw"}}

// gatewayAsks is a challenge of the gateway, or of whoever says to be it.
var gatewayAsks = wwwAuthenticate(`Digest realm="gw", nonce="chosen", qop="auth"`)

// redirecting is a gateway that asks, and sends who has the password elsewhere.
func redirecting(status sip.Status, contact string) func(*transaction.Server, *sip.Request) {
	challenge := "401 gw"
	return func(tx *transaction.Server, req *sip.Request) {
		if credentialsFor(req, "Authorization", "gw") && req.Method() != sip.ACK {
			tx.Reply(status, sip.Contact{URI: uri(contact)})
			return
		}
		asker(&challenge)(tx, req)
	}
}

// A gateway redirects the call that it has challenged, and it is answered elsewhere. What
// is sent within that call has no digest, neither unasked nor asked.
func TestRedirectedDialogHasNoCredentials(t *testing.T) {
	for _, status := range []sip.Status{sip.StatusMovedTemporarily, sip.StatusUseProxy} {
		t.Run(status.Text(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newPeer(t, n, "192.0.2.3", redirecting(status, "sip:192.0.2.66"))
				came := map[string]int{}
				newPeer(t, n, "192.0.2.66", func(tx *transaction.Server, req *sip.Request) {
					came[nameOf(req)]++
					wantBare(t, req)
					switch nameOf(req) {
					case "ACK":
					case "INVITE":
						tx.Reply(sip.StatusOK, contactAt("192.0.2.66"), describe("192.0.2.66", 1, "audio 5000 RTP/AVP 0"))
					default:
						tx.Reply(sip.StatusUnauthorized, gatewayAsks)
					}
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Credentials: ofGateway, Resolver: world})
				call, err := alice.Invite(t.Context(), "sip:bob@gw.example", streams(newStream(t)))
				if err != nil {
					t.Fatal(err)
				}
				if err := call.Hold(t.Context()); !errors.Is(err, digest.ErrUnexpectedRealm) {
					t.Errorf("Hold() = %v, want ErrUnexpectedRealm", err)
				}
				call.Hangup(t.Context())
				synctest.Wait()
				if came["re-INVITE"] != 1 || came["BYE"] != 1 {
					t.Errorf("there came %v, want one re-INVITE and one BYE", came)
				}
			})
		})
	}
}

// Whom the gateway has called redirects the call to another user there, at his choice: the
// gateway gets no digest for that, and so does not place it at our expense.
func TestRedirectionWithinTheGateway(t *testing.T) {
	for _, contact := range []string{"sip:900@gw.example", "sip:bob@gw.example;transport=udp"} {
		t.Run(contact, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				bare := 0
				redirect := redirecting(sip.StatusMovedTemporarily, contact)
				newPeer(t, n, "192.0.2.3", func(tx *transaction.Server, req *sip.Request) {
					if req.URI().String() != "sip:bob@gw.example" {
						bare++
						wantBare(t, req)
					}
					redirect(tx, req)
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Credentials: ofGateway, Resolver: world})
				_, err := alice.Invite(t.Context(), "sip:bob@gw.example", streams(newStream(t)))
				synctest.Wait()
				if !errors.Is(err, digest.ErrUnexpectedRealm) || bare != 1 {
					t.Errorf("Invite() = %v, with %d requests to whom it was redirected; want ErrUnexpectedRealm, one", err, bare)
				}
			})
		})
	}
}

// A stranger calls, and is transferred: the REFER goes outside of the call, to the GRUU
// that is his Contact, and has no digest when he asks in the name of the gateway.
func TestTransferToStrangerHasNoCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{
			Credentials: ofGateway, Resolver: world, OnInvite: answerWith(calls, newStream(t))})
		var came atomic.Int32
		stranger := newCaller(t, n, "192.0.2.66", &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
			if req.Method() == sip.REFER {
				came.Add(1)
				wantBare(t, req)
			}
			tx.Reply(sip.StatusUnauthorized, gatewayAsks)
		}})
		s, resp, err := stranger.Invite(t.Context(), request(sip.INVITE, "sip:alice@192.0.2.1", sip.Contact{URI: uri("sip:eve@192.0.2.66;gr=x")},
			sip.Supported{sip.OptionTDialog}, describe("192.0.2.66", 1, "audio 5000 RTP/AVP 0")), nil)
		if err != nil || !resp.Status().Success() {
			t.Fatal(resp, err)
		}
		s.Ack(t.Context())
		call := <-calls
		if err := call.Transfer(t.Context(), "sip:carol@a.example", nil); !errors.Is(err, digest.ErrUnexpectedRealm) {
			t.Errorf("Transfer() = %v, want ErrUnexpectedRealm", err)
		}
		if came.Load() != 1 {
			t.Errorf("%d REFERs came, want one", came.Load())
		}
		call.Hangup(t.Context())
	})
}

// A stranger's REFER names who is to be called: that is not whom the program has named.
func TestReferralHasNoCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		done := make(chan error, 1)
		newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Credentials: ofGateway, Resolver: world,
			OnRefer: func(ctx context.Context, r *ua.Referral) {
				_, err := r.Invite(ctx, streams(newStream(t)))
				done <- err
			}})
		stranger := newPeer(t, n, "192.0.2.66", func(tx *transaction.Server, req *sip.Request) {
			switch req.Method() {
			case sip.ACK:
			case sip.INVITE:
				wantBare(t, req)
				tx.Reply(sip.StatusUnauthorized, gatewayAsks)
			default:
				tx.Reply(sip.StatusOK)
			}
		})
		resp, err := stranger.Do(t.Context(), request(sip.REFER, "sip:alice@192.0.2.1", sip.ReferTo{URI: uri("sip:eve@192.0.2.66")}, contactAt("192.0.2.66")))
		if err != nil || !resp.Status().Success() {
			t.Fatalf("REFER: %v, %v", resp, err)
		}
		if err := <-done; !errors.Is(err, digest.ErrUnexpectedRealm) || strings.Contains(err.Error(), "name it in") {
			t.Errorf("Invite() = %v, want ErrUnexpectedRealm, of a realm that is named", err)
		}
	})
}

// What the program itself names is answered, whatever it is asked with: any request, and any
// URI, such as one that says where the gateway is.
func TestProgramNamesTheGateway(t *testing.T) {
	for _, target := range []string{"sip:bob@gw.example", "sip:bob@elsewhere.example;maddr=192.0.2.3", "sip:bob@gw.example;transport=udp"} {
		t.Run(target, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				asked := map[string]int{}
				newCaller(t, n, "192.0.2.3", &dialog.Config{
					OnInvite: func(ctx context.Context, in *dialog.Invitation) {
						if !credentialsFor(in.Request(), "Authorization", "gw") {
							asked["INVITE"]++
							in.Reject(sip.StatusUnauthorized, gatewayAsks)
							return
						}
						in.Accept(describe("192.0.2.3", 1, "audio 5000 RTP/AVP 0"))
					},
					OnRequest: func(tx *dialog.Server, req *sip.Request) {
						switch {
						case !credentialsFor(req, "Authorization", "gw"):
							asked[string(req.Method())]++
							tx.Reply(sip.StatusUnauthorized, gatewayAsks)
						case req.Method() == sip.PUBLISH:
							tx.Reply(sip.StatusOK, sip.SIPETag("1"), sip.Expires(600))
						case req.Method() == sip.REFER:
							tx.Reply(sip.StatusAccepted, sip.ReferSub{})
						default:
							tx.Reply(sip.StatusOK, sip.Expires(600))
						}
					},
				})
				start := func() *ua.Agent {
					return newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Credentials: ofGateway, Resolver: world})
				}
				ctx := t.Context()
				for method, do := range map[string]func(*ua.Agent) error{
					"INVITE": func(a *ua.Agent) error {
						call, err := a.Invite(ctx, target, streams(newStream(t)))
						if err == nil {
							call.Hangup(ctx)
						}
						return err
					},
					"OPTIONS": func(a *ua.Agent) error { _, err := a.Options(ctx, target); return err },
					"MESSAGE": func(a *ua.Agent) error { return a.Message(ctx, target, "text/plain", "hello") },
					"FOO":     func(a *ua.Agent) error { _, err := a.Do(ctx, "FOO", target); return err },
					"REFER": func(a *ua.Agent) error {
						return a.Refer(ctx, target, "sip:carol@a.example", &ua.TransferOptions{Blind: true})
					},
					"PUBLISH": func(a *ua.Agent) error {
						_, err := a.Publish(ctx, "presence", sip.Body{Type: "text/plain", Content: "here"}, &ua.PublishOptions{Target: target})
						return err
					},
					"SUBSCRIBE": func(a *ua.Agent) error {
						s, err := a.Subscribe(ctx, target, "presence", nil)
						if err == nil {
							s.Close()
						}
						return err
					},
				} {
					a := start()
					if err := do(a); err != nil || asked[method] != 1 {
						t.Errorf("%s: %v, asked %d times; want nil, once", method, err, asked[method])
					}
					a.Close()
				}
			})
		})
	}
}

// The gateway is behind our proxy, which passes on the call that was redirected with the
// password, too, and leaves the rest to its ends: the ACK and the BYE go to the callee, whom
// the program has not named, and so without.
func TestRedirectedBehindOurProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		challenge := "407 gw"
		var passed atomic.Bool
		newPeer(t, n, gateAddr, func(tx *transaction.Server, req *sip.Request) {
			switch {
			case req.Method() == sip.ACK || !credentialsFor(req, "Proxy-Authorization", "gw"):
				asker(&challenge)(tx, req)
			case req.URI().User == "bob":
				tx.Reply(sip.StatusMovedTemporarily, sip.Contact{URI: uri("sip:eve@gw.example")})
			default:
				passed.Store(true)
				tx.Reply(sip.StatusOK, contactAt("192.0.2.66"), describe("192.0.2.66", 1, "audio 5000 RTP/AVP 0"))
			}
		})
		came := map[string]int{}
		newPeer(t, n, "192.0.2.66", func(tx *transaction.Server, req *sip.Request) {
			came[nameOf(req)]++
			wantBare(t, req)
			if req.Method() != sip.ACK {
				tx.Reply(sip.StatusOK)
			}
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{
			Proxy: "sip:proxy.example", Credentials: ofGateway, Resolver: world})
		call, err := alice.Invite(t.Context(), "sip:bob@gw.example", streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		call.Hangup(t.Context())
		synctest.Wait()
		if !passed.Load() || came["ACK"] != 1 || came["BYE"] != 1 {
			t.Errorf("to the proxy with credentials: %v, to the callee: %v; want true, an ACK and a BYE", passed.Load(), came)
		}
	})
}
