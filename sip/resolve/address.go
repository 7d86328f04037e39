package resolve

import (
	"net/netip"
	"slices"
)

// maxTargets is how many targets a list has at most.
const maxTargets = 64

// addresses asks for the addresses of all places at once, and returns those of
// each in turn: they are not mixed with those of another place (RFC 7984
// section 4). Each place has its share of the list, so that one with a thousand
// addresses leaves room for the next. Once there is one, those that are slow to
// come are left out. Without any, the error says whether that is an answer.
func (s *search) addresses(places []place) ([]Target, error) {
	var room [maxHosts][2]pending
	asked := room[:len(places)]
	for i, p := range places {
		asked[i] = [2]pending{s.ask("", p.host, TypeAAAA), s.ask("", p.host, TypeA)}
	}
	s.begin()
	var targets []Target
	var failed error
	for i, p := range places {
		var addrs [2][]netip.Addr // of IPv6, of IPv4
		first := 0
		if len(targets) == 0 {
			first = s.first(asked[i])
		}
		for _, family := range [2]int{first, 1 - first} {
			enough := len(targets) > 0 || len(addrs[first]) > 0
			answer, err := s.wait(asked[i][family], enough)
			if err != nil && failed == nil {
				failed = err
			}
			addrs[family] = answer.Addrs
		}
		targets = s.append(targets, p, addrs[0], addrs[1], maxTargets/len(places))
	}
	switch {
	case len(targets) > 0:
		return targets, nil
	case failed != nil:
		return nil, failed
	}
	return nil, s.notFound()
}

// append adds the addresses of a place, as many as most, one of a family after
// one of the other (RFC 8305 section 4). IPv6 goes first (RFC 6724 section 2.1);
// if there is no route to it, it comes after all of IPv4.
func (s *search) append(targets []Target, p place, six, four []netip.Addr, most int) []Target {
	if targets == nil {
		targets = make([]Target, 0, min(len(four)+len(six), most))
	}
	if s.stateless {
		six, four = sorted(six), sorted(four)
	}
	server := p.host
	if server == s.host {
		server = ""
	}
	add := func(addrs []netip.Addr) {
		for _, addr := range addrs {
			t := Target{p.tr.name, netip.AddrPortFrom(addr, p.port), s.host, server}
			if most > 0 && !slices.ContainsFunc(targets, t.isAt) {
				targets = append(targets, t)
				most--
			}
		}
	}
	if len(four) > 0 && len(six) > 0 && s.reaches(six, p.port) {
		both := min(len(four), len(six))
		for i := range both {
			add(six[i : i+1])
			add(four[i : i+1])
		}
		four, six = four[both:], six[both:]
	}
	add(four)
	add(six)
	return targets
}

// reaches reports whether there is a route to IPv6 addresses.
func (s *search) reaches(addrs []netip.Addr, port uint16) bool {
	there, err := s.c.reaches(s.ctx, addrs, port)
	s.cut = s.cut || err != nil
	return there
}

func sorted(addrs []netip.Addr) []netip.Addr {
	addrs = slices.Clone(addrs)
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}
