package transport

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// RFC 3261 section 18.1.2: a response whose topmost Via is not one that we put
// into requests is discarded.
func TestStrayResponses(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		alice := s.peerSocket(s.alice, aliceAddr)
		response := func(via string) string { return message("SIP/2.0 200 OK", "Via: SIP/2.0/UDP "+via+";branch=z9hG4bK1") }
		for _, via := range []string{"192.0.2.1:5060", "192.0.2.2:5061", "203.0.113.9", "bob.example.com"} {
			alice.send(response(via), bobAddr)
			s.none(e)
		}
		s.stats(e, Stats{Received: 4, StrayResponses: 4})
		for _, via := range []string{"192.0.2.2:5060", "192.0.2.2"} {
			alice.send(response(via), bobAddr)
			if got := s.one(e).Message.(*sip.Response).Status(); got != sip.StatusOK {
				t.Errorf("Status() = %v, want 200", got)
			}
		}
		s.stats(e, Stats{Received: 6, StrayResponses: 4})
	})
}

// A name is ours however a peer writes it.
func TestAdvertise(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"}, Advertise: "Bob.example.com"})
		alice := s.peerSocket(s.alice, aliceAddr)
		_, out, err := e.SendRequest(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		s.contains(out.String(), "Via: SIP/2.0/UDP Bob.example.com:5060;branch=z9hG4bK1;rport\r\n")
		alice.send(message("SIP/2.0 200 OK", "Via: SIP/2.0/UDP bob.EXAMPLE.com:5060;branch=z9hG4bK1"), bobAddr)
		s.one(e)
		uri, err := e.Contact(background, target("UDP", aliceAddr))
		if got, want := uri.String(), "sip:Bob.example.com:5060"; got != want || err != nil {
			t.Errorf("Contact = %s, %v, want %s", got, err, want)
		}
	})
	play(t, nil, func(s *scene) {
		alice, bob := s.n.Host("2001:db8::1"), s.n.Host("2001:db8::2")
		e := s.listen(&Config{Network: bob, Listen: []string{"tcp:[2001:db8::2]:5060"}, Advertise: "2001:db8::3"})
		s.accept(alice, "[2001:db8::1]:5060")
		_, out, err := e.SendRequest(background, outgoing(t), target("TCP", "[2001:db8::1]:5060"), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		s.contains(out.String(), "Via: SIP/2.0/TCP [2001:db8::3]:5060;branch=z9hG4bK1;rport\r\n")
	})
}

// An address that is advertised is for peers that can reach it. One of the other
// family sees the bound address and port, in the Via and the Contact, and its
// answers are taken.
func TestAdvertiseToPeersOfItsFamily(t *testing.T) {
	for _, c := range []struct{ advertise, bob, alice, sentBy string }{
		{"203.0.113.9", "192.0.2.2", "192.0.2.1", "203.0.113.9:15060"},
		{"203.0.113.9", "2001:db8::2", "2001:db8::1", "[2001:db8::2]:5060"},
		{"2001:db8::9", "2001:db8::2", "2001:db8::1", "[2001:db8::9]:15060"},
		{"[2001:db8::9]", "192.0.2.2", "192.0.2.1", "192.0.2.2:5060"},
		{"bob.example.com", "2001:db8::2", "2001:db8::1", "bob.example.com:15060"},
		{"", "2001:db8::2", "2001:db8::1", "[2001:db8::2]:15060"},
	} {
		for _, kind := range []string{"UDP", "TCP"} {
			play(t, nil, func(s *scene) {
				here, there := net.JoinHostPort(c.bob, "5060"), net.JoinHostPort(c.alice, "5060")
				listen := func(address string) []string { return []string{"udp:" + address, "tcp:" + address} }
				e := s.listen(&Config{Network: s.n.Host(c.bob), Listen: listen(here), Advertise: c.advertise,
					AdvertisePorts: map[string]int{"udp": 15060, "tcp": 15060}})
				var alice *inbox
				alice = s.listen(&Config{Network: s.n.Host(c.alice), Listen: listen(there), Handle: func(in *Inbound) { ok(&alice)(in) }})
				_, out, err := e.SendRequest(background, outgoing(t), target(kind, there), "z9hG4bK1")
				if err != nil {
					t.Fatal(err)
				}
				if got := out.Via().SentBy(); got != c.sentBy {
					t.Errorf("%q towards %s by %s: sent-by %s, want %s", c.advertise, c.alice, kind, got, c.sentBy)
				}
				uri, err := e.Contact(background, target(kind, there))
				if got := fmt.Sprintf("%s:%d", uri.Host, uri.Port); got != c.sentBy || err != nil {
					t.Errorf("%q towards %s by %s: Contact %s, %v, want %s", c.advertise, c.alice, kind, got, err, c.sentBy)
				}
				s.one(e) // the answer
			})
		}
	}
}

