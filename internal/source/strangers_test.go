package source

import (
	"net"
	"net/netip"
	"testing"
)

// A source has a tenth of the places, 4 at least, and all of them together have no more than
// there are.
func TestStrangers(t *testing.T) {
	for _, c := range []struct{ most, each int }{{100, 10}, {49, 4}, {2, 2}} {
		s := NewStrangers(c.most)
		enter := func(addr string, most int) int {
			n := 0
			for ; n < most && !s.Full(Of(netip.MustParseAddrPort(addr))); n++ {
				s.Add(Of(netip.MustParseAddrPort(addr)))
			}
			return n
		}
		if n := enter("192.0.2.1:1", 1000); n != c.each {
			t.Errorf("%d of %d places are for one source, want %d", n, c.most, c.each)
		}
		if n := enter("[::ffff:192.0.2.1]:1", 1000); n != 0 {
			t.Errorf("%d more of %d by another spelling", n, c.most)
		}
		all := c.each
		for _, addr := range []string{"192.0.2.2:1", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1"} {
			all += enter(addr, c.each)
		}
		if want := min(c.most, 4*c.each); all != want {
			t.Errorf("%d of %d places are for four sources, want %d", all, c.most, want)
		}
		s.Remove(Of(netip.MustParseAddrPort("192.0.2.1:1")))
		if n := enter("192.0.2.1:2", 1000); n != 1 {
			t.Errorf("%d of %d places when one is free again", n, c.most)
		}
	}
	s := NewStrangers(10)
	of := OfPeer(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1})
	s.Add(of)
	s.Remove(of)
	if len(s.of) != 0 {
		t.Errorf("%v is remembered, want nobody", s.of)
	}
}

// What has no address is one source.
func TestOfPeer(t *testing.T) {
	if got, want := OfPeer(&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 5}), netip.MustParsePrefix("2001:db8::/64"); got != want {
		t.Errorf("OfPeer() = %v, want %v", got, want)
	}
	if a, b := OfPeer(nil), OfPeer(&net.UnixAddr{Name: "/run/web"}); a != b {
		t.Errorf("OfPeer() = %v and %v, want the same", a, b)
	}
}
