package ua_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// A server that challenges every PUBLISH with a new nonce is answered, and the
// numbers of the requests go up.
func TestPublishChallenged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		last, challenges := uint32(0), 0
		newPeer(t, n, serverAddr, func(tx *transaction.Server, req *sip.Request) {
			if seq := req.CSeq().Seq; seq <= last {
				t.Errorf("CSeq %d after %d", seq, last)
			} else {
				last = seq
			}
			_, err := sip.Get[sip.ProxyAuthorization](req)
			if challenges == 0 || err != nil || last%2 == 1 {
				challenges++
				tx.Reply(sip.StatusProxyAuthRequired, challenge("Proxy-Authenticate", fmt.Sprint(challenges)))
				return
			}
			tx.Reply(sip.StatusOK, sip.SIPETag(fmt.Sprint("e", last)), sip.Expires(3600))
		})
		alice := newPublisher(t, n, ua.Config{Password: "secret", Realm: "a"})
		pub, err := alice.Publish(t.Context(), "presence", pidf("open"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Update(t.Context(), pidf("busy")); err != nil {
			t.Error(err)
		}
		if err := pub.Close(); err != nil {
			t.Error(err)
		}
		if last != 6 {
			t.Errorf("the last CSeq is %d, want 6", last)
		}
	})
}

// Without a password the error says so.
func TestPublishWithoutPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newPresenceServer(t, n, answer{status: 407, edits: []sip.Edit{challenge("Proxy-Authenticate", "1")}})
		alice := newPublisher(t, n, ua.Config{})
		if _, err := alice.Publish(t.Context(), "presence", pidf("open"), nil); !errors.Is(err, ua.ErrPassword) {
			t.Errorf("Publish() = %v, want ErrPassword", err)
		}
	})
}

// A compositor whose agent asks for passwords: alice publishes her own state,
// and mallory, who has a password too, does not.
func TestPublishAuthenticated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		users, err := digest.NewServer(digest.ServerConfig{Realm: "a.example", Password: func(context.Context, string) (string, error) { return "secret", nil }})
		if err != nil {
			t.Fatal(err)
		}
		esc := ua.NewCompositor(nil)
		newAgent(t, n, serverAddr, "sip:presence@a.example", ua.Config{Compositor: esc, Authenticate: func(*sip.Request) *digest.Server { return users }})
		mallory := newAgent(t, n, "192.0.2.6", aliceURI, ua.Config{Proxy: "sip:" + serverAddr, User: "mallory", Password: "secret"})
		if _, err := mallory.Publish(t.Context(), "presence", pidf("open"), nil); !errors.Is(err, sip.StatusForbidden) {
			t.Errorf("mallory's Publish() = %v, want 403", err)
		}
		alice := newPublisher(t, n, ua.Config{Password: "secret"})
		pub, err := alice.Publish(t.Context(), "presence", pidf("open"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := bodies(esc, "presence"); len(got) != 1 {
			t.Errorf("states %q, want one", got)
		}
		if err := pub.Close(); err != nil {
			t.Error(err)
		}
	})
}