// Bound to all addresses, the Via and the Contact name the one that leads to
// the peer.
func TestWildcard(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"udp::5060", "tcp::5060"}})
		alice := s.peerSocket(s.alice, aliceAddr)
		_, out, err := e.SendRequest(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		s.contains(out.String(), "Via: SIP/2.0/UDP 192.0.2.2:5060;")
		alice.send(message(options), bobAddr)
		if got := s.one(e).Flow.RemoteAddr().String(); got != aliceAddr {
			t.Errorf("RemoteAddr() = %s, want %s as IPv4", got, aliceAddr)
		}
		for network, want := range map[string]string{"UDP": "sip:192.0.2.2:5060", "TCP": "sip:192.0.2.2:5060;transport=tcp"} {
			uri, err := e.Contact(background, target(network, aliceAddr))
			if got := uri.String(); got != want || err != nil {
				t.Errorf("Contact by %s = %s, %v, want %s", network, got, err, want)
			}
		}
	})
}

func TestContactNamesWhatIsThere(t *testing.T) {
	play(t, nil, func(s *scene) {
		// We listen on no TCP, so alice reaches us by the connection to her.
		udp := s.listen(&Config{Listen: []string{"udp:" + bobAddr}})
		s.accept(s.alice, aliceAddr)
		uri, err := udp.Contact(background, target("TCP", aliceAddr))
		if got, want := uri.String(), "sip:192.0.2.2:49152;transport=tcp"; got != want || err != nil {
			t.Errorf("Contact = %s, %v, want %s", got, err, want)
		}
		s.tables(udp, 1, 0)
		tcp := s.listen(&Config{Listen: []string{"tcp:" + bobAddr}})
		uri, err = tcp.Contact(background, target("UDP", aliceAddr))
		if got, want := uri.String(), "sip:192.0.2.2:5060;transport=tcp"; got != want || err != nil {
			t.Errorf("Contact = %s, %v, want %s", got, err, want)
		}
		if tcp.Addr("udp").IsValid() || tcp.Addr("TCP").String() != bobAddr {
			t.Errorf("Addr = %v, %v, want none and %s", tcp.Addr("udp"), tcp.Addr("TCP"), bobAddr)
		}
	})
}

