package source

import (
	"net/netip"
	"testing"

	"github.com/goparley/parley/sip"
)

// What a sender is known by.
func TestOf(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"192.0.2.1:5060", "192.0.2.1:40000"},
		{"192.0.2.1:5060", "[::ffff:192.0.2.1]:5060"},
		{"[2001:db8::1]:5060", "[2001:db8::ffff:2]:6000"},
		{"[fe80::1%eth0]:5060", "[fe80::2%eth0]:5060"},
	} {
		if a, b := Of(netip.MustParseAddrPort(c.a)), Of(netip.MustParseAddrPort(c.b)); a != b || !a.IsValid() {
			t.Errorf("%s is %v and %s is %v, want one source", c.a, a, c.b, b)
		}
	}
	for _, c := range []struct{ a, b string }{
		{"192.0.2.1:5060", "192.0.2.2:5060"},
		{"[2001:db8::1]:5060", "[2001:db8:0:1::1]:5060"},
	} {
		if a, b := Of(netip.MustParseAddrPort(c.a)), Of(netip.MustParseAddrPort(c.b)); a == b {
			t.Errorf("%s and %s are %v, want two sources", c.a, c.b, a)
		}
	}
}

// The client of a request has put the only Via on it.
func TestIsClient(t *testing.T) {
	req := sip.NewRequest(sip.REGISTER, sip.URI{Scheme: "sip", Host: "example.com"})
	for _, want := range []bool{true, true, false} { // with none, one and two
		if got := IsClient(sip.All[sip.Via](req)); got != want {
			t.Errorf("IsClient() = %v, want %v, of\n%s", got, want, req)
		}
		req = req.With(sip.Push(sip.Via{Transport: "UDP", Host: "192.0.2.1"}))
	}
}
