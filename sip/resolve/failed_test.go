package resolve

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
)

// A target that failed comes last, for a minute or as long as its Retry-After
// says, for those who look for the same host.
func TestFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := with(names{
			"example.com": {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")},
			"example.org": {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")},
		})
		expect := func(host, want string) {
			t.Helper()
			got, err := c.Targets(t.Context(), sip.URI{Scheme: "sip", Host: host})
			order := ""
			for _, target := range got {
				order += target.Addr.Addr().String()[8:]
			}
			if err != nil || order != want {
				t.Errorf("%s: %v, %v, want %s", host, got, err, want)
			}
		}
		expect("example.com", "123")
		at := func(addr, transport string) Target {
			return Target{Transport: transport, Host: "Example.com", Addr: netip.MustParseAddrPort(addr)}
		}
		c.Failed(at("192.0.2.1:5060", "udp"), 0)
		expect("example.com", "231")
		expect("EXAMPLE.com.", "231")
		expect("example.org", "12")
		time.Sleep(30 * time.Second)
		c.Failed(at("192.0.2.2:5060", "UDP"), 5*time.Minute)
		c.Failed(at("192.0.2.3:5060", "TCP"), 0)
		c.Failed(at("192.0.2.3:5070", "UDP"), 0)
		c.Failed(at("192.0.2.3:5060", "nonsense"), 0)
		c.Failed(Target{Transport: "UDP", Host: "example.net", Addr: netip.MustParseAddrPort("192.0.2.3:5060")}, 0)
		expect("example.com", "312")
		time.Sleep(30 * time.Second)
		expect("example.com", "132")
		time.Sleep(5 * time.Minute)
		expect("example.com", "123")
		c.Failed(at("192.0.2.1:5060", "UDP"), math.MaxInt64)
		time.Sleep(time.Hour - time.Second)
		expect("example.com", "231")
		time.Sleep(time.Second)
		expect("example.com", "123")
		c.Failed(at("192.0.2.1:5060", "UDP"), -time.Second)
		time.Sleep(time.Minute - time.Second)
		expect("example.com", "231")
		time.Sleep(time.Second)
		expect("example.com", "123")
	})
}

// When all targets have failed, all are still there to be tried. The number of
// those that are remembered has an end: what is over first is forgotten.
func TestFailedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := with(known)
		var all []Target
		for i := range 2 * maxFailures {
			all = append(all, Target{Transport: "UDP", Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5060)})
			c.Failed(all[i], time.Duration(i+1)*time.Second/100)
		}
		if got := len(c.failures.until); got != maxFailures {
			t.Errorf("%d failures are remembered, want %d", got, maxFailures)
		}
		some := []Target{all[2*maxFailures-1], all[0], all[2*maxFailures-2]}
		if got := c.failures.last(some); fmt.Sprint(got) != fmt.Sprint([]Target{all[0], all[2*maxFailures-1], all[2*maxFailures-2]}) {
			t.Errorf("order %v", got)
		}
		time.Sleep(time.Hour)
		c.Failed(all[0], 0)
		if got := len(c.failures.until); got != 1 {
			t.Errorf("after an hour %d failures are remembered, want 1", got)
		}
	})
}
