package sip

import "testing"

// White space may stand around every SLASH and COLON of a Via, on either side
// alone, too (RFC 3261 section 25.1).
func TestViaWhiteSpace(t *testing.T) {
	want := Via{Transport: "UDP", Host: "h.example", Port: 5060, Params: ";branch=z9hG4bK1"}
	for _, value := range []string{
		"SIP/2.0/UDP h.example:5060;branch=z9hG4bK1",
		"SIP/2.0/ UDP h.example:5060;branch=z9hG4bK1",
		"SIP/2.0 /UDP h.example:5060;branch=z9hG4bK1",
		"SIP/ 2.0/UDP h.example:5060;branch=z9hG4bK1",
		"SIP /2.0/\tUDP\th.example:5060;branch=z9hG4bK1",
		"SIP/2.0/UDP h.example: 5060;branch=z9hG4bK1",
		"SIP/2.0/UDP h.example :5060;branch=z9hG4bK1",
		"SIP/2.0/UDP h.example : 5060 ;branch=z9hG4bK1",
	} {
		if got, err := (Via{}).ParseValue(value); err != nil || got != want {
			t.Errorf("ParseValue(%q) = %#v, %v", value, got, err)
		}
	}
	for _, value := range []string{
		"SIP/2.0/UDP h.example:;branch=z9hG4bK1",
		"SIP/2.0/UDP h.example: ;branch=z9hG4bK1",
		"SIP/2.0/UDP h.example:0;branch=z9hG4bK1",
		"SIP/2.0/ h.example;branch=z9hG4bK1",
	} {
		if got, err := (Via{}).ParseValue(value); err == nil {
			t.Errorf("ParseValue(%q) = %#v, want an error", value, got)
		}
	}
}
