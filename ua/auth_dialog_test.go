package ua_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// wantBare says that a request has no credentials, whoever they are for.
func wantBare(t *testing.T, req *sip.Request) {
	t.Helper()
	for f := range req.Fields() {
		if strings.Contains(strings.ToLower(f.Name), "authorization") {
			t.Errorf("%s %s has %s: %s", nameOf(req), req.URI(), f.Name, f.Value)
		}
	}
}

// acknowledge sends the ACK of a 200 to an INVITE.
func acknowledge(t *testing.T, peer *transaction.Layer, invite *sip.Request, resp *sip.Response) {
	peer.Send(t.Context(), sip.NewRequest(sip.ACK, invite.URI(), sip.MaxForwards(70), invite.From(), resp.To(),
		sip.CallID(invite.CallID()), sip.CSeq{Seq: invite.CSeq().Seq, Method: sip.ACK}))
}

// A gateway has asked for further credentials. A stranger calls or watches, and says to be
// that gateway: by From, by the Call-ID of the request that was challenged, or by its
// Contact. It gets no digest in what is sent there, neither unasked nor for a nonce of
// its choice; nor does the gateway itself, in whose name it would be another call.
func TestPeerSaysToBeTheGateway(t *testing.T) {
	const bob, eve = "sip:bob@gw.example", "sip:eve@192.0.2.66"
	for _, test := range []struct{ name, from, contact, record string }{
		{"From", bob, eve, ""},
		{"Call-ID", eve, eve, ""},
		{"Contact", bob, "sip:900@gw.example", ""},
		{"Contact behind a route", bob, "sip:900@gw.example", "sip:192.0.2.66;lr"},
		{"route with maddr", bob, eve, "sip:gw.example;maddr=192.0.2.66;lr"},
	} {
		for _, method := range []sip.Method{sip.INVITE, sip.SUBSCRIBE} {
			t.Run(test.name+"/"+string(method), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := siptest.NewNetwork(nil)
					callID := ""
					var came atomic.Int32
					within := func(tx *transaction.Server, req *sip.Request) {
						came.Add(1)
						wantBare(t, req)
						if req.Method() != sip.ACK {
							tx.Reply(sip.StatusUnauthorized, wwwAuthenticate(`Digest realm="gw", nonce="chosen", stale=true`))
						}
					}
					challenge := "401 gw"
					newPeer(t, n, "192.0.2.3", func(tx *transaction.Server, req *sip.Request) {
						if req.To().Tag() != "" {
							within(tx, req)
							return
						}
						callID = req.CallID()
						asker(&challenge)(tx, req)
					})
					stranger := newPeer(t, n, "192.0.2.66", within)
					alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{
						Credentials: []digest.Credentials{{Username: "alice", Password: "secret", Realm: "gw"}}, Resolver: world,
						Notifiers: []*ua.Notifier{ua.NewNotifier(&mood{types: []string{"text/plain"}}, nil)},
						OnInvite: func(ctx context.Context, in *ua.Invitation) {
							call, err := in.Answer(ctx, newStream(t))
							if err != nil {
								t.Error(err)
								return
							}
							time.Sleep(time.Second)
							if err := call.Hold(ctx); !errors.Is(err, digest.ErrUnexpectedRealm) {
								t.Errorf("Hold() = %v, want ErrUnexpectedRealm", err)
							}
							call.Hangup(ctx)
						},
					})
					if _, err := alice.Options(t.Context(), bob); err != nil {
						t.Fatal(err)
					}
					edits := []sip.Edit{sip.From{URI: uri(test.from), Params: ";tag=e"}, sip.Contact{URI: uri(test.contact)},
						sip.Event{Package: "mood"}}
					if test.name == "Call-ID" {
						edits = append(edits, sip.CallID(callID))
					}
					if test.record != "" {
						edits = append(edits, sip.RecordRoute{URI: uri(test.record)})
					}
					if method == sip.INVITE {
						edits = append(edits, describe("192.0.2.66", 1, "audio 5000 RTP/AVP 0"))
					}
					req := request(method, "sip:alice@192.0.2.1", edits...)
					resp, err := stranger.Do(t.Context(), req)
					if err != nil || resp.Status() != sip.StatusOK {
						t.Fatalf("%s: %v, %v", method, resp, err)
					}
					if method == sip.INVITE {
						acknowledge(t, stranger, req, resp)
					}
					time.Sleep(time.Minute)
					if came.Load() == 0 {
						t.Error("no request came within the dialog")
					}
				})
			})
		}
	}
}

// A gateway redirects the call that it has challenged, or hands it to a proxy. Whoever
// is named gets no digest, not even asked.
func TestRedirectedCallHasNoCredentials(t *testing.T) {
	for _, test := range []struct {
		status  sip.Status
		contact string
	}{
		{sip.StatusMovedTemporarily, "sip:bob@192.0.2.66"},
		{sip.StatusMovedTemporarily, "sip:900@gw.example;maddr=192.0.2.66"},
		{sip.StatusMovedTemporarily, "sip:bob@gw.example;maddr=192.0.2.66"},
		{sip.StatusUseProxy, "sip:192.0.2.66;lr"},
	} {
		t.Run(test.contact, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				var came atomic.Int32
				newPeer(t, n, "192.0.2.3", func(tx *transaction.Server, req *sip.Request) {
					challenge := "401 gw"
					if credentialsFor(req, "Authorization", "gw") && req.Method() != sip.ACK {
						tx.Reply(test.status, sip.Contact{URI: uri(test.contact)})
						return
					}
					asker(&challenge)(tx, req)
				})
				newPeer(t, n, "192.0.2.66", func(tx *transaction.Server, req *sip.Request) {
					came.Add(1)
					wantBare(t, req)
					if req.Method() != sip.ACK {
						tx.Reply(sip.StatusUnauthorized, wwwAuthenticate(`Digest realm="gw", nonce="chosen"`))
					}
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{
					Credentials: []digest.Credentials{{Username: "alice", Password: "secret", Realm: "gw"}}, Resolver: world})
				if _, err := alice.Invite(t.Context(), "sip:bob@gw.example", streams(newStream(t))); !errors.Is(err, digest.ErrUnexpectedRealm) {
					t.Errorf("Invite() = %v, want ErrUnexpectedRealm", err)
				}
				synctest.Wait()
				if came := came.Load(); came != 1 {
					t.Errorf("%d requests came to whom the call was redirected, want one", came)
				}
			})
		})
	}
}

