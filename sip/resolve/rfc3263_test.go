package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// scene is a client with a name server of its own.
type scene struct {
	t      *testing.T
	net    *siptest.Network
	ns     *siptest.DNS
	client *resolve.Client
}

// story runs a story in fake time, on a name server with the given zone. The
// client speaks the given transports, separated by spaces; "" is all of them.
func story(t *testing.T, zone, transports string, f func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, net: siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})}
		ns, err := siptest.NewDNS(zone)
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		if err := ns.Listen(s.net.Host("192.0.2.53")); err != nil {
			t.Fatal(err)
		}
		s.ns = ns
		s.client = resolve.New(s.config(transports))
		f(s)
		time.Sleep(time.Minute) // until what nobody waits for has ended
	})
}

// config is that of the client of a scene.
func (s *scene) config(transports string) *resolve.Config {
	return &resolve.Config{
		Transports: speaks(transports),
		Resolver: &resolve.DNS{
			Dialer:  s.net.Host("192.0.2.10"),
			Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")},
		},
		Dialer: routes("4 6"),
	}
}

func speaks(transports string) []string {
	if transports == "" {
		return nil
	}
	return strings.Fields(transports)
}

// routes is a Dialer with routes to the address families that it names.
type routes string

func (r routes) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	if strings.HasPrefix(address, "[") && !strings.Contains(string(r), "6") {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("no route")}
	}
	c, _ := net.Pipe()
	return c, nil
}

// targets returns where a request for a URI goes, or the error.
func (s *scene) targets(uri string) ([]resolve.Target, error) {
	s.t.Helper()
	u, err := sip.ParseURI(uri)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.client.Targets(s.t.Context(), u)
}

// expect checks where a request for a URI goes, and for which domain.
func (s *scene) expect(uri string, host string, want ...string) {
	s.t.Helper()
	got, err := s.targets(uri)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Errorf("%s: %v, %v, want %v", uri, got, err, want)
	}
	for _, target := range got {
		if target.Host != host {
			s.t.Errorf("%s: %v is for %s, want %s", uri, target, target.Host, host)
		}
	}
}

// expectAsked checks what the server has been asked since the last time, in any
// order.
func (s *scene) expectAsked(want ...string) {
	s.t.Helper()
	got := map[string]int{}
	for _, q := range s.ns.Questions() {
		got[q.Type+" "+q.Name]++
	}
	for _, q := range want {
		got[q]--
	}
	for q, n := range got {
		if n != 0 {
			s.t.Errorf("%s was asked %+d times too often", q, n)
		}
	}
}

// The domain of the example in RFC 3263 section 4.1, with addresses.
const section41 = `
	example.com            NAPTR 50  50 "s" "SIPS+D2T" "" _sips._tcp.example.com
	example.com            NAPTR 90  50 "s" "SIP+D2T"  "" _sip._tcp.example.com
	example.com            NAPTR 100 50 "s" "SIP+D2U"  "" _sip._udp.example.com
	_sips._tcp.example.com SRV 0 1 5061 server1.example.com
	_sip._tcp.example.com  SRV 0 1 5060 server1.example.com
	_sip._tcp.example.com  SRV 1 2 5060 server2.example.com
	_sip._udp.example.com  SRV 0 1 5060 server2.example.com
	server1.example.com    A 192.0.2.1
	server2.example.com    A 192.0.2.2
	example.com            A 192.0.2.80
`

// RFC 3263 section 4.1: the client speaks TCP and UDP, and the domain prefers
// TCP. The records of SRV have priorities here, so that their order is certain.
func TestSection41Example(t *testing.T) {
	story(t, section41, "UDP TCP", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "tcp:192.0.2.1:5060", "tcp:192.0.2.2:5060")
		s.expectAsked("NAPTR example.com", "SRV _sip._tcp.example.com",
			"A server1.example.com", "AAAA server1.example.com", "A server2.example.com", "AAAA server2.example.com")
	})
}

