package interop_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip/siptest"
)

// The peers do look at certificates: SIPp's tunnel at Kamailio's and, where it is
// told to, Kamailio at SIPp's; and the browser at Kamailio's.
func TestPeersRefuseCertificates(t *testing.T) {
	interop.Need(t)
	authority := siptest.NewAuthority()
	open := interop.StartKamailio(t, &interop.KamailioOptions{Authority: authority})
	strict := interop.StartKamailio(t, &interop.KamailioOptions{Authority: authority, ClientCert: true})
	for name, c := range map[string]struct {
		server *interop.Kamailio
		client interop.TunnelOptions
		want   bool
	}{
		"all is right":               {strict, interop.TunnelOptions{Authority: authority}, true},
		"no client certificate":      {strict, interop.TunnelOptions{Authority: authority, NoCert: true}, false},
		"a server of somebody else":  {open, interop.TunnelOptions{Authority: siptest.NewAuthority()}, false},
		"a server with another name": {open, interop.TunnelOptions{Authority: authority, Name: "other.test"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller := interop.StartSIPp(t, "uac_options", &interop.SIPpOptions{
				Target: c.server.At("tls", "127.0.0.1"), Transport: "tls", TLS: &c.client, Timeout: 3 * time.Second,
			})
			got := caller.Wait(t)
			if answered := got.Successful == 1 && got.Failed == 0; answered != c.want {
				t.Errorf("answered: %t, want %t", answered, c.want)
			}
		})
	}
	t.Run("browser", func(t *testing.T) {
		t.Parallel()
		browser := interop.StartBrowser(t, &interop.BrowserOptions{
			Server: "wss://" + open.At("wss", "127.0.0.1"), KeyHash: strict.KeyHash,
		})
		if e := browser.Expect(t, "disconnected"); e.Param != "1006" {
			t.Errorf("disconnected with %q, want 1006, no WebSocket at all", e.Param)
		}
	})
}
