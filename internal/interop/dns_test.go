package interop_test

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
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

; without NAPTR, with every service, of which TLS has a port of its own
_sips._tcp.all SRV 0 0 5071 one
_sip._tcp.all  SRV 0 0 5060 one
_sip._udp.all  SRV 0 0 5060 two

; those with weights take turns, those with a higher priority come later
_sip._udp.many SRV 10 5 5060 one
_sip._udp.many SRV 10 3 5061 one
_sip._udp.many SRV 10 0 5062 two
_sip._udp.many SRV 20 1 5063 two
_sip._udp.many SRV 30 1 5064 one

; NAPTR that leads to another domain, of which one is not for SIP
away        NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.sip.test.
away        NAPTR 20 10 "s" "E2U+sip" "" nowhere

; UDP alone by NAPTR
alone       NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.many

; without NAPTR and SRV: addresses of one family, of both, and by another name
four        A     192.0.2.4
six         AAAA  2001:db8::6
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

// Our reading of the zone is that of Sofia-SIP: the same transports, addresses
// and ports, and in the same order but for those among which chance decides.
func TestSIPDigAgrees(t *testing.T) {
	interop.Need(t)
	server, client := startNSD(t)
	for _, text := range []string{
		"sip:sip.test", "sips:sip.test", "sip:alice@sip.test", "sip:sip.test;transport=udp", "sip:sip.test;transport=tcp",
		"sip:sip.test;transport=tls", "sip:sip.test:5080", "sip:sip.test:5080;transport=tcp",
		"sips:sip.test:5081", "sip:192.0.2.4;transport=udp", "sip:192.0.2.4:5070;transport=tcp", "sips:192.0.2.4",
		"sip:[2001:db8::6];transport=udp", "sips:[2001:db8::6]:5071",
		"sip:srv.sip.test", "sip:all.sip.test", "sips:all.sip.test", "sip:all.sip.test;transport=tcp",
		"sip:many.sip.test", "sip:away.sip.test", "sip:alone.sip.test",
		"sip:four.sip.test;transport=udp", "sip:six.sip.test;transport=tcp", "sip:host.sip.test;transport=udp", "sips:host.sip.test",
		"sip:none.sip.test", "sips:four.sip.test",
	} {
		theirs, got := bothRead(t, server, client, text)
		if want := ranks(theirs); got != want {
			t.Errorf("%s:\n%s\nbut sip-dig says\n%s", text, got, want)
		}
	}
}

// Where our reading is another one, it is that of the RFCs: without NAPTR and
// SRV, or with an address, a sip URI means UDP alone (RFC 3263 section 4.1),
// and not TCP after it; maddr stands in for the host (section 4); sips over TCP
// is TLS (RFC 3261 section 26.2.2), and not nothing.
func TestSIPDigDiffers(t *testing.T) {
	interop.Need(t)
	server, client := startNSD(t)
	for text, want := range map[string][2]string{
		"sip:192.0.2.4":                    {"udp:192.0.2.4:5060", "udp:192.0.2.4:5060\ntcp:192.0.2.4:5060"},
		"sip:four.sip.test":                {"udp:192.0.2.4:5060", "tcp:192.0.2.4:5060 udp:192.0.2.4:5060"},
		"sip:srv.sip.test;maddr=192.0.2.4": {"udp:192.0.2.4:5060", "udp:192.0.2.2:5080"},
		"sips:sip.test;transport=tcp":      {"tls:192.0.2.1:5061 tls:[2001:db8::1]:5061", ""},
	} {
		theirs, ours := bothRead(t, server, client, text)
		if got := [2]string{strings.TrimSpace(ours), ranks(theirs)}; got != want {
			t.Errorf("%s: %q and sip-dig %q, want %q and %q", text, got[0], got[1], want[0], want[1])
		}
	}
}

// startNSD serves the zone to sip-dig and to a client of ours.
func startNSD(t *testing.T) (*interop.NSD, *resolve.Client) {
	t.Helper()
	server := interop.StartNSD(t, zone)
	return server, resolve.New(&resolve.Config{
		Transports: []string{"UDP", "TCP", "TLS"}, Resolver: &resolve.DNS{Servers: []netip.AddrPort{server.Addr}},
	})
}

// bothRead returns where a URI leads to: what sip-dig says, and what we say in
// its ranks.
func bothRead(t *testing.T, server *interop.NSD, client *resolve.Client, text string) ([]interop.Target, string) {
	t.Helper()
	uri, err := sip.ParseURI(text)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := interop.SIPDig(t, server, text)
	if err != nil {
		t.Error(err)
	}
	ours, err := client.Targets(t.Context(), uri)
	if none, ok := errors.AsType[*net.DNSError](err); err != nil && (!ok || !none.IsNotFound) {
		t.Error(err)
	}
	return theirs, inRanks(ours, theirs)
}

// ranks writes targets, those of one rank on one line and sorted.
func ranks(targets []interop.Target) string {
	var lines []string
	for same := range chunks(targets) {
		var names []string
		for _, t := range same {
			names = append(names, t.Transport+":"+t.Addr.String())
		}
		slices.Sort(names)
		lines = append(lines, strings.Join(names, " "))
	}
	return strings.Join(lines, "\n")
}

// inRanks writes ours the same way: as many on a line as they have of one rank.
func inRanks(ours []resolve.Target, theirs []interop.Target) string {
	var lines []string
	line := func(targets []resolve.Target) {
		var names []string
		for _, t := range targets {
			names = append(names, t.String())
		}
		slices.Sort(names)
		lines = append(lines, strings.Join(names, " "))
	}
	for same := range chunks(theirs) {
		n := min(len(same), len(ours))
		line(ours[:n])
		ours = ours[n:]
	}
	if len(ours) > 0 {
		line(ours)
	}
	return strings.Join(lines, "\n")
}

// chunks yields the targets of each rank.
func chunks(targets []interop.Target) iter.Seq[[]interop.Target] {
	return func(yield func([]interop.Target) bool) {
		for len(targets) > 0 {
			n := 1
			for n < len(targets) && targets[n].Rank == targets[0].Rank {
				n++
			}
			if !yield(targets[:n]) {
				return
			}
			targets = targets[n:]
		}
	}
}
