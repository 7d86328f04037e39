package source

import (
	"net"
	"net/netip"
)

// Strangers counts connections of those who have not shown yet that they may be here, so
// that one source does not keep out the others. Whoever uses it has a lock for that.
type Strangers struct {
	most int
	all  int
	of   map[netip.Prefix]int
}

// NewStrangers returns counts for so many connections at a time. Of the second half of them
// none are for a source that has a tenth of all, and 4: many may come from behind one address
// at once, and others find room even so.
func NewStrangers(most int) *Strangers {
	return &Strangers{most: most, of: map[netip.Prefix]int{}}
}

// Full reports whether there is no room for one more of a source.
func (s *Strangers) Full(of netip.Prefix) bool {
	return s.all >= s.most || s.all >= s.most/2 && s.of[of] >= max(4, s.most/10)
}

// Add counts one more.
func (s *Strangers) Add(of netip.Prefix) {
	s.all++
	s.of[of]++
}

// Remove counts one less: it is no stranger any more, or has gone.
func (s *Strangers) Remove(of netip.Prefix) {
	s.all--
	if s.of[of]--; s.of[of] == 0 {
		delete(s.of, of)
	}
}

// OfPeer returns what the other end of a connection is known by. All that have no address
// and port are one.
func OfPeer(addr net.Addr) netip.Prefix {
	if addr == nil {
		return netip.Prefix{}
	}
	from, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	return Of(from)
}
