package resolve

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
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
// those that are remembered has an end: what would be remembered the longest is
// forgotten.
func TestFailedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := with(known)
		var all []Target
		for i := range maxFailures + 1 {
			all = append(all, Target{Transport: "UDP", Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5060), Host: "example.com"})
			c.Failed(all[i], time.Duration(i+1)*time.Second)
		}
		if got := len(c.failures.avoided); got != maxFailures {
			t.Errorf("%d failures are remembered, want %d", got, maxFailures)
		}
		newest, forgotten, oldest := all[maxFailures], all[maxFailures-1], all[0]
		if got, want := c.failures.last([]Target{newest, forgotten, oldest}), []Target{forgotten, newest, oldest}; !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
		if got, want := c.failures.last([]Target{newest, oldest}), []Target{newest, oldest}; !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
		time.Sleep(time.Hour)
		c.Failed(forgotten, 0)
		if got := len(c.failures.avoided); got != 1 || len(c.failures.of) != 2 {
			t.Errorf("after an hour %d failures are remembered, want 1", got)
		}
	})
}

// A stranger has name after name of his domain, or addresses, answer 503 with a
// Retry-After of an hour, or fail for a minute. What has failed in other domains
// stays known, also in those that share the last labels of his, and also what
// fails while he goes on.
func TestSurvivesFloodOfFailures(t *testing.T) {
	for stranger, others := range map[string][]string{
		"a%d.evil.example": {"good.example", "sip.good.example"},
		"a%d.evil.co.uk":   {"good.co.uk", "good.example"},
		"10.0.0.%d":        {"good.example", "one"},
	} {
		for _, wait := range []time.Duration{0, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				c := with(known)
				flood := func(from, to int) {
					for i := from; i < to; i++ {
						addr := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
						c.Failed(Target{Transport: "UDP", Addr: netip.AddrPortFrom(addr, 5060), Host: fmt.Sprintf(stranger, i)}, wait)
					}
				}
				flood(0, maxFailures)
				for i, host := range others {
					c.Failed(Target{Transport: "UDP", Addr: netip.MustParseAddrPort("192.0.2.1:5060"), Host: host}, time.Duration(i)*5*time.Minute)
				}
				flood(maxFailures, maxFailures+200)
				for _, host := range others {
					one := Target{Transport: "UDP", Addr: netip.MustParseAddrPort("192.0.2.1:5060"), Host: host}
					two := Target{Transport: "UDP", Addr: netip.MustParseAddrPort("192.0.2.2:5060"), Host: host}
					if got, want := c.failures.last([]Target{one, two}), []Target{two, one}; !slices.Equal(got, want) {
						t.Errorf("after %s: targets of %s %v, want %v", stranger, host, got, want)
					}
				}
				if got := len(c.failures.avoided); got != maxFailures {
					t.Errorf("%d failures are remembered, want %d", got, maxFailures)
				}
			})
		}
	}
}
