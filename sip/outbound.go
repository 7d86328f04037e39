package sip

import "strconv"

// FlowTimer is the Flow-Timer header field: after how many seconds without a
// keepalive a server takes a flow for dead (RFC 5626 sections 4.4 and 10).
type FlowTimer uint32

// HeaderName returns "Flow-Timer".
func (FlowTimer) HeaderName() string { return "Flow-Timer" }

// ParseValue reads a Flow-Timer.
func (FlowTimer) ParseValue(s string) (FlowTimer, error) {
	c := scanner{s: s}
	return scanned(&c, FlowTimer(c.number(1<<32-1, "a number from 0 to 4294967295")))
}

// AppendValue appends the value.
func (f FlowTimer) AppendValue(b []byte) []byte { return strconv.AppendUint(b, uint64(f), 10) }

// Instance returns the URN that names the user agent, whatever its address:
// "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6" (RFC 5626 section 4.1). It is
// "" if there is none in angle brackets. A user agent writes it alike each time,
// so that it may be compared byte by byte.
func (c Contact) Instance() string {
	v, _ := c.Params.Get("+sip.instance")
	if len(v) < 2 || v[0] != '<' || v[len(v)-1] != '>' {
		return ""
	}
	return v[1 : len(v)-1]
}

// WithInstance returns the contact with the URN that names the user agent.
func (c Contact) WithInstance(urn string) Contact {
	c.Params = c.Params.WithFeature("+sip.instance", Feature("<"+urn+">"))
	return c
}

// RegID returns the number of the flow among those of the user agent, 1 to
// 2147483647 (RFC 5626 section 4.2). It is 0 if there is none that can be read.
func (c Contact) RegID() int {
	v, _ := c.Params.Get("reg-id")
	n, _ := number(v, 1<<31-1)
	return int(n)
}

// PubGRUU returns the URI by which a registrar lets everybody reach this user
// agent and no other of the same user (RFC 5627 section 3.1). ok is false if the
// contact has none.
func (c Contact) PubGRUU() (uri URI, ok bool) { return c.gruu("pub-gruu") }

// TempGRUU returns a URI as PubGRUU does that does not tell whose it is.
func (c Contact) TempGRUU() (uri URI, ok bool) { return c.gruu("temp-gruu") }

func (c Contact) gruu(name string) (URI, bool) {
	v, _ := c.Params.Get(name)
	uri, err := ParseURI(v)
	if err != nil || uri.Scheme != "sip" && uri.Scheme != "sips" {
		return URI{}, false
	}
	return uri, true
}
