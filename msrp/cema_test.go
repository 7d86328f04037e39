package msrp_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
)

const (
	middlebox = "192.0.2.200"
	byRelay   = "msrp://192.0.2.150:2855/relay;tcp " + rawURI
)

// at has a section say another address and port than its path.
func at(m *sdp.Media, address string, port int) *sdp.Media {
	m.Address, m.Port = address, port
	return m
}

// What an answerer does with the address of a section, which is that of a middlebox where it is none of
// the path (RFC 6714 section 4.3).
func TestCEMAAnswerer(t *testing.T) {
	for _, c := range []struct {
		name     string
		offer    *sdp.Media
		refused  bool
		cema     bool   // in the answer
		connects string // the host; "" to none
	}{
		{"no cema, no middlebox", section(rawURI, "setup:passive"), false, false, raw},
		{"no cema, another address", at(section(rawURI, "setup:passive"), middlebox, 2855), true, false, ""},
		{"no cema, another port", at(section(rawURI, "setup:passive"), raw, 2856), true, false, ""},
		{"no cema, no address", at(section(rawURI, "setup:passive"), "", 2855), false, false, raw},
		{"no cema, the address of a URI in the middle", at(section(byRelay, "setup:actpass"), raw, 2855), false, false, ""},
		{"cema, no middlebox", section(rawURI, "setup:passive", "msrp-cema"), false, true, raw},
		{"cema, a middlebox", at(section(rawURI, "setup:passive", "msrp-cema"), middlebox, 7000), false, true, middlebox},
		{"cema, a middlebox, who connects", at(section(rawURI, "setup:actpass", "msrp-cema"), middlebox, 7000), false, true, ""},
		{"cema, a relay of the offerer, which is active", section(byRelay, "setup:active", "msrp-cema"), false, false, ""},
		{"cema, a relay of the offerer, which is active by default", section(byRelay, "msrp-cema"), false, false, ""},
		{"cema, a relay of the offerer, which is connected to", at(section(byRelay, "setup:actpass", "msrp-cema"), middlebox, 7000), false, true, middlebox},
		{"cema, a relay of the offerer that is reached by WebSocket", section("msrp://192.0.2.150:2855/relay;ws "+rawURI, "setup:actpass", "msrp-cema"), false, false, ""},
		{"no cema, a relay of the offerer, which connects", section(byRelay, "setup:actpass"), false, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x := s.session(alice, nil)
				toPeer, toMiddlebox := s.awaits(raw, "2855"), s.awaits(middlebox, "7000")
				answer, err := x.Answer(s.Context(), c.offer)
				if err != nil {
					s.Fatal(err)
				}
				if (answer == nil) != c.refused {
					s.Fatalf("Answer() = %v, want refused: %v", answer, c.refused)
				}
				if answer == nil {
					return
				}
				if got := attribute(answer, "msrp-cema") == ""; got != c.cema {
					s.Errorf("cema in the answer: %v, want %v", got, c.cema)
				}
				if err := x.Update(s.Context(), answer, c.offer); err != nil {
					s.Error(err)
				}
				if got := toPeer(); got != (c.connects == raw) {
					s.Errorf("connects to the peer: %v", got)
				}
				if got := toMiddlebox(); got != (c.connects == middlebox) {
					s.Errorf("connects to the middlebox: %v", got)
				}
			})
		})
	}
}

