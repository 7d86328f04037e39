package proxy

import (
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// Which requests get a Record-Route, of a proxy that wants to be on the path and
// of one that does not (RFC 3261 section 16.6 step 4, RFC 6665 section 4.3).
func TestWhatIsRecordRouted(t *testing.T) {
	for _, method := range []sip.Method{sip.INVITE, sip.SUBSCRIBE, sip.NOTIFY, sip.REFER, "FROB", sip.MESSAGE, sip.OPTIONS, sip.REGISTER, sip.BYE, sip.INFO} {
		for _, wanted := range []bool{true, false} {
			play(t, func(s *scene) {
				s.proxy(proxyAddr, &Config{Handler: relay, RecordRoute: wanted})
				alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
				alice.send(request(method, "sip:bob@"+bobAddr))
				got := bob.request(method)
				_, has := got.Value("Record-Route")
				if want := wanted && formsDialog(method); has != want {
					s.Errorf("%s: Record-Route is there: %v, want %v", method, has, want)
				}
				bob.send(got.Reply(sip.StatusOK))
			})
		}
	}
}

// For sips the entries are sips URIs, without the transport parameter that has no
// place there (RFC 3261 sections 16.6 step 4 and 26.2.2).
func TestEntryOfSIPS(t *testing.T) {
	p := passage{p: &Proxy{none: "T"}}
	for _, test := range []struct {
		uri    string
		secure bool
		want   string
	}{
		{"sip:h", false, "sip:T@h;lr;bond=0123456789abcdef"},
		{"sip:h:5061;transport=tls", false, "sip:T@h:5061;transport=tls;lr;bond=0123456789abcdef"},
		{"sip:h:5061;transport=tls", true, "sips:T@h:5061;lr;bond=0123456789abcdef"},
		{"sip:h;transport=ws", true, "sips:T@h;transport=ws;lr;bond=0123456789abcdef"},
	} {
		if got := p.entry(uri(test.uri), transport.Flow{}, test.secure, "0123456789abcdef").String(); got != test.want {
			t.Errorf("entry of %s, secure %v = %s, want %s", test.uri, test.secure, got, test.want)
		}
	}
}

// What is us and what is not.
func TestSelf(t *testing.T) {
	s := &self{domains: []string{"example.com"}, names: []string{"sip.example.com", "192.0.2.3", "2001:db8::3"}, ports: []int{5060, 5070}}
	for text, want := range map[string]bool{
		"sip:example.com": true, "sip:EXAMPLE.com.": true, "sips:bob@example.com": true, "sip:example.com:5070": true, "sip:example.com:5080": false,
		"sip:example.org": false, "sip:sub.example.com": false, "sip:sip.example.com": true,
		"sip:192.0.2.3": true, "sip:192.0.2.3:5070": true, "sip:192.0.2.3:5090": false, "sip:192.0.2.4": false, "sips:192.0.2.3": false,
		"sip:[2001:db8::3]": true, "sip:[2001:DB8:0::3]:5060": true, "sip:[::ffff:192.0.2.3]": true,
		"tel:+1": false, "urn:service:sos": false,
	} {
		if got := s.is(uri(text), transport.Flow{}.LocalAddr()); got != want {
			t.Errorf("%s is us: %v, want %v", text, got, want)
		}
	}
}

// The first of two servers of a name is down: the second one is tried, with a
// Record-Route or without, whether we listen on their transport or not (RFC 3263
// section 4.3).
func TestFailoverWithRecordRoute(t *testing.T) {
	const zone = `
_sip._tcp.dual.example. 300 IN SRV 0 0 5060 one.dual.example.
_sip._tcp.dual.example. 300 IN SRV 1 0 5060 two.dual.example.
one.dual.example. 300 IN A 192.0.2.77
two.dual.example. 300 IN A 192.0.2.11
`
	for _, kinds := range [][]string{{"udp"}, {"udp", "tcp"}} {
		for _, records := range []bool{false, true} {
			play(t, func(s *scene) {
				s.net.Host("192.0.2.77") // refuses
				s.withDNS(zone, &Config{RecordRoute: records, Handler: func(tx *Server, req *sip.Request) {
					tx.Forward(req, at("sip:bob@dual.example;transport=tcp")...)
				}}, kinds...)
				s.phone("bob", bobAddr, 200)
				s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "200")
			})
		}
	}
}
