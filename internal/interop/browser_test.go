package interop_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/goparley/parley/internal/interop"
)

// A browser registers at the registrar by way of the edge proxy, over WS and
// WSS, on IPv4 and IPv6. What is sent to its address by somebody else comes back
// on the flow of its registration.
func TestBrowserRegistersWithKamailio(t *testing.T) {
	interop.Need(t)
	capture := interop.StartCapture(t)
	registrar := interop.StartKamailio(t, nil)
	edge := interop.StartEdge(t, registrar.Addr, nil)
	keys := filepath.Join(t.TempDir(), "keys")
	t.Run("browsers", func(t *testing.T) {
		for user, via := range map[string]struct{ transport, host string }{
			"alice": {"ws", "127.0.0.1"},
			"bob":   {"wss", "127.0.0.1"},
			"carol": {"ws", "::1"},
			"dave":  {"wss", "::1"},
		} {
			t.Run(via.transport+" "+via.host, func(t *testing.T) {
				t.Parallel()
				browser := interop.StartBrowser(t, &interop.BrowserOptions{
					Server: via.transport + "://" + edge.At(via.transport, via.host), User: user, KeyHash: edge.KeyHash, KeyLog: keys + user,
				})
				browser.Expect(t, "connected")
				e := browser.Expect(t, "registered")
				if !strings.Contains(e.Param, "Require: outbound") {
					t.Errorf("the registrar does not do outbound:\n%s", e.Param)
				}
				got := registrar.Bindings(t, user)
				if len(got) != 1 || got[0].RegID != 1 || !strings.Contains(got[0].Path, ";ob") {
					t.Fatalf("bindings %+v, want one with reg-id 1 and a flow token", got)
				}
				caller := interop.StartSIPp(t, "uac_message", &interop.SIPpOptions{Target: registrar.Addr, User: user})
				if e := browser.Expect(t, "message"); e.Param != "hello" {
					t.Errorf("message %q, want hello", e.Param)
				}
				if got := caller.Wait(t); got.Successful != 1 || got.Failed != 0 {
					t.Errorf("%d messages delivered and %d not, want 1 and 0", got.Successful, got.Failed)
				}
				browser.Unregister(t)
				browser.Expect(t, "unregistered")
				if got := registrar.Bindings(t, user); len(got) != 0 {
					t.Errorf("bindings %+v, want none", got)
				}
			})
		}
	})
	capture.Stop(t)
	v := interop.Judge(t, capture.Path, &interop.JudgeOptions{
		WSS:    []string{edge.At("wss", "127.0.0.1")},
		KeyLog: []string{keys + "bob", keys + "dave"},
	})
	for _, e := range v.Errors {
		t.Error(e)
	}
	// REGISTER 401 REGISTER 200 twice, and MESSAGE 200, of each browser.
	if v.SIP < 4*10 || v.WebSocket < 4*10 || v.TLS < 2*10 {
		t.Errorf("in the capture %v, want 10 for each of the browsers", v)
	}
	t.Log(v)
}