// A client that speaks TLS takes what the domain prefers, also for a sip URI.
// What comes after it in another order is not for when TLS fails.
func TestSection41PrefersTLS(t *testing.T) {
	story(t, section41, "", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "tls:192.0.2.1:5061")
		s.expect("sips:user@example.com", "example.com", "tls:192.0.2.1:5061")
	})
}

// RFC 3263 section 8, the Transport Determination Application: the key is the
// host of the URI, for sips only services that say SIPS are of use, and what
// comes out is an SRV record, in whatever domain, and the URI's domain is what
// certificates have to show.
func TestSection8TransportDetermination(t *testing.T) {
	const zone = `
		example.com          NAPTR 10 10 "s" "SIP+D2T"   "" _sip._tcp.school.edu
		example.com          NAPTR 10 20 "S" "sips+d2t"  "" _sips._tcp.school.edu
		example.com          NAPTR 10 30 "s" "SIP+D2U"   "" _sip._udp.school.edu
		_sip._tcp.school.edu  SRV 0 0 5060 a.school.edu
		_sips._tcp.school.edu SRV 0 0 5071 a.school.edu
		_sip._udp.school.edu  SRV 0 0 5060 b.school.edu
		a.school.edu          A 192.0.2.1
		b.school.edu          A 192.0.2.2
	`
	story(t, zone, "UDP TCP TLS", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "tcp:192.0.2.1:5060", "tls:192.0.2.1:5071", "udp:192.0.2.2:5060")
		s.expect("sips:user@example.com", "example.com", "tls:192.0.2.1:5071")
	})
	story(t, zone, "UDP TCP", func(s *scene) {
		if got, err := s.targets("sips:user@example.com"); !errors.Is(err, resolve.ErrTransport) {
			t.Errorf("sips without TLS: %v, %v, want ErrTransport", got, err)
		}
	})
}

// Records that are not for this: other services, flags that are not terminal,
// services of transports that the client does not speak, TLS over UDP, a name
// that is none. Without any that is, SRV is asked (RFC 3263 section 4.1).
func TestNAPTRNotApplicable(t *testing.T) {
	story(t, `
		example.com NAPTR 1 1 "u" "E2U+sip"   "!^.*$!sip:info@example.com!" .
		example.com NAPTR 2 1 "s" "SIP+D2S"   "" _sip._sctp.example.com
		example.com NAPTR 3 1 ""  "SIP+D2U"   "" other.example.com
		example.com NAPTR 4 1 "p" "SIP+D2U"   "" other.example.com
		example.com NAPTR 5 1 "s" "SIPS+D2U"  "" _sips._udp.example.com
		example.com NAPTR 6 1 "s" "SIP+D2U"   "" .
		example.com NAPTR 7 1 "s" "SIP+D2T"   "" _sip._tcp.example.com
		_sip._tcp.example.com SRV 0 0 5060 tcp.example.com
		_sip._udp.example.com SRV 0 0 5060 udp.example.com
		tcp.example.com A 192.0.2.1
		udp.example.com A 192.0.2.2
	`, "UDP", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "udp:192.0.2.2:5060")
	})
}

// A NAPTR record that leads to nothing, and one that leads to hosts without
// addresses, leave the SRV records of the domain itself, which RFC 3263 section
// 4.1 has it keep. Flag "a" leads to addresses.
func TestNAPTRLeadsNowhere(t *testing.T) {
	story(t, `
		example.com           NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.gone.example
		example.com           NAPTR 10 20 "s" "SIP+D2U" "" _sip._udp.gone.example
		_sip._udp.gone.example SRV 0 0 5060 gone.example
		_sip._udp.example.com SRV 0 0 5060 host.example.com
		host.example.com      A 192.0.2.1
		direct.example        NAPTR 10 10 "a" "SIP+D2T" "" host.example.com
	`, "", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "udp:192.0.2.1:5060")
		s.expect("sip:user@direct.example", "direct.example", "tcp:192.0.2.1:5060")
	})
}

