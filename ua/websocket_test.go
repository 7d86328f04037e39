package ua_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
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
			WebSocketPath: "/sip", WebSocketHeader: http.Header{"Cookie": {"session=1"}},
		})
		if _, err := alice.Options(t.Context(), "sip:192.0.2.2;transport=ws"); err != nil {
			t.Errorf("Options = %v", err)
		}
	})
}
