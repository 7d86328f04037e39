package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/miekg/dns"
)

// hostile has a name server send messages before its answer to the question for
// an address, by UDP, and expects the answer to be what counts.
func hostile(t *testing.T, messages func(answer []byte) [][]byte) {
	t.Helper()
	story(t, oneHost, "", func(s *scene) {
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			if q.Network == "tcp" || q.Type != "A" {
				return siptest.DNSReply{}
			}
			return siptest.DNSReply{Edit: func(answer []byte) [][]byte {
				return append(messages(slices.Clone(answer)), answer)
			}}
		})
		s.expectByPort("example.com", "192.0.2.1", "udp")
	})
}

// where the name of the first record begins: after the header, the question
// example.com, its type and its class.
const firstRecord = 12 + 13 + 4

// Names that point at themselves, at each other, and past the end.
func TestSurvivesCompressionLoops(t *testing.T) {
	for _, offset := range []int{firstRecord, firstRecord + 1, 0x3fff, 200} {
		hostile(t, func(answer []byte) [][]byte {
			answer[firstRecord], answer[firstRecord+1] = 0xc0|byte(offset>>8), byte(offset)
			inQuestion := slices.Clone(answer)
			inQuestion[12], inQuestion[13] = 0xc0|byte(offset>>8), byte(offset)
			return [][]byte{answer, inQuestion}
		})
	}
}

// Messages that end too soon, at every byte, that claim more records than there
// are, or are none.
func TestSurvivesMalformedAnswers(t *testing.T) {
	for part := range 3 { // a question bears with 32 of them
		hostile(t, func(answer []byte) (all [][]byte) {
			for n := part * 15; n < min((part+1)*15, len(answer)); n++ {
				all = append(all, answer[:n])
			}
			claims := slices.Clone(answer)
			claims[6], claims[7] = 0xff, 0xff
			long := slices.Clone(answer)
			long[firstRecord+10] = 0xff // RDLENGTH
			return append(all, claims, long, make([]byte, 4000), []byte(strings.Repeat("\xff", 512)))
		})
	}
}

// Answers to another question: another name, type or class, or none at all, or
// a question that comes back.
func TestSurvivesWrongQuestion(t *testing.T) {
	hostile(t, func(answer []byte) (all [][]byte) {
		for _, change := range []func(b []byte){
			func(b []byte) { b[13] ^= 1 },     // the first letter
			func(b []byte) { b[26] ^= 0xff },  // QTYPE
			func(b []byte) { b[28] = 3 },      // QCLASS
			func(b []byte) { b[5] = 0 },       // QDCOUNT
			func(b []byte) { b[5] = 2 },       // QDCOUNT
			func(b []byte) { b[2] &^= 0x80 },  // QR
			func(b []byte) { b[2] |= 5 << 3 }, // opcode
		} {
			b := slices.Clone(answer)
			b[firstRecord+13] = 66 // another address
			change(b)
			all = append(all, b)
		}
		return all
	})
}

// Records in the answer that are about something else: another name, another
// class, addresses of the wrong length.
func TestSurvivesForeignRecords(t *testing.T) {
	story(t, oneHost, "", func(s *scene) {
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			return siptest.DNSReply{Edit: func(answer []byte) [][]byte {
				if q.Type != "A" {
					return [][]byte{answer}
				}
				own := slices.Clone(answer[firstRecord : firstRecord+16])
				foreign := append([]byte("\x05other\x07example\x00"), own[2:]...)
				foreign[len(foreign)-1] = 66
				chaos := slices.Clone(own)
				chaos[5], chaos[15] = 3, 67
				rest := slices.Clone(answer[firstRecord+16:])
				answer = append(answer[:firstRecord], slices.Concat(foreign, chaos, own, rest)...)
				answer[7] = 3
				return [][]byte{answer}
			}}
		})
		s.expectByPort("example.com", "192.0.2.1", "udp")
	})
}

// Somebody who cannot see the question guesses its id. A few guesses are
// nothing; after 32 the question goes by TCP, before the true answer is read.
func TestSurvivesOffPathGuesses(t *testing.T) {
	guess := func(n int) func([]byte) [][]byte {
		return func(answer []byte) (all [][]byte) {
			answer[firstRecord+15] = 66
			for i := range n {
				b := slices.Clone(answer)
				b[0], b[1] = b[0]^byte(i>>8), b[1]^byte(i+1)
				all = append(all, b)
			}
			return all
		}
	}
	hostile(t, guess(31))
	story(t, oneHost, "", func(s *scene) {
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			if q.Network == "tcp" || q.Type != "A" {
				return siptest.DNSReply{}
			}
			return siptest.DNSReply{Edit: guess(200)}
		})
		s.expectByPort("example.com", "192.0.2.1", "udp", "tcp")
	})
}

