package interop_test

import (
	"strings"
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
)

// A page in a browser, which knows of MSRP what its script says, gets a URI of our relay by WebSocket, and exchanges
// messages and reports with a session of ours (RFC 7977).
func TestMSRPBrowser(t *testing.T) {
	interop.Need(t)
	relay, keys := interop.StartRelay(t, nil), newKeyLog(t)
	capture := interop.StartCapture(t)
	for _, transport := range []string{"ws", "wss"} {
		t.Run(transport, func(t *testing.T) {
			page := interop.StartMSRPBrowser(t, relay, transport)
			if e := page.Expect(t, "connected"); e.Param != "msrp" {
				t.Errorf("the subprotocol is %q, want msrp", e.Param)
			}
			there, err := frame.ParsePath(page.Expect(t, "path").Param)
			if err != nil {
				t.Fatal(err)
			}
			alice := newEnd(t, newRelayed(t, relay, "tls", "alice", keys), nil)
			here := path(t, alice.Session)
			if err := alice.Connect(t.Context(), there, true); err != nil {
				t.Fatal(err)
			}
			send(t, alice, &msrp.Message{Body: strings.NewReader("Hello, page."), SuccessReport: true}, nil)
			if e := page.Expect(t, "message"); e.Param != "Hello, page." || !strings.HasSuffix(e.PeerURI, " "+here.String()) {
				t.Errorf("the page got %q by %s, want it by %s at last", e.Param, e.PeerURI, here)
			}
			page.Message(t, here.String(), "Hello, session.")
			alice.expect(t, "Hello, session.", nil)
			if e := page.Expect(t, "delivered"); e.Param != "200" {
				t.Errorf("delivered with %s, want 200", e.Param)
			}
			if e := page.Expect(t, "reported"); e.Param != "000 200 OK" {
				t.Errorf("reported is %q, want 000 200 OK", e.Param)
			}
		})
	}
	judgeRelays(t, capture, 2*18, keys, relay)
}
