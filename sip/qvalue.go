package sip

import "strings"

// Q returns how much a contact is to be preferred to others, from 0 to 1
// (RFC 3261 section 20.10). It is 1 if there is no q parameter that can be read
// (RFC 3841 section 7.2.3).
func (c Contact) Q() float64 { return c.Params.preference() }

// preference returns the q parameter (qvalue, RFC 3261 section 25.1), 1 if there
// is none that can be read. Peers write ".5" as well, and more than three
// decimals, of which nine are read.
func (p Params) preference() float64 {
	s, _ := p.Get("q")
	whole, decimals, _ := strings.Cut(s, ".")
	if whole == "" && decimals != "" {
		whole = "0"
	}
	n, ok := number(whole, 1)
	scale := uint64(1)
	for i := range len(decimals) {
		if !isDigit(decimals[i]) {
			ok = false
		} else if i < 9 {
			n, scale = n*10+uint64(decimals[i]-'0'), scale*10
		}
	}
	if !ok || n > scale {
		return 1
	}
	return float64(n) / float64(scale)
}
