package sip

// Event is the Event header field of SUBSCRIBE, NOTIFY and PUBLISH (RFC 6665
// section 8.2.1).
type Event struct {
	Package string // "presence", or with templates "presence.winfo"; case matters
	Params  Params
}

// HeaderName returns "Event".
func (Event) HeaderName() string { return "Event" }

// ParseValue reads an Event. Its id may be there once. The Package is a token;
// that nothing stands between two of its dots is let be.
func (Event) ParseValue(s string) (h Event, err error) {
	c := scanner{s: s}
	h.Package, h.Params = c.token("an event package"), c.params("id")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (e Event) AppendValue(b []byte) []byte { return append(append(b, e.Package...), e.Params...) }

// ID returns the id parameter, "" if there is none. A NOTIFY belongs to the
// SUBSCRIBE of its dialog that has the same Package and the same ID; other
// parameters do not count.
func (e Event) ID() string { id, _ := e.Params.Get("id"); return id }

func (e Event) like(want Event) bool {
	want.Params = trimParams(want.Params)
	return e == want
}

// AllowEvents is the Allow-Events header field: the event packages that a
// notifier has (RFC 6665 section 8.2.2). Values of several lines come as one.
type AllowEvents []string

// HeaderName returns "Allow-Events".
func (AllowEvents) HeaderName() string { return "Allow-Events" }

// ParseValue reads the event packages.
func (AllowEvents) ParseValue(s string) (AllowEvents, error) { return parseTokens[AllowEvents](s) }

// AppendValue appends the value.
func (a AllowEvents) AppendValue(b []byte) []byte { return appendTokens(b, a) }

// SubscriptionState is the Subscription-State header field of a NOTIFY (RFC 6665
// section 8.2.3).
type SubscriptionState struct {
	State  string // "active", "pending", "terminated", in lower case when read; or another token
	Params Params // ";expires=3600", ";reason=timeout"
}

// HeaderName returns "Subscription-State".
func (SubscriptionState) HeaderName() string { return "Subscription-State" }

// ParseValue reads a Subscription-State. The parameters that say how long it
// lasts and why it ended may be there once each.
func (SubscriptionState) ParseValue(s string) (h SubscriptionState, err error) {
	c := scanner{s: s}
	h.State, h.Params = known(c.token("a state"), "active", "pending", "terminated"), c.params("expires", "reason", "retry-after")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (s SubscriptionState) AppendValue(b []byte) []byte {
	return append(append(b, s.State...), s.Params...)
}

// Expires returns in how many seconds the subscription ends. ok is false if that
// is not said in a way that can be read.
func (s SubscriptionState) Expires() (seconds uint32, ok bool) { return s.Params.seconds("expires") }

// Reason returns why a subscription was terminated: "deactivated", "probation",
// "rejected", "timeout", "giveup", "noresource", "invariant", which are in lower
// case however they came, or another token; "" if that is not said (RFC 6665
// section 4.1.3).
func (s SubscriptionState) Reason() string {
	reason, _ := s.Params.Get("reason")
	return known(reason, "deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant")
}

// RetryAfter returns how many seconds to wait before the next SUBSCRIBE. ok is
// false if that is not said in a way that can be read.
func (s SubscriptionState) RetryAfter() (seconds uint32, ok bool) {
	return s.Params.seconds("retry-after")
}

func (s SubscriptionState) like(want SubscriptionState) bool {
	return equalFold(s.State, want.State) && s.Params == trimParams(want.Params)
}