func TestIPv6(t *testing.T) {
	play(t, nil, func(s *scene) {
		phone, server := s.n.Host("2001:db8::1"), s.n.Host("2001:db8::2")
		var e *inbox
		e = s.listen(&Config{Network: server, Listen: []string{"udp:[2001:db8::2]:5060", "tcp:[2001:db8::2]:5060"}, Handle: ok(&e)})
		peer := s.peerSocket(phone, "[2001:db8::1]:5060")
		_, out, err := e.SendRequest(background, outgoing(t), target("UDP", "[2001:db8::1]:5060"), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		s.contains(out.String(), "Via: SIP/2.0/UDP [2001:db8::2]:5060;branch=z9hG4bK1;rport\r\n")
		peer.receive()
		peer.send(message("SIP/2.0 200 OK", "Via: "+string(out.Via().AppendValue(nil))), "[2001:db8::2]:5060")
		s.one(e)
		peer.send(message(options, "Via: SIP/2.0/UDP [2001:db8::9];rport;branch=z9hG4bK1"), "[2001:db8::2]:5060")
		text, _ := peer.receive()
		s.contains(text, "Via: SIP/2.0/UDP [2001:db8::9];rport=5060;branch=z9hG4bK1;received=2001:db8::1\r\n")
	})
}

// Without a listener the Via of each connection has another port. However many
// there have been, the response to each is known for ours.
func TestSentByOfManyConnections(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"udp:" + bobAddr}})
		tcp := s.accept(s.alice, aliceAddr)
		for i := range 2000 {
			_, out, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), fmt.Sprint("z9hG4bK", i))
			if err != nil {
				t.Fatal(err)
			}
			peer := tcp.all()[i]
			peer.send(message("SIP/2.0 200 OK", "Via: "+string(out.Via().AppendValue(nil))))
			s.one(e)
			peer.Close()
			synctest.Wait()
		}
		s.stats(e, Stats{Sent: 2000, Received: 2000})
		s.tables(e, 0, 0)
		if got := len(e.hosts); got != 1 {
			t.Errorf("%d hosts are remembered, want 1", got)
		}
	})
}

// Of several sockets of a family the request takes the one that leads to the
// peer: not that of the loopback interface, for one.
func TestSocketThatLeadsThere(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Network: twoAddresses{s.bob, s.n.Host("127.0.0.1")},
			Listen: []string{"udp:127.0.0.1:5060", "udp:" + bobAddr}})
		alice := s.peerSocket(s.alice, aliceAddr)
		flow, out, err := e.SendRequest(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		if got := flow.LocalAddr().String(); got != bobAddr {
			t.Errorf("sent from %s, want %s", got, bobAddr)
		}
		s.contains(out.String(), "SIP/2.0/UDP 192.0.2.2:5060")
		if text, _ := alice.receive(); text != out.String() {
			t.Errorf("%q arrived, want the request", text)
		}
		if uri, err := e.Contact(background, target("UDP", aliceAddr)); err != nil || uri.Host != "192.0.2.2" {
			t.Errorf("Contact = %v, %v, want 192.0.2.2", uri, err)
		}
	})
}

// UDP peers leave nothing behind, whether they send requests, responses or
// rubbish; and the addresses that we have sent to are few at any time.
func TestManyPeersLeaveNoState(t *testing.T) {
	play(t, &siptest.NetworkConfig{Queue: 4}, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Listen: []string{"udp:0.0.0.0:5060"}, Handle: func(in *Inbound) { ok(&e)(in) }})
		const peers = 3000
		for i := range peers {
			h := s.n.Host(fmt.Sprintf("10.%d.%d.1", i/250, i%250))
			pc, err := h.ListenPacket(background, "udp", h.Addr().String()+":5060")
			if err != nil {
				t.Fatal(err)
			}
			p := &peerSocket{s, pc}
			p.send(message(options, "Via: SIP/2.0/UDP "+h.Addr().String()+";rport;branch=z9hG4bK1"), bobAddr)
			p.send(message("SIP/2.0 200 OK", "Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1"), bobAddr)
			p.send("rubbish", bobAddr)
			e.take()
			if text, _ := p.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
				t.Fatalf("peer %d got %q, want a 200", i, text)
			}
			pc.Close()
		}
		s.stats(e, Stats{Received: 2 * peers, Sent: peers, MalformedRequests: peers, StrayResponses: peers})
		s.tables(e, 0, maxRoutes)
		for i := range peers {
			if _, _, err := e.SendRequest(background, outgoing(t), target("UDP", fmt.Sprintf("10.%d.%d.1:5060", i/250, i%250)), "z9hG4bK1"); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(e.routes); got > maxRoutes {
			t.Errorf("%d routes are remembered, want at most %d", got, maxRoutes)
		}
	})
}
