package resolve_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

const oneHost = `example.com A 192.0.2.1`

// byPort asks for a domain by its addresses alone, and returns what was asked.
func (s *scene) expectByPort(host string, want string, asked ...string) {
	s.t.Helper()
	before := len(s.ns.Questions())
	got, err := s.targets("sip:" + host + ":5060")
	if len(got) != 1 || got[0].Addr.Addr().String() != want {
		s.t.Errorf("%s: %v, %v, want %s", host, got, err, want)
	}
	var all []string
	for _, q := range s.ns.Questions()[before:] {
		if q.Type == "A" {
			all = append(all, q.Network)
		}
	}
	if strings.Join(all, " ") != strings.Join(asked, " ") {
		s.t.Errorf("%s was asked over %v, want %v", host, all, asked)
	}
}

// Each question has an id, a port and a case of letters of its own, and asks
// for answers that need no fragments.
func TestQuestionsDiffer(t *testing.T) {
	story(t, "*.example.com A 192.0.2.1", "", func(s *scene) {
		ports := map[netip.AddrPort]bool{}
		s.net.SetFilter(func(p siptest.Packet) siptest.Verdict {
			ports[p.From] = true
			return siptest.Verdict{}
		})
		ids, cases := map[string]bool{}, map[string]bool{}
		for _, label := range strings.Split("abcdefghijklmnop", "") {
			s.targets("sip:" + label + ".a-name-with-many-letters.example.com:5060")
		}
		for _, q := range s.ns.Questions() {
			ids[string(q.Message[:2])] = true
			name := string(q.Message[15:40])
			cases[name] = true
			if !strings.EqualFold(name, "a-name-with-many-letters\x07") {
				t.Fatalf("%q is not the name", name)
			}
			if !bytes.HasSuffix(q.Message, []byte("\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00")) {
				t.Errorf("no EDNS with 1232 bytes in %q", q.Message)
			}
		}
		if n := len(s.ns.Questions()); len(ids) < n-1 || len(cases) < n-1 || len(ports) < n {
			t.Errorf("%d questions have %d ids, %d cases and %d ports", n, len(ids), len(cases), len(ports))
		}
	})
}

// A server that says nothing is asked again after two seconds, and then given
// up with an error that says so: first for NAPTR records, then for all others at
// once.
func TestSilentServer(t *testing.T) {
	story(t, oneHost, "", func(s *scene) {
		start := time.Now()
		s.ns.SetScript(func(siptest.DNSQuestion) siptest.DNSReply {
			return siptest.DNSReply{Drop: time.Since(start) < time.Second}
		})
		s.expectByPort("example.com", "192.0.2.1", "udp", "udp")
		if took := time.Since(start); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("the second try ended after %v, want 2s and a bit", took)
		}
		s.ns.SetScript(func(siptest.DNSQuestion) siptest.DNSReply { return siptest.DNSReply{Drop: true} })
		start = time.Now()
		got, err := s.targets("sip:bob@other.example")
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsTimeout || !errors.Is(err, os.ErrDeadlineExceeded) || got != nil {
			t.Errorf("%v, %v, want a DNSError with IsTimeout", got, err)
		}
		if took := time.Since(start); took != 8*time.Second {
			t.Errorf("given up after %v, want 8s", took)
		}
	})
}

// The first server is not there, the second one is in trouble, the third one
// answers, though late.
func TestNextServer(t *testing.T) {
	story(t, oneHost, "", func(s *scene) {
		troubled, err := siptest.NewDNS(oneHost)
		if err != nil {
			t.Fatal(err)
		}
		defer troubled.Close()
		if err := troubled.Listen(s.net.Host("192.0.2.54")); err != nil {
			t.Fatal(err)
		}
		troubled.SetScript(func(siptest.DNSQuestion) siptest.DNSReply { return siptest.DNSReply{Rcode: "SERVFAIL"} })
		s.ns.SetScript(func(siptest.DNSQuestion) siptest.DNSReply { return siptest.DNSReply{Delay: 500 * time.Millisecond} })
		s.client = resolve.New(&resolve.Config{Resolver: &resolve.DNS{
			Dialer: s.net.Host("192.0.2.10"),
			Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.55:53"), netip.MustParseAddrPort("192.0.2.54:53"),
				netip.MustParseAddrPort("192.0.2.53:53")},
			Timeout: time.Second,
		}})
		s.expectByPort("example.com", "192.0.2.1", "udp")
		if n := len(troubled.Questions()); n != 2 {
			t.Errorf("the server in trouble was asked %d times, want 2", n)
		}
	})
}

// A server that refuses says so in the error, which is no timeout and says
// nothing of whether the name is there. It is not asked again.
func TestRefused(t *testing.T) {
	for _, code := range []string{"SERVFAIL", "REFUSED"} {
		story(t, oneHost, "", func(s *scene) {
			s.ns.SetScript(func(siptest.DNSQuestion) siptest.DNSReply { return siptest.DNSReply{Rcode: code} })
			_, err := s.targets("sip:bob@example.com:5060")
			var dns *net.DNSError
			if !errors.As(err, &dns) || dns.IsNotFound || dns.IsTimeout || !strings.Contains(err.Error(), code) {
				t.Errorf("%v, want a DNSError that tells of %s", err, code)
			}
			if n := len(s.ns.Questions()); n != 2 {
				t.Errorf("%d questions, want one A and one AAAA", n)
			}
		})
	}
}

