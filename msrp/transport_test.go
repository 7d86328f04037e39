package msrp_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// A URI may have any transport, as long as it is not for us to connect to it: we do that by TCP alone (RFC 4975 sections
// 5.4 and 8.2, RFC 7977 section 5.2.2). A middlebox is connected to in place of it, and so is a gateway to a data channel
// (RFC 8873 section 6), both by what the section says: TCP.
func TestTransportsOfOffers(t *testing.T) {
	path := func(transport string) string { return strings.Replace(rawURI, "tcp", transport, 1) }
	for _, c := range []struct {
		name     string
		offer    *sdp.Media
		listens  bool
		ok       bool
		connects string // the host; "" to none
	}{
		{"tcp", section(path("tcp"), "setup:passive"), true, true, raw},
		{"TCP", section(path("TCP"), "setup:passive"), true, true, raw},
		{"ws", section(path("ws"), "setup:passive"), true, false, ""},
		{"dc", section(path("dc"), "setup:passive"), true, false, ""},
		{"sctp", section(path("sctp"), "setup:passive"), true, false, ""},
		{"ws, and we have to connect", section(path("ws"), "setup:actpass"), false, false, ""},
		{"ws, which connects", section(path("ws"), "setup:active"), true, true, ""},
		{"ws, which may connect", section(path("ws"), "setup:actpass"), true, true, ""},
		{"ws behind a relay", section("msrp://192.0.2.9:2855/relay;tcp msrp://x.invalid:9/raw;ws", "setup:passive"), true, true, raw},
		{"a relay by ws", section("msrp://192.0.2.9:2855/relay;ws msrp://192.0.2.66:9/raw;tcp", "setup:passive"), true, false, ""},
		{"dc behind a gateway", at(section(path("dc"), "setup:passive", "msrp-cema"), middlebox, 7000), true, true, middlebox},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.endpoint(alice, reachable(c.listens))
				x := s.session(alice, nil)
				toPeer, toMiddlebox := s.awaits(raw, "2855"), s.awaits(middlebox, "7000")
				answer, err := x.Answer(s.Context(), c.offer)
				if err != nil || (answer != nil) != c.ok {
					s.Fatalf("Answer() = %v, %v; want one: %v", answer, err, c.ok)
				}
				if answer != nil {
					if err := x.Update(s.Context(), answer, c.offer); err != nil {
						s.Error(err)
					}
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

// Who has offered is told that it cannot connect to what the answer says, and who has no description, too.
func TestTransportsOfPeers(t *testing.T) {
	for _, c := range []struct {
		transport string
		active    bool // we are
		ok        bool
	}{
		{"tcp", true, true}, {"ws", true, false}, {"dc", true, false}, {"sctp", true, false},
		{"ws", false, true}, {"dc", false, true},
	} {
		uri, setup := strings.Replace(rawURI, "tcp", c.transport, 1), "setup:active"
		if c.active {
			setup = "setup:passive"
		}
		for name, meet := range map[string]func(*scene, *msrp.Session) error{
			"an answer": func(s *scene, x *msrp.Session) error {
				offer, err := x.Offer(s.Context())
				if err != nil {
					s.Fatal(err)
				}
				return x.Update(s.Context(), offer, section(uri, setup))
			},
			"a path": func(s *scene, x *msrp.Session) error {
				path, err := frame.ParsePath(uri)
				if err != nil {
					s.Fatal(err)
				}
				return x.Connect(s.Context(), path, c.active)
			},
		} {
			t.Run(c.transport+", "+setup+", "+name, func(t *testing.T) {
				play(t, func(s *scene) {
					x := s.session(alice, nil)
					comes := s.awaits(raw, "2855")
					err := meet(s, x)
					if unknown := net.UnknownNetworkError(""); (err == nil) != c.ok || err != nil && !errors.As(err, &unknown) {
						s.Errorf("error %v, want success: %v", err, c.ok)
					}
					if got := comes(); got != (c.active && c.ok) {
						s.Errorf("connects: %v", got)
					}
				})
			})
		}
	}
}

// A peer over a WebSocket, without a relay of its own in its path, that connects to us is spoken to by its URI.
func TestTransportOfWhoConnects(t *testing.T) {
	play(t, func(s *scene) {
		x := s.session(alice, nil)
		uri := strings.Replace(rawURI, "tcp", "ws", 1)
		path, err := frame.ParsePath(uri)
		if err != nil {
			s.Fatal(err)
		}
		if err := x.Connect(s.Context(), path, false); err != nil {
			s.Fatal(err)
		}
		p := s.calls(x)
		p.from = uri
		p.request("SEND", "Message-ID: hello")
		p.response(200)
		done := s.sends(x, text("hello"))
		f := p.next()
		if f.To != uri {
			s.Errorf("sent to %s, want %s", f.To, uri)
		}
		p.answer(f, 200)
		s.sent(done, nil)
	})
}