// No NAPTR: SRV for each transport that the client speaks, all of them of use,
// in the client's order. For sips only the secure ones (RFC 3263 section 4.1).
func TestNoNAPTR(t *testing.T) {
	const zone = `
		_sip._udp.example.com  SRV 0 0 5060 a.example.com
		_sip._tcp.example.com  SRV 0 0 5070 a.example.com
		_sips._tcp.example.com SRV 0 0 5071 a.example.com
		a.example.com          A 192.0.2.1
	`
	story(t, zone, "", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "udp:192.0.2.1:5060", "tcp:192.0.2.1:5070", "tls:192.0.2.1:5071")
		s.expect("sips:user@example.com", "example.com", "tls:192.0.2.1:5071")
		s.expectAsked("NAPTR example.com", "SRV _sip._udp.example.com", "SRV _sip._tcp.example.com", "SRV _sips._tcp.example.com",
			"A a.example.com", "AAAA a.example.com")
	})
	story(t, zone, "tls TCP nonsense TLS", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "tls:192.0.2.1:5071", "tcp:192.0.2.1:5070")
	})
}

// No NAPTR, no SRV: addresses, UDP for sip and TLS for sips, or what the client
// speaks of it (RFC 3263 sections 4.1 and 4.2).
func TestNoSRV(t *testing.T) {
	const zone = `example.com A 192.0.2.80`
	for _, c := range []struct{ transports, sip, sips string }{
		{"", "udp:192.0.2.80:5060", "tls:192.0.2.80:5061"},
		{"TLS TCP", "tls:192.0.2.80:5061", "tls:192.0.2.80:5061"},
		{"TCP", "tcp:192.0.2.80:5060", ""},
		{"WS WSS", "ws:192.0.2.80:80", "wss:192.0.2.80:443"},
	} {
		story(t, zone, c.transports, func(s *scene) {
			s.expect("sip:user@example.com", "example.com", c.sip)
			if c.sips == "" {
				if _, err := s.targets("sips:user@example.com"); !errors.Is(err, resolve.ErrTransport) {
					t.Errorf("sips over %s: %v, want ErrTransport", c.transports, err)
				}
				return
			}
			s.expect("sips:user@example.com", "example.com", c.sips)
		})
	}
}

// An explicit transport leaves out NAPTR, an explicit port leaves out SRV as
// well, and an address needs no question (RFC 3263 sections 4.1 and 4.2). With
// sips, tcp is TLS.
func TestExplicit(t *testing.T) {
	story(t, section41, "", func(s *scene) {
		for _, c := range []struct {
			uri   string
			want  string
			asked []string
		}{
			{"sip:192.0.2.5", "[udp:192.0.2.5:5060]", nil},
			{"sips:192.0.2.5", "[tls:192.0.2.5:5061]", nil},
			{"sips:192.0.2.5:5071;transport=tcp", "[tls:192.0.2.5:5071]", nil},
			{"sip:192.0.2.5;transport=tls", "[tls:192.0.2.5:5061]", nil},
			{"sip:[2001:db8::5];transport=ws", "[ws:[2001:db8::5]:80]", nil},
			{"sips:192.0.2.5;transport=ws", "[wss:192.0.2.5:443]", nil},
			{"sip:192.0.2.5;transport=wss", "[wss:192.0.2.5:443]", nil},
			{"sip:example.com:5060", "[udp:192.0.2.80:5060]", []string{"A example.com", "AAAA example.com"}},
			{"sips:example.com:5070", "[tls:192.0.2.80:5070]", nil}, // known by now
			{"sip:example.com:5070;transport=tcp", "[tcp:192.0.2.80:5070]", nil},
			{"sip:example.com;transport=tcp", "[tcp:192.0.2.1:5060 tcp:192.0.2.2:5060]", []string{"SRV _sip._tcp.example.com",
				"A server1.example.com", "AAAA server1.example.com", "A server2.example.com", "AAAA server2.example.com"}},
			{"sips:example.com;transport=tcp", "[tls:192.0.2.1:5061]", []string{"SRV _sips._tcp.example.com"}},
			{"sip:example.com;transport=tls", "[tls:192.0.2.1:5061]", nil},
			{"sips:example.com;transport=ws", "[wss:192.0.2.80:443]", []string{"SRV _sips._ws.example.com"}},
			{"sip:user@192.0.2.5;maddr=example.com;transport=udp", "[udp:192.0.2.2:5060]", []string{"SRV _sip._udp.example.com"}},
		} {
			before := len(s.ns.Questions())
			got, err := s.targets(c.uri)
			if fmt.Sprint(got) != c.want {
				t.Errorf("%s: %v, %v, want %s", c.uri, got, err, c.want)
			}
			asked := s.ns.Questions()[before:]
			if len(asked) != len(c.asked) {
				t.Errorf("%s: asked %v, want %v", c.uri, asked, c.asked)
			}
		}
	})
}

