package ua_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// The server asks callers who come by the registrar of its domain, which puts its Contact
// into the Request-URI: what they have signed is its address of record. Nobody else's is
// good in its place.
func TestAuthenticateBehindProxy(t *testing.T) {
	for target, want := range map[string]sip.Status{"sip:bob@a.example": sip.StatusOK, "sip:carol@a.example": sip.StatusBadRequest} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			newDomain(t, n)
			server := newServer(t, digest.ServerConfig{Nonces: 100})
			var users []string
			bob := newAgent(t, n, "192.0.2.2", "sip:bob@a.example", ua.Config{
				Password: "secret", Proxy: proxyURI,
				Authenticate: func(*sip.Request) *digest.Server { return server },
				OnMessage: func(_ context.Context, m ua.Message) error {
					users = append(users, m.User)
					return nil
				},
			})
			if _, err := bob.Register(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			contact := sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.2"}
			peer := newPeer(t, n, "192.0.2.9", nil)
			message := request(sip.MESSAGE, target, sip.Body{Type: "text/plain", Content: "hi"})
			resp, err := peer.Do(t.Context(), message.WithURI(contact))
			if err != nil || resp.Status() != sip.StatusUnauthorized {
				t.Fatalf("MESSAGE: %v, %v", resp, err)
			}
			client := digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"})
			again, err := client.Authorize(message, resp)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err = peer.Do(t.Context(), again.WithURI(contact).With(sip.CSeq{Seq: 2, Method: sip.MESSAGE})); err != nil || resp.Status() != want {
				t.Errorf("MESSAGE signed for %s: %v, %v, want %v", target, resp, err, want)
			}
			if good := want == sip.StatusOK; good != slices.Equal(users, []string{"alice"}) {
				t.Errorf("messages of %q", users)
			}
		})
	}
}

// Two agents and the proxy of their domain: the caller has Credentials for the callee.
func TestAuthenticateEndToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newDomain(t, n)
		server := newServer(t, digest.ServerConfig{})
		bob := newAgent(t, n, "192.0.2.2", "sip:bob@a.example", ua.Config{
			Password: "secret", Proxy: proxyURI,
			Authenticate: func(*sip.Request) *digest.Server { return server },
			OnMessage:    func(context.Context, ua.Message) error { return nil },
		})
		if _, err := bob.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{
			Password: "secret", Proxy: proxyURI,
			Credentials: []digest.Credentials{{Username: "alice", Password: "secret", Realm: "bob"}},
		})
		if err := alice.Message(t.Context(), "sip:bob@a.example", "text/plain", "hi"); err != nil {
			t.Errorf("Message() = %v", err)
		}
	})
}
