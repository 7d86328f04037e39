package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// The order of a stateless proxy is the same each time: by priority, weight and
// name, and the addresses by number, whatever order the records come in, which
// of the targets have failed, and however slow one of the families is (RFC 3263
// section 4.4).
func TestSection44Stateless(t *testing.T) {
	records := []string{
		"example.com NAPTR 1 1 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.com",
		"example.com NAPTR 1 1 \"s\" \"SIP+D2T\" \"\" _sip._tcp.example.com",
		"_sip._udp.example.com 1 SRV 0 1 5062 b.example.com",
		"_sip._udp.example.com 1 SRV 0 1 5061 a.example.com",
		"_sip._udp.example.com 1 SRV 0 5 5063 c.example.com",
		"_sip._udp.example.com 1 SRV 1 9 5064 d.example.com",
		"_sip._tcp.example.com 1 SRV 1 9 5060 a.example.com",
		"*.example.com 1 A 192.0.2.2",
		"*.example.com 1 A 192.0.2.1",
		"*.example.com 1 AAAA 2001:db8::2",
		"*.example.com 1 AAAA 2001:db8::1",
	}
	story(t, strings.Join(records, "\n"), "UDP TCP", func(s *scene) {
		uri := sip.URI{Scheme: "sip", Host: "example.com"}
		first, err := s.client.StatelessTargets(s.t.Context(), uri)
		var servers []string
		for i := 0; i < len(first); i += 4 {
			servers = append(servers, first[i].Transport+" "+first[i].Server)
			addrs := ""
			for _, target := range first[i : i+4] {
				addrs += target.Addr.Addr().String() + " "
			}
			if want := "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 "; addrs != want {
				t.Errorf("addresses %s, want %s", addrs, want)
			}
		}
		want := "[TCP a.example.com UDP c.example.com UDP a.example.com UDP b.example.com UDP d.example.com]"
		if err != nil || fmt.Sprint(servers) != want {
			t.Errorf("servers %v, %v, want %v", servers, err, want)
		}
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			if q.Type == "AAAA" {
				return siptest.DNSReply{Delay: time.Second}
			}
			return siptest.DNSReply{}
		})
		for range 10 {
			records = append(records[1:], records[0])
			if err := s.ns.SetZone(strings.Join(records, "\n")); err != nil {
				t.Fatal(err)
			}
			for _, target := range first[:3] {
				s.client.Failed(target, 0)
			}
			time.Sleep(2 * time.Second)
			if got, err := s.client.StatelessTargets(s.t.Context(), uri); fmt.Sprint(got) != fmt.Sprint(first) {
				t.Errorf("%v, %v, want what it was: %v", got, err, first)
			}
		}
	})
}

// A context that is over asks nobody. What is known is a list if nothing is
// missing: one with half of it would have retransmissions go elsewhere.
func TestSection44KnownOnly(t *testing.T) {
	const zone = `
_sip._tcp.example.com 300 SRV 0 1 5062 a.example.com
_sip._tcp.example.com 300 SRV 0 1 5062 b.example.com
a.example.com 300 A 192.0.2.1
a.example.com 2 AAAA 2001:db8::1
b.example.com 300 A 192.0.2.2
b.example.com 300 AAAA 2001:db8::2`
	story(t, zone, "UDP TCP", func(s *scene) {
		over, end := context.WithCancel(s.t.Context())
		end()
		for _, uri := range []sip.URI{
			{Scheme: "sip", Host: "example.com"},
			{Scheme: "sip", Host: "example.com", Params: ";transport=tcp"},
			{Scheme: "sip", Host: "a.example.com", Port: 5060},
		} {
			known := func(when string) []resolve.Target {
				targets, err := s.client.StatelessTargets(over, uri)
				if len(targets) == 0 && !errors.Is(err, context.Canceled) {
					t.Errorf("%s, %s: %v, want the end of the context", uri, when, err)
				}
				return targets
			}
			time.Sleep(time.Hour) // what the last one has found is forgotten
			if got := known("nothing known"); got != nil {
				t.Errorf("%s, nothing known: %v", uri, got)
			}
			want, err := s.client.StatelessTargets(s.t.Context(), uri)
			if err != nil {
				t.Fatal(err)
			}
			if got := known("all known"); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, all known: %v, want %v", uri, got, want)
			}
			time.Sleep(3 * time.Second)
			if got := known("an address missing"); got != nil {
				t.Errorf("%s, an address missing: %v", uri, got)
			}
		}
	})
}
