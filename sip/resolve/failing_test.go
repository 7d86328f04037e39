package resolve_test

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// fails has the name server fail with some questions, as "SRV _sip._udp.example.com".
func (s *scene) fails(questions ...string) {
	s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
		if slices.Contains(questions, q.Type+" "+q.Name) {
			return siptest.DNSReply{Rcode: "SERVFAIL"}
		}
		return siptest.DNSReply{}
	})
}

// Where the NAPTR records lead cannot be found out: that is an error. Whoever
// can have a question for TLS fail would have a domain that wants TLS first
// talked to over UDP.
func TestNAPTRLeadsToFailure(t *testing.T) {
	for _, failing := range [][]string{
		{"SRV _sips._tcp.example.com"},
		{"A server1.example.com", "AAAA server1.example.com"},
		{"A server1.example.com"}, // it has no other addresses, but may have those
	} {
		story(t, section41, "", func(s *scene) {
			s.fails(failing...)
			got, err := s.targets("sip:user@example.com")
			var dns *net.DNSError
			if !errors.As(err, &dns) || dns.IsNotFound || got != nil {
				t.Errorf("%v fail: %v, %v, want the error", failing, got, err)
			}
			s.silentTo(failing...)
			s.client = resolve.New(s.config(""))
			if got, err = s.targets("sip:user@example.com"); !errors.As(err, &dns) || !dns.IsTimeout || got != nil {
				t.Errorf("%v are not answered: %v, %v, want the error", failing, got, err)
			}
		})
	}
}

// A server that says nothing to questions for NAPTR records, or fails with SRV
// records, of one transport or of all, still leaves what it does say.
func TestNoNAPTRButFailures(t *testing.T) {
	const zone = `
		example.com            A 192.0.2.80
		example.org            A 192.0.2.80
		_sip._tcp.example.org  SRV 0 0 5060 a.example.org
		a.example.org          A 192.0.2.1
	`
	usual, tcp := "udp:192.0.2.80:5060", "tcp:192.0.2.1:5060"
	for _, c := range []struct {
		failing  []string
		com, org string
	}{
		{[]string{"NAPTR"}, usual, tcp},
		{[]string{"SRV _sips._tcp.example.com", "SRV _sips._tcp.example.org"}, usual, tcp},
		{[]string{"SRV _sip._udp.example.com", "SRV _sip._udp.example.org"}, usual, tcp},
		{[]string{"SRV"}, usual, usual},
		{[]string{"NAPTR", "SRV"}, usual, usual},
	} {
		for _, silent := range []bool{false, true} {
			story(t, zone, "UDP TCP TLS", func(s *scene) {
				s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
					if !slices.Contains(c.failing, q.Type) && !slices.Contains(c.failing, q.Type+" "+q.Name) {
						return siptest.DNSReply{}
					}
					return siptest.DNSReply{Drop: silent, Rcode: "SERVFAIL"}
				})
				s.expect("sip:user@example.com", "example.com", c.com)
				s.expect("sip:user@example.org", "example.org", c.org)
			})
		}
	}
	story(t, "_sip._udp.example.com SRV 0 0 5060 a.example.com", "UDP", func(s *scene) {
		s.fails("SRV _sip._udp.example.com")
		got, err := s.targets("sip:user@example.com")
		if err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
			t.Errorf("%v, %v, want the error of the SRV records", got, err)
		}
	})
}
