package source

import (
	"net"
	"net/netip"
	"testing"
)

// One source has half of the places. When they are taken, each other one has a tenth of all, 4 at
// least, and all of them together have no more than there are.
func TestStrangers(t *testing.T) {
	for _, c := range []struct{ most, half, each int }{{100, 50, 10}, {49, 24, 4}, {4, 4, 4}, {2, 2, 2}} {
		s := NewStrangers(c.most)
		enter := func(addr string, most int) int {
			n := 0
			for ; n < most && !s.Full(Of(netip.MustParseAddrPort(addr))); n++ {
				s.Add(Of(netip.MustParseAddrPort(addr)))
			}
			return n
		}
		if n := enter("192.0.2.1:1", 1000); n != c.half {
			t.Errorf("%d of %d places are for one source, want %d", n, c.most, c.half)
		}
		if n := enter("[::ffff:192.0.2.1]:1", 1000); n != 0 {
			t.Errorf("%d more of %d by another spelling", n, c.most)
		}
		all := c.half
		for _, addr := range []string{"192.0.2.2:1", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1"} {
			all += enter(addr, 1000)
		}
		if want := min(c.most, c.half+3*c.each); all != want {
			t.Errorf("%d of %d places are for four sources, want %d", all, c.most, want)
		}
		// What the first one has beyond its share comes back to it when there are few again.
		for range all - c.half + 1 {
			s.Remove(Of(netip.MustParseAddrPort("192.0.2.1:1")))
		}
		if n := enter("192.0.2.1:2", 1000); n != 1 {
			t.Errorf("%d of %d places when %d are taken, want 1", n, c.most, c.half-1)
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
