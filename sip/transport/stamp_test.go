package transport

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

// RFC 3261 section 18.2.1: received is added when the host of the sent-by is a
// name or another address than the source. RFC 3581 section 4: with rport,
// received is added always, and rport gets the source port.
func TestStamp(t *testing.T) {
	for _, c := range []struct{ name, from, via, want string }{
		{"same address", "192.0.2.4:5060",
			"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1"},
		{"other port, no rport", "192.0.2.4:40000",
			"SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK1"},
		{"domain name", "192.0.2.4:5060",
			"SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bK1", "SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bK1;received=192.0.2.4"},
		{"other address", "192.0.2.1:9988",
			"SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bK1", "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bK1;received=192.0.2.1"},
		{"rport behind a NAT", "192.0.2.1:9988",
			"SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bK1", "SIP/2.0/UDP 10.1.1.1:4540;rport=9988;branch=z9hG4bK1;received=192.0.2.1"},
		{"rport without a NAT", "10.1.1.1:4540",
			"SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bK1", "SIP/2.0/UDP 10.1.1.1:4540;rport=4540;branch=z9hG4bK1;received=10.1.1.1"},
		{"rport on TCP", "10.1.1.1:4540",
			"SIP/2.0/TCP 10.1.1.1;rport;branch=z9hG4bK1", "SIP/2.0/TCP 10.1.1.1;rport=4540;branch=z9hG4bK1;received=10.1.1.1"},
		{"forged received", "192.0.2.4:5060",
			"SIP/2.0/UDP 192.0.2.4;received=203.0.113.9;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1"},
		{"forged received and rport", "192.0.2.4:5060",
			"SIP/2.0/UDP 192.0.2.4;received=203.0.113.9;rport=53;branch=z9hG4bK1",
			"SIP/2.0/UDP 192.0.2.4;rport=5060;branch=z9hG4bK1;received=192.0.2.4"},
		{"forged twice", "192.0.2.4:5060",
			"SIP/2.0/UDP 192.0.2.4;rport=53;RECEIVED=203.0.113.9;rport=54;received=203.0.113.8;branch=z9hG4bK1",
			"SIP/2.0/UDP 192.0.2.4;rport=5060;branch=z9hG4bK1;received=192.0.2.4"},
		{"IPv6, same address", "[2001:db8::4]:5060",
			"SIP/2.0/UDP [2001:DB8:0::4]:5060;branch=z9hG4bK1", "SIP/2.0/UDP [2001:DB8:0::4]:5060;branch=z9hG4bK1"},
		{"IPv6, other address", "[2001:db8::4]:5060",
			"SIP/2.0/UDP [2001:db8::5]:5060;rport;branch=z9hG4bK1", "SIP/2.0/UDP [2001:db8::5]:5060;rport=5060;branch=z9hG4bK1;received=2001:db8::4"},
		{"IPv6 with a zone", "[fe80::4%eth0]:5060",
			"SIP/2.0/UDP host;branch=z9hG4bK1", "SIP/2.0/UDP host;branch=z9hG4bK1;received=fe80::4"},
		{"IPv4 in IPv6", "192.0.2.4:5060",
			"SIP/2.0/UDP [::ffff:192.0.2.4]:5060;branch=z9hG4bK1", "SIP/2.0/UDP [::ffff:192.0.2.4]:5060;branch=z9hG4bK1"},
		{"parameters that look like others", "192.0.2.4:5060",
			`SIP/2.0/UDP a;x="\";received=1;";receivedby=b ; rport ;Received=203.0.113.9`,
			`SIP/2.0/UDP a;x="\";received=1;";receivedby=b ;rport=5060;received=192.0.2.4`},
		{"only the topmost", "192.0.2.4:5060",
			"SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;received=203.0.113.9;branch=z9hG4bK2",
			"SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parse[*sip.Request](t, message(options, "Via: "+c.via))
			got := stamp(r, netip.MustParseAddrPort(c.from))
			if got.Err() != nil {
				t.Fatal(got.Err())
			}
			if via := string(got.Via().AppendValue(nil)); via != c.want {
				t.Errorf("topmost Via = %s, want %s", via, c.want)
			}
			if again := parse[*sip.Request](t, got.String()); again.Via().Received() != got.Via().Received() {
				t.Errorf("received = %v when read again, want %v", again.Via().Received(), got.Via().Received())
			}
			n := 0
			for via, err := range sip.All[sip.Via](got) {
				if err != nil {
					t.Error(err)
				}
				if n++; n == 2 && via.Received() != netip.MustParseAddr("203.0.113.9") {
					t.Errorf("second Via = %+v, want it untouched", via)
				}
			}
			if want := strings.Count(c.via, "SIP/2.0"); n != want {
				t.Errorf("%d Vias, want %d", n, want)
			}
		})
	}
}

// A request so large that received does not fit into its header section must
// not get through with the received that its sender forged.
func TestStampWithoutRoom(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, alice := s.listen(nil), s.dial(s.alice, bobAddr)
		huge := func(method string) string {
			start := method + " sip:bob@192.0.2.2 SIP/2.0"
			via := "Via: SIP/2.0/TCP a;rport;branch=z9hG4bK1;received=1.1.1.1"
			room := 65530 - len(message(start, via, "Subject: "))
			return message(start, via, "Subject: "+strings.Repeat("x", room))
		}
		alice.send(huge("OPTIONS"))
		s.none(e)
		if text := alice.receive(); !strings.HasPrefix(text, "SIP/2.0 513 ") {
			t.Errorf("answered %.40q, want a 513", text)
		}
		alice.send(huge("ACK"))
		s.none(e)
		if text := alice.receive(); text != "" {
			t.Errorf("answered an ACK with %.40q", text)
		}
		s.stats(e, Stats{Sent: 1, MalformedRequests: 2})
		if len(e.received) != 0 || len(e.malformed) != 2 {
			t.Errorf("the trace has %d messages received and %d malformed, want 0 and 2", len(e.received), len(e.malformed))
		}
	})
}

// A quoted string may hold a NUL behind a backslash (RFC 3261 section 25.1), but
// no message that we write does. The refusal says what is wrong, and the trace
// agrees with the counters.
func TestStampOfNUL(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, alice := s.listen(nil), s.peerSocket(s.alice, aliceAddr)
		text := message(options, "Via: SIP/2.0/UDP 192.0.2.1;rport;x=\"\\\x00\";branch=z9hG4bK1")
		alice.send(text, bobAddr)
		s.none(e)
		if got, _ := alice.receive(); !strings.HasPrefix(got, "SIP/2.0 400 Bad Via\r\n") {
			t.Errorf("answered %.40q, want 400 Bad Via", got)
		}
		s.stats(e, Stats{Sent: 1, MalformedRequests: 1})
		var syntax *sip.SyntaxError
		if len(e.received) != 0 || len(e.malformed) != 1 {
			t.Fatalf("the trace has %d messages received and %d malformed, want 0 and 1", len(e.received), len(e.malformed))
		}
		if m := e.malformed[0]; !errors.As(m.Err, &syntax) || syntax.Where != "Via" || m.Text != text || m.Message != nil {
			t.Errorf("the trace has %+v, want a SyntaxError about the Via", m)
		}
	})
}
