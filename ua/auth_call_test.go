package ua_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// A stranger in a call knows the name of our realm, and says to be our server
// where the route of the call begins. The hold that it challenges carries nothing,
// nor does the BYE.
func TestStrangerInCallKnowsOurRealm(t *testing.T) {
	host := func(text string) sip.URI {
		uri, err := sip.ParseURI(text)
		if err != nil {
			t.Fatal(err)
		}
		return uri
	}
	for name, answer := range map[string][]sip.Edit{
		"straight":           nil,
		"Contact with maddr": {sip.Contact{URI: host("sip:x@a.example;maddr=192.0.2.2")}},
		"its own route":      {sip.RecordRoute{URI: host("sip:192.0.2.2;lr")}},
		"route with maddr":   {sip.RecordRoute{URI: host("sip:a.example;maddr=192.0.2.2;lr")}},
		"strict route":       {sip.RecordRoute{URI: host("sip:192.0.2.2")}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				challenge := "401 a.example"
				newPeer(t, n, gateAddr, asker(&challenge))
				asked := 0
				newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
					for f := range req.Fields() {
						if strings.Contains(strings.ToLower(f.Name), "authorization") {
							t.Errorf("%s has %s: %s", nameOf(req), f.Name, f.Value)
						}
					}
					switch nameOf(req) {
					case "ACK":
					case "INVITE":
						edits := append([]sip.Edit{describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0")}, answer...)
						if name != "Contact with maddr" {
							edits = append(edits, contactAt("192.0.2.2"))
						}
						tx.Reply(sip.StatusOK, edits...)
					default:
						asked++
						tx.Reply(sip.StatusProxyAuthRequired, sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="a.example", nonce="1"`})
					}
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Password: "secret", Resolver: world})
				reg, err := alice.Register(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				challenge = ""
				call, err := alice.Invite(t.Context(), "sip:bob@b.example", streams(newStream(t)))
				if err != nil {
					t.Fatal(err)
				}
				if err := call.Hold(t.Context()); !errors.Is(err, digest.ErrUnexpectedRealm) {
					t.Errorf("Hold() = %v, want ErrUnexpectedRealm", err)
				}
				call.Hangup(t.Context())
				synctest.Wait()
				if asked != 2 {
					t.Errorf("%d requests in the call, want 2", asked)
				}
				reg.Close()
			})
		})
	}
}

// Our own proxy challenges within a call, too. It records the route with its
// address, which is known for that of our domain because requests went there: with
// a registration, and without.
func TestOurProxyAsksInCall(t *testing.T) {
	for name, registered := range map[string]bool{"registered": true, "not registered": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				digests := map[string]int{}
				challenge := ""
				newPeer(t, n, gateAddr, func(tx *transaction.Server, req *sip.Request) {
					if _, has := req.Value("Proxy-Authorization"); has || req.Method() == sip.ACK {
						digests[nameOf(req)]++
					} else {
						challenge = "407 a.example"
						asker(&challenge)(tx, req)
						return
					}
					route := sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: gateAddr, Params: ";lr"}}
					switch nameOf(req) {
					case "ACK":
					case "INVITE":
						tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), route, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
					case "re-INVITE":
						tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0|a=recvonly"))
					default:
						asker(&challenge)(tx, req)
					}
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Password: "secret", Resolver: world})
				if registered {
					if _, err := alice.Register(t.Context(), nil); err != nil {
						t.Fatal(err)
					}
				}
				call, err := alice.Invite(t.Context(), "sip:bob@a.example", streams(newStream(t)))
				if err != nil {
					t.Fatal(err)
				}
				if err := call.Hold(t.Context()); err != nil {
					t.Error(err)
				}
				if err := call.Hangup(t.Context()); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if digests["INVITE"] != 1 || digests["re-INVITE"] != 1 || digests["BYE"] != 1 || digests["ACK"] != 2 {
					t.Errorf("authenticated were %v", digests)
				}
			})
		})
	}
}

// A call comes in, and its BYE is challenged for our realm on the way that the call
// has recorded: by our proxy, which gets an answer, or by a stranger who has called
// straight, and gets none.
func TestByeOfCalleeIsChallenged(t *testing.T) {
	for addr, want := range map[string]bool{gateAddr: true, "192.0.2.2": false} {
		t.Run(addr, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				registrar, realm := "401 asterisk", "407 asterisk"
				answered := false
				handle := func(tx *transaction.Server, req *sip.Request) {
					if req.Method() == sip.REGISTER {
						asker(&registrar)(tx, req)
						return
					}
					answered = credentialsFor(req, "Proxy-Authorization", "asterisk")
					asker(&realm)(tx, req)
				}
				peers := map[string]*transaction.Layer{}
				for _, addr := range []string{gateAddr, "192.0.2.2"} {
					peers[addr] = newPeer(t, n, addr, handle)
				}
				hungUp := make(chan bool)
				bob := newAgent(t, n, "192.0.2.1", "sip:bob@a.example", ua.Config{
					Password: "secret", Resolver: world,
					OnInvite: func(ctx context.Context, in *ua.Invitation) {
						call, err := in.Answer(ctx, newStream(t))
						if err != nil {
							t.Error(err)
							return
						}
						call.Hangup(ctx)
						close(hungUp)
					},
				})
				if _, err := bob.Register(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				invite := request(sip.INVITE, "sip:bob@192.0.2.1", contactAt("192.0.2.7"), describe("192.0.2.7", 1, "audio 5000 RTP/AVP 0"),
					sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: addr, Params: ";lr"}})
				resp, err := peers[addr].Do(t.Context(), invite)
				if err != nil || resp.Status() != sip.StatusOK {
					t.Fatalf("INVITE: %v, %v", resp, err)
				}
				peers[addr].Send(t.Context(), sip.NewRequest(sip.ACK, invite.URI(), sip.MaxForwards(70), invite.From(), resp.To(),
					sip.CallID(invite.CallID()), sip.CSeq{Seq: 1, Method: sip.ACK}))
				<-hungUp
				synctest.Wait()
				if answered != want {
					t.Errorf("the challenge was answered: %v, want %v", answered, want)
				}
			})
		})
	}
}

// What one call tells of challenges within it. The INVITE goes by our proxy, at
// 192.0.2.100, or straight to b.example, at 192.0.2.2, and is challenged or not; the
// callee's Contact is there.
func TestChallengesWithinCall(t *testing.T) {
	const proxy, straight = "sip:bob@a.example", "sip:bob@b.example"
	further := []digest.Credentials{{Username: "x", Password: "y", Realm: "gw"}}
	for _, test := range []struct {
		name          string
		cfg           ua.Config
		target        string
		invite, hold  string // challenges
		route         bool   // the proxy stays on the way
		before, after bool   // the hold has a digest before it is challenged, and after
	}{
		{"our proxy stays", ua.Config{}, proxy, "407 a.example", "407 a.example", true, true, true},
		{"our proxy leaves, and the callee is alone", ua.Config{}, proxy, "407 a.example", "407 a.example", false, false, false},
		{"the same with a configured realm", ua.Config{Realm: "asterisk"}, proxy, "407 asterisk", "407 asterisk", false, false, false},
		{"our proxy has a realm for calls", ua.Config{Realm: "asterisk"}, proxy, "", "407 asterisk", true, false, true},
		{"nothing is learned in a call", ua.Config{}, proxy, "", "407 asterisk", true, false, false},
		{"a gateway asks again", ua.Config{Credentials: further}, straight, "401 gw", "401 gw", false, true, true},
		{"a callee knows of the gateway", ua.Config{Credentials: further}, straight, "", "401 gw", false, false, false},
		{"the gateway is behind our proxy", ua.Config{Credentials: further}, proxy, "", "401 gw", true, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				_, realm, _ := strings.Cut(test.hold, " ")
				holds, before, after := 0, false, false
				var mu sync.Mutex
				handle := func(tx *transaction.Server, req *sip.Request) {
					mu.Lock()
					defer mu.Unlock()
					has := credentialsFor(req, "Authorization", realm) || credentialsFor(req, "Proxy-Authorization", realm)
					answer := []sip.Edit{contactAt("192.0.2.2")}
					if test.route {
						answer = append(answer, sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: gateAddr, Params: ";lr"}})
					}
					switch name := nameOf(req); {
					case name == "ACK":
					case name == "INVITE" && test.invite != "" && !has:
						asker(&test.invite)(tx, req)
					case name == "INVITE":
						tx.Reply(sip.StatusOK, append(answer, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))...)
					case name == "re-INVITE":
						holds++
						before, after = before || holds == 1 && has, after || has
						if holds == 1 || !has { // whoever has sent one already is asked anew
							challenge := strings.ReplaceAll(`Digest realm="REALM", nonce="NEW", qop="auth", stale=true`, "REALM", realm)
							if strings.HasPrefix(test.hold, "401") {
								tx.Reply(sip.StatusUnauthorized, wwwAuthenticate(challenge))
							} else {
								tx.Reply(sip.StatusProxyAuthRequired, sip.Field{Name: "Proxy-Authenticate", Value: challenge})
							}
							return
						}
						tx.Reply(sip.StatusOK, append(answer, describe("192.0.2.2", 2, "audio 5000 RTP/AVP 0|a=recvonly"))...)
					default:
						tx.Reply(sip.StatusOK)
					}
				}
				newPeer(t, n, gateAddr, handle)
				newPeer(t, n, "192.0.2.2", handle)
				test.cfg.Password, test.cfg.Resolver = "secret", world
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", test.cfg)
				call, err := alice.Invite(t.Context(), test.target, streams(newStream(t)))
				if err != nil {
					t.Fatal(err)
				}
				err = call.Hold(t.Context())
				if got := err == nil; got != test.after || !got && !errors.Is(err, digest.ErrUnexpectedRealm) {
					t.Errorf("Hold() = %v", err)
				}
				call.Hangup(t.Context())
				synctest.Wait()
				if before != test.before || after != test.after {
					t.Errorf("a digest before the challenge: %v, after it: %v; want %v, %v", before, after, test.before, test.after)
				}
			})
		})
	}
}