// WebSocket services in NAPTR (RFC 7118 section 5.5).
func TestWebSocket(t *testing.T) {
	story(t, `
		example.com           NAPTR 10 10 "s" "SIPS+D2W" "" _sips._ws.example.com
		example.com           NAPTR 10 20 "s" "SIP+D2W"  "" _sip._ws.example.com
		_sips._ws.example.com SRV 0 0 443 edge.example.com
		_sip._ws.example.com  SRV 0 0 80 edge.example.com
		edge.example.com      A 192.0.2.1
	`, "WS WSS", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "wss:192.0.2.1:443", "ws:192.0.2.1:80")
		s.expect("sips:user@example.com", "example.com", "wss:192.0.2.1:443")
		s.expect("sip:user@example.com;transport=ws", "example.com", "ws:192.0.2.1:80")
	})
}

// "." as the only target says that there is no such service (RFC 2782): it does
// not leave the addresses of the domain to try.
func TestServiceDenied(t *testing.T) {
	story(t, `
		*._udp.example.com    SRV 0 0 0 .
		_sip._tcp.example.com SRV 0 0 5060 a.example.com
		a.example.com         A 192.0.2.1
		example.com           A 192.0.2.80
		_sip._udp.none.example SRV 0 0 0 .
		none.example           A 192.0.2.80
		_sip._tcp.other.example SRV 0 0 0 .
		other.example           A 192.0.2.80
	`, "", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "tcp:192.0.2.1:5060")
		s.expect("sip:user@other.example", "other.example", "udp:192.0.2.80:5060")
		for _, uri := range []string{"sip:user@example.com;transport=udp", "sip:user@none.example"} {
			if got, err := s.targets(uri); !errors.Is(err, resolve.ErrTransport) || got != nil {
				t.Errorf("%s: %v, %v, want ErrTransport", uri, got, err)
			}
		}
	})
}

// Where there are SRV records the addresses of the domain are not used, even
// when those of the records do not exist.
func TestSRVWithoutAddresses(t *testing.T) {
	story(t, `
		_sip._udp.example.com SRV 0 0 5060 gone.example.com
		example.com           A 192.0.2.80
	`, "UDP", func(s *scene) {
		got, err := s.targets("sip:user@example.com")
		var unknown *net.DNSError
		if !errors.As(err, &unknown) || !unknown.IsNotFound || got != nil {
			t.Errorf("%v, %v, want a DNSError with IsNotFound", got, err)
		}
	})
}

