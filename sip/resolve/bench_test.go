package resolve

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// domain is a Resolver that knows a domain with all that there is: NAPTR, two
// SRV records, addresses of both families.
type domain struct{}

func (domain) Lookup(_ context.Context, name string, t Type) (*Answer, error) {
	a := &Answer{TTL: time.Hour}
	switch t {
	case TypeNAPTR:
		a.NAPTR = []NAPTR{{10, 10, "s", "SIP+D2T", "_sip._tcp.example.com"}, {20, 10, "s", "SIP+D2U", "_sip._udp.example.com"}}
	case TypeSRV:
		a.SRV = []SRV{{10, 50, 5060, "a.example.com"}, {10, 50, 5060, "b.example.com"}}
	case TypeA:
		a.Addrs = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, name[0]})}
	case TypeAAAA:
		a.Addrs = []netip.Addr{netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", name[0]))}
	}
	return a, nil
}

var benchmarked = []struct{ name, uri string }{
	{"address", "sip:bob@192.0.2.1:5060"},
	{"port", "sip:bob@example.com:5060"},
	{"domain", "sip:bob@example.com"},
}

// What it costs to find targets whose records are known.
func BenchmarkTargets(b *testing.B) {
	for _, bb := range benchmarked {
		b.Run(bb.name, func(b *testing.B) {
			client := with(domain{})
			uri, err := sip.ParseURI(bb.uri)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Targets(b.Context(), uri); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestTargetsAllocations(t *testing.T) {
	for i, want := range []float64{1, 1, 6} {
		client := with(domain{})
		uri, err := sip.ParseURI(benchmarked[i].uri)
		if err != nil {
			t.Fatal(err)
		}
		got := testing.AllocsPerRun(100, func() {
			if _, err := client.Targets(t.Context(), uri); err != nil {
				t.Fatal(err)
			}
		})
		if got > want {
			t.Errorf("%s: %v allocations, want %v", benchmarked[i].name, got, want)
		}
	}
}
