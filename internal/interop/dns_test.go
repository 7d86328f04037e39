package interop_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goparley/parley/internal/interop"
)

// zone is the zone of RFC 3263 section 4, made longer: NAPTR, SRV with weights,
// hosts with one address and with two, and what is missing.
const zone = `
@           NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp
@           NAPTR 50 60 "s" "SIP+D2T" "" _sip._tcp
@           NAPTR 50 70 "s" "SIP+D2U" "" _sip._udp
_sips._tcp  SRV   0 1 5061 one
_sip._tcp   SRV   0 1 5060 one
_sip._tcp   SRV   1 1 5060 two
_sip._udp   SRV   0 3 5060 one
_sip._udp   SRV   0 1 5070 two
one         A     192.0.2.1
one         AAAA  2001:db8::1
two         A     192.0.2.2

; without NAPTR
_sip._udp.srv SRV 0 1 5080 two

; without NAPTR and SRV, by another name
host        CNAME two
`

// The name server answers, and sip-dig goes from NAPTR to SRV to A and AAAA.
func TestSIPDig(t *testing.T) {
	interop.Need(t)
	server := interop.StartNSD(t, zone)
	for uri, want := range map[string][]string{
		"sip:sip.test": {
			"1 0.167 tls:[2001:db8::1]:5061", "1 0.167 tls:192.0.2.1:5061",
			"2 0.167 tcp:[2001:db8::1]:5060", "2 0.167 tcp:192.0.2.1:5060",
			"3 0.333 tcp:192.0.2.2:5060",
			"4 0.125 udp:[2001:db8::1]:5060", "4 0.125 udp:192.0.2.1:5060", "4 0.083 udp:192.0.2.2:5070",
		},
		"sip:sip.test;transport=udp": {
			"1 0.375 udp:[2001:db8::1]:5060", "1 0.375 udp:192.0.2.1:5060", "1 0.250 udp:192.0.2.2:5070",
		},
		"sips:sip.test":     {"1 0.500 tls:[2001:db8::1]:5061", "1 0.500 tls:192.0.2.1:5061"},
		"sip:srv.sip.test":  {"1 0.333 udp:192.0.2.2:5080"},
		"sip:none.sip.test": nil,
	} {
		targets, err := interop.SIPDig(t, server, uri)
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, target := range targets {
			got = append(got, target.String())
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n%s\nwant\n%s", uri, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
