package resolve

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// A service is where the SRV records of a transport are.
type service struct {
	tr             *transport
	prefix, domain string // "_sip._udp." and "example.com"
	isHost         bool   // a NAPTR record led straight to addresses
}

// A place is a host and a port where a transport is spoken.
type place struct {
	tr   *transport
	host string
	port uint16
}

// maxHosts is how many host names are looked up for one list of targets.
const maxHosts = 16

// srv asks for the SRV records of all services at once, and returns the hosts
// that they name, service by service. Those in denied have none by their own
// word, a target of ".". An error counts for less than a host found.
func (s *search) srv(services []service) (places []place, denied []*transport, err error) {
	asked := make([]pending, len(services))
	for i, to := range services {
		if !to.isHost {
			asked[i] = s.ask(to.prefix, to.domain, TypeSRV)
		}
	}
	s.begin()
	for i, to := range services {
		if to.isHost {
			places = append(places, place{to.tr, to.domain, to.tr.port})
			continue
		}
		answer, e := s.wait(asked[i], len(places) > 0)
		if e != nil {
			if err == nil {
				err = e
			}
			continue
		}
		if len(answer.SRV) == 1 && answer.SRV[0].Target == "." {
			denied = append(denied, to.tr)
			continue
		}
		for _, r := range s.order(answer.SRV) {
			if isName(r.Target) && r.Port != 0 {
				places = append(places, place{to.tr, r.Target, r.Port})
			}
		}
	}
	if len(places) > maxHosts {
		places = places[:maxHosts]
	}
	return places, denied, err
}

// at returns the addresses of places, which an error has kept from being all.
// When they have none, it may be that the others have.
func (s *search) at(places []place, err error) ([]Target, error) {
	if len(places) == 0 {
		return nil, err
	}
	targets, failed := s.addresses(places)
	if err != nil && isNotFound(failed) {
		return nil, err
	}
	return targets, failed
}

// order returns the records of a service as they are to be tried, by chance
// and afresh with each call (RFC 2782). They come in order of priority, weight
// and name, and that is how who has no state is to try them (RFC 3263 section
// 4.4).
func (s *search) order(records []SRV) []SRV {
	if len(records) < 2 || s.stateless {
		return records
	}
	ordered := slices.Clone(records)
	for rest := ordered; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Priority == rest[0].Priority {
			n++
		}
		shuffle(rest[:n])
		rest = rest[n:]
	}
	return ordered
}

// shuffle orders records of one priority by their weights. RFC 2782 has those
// without weight stand first and a number drawn from 0 to the sum, both
// included, so that they have a small chance, too. Which of them stands first
// is up to chance here, or the first one in the answer would have all of it.
func shuffle(records []SRV) {
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	slices.SortStableFunc(records, func(a, b SRV) int {
		return cmp.Compare(min(a.Weight, 1), min(b.Weight, 1))
	})
	for ; len(records) > 1; records = records[1:] {
		sum := 0
		for _, r := range records {
			sum += int(r.Weight)
		}
		i, left := 0, rand.IntN(sum+1)-int(records[0].Weight)
		for left > 0 {
			i++
			left -= int(records[i].Weight)
		}
		chosen := records[i]
		copy(records[1:], records[:i])
		records[0] = chosen
	}
}
