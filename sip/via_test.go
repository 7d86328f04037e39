package sip

import (
	"net/netip"
	"testing"
)

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

// RFC 3581: what a client asks with, and the port that a server saw.
func TestRPort(t *testing.T) {
	for params, want := range map[Params]int{";rport": 0, ";rport=1": 1, ";rport=65535": 65535,
		";rport=65536": 0, ";rport=x": 0, ";rport=-1": 0} { // ports that are none
		if port, asked := (Via{Params: ";branch=z9hG4bK1" + params}).RPort(); port != want || !asked {
			t.Errorf("RPort() of %s = %d, %v, want %d, true", params, port, asked, want)
		}
	}
	if port, asked := (Via{Params: ";branch=z9hG4bK1"}).RPort(); port != 0 || asked {
		t.Errorf("RPort() without one = %d, %v", port, asked)
	}
}

// A host that is an address is one without its brackets, in a URI, in the
// sent-by of a Via and in its received, where RFC 5118 section 4.5 lets it go
// with or without them.
func TestAddr(t *testing.T) {
	for _, test := range []struct{ host, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"2001:db8::1", "2001:db8::1"},
		{"[2001:db8:::1]", "2001:db8::1"}, // RFC 5118 section 4.10
		{"[::ffff:192.0.2.1]", "::ffff:192.0.2.1"},
		{"[fe80::1%eth0]", ""},
		{"fe80::1%eth0", ""},
		{"[192.0.2.1]", ""},
		{"192.0.2.256", ""},
		{"2.example", ""},
		{"cafe.example", ""},
		{"[", ""}, {":", ""}, {"[:", ""}, {"[]:", ""}, {"", ""},
	} {
		text := func(a netip.Addr) string {
			if !a.IsValid() {
				return ""
			}
			return a.String()
		}
		if got := text(URI{Scheme: "sip", Host: test.host}.Addr()); got != test.want {
			t.Errorf("the address of a URI with the host %q is %q, want %q", test.host, got, test.want)
		}
		if got := text(Via{Host: test.host}.Addr()); got != test.want {
			t.Errorf("the address of a Via with the host %q is %q, want %q", test.host, got, test.want)
		}
		if got := text(Via{Params: Params(";received=" + test.host)}.Received()); got != test.want {
			t.Errorf("received=%s is %q, want %q", test.host, got, test.want)
		}
	}
	if got := testing.AllocsPerRun(10, func() { URI{Host: "sip.example.com"}.Addr() }); got > 0 {
		t.Errorf("a name costs %v allocations, want none", got)
	}
}
