package sip

// Diversion is one value of a Diversion header field: an address that a call was
// diverted from, the last one first (RFC 5806 section 4). The field goes on
// using it where RFC 7044 has History-Info.
//
// Parameters that it may have besides those of the methods: limit, how many
// diversions there may be; privacy, "full", "name", "uri" or "off"; screen,
// "yes" or "no".
type Diversion Address

// HeaderName returns "Diversion".
func (Diversion) HeaderName() string { return "Diversion" }

// ParseValue reads one value of a Diversion.
func (Diversion) ParseValue(s string) (Diversion, error) {
	a, err := ParseAddress(s)
	return Diversion(a), err
}

// AppendValue appends the value.
func (d Diversion) AppendValue(b []byte) []byte { return Address(d).AppendValue(b) }

// Reason returns why the call was diverted: "user-busy", "no-answer",
// "unavailable", "unconditional", "time-of-day", "do-not-disturb",
// "deflection", "follow-me", "out-of-service", "away" or another word, in any
// case. It is "unknown" if the value does not say.
func (d Diversion) Reason() string {
	if reason, _ := d.Params.Get("reason"); reason != "" {
		return reason
	}
	return "unknown"
}

// Counter returns how many diversions this value stands for: 1 if it does not
// say so (RFC 5806 section 9.2.4).
func (d Diversion) Counter() int {
	v, _ := d.Params.Get("counter")
	if n, ok := number(v, 1<<31-1); ok {
		return int(n)
	}
	return 1
}

func (d Diversion) like(want Diversion) bool { return likeAddress(Address(d), Address(want)) }