// A callee behind our proxy asks in the name of our domain, in every spelling. The
// realm that the registrar has taught is not forgotten for that, and a stranger
// who has called gets nothing.
func TestCalleeAsksInManySpellings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newPeer(t, n, gateAddr, func(tx *transaction.Server, req *sip.Request) {
			if user := req.To().URI.User; strings.HasPrefix(user, "mallory") && req.Method() != sip.REGISTER {
				var edits []sip.Edit
				for i := range 5 { // another five for each
					realm := []byte("a.example")
					for j, c := range realm[2:] {
						if (i+5*len(user))>>j&1 == 1 {
							realm[2+j] = c - 'a' + 'A'
						}
					}
					edits = append(edits, sip.Add(sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="` + string(realm) + `", nonce="m", qop="auth"`}))
				}
				tx.Reply(sip.StatusProxyAuthRequired, edits...)
				return
			}
			challenge := "401 asterisk"
			if req.Method() == sip.OPTIONS {
				challenge = "407 asterisk"
			}
			asker(&challenge)(tx, req)
		})
		stranger := newPeer(t, n, "192.0.2.66", func(tx *transaction.Server, req *sip.Request) {
			wantBare(t, req)
			if req.Method() != sip.ACK {
				tx.Reply(sip.StatusOK)
			}
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{
			Password: "secret", Resolver: world,
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				if call, err := in.Answer(ctx, newStream(t)); err == nil {
					call.Hangup(ctx)
				}
			},
		})
		if _, err := alice.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			alice.Options(t.Context(), "sip:mallory"+strings.Repeat("x", i)+"@a.example")
		}
		time.Sleep(2 * time.Hour) // of refreshes, with credentials
		if _, err := alice.Options(t.Context(), "sip:bob@a.example"); err != nil {
			t.Errorf("Options() = %v, want our proxy to be answered", err)
		}
		invite := request(sip.INVITE, "sip:alice@192.0.2.1", sip.From{URI: uri("sip:alice@a.example"), Params: ";tag=e"},
			contactAt("192.0.2.66"), describe("192.0.2.66", 1, "audio 5000 RTP/AVP 0"))
		resp, err := stranger.Do(t.Context(), invite)
		if err != nil || resp.Status() != sip.StatusOK {
			t.Fatalf("INVITE: %v, %v", resp, err)
		}
		acknowledge(t, stranger, invite, resp)
		time.Sleep(time.Minute)
	})
}

// Our proxy asks for the password and leaves the call to its ends. The ACK takes the
// credentials of the INVITE along (RFC 3261 section 13.2.2.4), but not to the callee, who
// is a stranger; those of a gateway, who has asked itself, go to its address.
func TestCredentialsOfACK(t *testing.T) {
	further := []digest.Credentials{{Username: "alice", Password: "secret", Realm: "gw"}}
	for _, test := range []struct {
		name, target, realm, contact string
		want                         bool
	}{
		{"password, to the callee", "sip:bob@a.example", "a.example", "sip:x@192.0.2.2", false},
		{"password, to the proxy", "sip:bob@a.example", "a.example", "sip:x@" + gateAddr, true},
		{"password, to the callee who says to be the proxy", "sip:bob@a.example", "a.example", "sip:x@a.example;maddr=192.0.2.2", false},
		{"gateway", "sip:bob@gw.example", "gw", "sip:x@192.0.2.2", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				acks, has := 0, false
				handle := func(tx *transaction.Server, req *sip.Request) {
					challenge := "407 " + test.realm
					switch {
					case req.Method() == sip.ACK && req.To().Tag() != "":
						if req.CSeq().Seq > 1 { // not that of the 407
							acks++
							has = credentialsFor(req, "Proxy-Authorization", test.realm)
						}
					case req.Method() == sip.INVITE && credentialsFor(req, "Proxy-Authorization", test.realm):
						tx.Reply(sip.StatusOK, sip.Contact{URI: uri(test.contact)}, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
					case req.Method() == sip.INVITE:
						asker(&challenge)(tx, req)
					default:
						tx.Reply(sip.StatusOK)
					}
				}
				for _, addr := range []string{gateAddr, "192.0.2.2", "192.0.2.3"} {
					newPeer(t, n, addr, handle)
				}
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Password: "secret", Credentials: further, Resolver: world})
				call, err := alice.Invite(t.Context(), test.target, streams(newStream(t)))
				if err != nil {
					t.Fatal(err)
				}
				call.Hangup(t.Context())
				synctest.Wait()
				if acks != 1 || has != test.want {
					t.Errorf("%d ACKs, with credentials: %v; want one, %v", acks, has, test.want)
				}
			})
		})
	}
}