// What an offerer does with the address of an answer (RFC 6714 section 4.2). Where a middlebox cannot
// be served so, the next offer is without.
func TestCEMAOfferer(t *testing.T) {
	for _, c := range []struct {
		name     string
		cema     bool // offered
		answer   *sdp.Media
		again    bool   // another offer is needed
		connects string // the host; "" to none
	}{
		{"not offered, another address", false, at(section(rawURI, "setup:passive"), middlebox, 7000), false, raw},
		{"no middlebox", true, section(rawURI, "setup:passive", "msrp-cema"), false, raw},
		{"no middlebox, and a peer without", true, section(rawURI, "setup:passive"), false, raw},
		{"a middlebox", true, at(section(rawURI, "setup:passive", "msrp-cema"), middlebox, 7000), false, middlebox},
		{"a middlebox, and a peer without", true, at(section(rawURI, "setup:passive"), middlebox, 7000), false, middlebox},
		{"a middlebox, and a peer of RFC 4975", true, at(section(rawURI), middlebox, 7000), false, middlebox},
		{"a middlebox, and we are passive", true, at(section(rawURI, "setup:active", "msrp-cema"), middlebox, 7000), false, ""},
		{"criterion 1: a middlebox, a peer without, and we are passive", true, at(section(rawURI, "setup:active"), middlebox, 7000), true, ""},
		{"criterion 3: a middlebox, and a peer without that has a relay", true, at(section(byRelay, "setup:passive"), middlebox, 7000), true, ""},
		{"no middlebox, and a peer without that has a relay", true, at(section("msrp://192.0.2.9:2855/relay;tcp msrp://192.0.2.66:2855/x;tcp", "setup:passive"), raw, 2855), false, raw},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x := s.session(alice, &msrp.SessionConfig{CEMA: c.cema})
				toPeer, toMiddlebox := s.awaits(raw, "2855"), s.awaits(middlebox, "7000")
				offer, err := x.Offer(s.Context())
				if err != nil {
					s.Fatal(err)
				}
				if got := attribute(offer, "msrp-cema") == ""; got != c.cema {
					s.Errorf("cema in the offer: %v, want %v", got, c.cema)
				}
				if err := x.Update(s.Context(), offer, c.answer); err != nil {
					s.Error(err)
				}
				if got := toPeer(); got != (c.connects == raw) {
					s.Errorf("connects to the peer: %v", got)
				}
				if got := toMiddlebox(); got != (c.connects == middlebox) {
					s.Errorf("connects to the middlebox: %v", got)
				}
				if !c.again {
					return
				}
				s.sent(s.sends(x, text("hello")), msrp.ErrLost)
				offer, err = x.Offer(s.Context())
				if err != nil || attribute(offer, "msrp-cema") != "none" {
					s.Errorf("the next offer %v, %v; want one without msrp-cema", offer, err)
				}
			})
		})
	}
}

// A name and an address are compared as what DNS says of the name: one of its addresses is enough (RFC 6714
// section 4.4).
func TestCEMANames(t *testing.T) {
	n := siptest.NewNetwork(nil)
	dns, err := siptest.NewDNS("peer.example.com. IN A 192.0.2.66\npeer.example.com. IN A 192.0.2.9\npeer.example.com. IN AAAA 2001:db8::9\n")
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	if err := dns.Listen(n.Host("192.0.2.53")); err != nil {
		t.Fatal(err)
	}
	e, err := msrp.New(&msrp.Config{Network: n.Host(alice), Listen: []string{"tcp:" + alice + ":2855"}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.SetResolver(&net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return n.Host(alice).DialContext(ctx, network, "192.0.2.53:53")
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, c := range []struct {
		path, address string
		ok            bool
	}{
		{"msrp://peer.example.com:2855/x;tcp", "192.0.2.9", true},
		{"msrp://peer.example.com:2855/x;tcp", "192.0.2.66", true},
		{"msrp://peer.example.com:2855/x;tcp", "2001:DB8:0::9", true},
		{"msrp://peer.example.com:2855/x;tcp", "192.0.2.10", false},
		{"msrp://peer.example.com:2855/x;tcp", "PEER.example.com", true},
		{"msrp://192.0.2.9:2855/x;tcp", "peer.example.com", true},
		{"msrp://192.0.2.10:2855/x;tcp", "peer.example.com", false},
		{"msrp://nobody.example.com:2855/x;tcp", "192.0.2.9", false},
		{"msrp://[2001:db8::9]:2855/x;tcp", "2001:db8:0:0::9", true},
	} {
		x := msrp.NewSession(e, nil)
		answer, err := x.Answer(ctx, at(section(c.path, "setup:actpass"), c.address, 2855))
		if err != nil || (answer != nil) != c.ok {
			t.Errorf("path %s at %s: %v, %v; want %v", c.path, c.address, answer != nil, err, c.ok)
		}
		x.Close()
	}
}
