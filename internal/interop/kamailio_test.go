package interop_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
)

func TestKamailioStarts(t *testing.T) {
	interop.Need(t)
	k := interop.StartKamailio(t, nil)
	if got := k.Contacts(t, "bob"); len(got) != 0 {
		t.Errorf("Contacts(bob) = %v, want none", got)
	}
}

// A script's calls go through the proxy, which stays in their path, to a
// registered telephone.
func TestSIPpCallsThroughKamailio(t *testing.T) {
	interop.Need(t)
	proxy := interop.StartKamailio(t, nil)
	interop.StartBaresip(t, &interop.BaresipOptions{User: "bob", Proxy: proxy.Addr})
	caller := interop.StartSIPp(t, "uac", &interop.SIPpOptions{Target: proxy.Addr, User: "bob", Calls: 3, Hold: 100 * time.Millisecond})
	if got := caller.Wait(t); got.Successful != 3 || got.Failed != 0 {
		t.Errorf("%d calls succeeded and %d failed, want 3 and 0", got.Successful, got.Failed)
	}
}

// The registrar and the edge proxy answer on every socket that they have: SIPp
// asks over UDP and TCP, and over TLS through OpenSSL, which wants to see the
// right certificate.
func TestKamailioAnswers(t *testing.T) {
	interop.Need(t)
	registrar := interop.StartKamailio(t, nil)
	edge := interop.StartEdge(t, registrar.Addr, nil)
	for name, k := range map[string]*interop.Kamailio{"registrar": registrar, "edge": edge} {
		for _, host := range []string{"127.0.0.1", "::1"} {
			for _, transport := range []string{"udp", "tcp", "tls"} {
				t.Run(name+" "+transport+" "+host, func(t *testing.T) {
					t.Parallel()
					caller := interop.StartSIPp(t, "uac_options", &interop.SIPpOptions{
						Target: k.At(transport, host), Host: host, Transport: transport,
						TLS: &interop.TunnelOptions{Authority: k.Authority},
					})
					if got := caller.Wait(t); got.Successful != 1 || got.Failed != 0 {
						t.Errorf("%d asked with success and %d without, want 1 and 0", got.Successful, got.Failed)
					}
				})
			}
		}
	}
}

// On its UDP port Kamailio also answers STUN (RFC 5626 section 4.4.2).
func TestKamailioAnswersSTUN(t *testing.T) {
	interop.Need(t)
	k := interop.StartKamailio(t, nil)
	for _, host := range []string{"127.0.0.1", "::1"} {
		got, err := interop.STUNClient(t, k.At("udp", host))
		if err != nil {
			t.Error(err)
		} else if got.Addr().String() != host {
			t.Errorf("seen from %v, want %s", got, host)
		}
	}
}
