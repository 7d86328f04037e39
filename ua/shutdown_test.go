package ua_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// challenge is a header field of a 401 or 407.
func challenge(name, nonce string) sip.Field {
	return sip.Field{Name: name, Value: `Digest realm="a", qop="auth", stale=true, nonce="` + nonce + `"`}
}

// shutDown gives an agent 20 seconds.
func shutDown(t *testing.T, a *ua.Agent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown() = %v", err)
	}
}

// forA is the password for the realm of challenge, which a stranger is.
var forA = []digest.Credentials{{Username: "alice", Password: "secret", Realm: "a"}}

// The callee answers while the CANCEL of a Shutdown is under way. The answer
// gets its ACK and its BYE, and the BYE its credentials, before the sockets are
// closed.
func TestShutdownCrossesAnswer(t *testing.T) {
	for range 40 {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
			var acked bool
			byes := 0
			newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
				switch req.Method() {
				case sip.INVITE:
					if _, err := sip.Get[sip.ProxyAuthorization](req); err != nil {
						tx.Reply(sip.StatusProxyAuthRequired, challenge("Proxy-Authenticate", "0"))
						return
					}
					tx.Reply(sip.StatusRinging, contactAt("192.0.2.2"))
					time.Sleep(time.Second)
					tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
				case sip.ACK:
					acked = true
				case sip.BYE:
					if byes++; byes == 1 {
						tx.Reply(sip.StatusProxyAuthRequired, challenge("Proxy-Authenticate", "x"))
						return
					}
					tx.Reply(sip.StatusOK)
				}
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Credentials: forA})
			result := make(chan error, 1)
			go func() {
				_, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
				result <- err
			}()
			time.Sleep(1035 * time.Millisecond)
			shutDown(t, alice)
			if !acked || byes != 2 {
				t.Errorf("the answer got an ACK: %v, and %d BYE, want 2", acked, byes)
			}
			if err := <-result; err == nil {
				t.Error("Invite() of a closed agent worked")
			}
		})
	}
}

// A Hangup is under way when the agent is shut down: its BYE is challenged, and
// still goes out again.
func TestShutdownWaitsForHangup(t *testing.T) {
	for range 40 {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
			byes := 0
			newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
				switch req.Method() {
				case sip.INVITE:
					if _, err := sip.Get[sip.ProxyAuthorization](req); err != nil {
						tx.Reply(sip.StatusProxyAuthRequired, challenge("Proxy-Authenticate", "0"))
						return
					}
					tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
				case sip.BYE:
					if byes++; byes == 1 {
						tx.Reply(sip.StatusProxyAuthRequired, challenge("Proxy-Authenticate", "x"))
						return
					}
					tx.Reply(sip.StatusOK)
				}
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Credentials: forA})
			call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
			if err != nil {
				t.Fatal(err)
			}
			go call.Hangup(t.Context())
			time.Sleep(time.Millisecond)
			second := make(chan int)
			go func() {
				call.Hangup(t.Context())
				second <- byes
			}()
			shutDown(t, alice)
			if byes != 2 {
				t.Errorf("%d BYE came, want 2", byes)
			}
			if got := <-second; got != 2 {
				t.Errorf("the second Hangup returned after %d BYE, want 2", got)
			}
		})
	}
}

// A Registration is being closed when the agent is: the binding is removed
// though the REGISTER is challenged.
func TestShutdownWaitsForRegistration(t *testing.T) {
	for range 40 {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
			removals := 0
			newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
				expires, _ := sip.Get[sip.Expires](req)
				_, err := sip.Get[sip.Authorization](req)
				if expires == 0 {
					removals++
				}
				if err != nil || expires == 0 && removals == 1 {
					tx.Reply(sip.StatusUnauthorized, challenge("WWW-Authenticate", fmt.Sprint(removals)))
					return
				}
				contact, _ := sip.Get[sip.Contact](req)
				tx.Reply(sip.StatusOK, contact, expires)
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Password: "secret", Proxy: "sip:192.0.2.2"})
			reg, err := alice.Register(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			go reg.Close()
			time.Sleep(time.Millisecond)
			shutDown(t, alice)
			if removals != 2 {
				t.Errorf("%d REGISTER removed the binding, want 2", removals)
			}
		})
	}
}