// An answer that is cut short is none: it is asked for again over TCP. So is
// one that is too large for UDP. If TCP is not to be had, that is an error.
func TestSurvivesTruncation(t *testing.T) {
	story(t, oneHost+strings.Repeat("\nexample.com AAAA 2001:db8::1", 100), "", func(s *scene) {
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			return siptest.DNSReply{Truncate: q.Type == "A", Drop: q.Type == "A" && q.Name == "cut.example.com" && q.Network == "tcp"}
		})
		s.expect("sip:bob@example.com:5060", "example.com", "udp:[2001:db8::1]:5060", "udp:192.0.2.1:5060")
		networks := ""
		for _, q := range s.ns.Questions() {
			networks += q.Network + " "
		}
		if strings.Count(networks, "udp") != 2 || strings.Count(networks, "tcp") != 2 {
			t.Errorf("asked by %s, want each question by udp and tcp", networks)
		}
		if got, err := s.targets("sip:bob@cut.example.com:5060"); err == nil {
			t.Errorf("%v, want an error", got)
		}
	})
}

// Over TCP: silence, a length with nothing behind it, an answer to something
// else, one that is cut there, too, and one that cannot be read.
func TestSurvivesHostileTCP(t *testing.T) {
	for name, edit := range map[string]func([]byte) [][]byte{
		"nothing":       func([]byte) [][]byte { return nil },
		"empty":         func([]byte) [][]byte { return [][]byte{{}} },
		"another id":    func(b []byte) [][]byte { b[0]++; return [][]byte{b} },
		"cut again":     func(b []byte) [][]byte { b[2] |= 2; return [][]byte{b} },
		"half":          func(b []byte) [][]byte { return [][]byte{b[:len(b)/2]} },
		"64 KB of ones": func([]byte) [][]byte { return [][]byte{[]byte(strings.Repeat("\xff", 65535))} },
	} {
		story(t, oneHost, "", func(s *scene) {
			s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
				if q.Network == "udp" {
					return siptest.DNSReply{Truncate: true}
				}
				return siptest.DNSReply{Edit: edit}
			})
			start := time.Now()
			got, err := s.targets("sip:bob@example.com:5060")
			var dns *net.DNSError
			if !errors.As(err, &dns) || got != nil || time.Since(start) > 9*time.Second {
				t.Errorf("%s: %v, %v after %v, want a DNSError", name, got, err, time.Since(start))
			}
		})
	}
}

// Aliases that go round, for ever, and on and on.
func TestSurvivesCNAMELoops(t *testing.T) {
	zone := &strings.Builder{}
	zone.WriteString("self.example CNAME self.example\na.example CNAME b.example\nb.example CNAME a.example\n")
	for i := range 100 {
		fmt.Fprintf(zone, "n%d.example CNAME n%d.example\n", i, i+1)
	}
	for i := range 1000 {
		fmt.Fprintf(zone, "both.example CNAME n%d.example\n", i)
	}
	story(t, zone.String(), "", func(s *scene) {
		for _, host := range []string{"self.example", "a.example", "n0.example", "both.example"} {
			if got, err := s.targets("sip:" + host + ":5060"); err == nil {
				t.Errorf("%s: %v, want an error", host, got)
			}
		}
		if n := len(s.ns.Questions()); n > 4*2*3 {
			t.Errorf("%d questions for 4 names", n)
		}
	})
}

// Regular expressions, of whatever kind, in NAPTR records are never looked at.
func TestSurvivesNAPTRRegexp(t *testing.T) {
	bomb := strings.Repeat("(a*)*", 40) + "$"
	story(t, fmt.Sprintf(`
		example.com NAPTR 1 1 "s" "SIP+D2U" "!^%s!\\1\\2\\3!i" .
		example.com NAPTR 1 2 "s" "SIP+D2T" "!^%s!x!" _sip._tcp.example.com
		example.com NAPTR 1 3 "%s" "SIP+D2T" "" _sip._tcp.example.com
		_sip._tcp.example.com SRV 0 0 5060 a.example.com
		a.example.com A 192.0.2.1
	`, bomb, bomb, strings.Repeat("s", 200)), "", func(s *scene) {
		s.expect("sip:bob@example.com", "example.com", "tcp:192.0.2.1:5060")
	})
}

// SRV records that say nothing: priority and weight 0, port 0, "." among
// others, names that are none.
func TestSurvivesSRVZeros(t *testing.T) {
	story(t, `
		_sip._udp.example.com SRV 0 0 5060 a.example.com
		_sip._udp.example.com SRV 0 0 0    b.example.com
		_sip._udp.example.com SRV 0 0 5060 .
		_sip._udp.example.com SRV 0 0 5060 192.0.2.9
		_sip._udp.example.com SRV 0 0 5060 a\032b.example.com
		_sip._udp.example.com SRV 0 0 5060 a\.b\000.example.com
		*.example.com A 192.0.2.1
	`, "UDP", func(s *scene) {
		s.expect("sip:bob@example.com", "example.com", "udp:192.0.2.1:5060")
	})
}

