package sip

// Q returns how much a contact is to be preferred to others, 0 to 1 (RFC 3261
// section 20.10). ok is false if it has no q parameter that can be read; RFC
// 3841 section 7.2.3 takes that for 1.
func (c Contact) Q() (q float64, ok bool) {
	v, _ := c.Params.Get("q")
	return qvalue(v)
}

// qvalue reads 0 to 1 with up to three decimals (RFC 3261 section 25.1).
func qvalue(s string) (q float64, ok bool) {
	if s == "" || len(s) > len("0.000") || s[0] > '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	n := 0
	for i, unit := 0, 1000; i < len(s); i++ {
		if i == 1 {
			continue
		}
		if !isDigit(s[i]) {
			return 0, false
		}
		n += int(s[i]-'0') * unit
		unit /= 10
	}
	return float64(n) / 1000, n <= 1000
}
