package sip

// PAccessNetworkInfo is one value of a P-Access-Network-Info header field: over
// what a user agent is connected (RFC 7315 section 4.4). It may tell where
// somebody is, to the cell.
type PAccessNetworkInfo struct {
	AccessType string // "3GPP-E-UTRAN-FDD", "IEEE-802.11" and so on, or a class: "3GPP-WLAN"
	Params     Params // ";utran-cell-id-3gpp=C359A3913B20E"
}

// HeaderName returns "P-Access-Network-Info".
func (PAccessNetworkInfo) HeaderName() string { return "P-Access-Network-Info" }

// ParseValue reads one value of a P-Access-Network-Info.
func (PAccessNetworkInfo) ParseValue(s string) (h PAccessNetworkInfo, err error) {
	c := scanner{s: s}
	h.AccessType = c.token("an access type")
	h.Params = c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (p PAccessNetworkInfo) AppendValue(b []byte) []byte {
	return append(append(b, p.AccessType...), p.Params...)
}

// NetworkProvided reports whether the network says it, and not the user agent. A
// proxy at the edge of the network takes such values of user agents out.
func (p PAccessNetworkInfo) NetworkProvided() bool { return p.Params.Has("network-provided") }

func (p PAccessNetworkInfo) like(want PAccessNetworkInfo) bool {
	want.Params = trimParams(want.Params)
	return p == want
}

// PVisitedNetworkID is one value of a P-Visited-Network-ID header field: a network
// that a user is a guest in, told to its home on registration (RFC 7315 section
// 4.3).
type PVisitedNetworkID struct {
	ID     string // without quotes: "other.net", "Visited network number 1"
	Params Params
}

// HeaderName returns "P-Visited-Network-ID".
func (PVisitedNetworkID) HeaderName() string { return "P-Visited-Network-ID" }

// ParseValue reads one value of a P-Visited-Network-ID.
func (PVisitedNetworkID) ParseValue(s string) (h PVisitedNetworkID, err error) {
	c := scanner{s: s}
	h.ID = c.tokenOrQuoted("a network")
	h.Params = c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (p PVisitedNetworkID) AppendValue(b []byte) []byte {
	return append(appendTokenOrQuoted(b, p.ID), p.Params...)
}

func (p PVisitedNetworkID) like(want PVisitedNetworkID) bool {
	want.Params = trimParams(want.Params)
	return p == want
}

// PPrivateNetworkIndication is the P-Private-Network-Indication header field: the
// private network whose traffic this is, such as that of a company (RFC 7316).
type PPrivateNetworkIndication struct {
	Domain string // names the network
	Params Params
}

// HeaderName returns "P-Private-Network-Indication".
func (PPrivateNetworkIndication) HeaderName() string { return "P-Private-Network-Indication" }

// ParseValue reads a P-Private-Network-Indication.
func (PPrivateNetworkIndication) ParseValue(s string) (h PPrivateNetworkIndication, err error) {
	c := scanner{s: s}
	if h.Domain = c.span(charHost); h.Domain == "" {
		c.fail("expected a domain name")
	}
	h.Params = c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (p PPrivateNetworkIndication) AppendValue(b []byte) []byte {
	return append(append(b, p.Domain...), p.Params...)
}

func (p PPrivateNetworkIndication) like(want PPrivateNetworkIndication) bool {
	want.Params = trimParams(want.Params)
	return p == want
}