// A thousand SRV records, and a thousand addresses for each of their hosts, on
// the wire.
func TestSurvivesThousandByThousand(t *testing.T) {
	zone := &strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(zone, "_sip._udp.example.com SRV 0 %d 5060 host%d.example.com\n", i%5, i)
		fmt.Fprintf(zone, "*.example.com A 10.0.%d.%d\n", i/250, i%250)
	}
	story(t, zone.String(), "UDP", func(s *scene) {
		start := time.Now()
		got, err := s.targets("sip:bob@example.com")
		if len(got) != 64 || err != nil || time.Since(start) > time.Second {
			t.Errorf("%d targets, %v, after %v, want 64 at once", len(got), err, time.Since(start))
		}
		if n := len(s.ns.Questions()); n > 2*(2+32) {
			t.Errorf("%d questions", n)
		}
	})
}

// A referral, from a server that does not ask others, says nothing of the name.
func TestSurvivesReferral(t *testing.T) {
	story(t, oneHost, "", func(s *scene) {
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			return siptest.DNSReply{Edit: func(b []byte) [][]byte {
				ns := slices.Clone(b[:firstRecord])
				ns[2], ns[3], ns[7], ns[9], ns[11] = ns[2]&^4, 0, 0, 1, 0
				ns = append(ns, "\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c"...)
				return [][]byte{ns}
			}}
		})
		got, err := s.targets("sip:bob@example.com:5060")
		var dns *net.DNSError
		if !errors.As(err, &dns) || dns.IsNotFound {
			t.Errorf("%v, %v, want an error that does not say that there is no such name", got, err)
		}
	})
}

// firstOnly returns an answer without its records but the first.
func firstOnly(answer []byte) []byte {
	var m dns.Msg
	if m.Unpack(answer) != nil || len(m.Answer) < 2 {
		return answer
	}
	m.Answer, m.Ns = m.Answer[:1], nil
	b, err := m.Pack()
	if err != nil {
		return answer
	}
	return b
}

// Records that lead a request to every machine there is, or to a group.
func TestSurvivesBroadcast(t *testing.T) {
	story(t, `
		example.com A 224.0.1.75
		example.com A 255.255.255.255
		example.com A 0.0.0.0
		example.com AAAA ff02::1
		example.com AAAA ::ffff:224.0.1.75
		example.com A 192.0.2.1
		group.example.com A 224.0.1.75
	`, "", func(s *scene) {
		s.expect("sip:bob@example.com:5060", "example.com", "udp:192.0.2.1:5060")
		if got, err := s.targets("sip:bob@group.example.com:5060"); err == nil {
			t.Errorf("%v, want an error", got)
		}
	})
}

// A stranger's domain leads to the server of another one, and fails there, as
// its certificate does not show the stranger's name. Nobody else is kept from
// that server.
func TestSurvivesForeignFailure(t *testing.T) {
	story(t, section41+`
	_sips._tcp.example.com  SRV 1 1 5061 server2.example.com
	evil.example            NAPTR 1 1 "s" "SIPS+D2T" "" _sips._tcp.evil.example
	_sips._tcp.evil.example SRV 0 1 5061 host.evil.example
	host.evil.example       A 192.0.2.1
	`, "TLS UDP", func(s *scene) {
		got, err := s.targets("sip:bob@evil.example")
		if err != nil {
			t.Fatal(err)
		}
		s.client.Failed(got[0], 0)
		s.expect("sip:bob@example.com", "example.com", "tls:192.0.2.1:5061", "tls:192.0.2.2:5061")
	})
}

// A domain puts an address of its own machine, or of none, beside one of the
// Internet. What there is a route to for others is not for it to decide.
func TestSurvivesForeignRoute(t *testing.T) {
	for _, addr := range []string{"::1", "fe80::1", "fd00::1", "::192.0.2.1", "64:ff9b::1"} {
		for _, dialer := range []routes{"4", "4 6"} {
			story(t, "example.com A 192.0.2.1\nexample.com AAAA 2001:db8::1\nevil.example A 192.0.2.66\nevil.example AAAA "+addr, "", func(s *scene) {
				cfg := s.config("")
				cfg.Dialer = routesBut{dialer, addr}
				s.client = resolve.New(cfg)
				s.targets("sip:bob@evil.example:5060")
				want := []string{"udp:192.0.2.1:5060", "udp:[2001:db8::1]:5060"}
				if dialer == "4 6" {
					slices.Reverse(want)
				}
				s.expect("sip:bob@example.com:5060", "example.com", want...)
			})
		}
	}
}

// routesBut has routes to what it names, but for one address, to which it is the
// other way round.
type routesBut struct {
	routes
	addr string
}

func (r routesBut) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if strings.Contains(address, "["+r.addr+"]") {
		return routes(map[bool]string{true: "4 6", false: "4"}[r.routes == "4"]).DialContext(ctx, network, address)
	}
	return r.routes.DialContext(ctx, network, address)
}

// An error ends up in logs, and does not take there what is in a URI besides
// where it leads.
func TestErrorsTellNoSecrets(t *testing.T) {
	story(t, oneHost, "", func(s *scene) {
		for uri, want := range map[string]string{
			"sip:alice:secret@nope.example.com:5070;transport=tcp?subject=private": "resolve sip:nope.example.com:5070;transport=tcp: ",
			"sips:alice:secret@nope.example.com?subject=private":                   "resolve sips:nope.example.com: ",
		} {
			if _, err := s.targets(uri); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v, want %q", uri, err, want)
			}
		}
	})
}
