package ua_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// An agent reaches a WebSocket server under its path, and shows it what it wants
// to see in the handshake (RFC 7118 section 7).
func TestWebSocketServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		server, err := transport.Listen(&transport.Config{
			Network: n.Host("192.0.2.2"), Listen: []string{"ws:192.0.2.2:80"},
			AcceptWebSocket: func(r *http.Request) bool {
				return r.URL.Path == "/sip" && r.Header.Get("Cookie") == "session=1"
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		go func() { // ends when the server is closed
			for in, err := range server.Receive(context.Background()) {
				if err != nil {
					return
				}
				if req, ok := in.Message.(*sip.Request); ok {
					server.Respond(in, req.Reply(sip.StatusOK))
				}
			}
		}()
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{
			Proxy: "sip:192.0.2.2;transport=ws", WebSocketPath: "/sip", WebSocketHeader: http.Header{"Cookie": {"session=1"}},
		})
		if _, err := alice.Options(t.Context(), "sip:192.0.2.2;transport=ws"); err != nil {
			t.Errorf("Options = %v", err)
		}
	})
}

// The cookie is for our own server. Whoever a callee redirects the call to is another
// one; and it stays off the wire in clear if our server is to be reached by TLS.
func TestWebSocketHeaderIsForOurServers(t *testing.T) {
	for _, test := range []struct {
		name, aor, contact string
		want               string // cookies that came, of how many handshakes
	}{
		{"a stranger", "sip:alice@a.example", "sip:x@192.0.2.66;transport=ws", "0 of 1"},
		{"a stranger in our name", "sip:alice@a.example", "sip:x@a.example;maddr=192.0.2.66;transport=ws", "0 of 1"},
		{"our own", "sip:alice@a.example", "sip:x@a.example;transport=ws", "1 of 1"},
		{"our own, in clear", "sip:alice@a.example;transport=wss", "sip:x@a.example;transport=ws", "0 of 1"},
		{"our own, in clear by sips", "sips:alice@a.example", "sip:x@a.example;transport=ws", "0 of 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				var mu sync.Mutex
				cookies, handshakes := 0, 0
				for _, addr := range []string{gateAddr, "192.0.2.66"} {
					server, err := transport.Listen(&transport.Config{
						Network: n.Host(addr), Listen: []string{"ws:" + addr + ":80"},
						AcceptWebSocket: func(r *http.Request) bool {
							mu.Lock()
							defer mu.Unlock()
							handshakes++
							if r.Header.Get("Cookie") != "" {
								cookies++
							}
							return false
						},
					})
					if err != nil {
						t.Fatal(err)
					}
					defer server.Close()
				}
				newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
					if req.Method() == sip.INVITE {
						tx.Reply(sip.StatusMovedTemporarily, sip.Contact{URI: uri(test.contact)})
					}
				})
				alice := newAgent(t, n, "192.0.2.1", test.aor, ua.Config{Resolver: world, WebSocketHeader: http.Header{"Cookie": {"session=1"}}})
				if _, err := alice.Invite(t.Context(), "sip:bob@b.example", streams(newStream(t))); err == nil {
					t.Error("Invite() is answered")
				}
				mu.Lock()
				defer mu.Unlock()
				if got := fmt.Sprintf("%d of %d", cookies, handshakes); got != test.want {
					t.Errorf("cookies came in %s handshakes, want %s", got, test.want)
				}
			})
		})
	}
}
