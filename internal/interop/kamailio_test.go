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