// A server that cannot tell of NAPTR records does not stand in the way of the
// others. One that fails with SRV records that a NAPTR record names does: the
// domain wants to be reached by these.
func TestServerFailsByType(t *testing.T) {
	story(t, section41, "UDP", func(s *scene) {
		failing := ""
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			if q.Type == failing {
				return siptest.DNSReply{Rcode: "SERVFAIL"}
			}
			return siptest.DNSReply{}
		})
		failing = "NAPTR"
		s.expect("sip:user@example.com", "example.com", "udp:192.0.2.2:5060")
		failing = "SRV"
		s.client = resolve.New(s.config("UDP"))
		if got, err := s.targets("sip:user@example.com"); err == nil {
			t.Errorf("without SRV records: %v, want an error", got)
		}
		failing = "AAAA" // the other family will do
		s.client = resolve.New(s.config("UDP"))
		s.expect("sip:user@example.com", "example.com", "udp:192.0.2.2:5060")
	})
}

// A server from before EDNS, which calls such a question malformed, in full or
// by the header alone, is asked without.
func TestServerWithoutEDNS(t *testing.T) {
	for _, short := range []bool{false, true} {
		story(t, oneHost, "", func(s *scene) {
			s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
				reply := siptest.DNSReply{Rcode: "FORMERR"}
				if q.Message[11] == 0 { // ARCOUNT
					return siptest.DNSReply{}
				} else if short {
					reply.Edit = func(b []byte) [][]byte {
						return [][]byte{append(b[:4:4], 0, 0, 0, 0, 0, 0, 0, 0)}
					}
				}
				return reply
			})
			s.expectByPort("example.com", "192.0.2.1", "udp", "udp")
		})
	}
}

// A server that writes the name in its own way cannot be told from one that
// guesses it, over UDP.
func TestServerFoldsCase(t *testing.T) {
	story(t, "a-name-with-many-letters.example.com A 192.0.2.1", "", func(s *scene) {
		const question = 12 + 38 // the header and the name
		s.ns.SetScript(func(siptest.DNSQuestion) siptest.DNSReply {
			return siptest.DNSReply{Edit: func(b []byte) [][]byte {
				return [][]byte{append(b[:12:12], append(bytes.ToLower(b[12:question]), b[question:]...)...)}
			}}
		})
		s.expectByPort("a-name-with-many-letters.example.com", "192.0.2.1", "udp", "tcp")
	})
}

// Aliases are followed, within an answer and from one to the next, and the
// shortest time to live of them counts.
func TestAliases(t *testing.T) {
	story(t, `
		www.example.com          CNAME example.com
		example.com          60  A 192.0.2.1
		c1.example  CNAME c2.example
		c2.example  CNAME c3.example
		c3.example  CNAME c4.example
		c4.example  CNAME c5.example
		c5.example  CNAME c6.example
		c6.example  CNAME c7.example
		c7.example  CNAME c8.example
		c8.example  CNAME c9.example
		c9.example  CNAME c10.example
		c10.example 300 A 192.0.2.10
		_sip._udp.alias.example CNAME _sip._udp.real.example
		_sip._udp.real.example  SRV 0 0 5062 example.com
		gone.example.com CNAME gone.example.org
	`, "UDP", func(s *scene) {
		s.expectByPort("www.example.com", "192.0.2.1", "udp")
		time.Sleep(59 * time.Second)
		s.expectByPort("www.example.com", "192.0.2.1")
		time.Sleep(time.Second)
		s.expectByPort("www.example.com", "192.0.2.1", "udp")
		s.expectByPort("c1.example", "192.0.2.10", "udp", "udp") // an answer of this server has 8
		s.expect("sip:bob@alias.example", "alias.example", "udp:192.0.2.1:5062")
		var dns *net.DNSError
		if _, err := s.targets("sip:gone.example.com:5060"); !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("an alias of nothing: %v, want a DNSError with IsNotFound", err)
		}
	})
}

// What is not there is remembered for as long as the SOA record says, whichever
// of its two numbers is less (RFC 2308 section 5).
func TestNegativeTTL(t *testing.T) {
	for soa, kept := range map[string]time.Duration{
		"example.com 300 SOA ns admin 1 3600 600 86400 60":  time.Minute,
		"example.com 30 SOA ns admin 1 3600 600 86400 3600": 30 * time.Second,
		"example.org 30 SOA ns admin 1 3600 600 86400 3600": time.Second, // no SOA record in the answer
	} {
		story(t, soa, "", func(s *scene) {
			count := func(want int) {
				t.Helper()
				if _, err := s.targets("sip:no.example.com:5060"); err == nil {
					t.Error("an unknown name is known")
				}
				if n := len(s.ns.Questions()) / 2; n != want {
					t.Errorf("%s: asked %d times, want %d", soa, n, want)
				}
			}
			count(1)
			time.Sleep(kept - time.Millisecond)
			count(1)
			time.Sleep(time.Millisecond)
			count(2)
		})
	}
}

// The end of the caller's context ends the question at once.
func TestContextEnds(t *testing.T) {
	story(t, oneHost, "", func(s *scene) {
		s.ns.SetScript(func(siptest.DNSQuestion) siptest.DNSReply { return siptest.DNSReply{Drop: true} })
		ctx, cancel := context.WithTimeout(s.t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		d := s.config("").Resolver
		if _, err := d.Lookup(ctx, "example.com", resolve.TypeA); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 300*time.Millisecond {
			t.Errorf("%v after %v, want DeadlineExceeded after 300ms", err, time.Since(start))
		}
	})
}
