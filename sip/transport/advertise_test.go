package transport

import (
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

// A machine behind a forwarded port has another host and other ports for its
// peers than it has bound: Via and Contact name these, for each transport.
func TestAdvertisePorts(t *testing.T) {
	ports := map[string]int{"udp": 15060, "TCP": 15061, "tls": 15062, "ws": 15080, "Wss": 15443}
	for _, c := range []struct{ kind, sentBy, contact string }{
		{"UDP", "sip.example.com:15060", "sip:sip.example.com:15060"},
		{"TCP", "sip.example.com:15061", "sip:sip.example.com:15061;transport=tcp"},
		{"TLS", "sip.example.com:15062", "sip:sip.example.com:15062;transport=tls"},
		{"WS", "sip.example.com:15080", "sip:sip.example.com:15080;transport=ws"},
		{"WSS", "sip.example.com:15443", "sip:sip.example.com:15443;transport=ws"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				server, client := s.secure()
				client.Certificates = server.Certificates
				e := s.listen(&Config{
					Listen: []string{"udp:" + bobAddr, "tcp:" + bobAddr, "tls:192.0.2.2:5061", "ws:192.0.2.2:8080", "wss:192.0.2.2:8443"},
					TLS:    client, Advertise: "sip.example.com", AdvertisePorts: ports,
				})
				var alice *inbox
				alice = s.listen(&Config{Listen: []string{strings.ToLower(c.kind) + ":" + aliceAddr}, Network: s.alice, TLS: server,
					Handle: func(in *Inbound) { ok(&alice)(in) }})
				_, out, err := e.SendRequest(background, outgoing(t), aliceAt(c.kind, aliceAddr), "z9hG4bK1")
				if err != nil {
					t.Fatal(err)
				}
				if got := out.Via().SentBy(); got != c.sentBy {
					t.Errorf("sent-by = %s, want %s", got, c.sentBy)
				}
				uri, err := e.Contact(background, aliceAt(c.kind, aliceAddr))
				if got := uri.String(); got != c.contact || err != nil {
					t.Errorf("Contact = %s, %v, want %s", got, err, c.contact)
				}
				// The response names a port that nobody has bound, and is ours.
				if _, isResponse := s.one(e).Message.(*sip.Response); !isResponse {
					t.Error("want the response")
				}
			})
		})
	}
}

// Ports may be advertised without a host, and for some transports only.
func TestAdvertiseAPortAlone(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{AdvertisePorts: map[string]int{"udp": 15060}})
		alice := s.peerSocket(s.alice, aliceAddr)
		s.accept(s.alice, aliceAddr)
		for kind, want := range map[string]string{"UDP": "192.0.2.2:15060", "TCP": "192.0.2.2:5060"} {
			_, out, err := e.SendRequest(background, outgoing(t), target(kind, aliceAddr), "z9hG4bK1")
			if err != nil {
				t.Fatal(err)
			}
			if got := out.Via().SentBy(); got != want {
				t.Errorf("%s: sent-by = %s, want %s", kind, got, want)
			}
		}
		for port, want := range map[string]int{"5060": 1, "15060": 1, "15061": 0} {
			alice.send(message("SIP/2.0 200 OK", "Via: SIP/2.0/UDP 192.0.2.2:"+port+";branch=z9hG4bK1"), bobAddr)
			if got := len(e.take()); got != want {
				t.Errorf("%d responses for port %s were handed over, want %d", got, port, want)
			}
		}
	})
}

// What Discover has found is for UDP; a host that is advertised goes first.
func TestAdvertiseAndDiscover(t *testing.T) {
	play(t, nil, func(s *scene) {
		s.stunServer(s.n.Host("192.0.2.3"), "192.0.2.3:3478")
		_, e := s.behind(nats["full cone"], Config{Advertise: "sip.example.com", AdvertisePorts: map[string]int{"udp": 15060}})
		if _, err := e.Discover(background, "192.0.2.3"); err != nil {
			t.Fatal(err)
		}
		_, out, err := e.SendRequest(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := out.Via().SentBy(), "sip.example.com:15060"; got != want {
			t.Errorf("sent-by = %s, want %s", got, want)
		}
	})
}

// What cannot be advertised is an error before anything is bound.
func TestAdvertiseNonsense(t *testing.T) {
	play(t, nil, func(s *scene) {
		for _, cfg := range []Config{
			{Advertise: "two hosts"}, {Advertise: "host:5060"}, {Advertise: "sip:host"}, {Advertise: "bob@host"}, {Advertise: "a;b"},
			{AdvertisePorts: map[string]int{"udp": 0}}, {AdvertisePorts: map[string]int{"udp": 65536}},
			{AdvertisePorts: map[string]int{"udp": -1}}, {AdvertisePorts: map[string]int{"sctp": 5060}}, {AdvertisePorts: map[string]int{"": 5060}},
			{AdvertisePorts: map[string]int{"udp": 5060, "UDP": 5061}},
		} {
			cfg.Network, cfg.Listen = s.bob, []string{"udp:" + bobAddr}
			if e, err := Listen(&cfg); err == nil {
				t.Errorf("%q and %v: no error", cfg.Advertise, cfg.AdvertisePorts)
				e.Close()
			}
		}
		for _, host := range []string{"host:5060", "192.0.2.9:5060", "[2001:db8::9]:5060"} {
			_, err := Listen(&Config{Network: s.bob, Advertise: host})
			if err == nil || !strings.Contains(err.Error(), "a host without a port; see AdvertisePorts") {
				t.Errorf("%q: %v, want AdvertisePorts named", host, err)
			}
		}
		s.listen(nil) // the address is free
	})
}
