package resolve

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/goparley/parley/sip"
)

// firsts counts how often each record comes out first, of so many orders.
func firsts(records []SRV, n int) map[string]int {
	count := map[string]int{}
	for range n {
		count[new(search).order(records)[0].Target]++
	}
	return count
}

// The weights of the example in RFC 2782: three quarters of the logins go to
// the new fast box. The sysadmin's box and the server, which have a lower
// priority, come after both, each of them as often as the other.
func TestWeights(t *testing.T) {
	records := []SRV{
		{0, 1, 9, "old-slow-box"}, {0, 3, 9, "new-fast-box"},
		{1, 0, 9, "sysadmins-box"}, {1, 0, 9, "server"},
	}
	const n = 20000
	first, third := map[string]int{}, map[string]int{}
	for range n {
		got := new(search).order(records)
		first[got[0].Target]++
		third[got[2].Target]++
		if got[1].Priority != 0 || got[3].Priority != 1 || got[2] == got[3] {
			t.Fatalf("order %v", got)
		}
	}
	// A number from 0 to 4 is drawn: 0 and 1, or 0 alone, choose who stands
	// first, and that is up to chance. So the slow box has (2/5 + 1/5) / 2.
	expectShare(t, first["new-fast-box"], n, 0.7)
	expectShare(t, third["server"], n, 0.5)
	if records[0].Target != "old-slow-box" {
		t.Error("the records themselves were put in order")
	}
}

// Large weights share as they say, and one without has a very small chance
// among them, but a chance.
func TestWeightZero(t *testing.T) {
	const n = 50000
	got := firsts([]SRV{{Weight: 100, Target: "a"}, {Weight: 300, Target: "b"}, {Weight: 0, Target: "c"}}, n)
	expectShare(t, got["a"], n, 0.25)
	expectShare(t, got["b"], n, 0.75)
	expectShare(t, got["c"], n, 1.0/401)
	if got["c"] == 0 {
		t.Error("a weight of 0 is never chosen")
	}
	equal := firsts([]SRV{{Target: "a"}, {Target: "b"}, {Target: "c"}, {Target: "d"}}, n)
	for _, target := range []string{"a", "b", "c", "d"} {
		expectShare(t, equal[target], n, 0.25)
	}
	most := firsts([]SRV{{Weight: 65535, Target: "a"}, {Weight: 65535, Target: "b"}}, n)
	expectShare(t, most["a"], n, 0.5)
}

// expectShare allows for five standard deviations.
func expectShare(t *testing.T, got, n int, share float64) {
	t.Helper()
	want := share * float64(n)
	if off := math.Abs(float64(got) - want); off > 5*math.Sqrt(want*(1-share)) {
		t.Errorf("%d of %d, want about %.0f", got, n, want)
	}
}

// many is a Resolver that knows so many of everything.
type many int

func (n many) Lookup(_ context.Context, _ string, t Type) (*Answer, error) {
	a := &Answer{}
	for i := range n {
		a.Addrs = append(a.Addrs, netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}))
		a.SRV = append(a.SRV, SRV{uint16(i), 0, 5060, fmt.Sprintf("host%d.example", i)})
		a.NAPTR = append(a.NAPTR, NAPTR{0, uint16(i), "s", "SIP+D2U", fmt.Sprintf("_sip._udp.domain%d.example", i)})
	}
	return a, nil
}

// A thousand NAPTR records that lead to a thousand SRV records each, with a
// thousand addresses each, are 64 targets from 16 hosts.
func TestSurvivesThousands(t *testing.T) {
	c := with(many(1000))
	got, err := c.Targets(t.Context(), sip.URI{Scheme: "sip", Host: "example.com"})
	if err != nil || len(got) != maxTargets {
		t.Errorf("%d targets, %v, want %d", len(got), err, maxTargets)
	}
	if n := len(c.cache.entries); n > 1+maxHosts+2*maxHosts {
		t.Errorf("%d questions were asked", n)
	}
}