// RFC 7984 section 4: the addresses of one SRV record are not mixed with those
// of another, and within one the families take turns (RFC 8305 section 4). The
// list has no address twice.
func TestDualStack(t *testing.T) {
	const zone = `
		_sip._tcp.example.com SRV 10 1 5060 sip-1.example.com
		_sip._tcp.example.com SRV 20 1 5060 sip-2.example.com
		_sip._tcp.example.com SRV 30 1 5060 sip-1.example.com
		sip-1.example.com AAAA 2001:db8:58:c02::face
		sip-1.example.com AAAA 2001:db8:c:a06::2:cafe
		sip-1.example.com AAAA 2001:db8:44:204::d1ce
		sip-1.example.com A 192.0.2.45
		sip-1.example.com A 203.0.113.109
		sip-2.example.com AAAA 2001:db8:58:c02::dead
		sip-2.example.com A 192.0.2.75
		sip-2.example.com A 203.0.113.38
	`
	story(t, zone, "", func(s *scene) {
		s.expect("sip:user@example.com;transport=tcp", "example.com",
			"tcp:[2001:db8:58:c02::face]:5060", "tcp:192.0.2.45:5060", "tcp:[2001:db8:c:a06::2:cafe]:5060",
			"tcp:203.0.113.109:5060", "tcp:[2001:db8:44:204::d1ce]:5060",
			"tcp:[2001:db8:58:c02::dead]:5060", "tcp:192.0.2.75:5060", "tcp:203.0.113.38:5060")
	})
	story(t, zone, "", func(s *scene) {
		cfg := s.config("")
		cfg.Dialer = routes("4")
		s.client = resolve.New(cfg)
		s.expect("sip:user@sip-1.example.com:5060", "sip-1.example.com", "udp:192.0.2.45:5060", "udp:203.0.113.109:5060",
			"udp:[2001:db8:58:c02::face]:5060", "udp:[2001:db8:c:a06::2:cafe]:5060", "udp:[2001:db8:44:204::d1ce]:5060")
	})
}

// RFC 3263 section 5: where a response goes by its Via.
func TestSection5Responses(t *testing.T) {
	story(t, section41, "", func(s *scene) {
		for via, want := range map[string]string{
			"SIP/2.0/UDP 192.0.2.7":                 "[udp:192.0.2.7:5060]",
			"SIP/2.0/TLS 192.0.2.7":                 "[tls:192.0.2.7:5061]",
			"SIP/2.0/TCP [2001:db8::7]:5070":        "[tcp:[2001:db8::7]:5070]",
			"SIP/2.0/TCP example.com:5070":          "[tcp:192.0.2.80:5070]",
			"SIP/2.0/UDP example.com":               "[udp:192.0.2.2:5060]",
			"SIP/2.0/TCP example.com":               "[tcp:192.0.2.1:5060 tcp:192.0.2.2:5060]",
			"SIP/2.0/TLS example.com;maddr=1.2.3.4": "[tls:192.0.2.1:5061]",
			"SIP/2.0/WSS server1.example.com":       "[wss:192.0.2.1:443]",
			"SIP/2.0/SCTP example.com":              "[]",
			"SIP/2.0/WSS df7jal23ls0d.invalid":      "[]",
		} {
			v, err := sip.Via{}.ParseValue(via + ";branch=z9hG4bK1")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.client.ResponseTargets(s.t.Context(), v); fmt.Sprint(got) != want || (err != nil) != (want == "[]") {
				t.Errorf("%s: %v, %v, want %s", via, got, err, want)
			}
		}
	})
}

// SRV records of WebSocket servers have no name in any standard. They are not
// looked for on a guess.
func TestWebSocketIsNotGuessed(t *testing.T) {
	story(t, `
		_sip._ws.example.com SRV 0 0 8080 edge.example.com
		edge.example.com     A 192.0.2.1
		example.com          A 192.0.2.80
	`, "", func(s *scene) {
		s.expect("sip:user@example.com", "example.com", "udp:192.0.2.80:5060")
		s.expect("sip:user@example.com;transport=ws", "example.com", "ws:192.0.2.1:8080")
	})
}
