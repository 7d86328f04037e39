package sip

import "strings"

// PChargingVector is the P-Charging-Vector header field: by what the records of
// one call are found in the networks that it went through (RFC 7315 section
// 4.6).
type PChargingVector struct {
	ICIDValue string // names the call, without quotes
	Params    Params // ";icid-generated-at=192.0.6.8;orig-ioi=home1.net;term-ioi=home2.net"
}

// HeaderName returns "P-Charging-Vector".
func (PChargingVector) HeaderName() string { return "P-Charging-Vector" }

// ParseValue reads a P-Charging-Vector. The parameter icid-value may stand behind
// others, though the grammar has it first.
func (PChargingVector) ParseValue(s string) (h PChargingVector, err error) {
	c := scanner{s: s}
	if equalFold(c.token("icid-value"), "icid-value") && c.separator('=') {
		h.ICIDValue = c.genValue("a value")
		h.Params = c.params()
	} else {
		p := c.bareParams()
		h.ICIDValue, _ = p.Get("icid-value")
		h.Params = p.Without("icid-value")
	}
	if h.ICIDValue == "" || h.Params.Has("icid-value") {
		c.fail("expected one icid-value")
	}
	return scanned(&c, h)
}

// AppendValue appends the value.
func (p PChargingVector) AppendValue(b []byte) []byte {
	b = append(b, "icid-value="...)
	return append(appendTokenOrQuoted(b, p.ICIDValue), p.Params...)
}

func (p PChargingVector) like(want PChargingVector) bool {
	want.Params = trimParams(want.Params)
	return p == want
}

// PChargingFunctionAddresses is one value of a P-Charging-Function-Addresses
// header field: where to report what a call costs (RFC 7315 section 4.5).
type PChargingFunctionAddresses struct {
	// Params are ccf and ccf-2, which collect records, and ecf and ecf-2, which
	// watch a user's credit: ";ccf=192.0.8.1;ecf=192.0.8.3". Elements of
	// RFC 3455 have ccf and ecf twice.
	Params Params
}

// HeaderName returns "P-Charging-Function-Addresses".
func (PChargingFunctionAddresses) HeaderName() string { return "P-Charging-Function-Addresses" }

// ParseValue reads one value of a P-Charging-Function-Addresses.
func (PChargingFunctionAddresses) ParseValue(s string) (PChargingFunctionAddresses, error) {
	c := scanner{s: s}
	return scanned(&c, PChargingFunctionAddresses{c.bareParams()})
}

// AppendValue appends the value.
func (p PChargingFunctionAddresses) AppendValue(b []byte) []byte {
	return append(b, strings.TrimPrefix(string(trimParams(p.Params)), ";")...)
}

func (p PChargingFunctionAddresses) like(want PChargingFunctionAddresses) bool {
	return p.Params == trimParams(want.Params)
}

// bareParams takes the whole text as parameters, the first one without a ";".
func (c *scanner) bareParams() Params {
	if c.err != nil {
		return ""
	}
	p, err := parseParams(";" + c.s)
	if err != nil {
		c.err = shifted(err, -1)
	}
	c.pos = len(c.s)
	return p
}
