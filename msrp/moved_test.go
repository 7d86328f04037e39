package msrp_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sdp"
)

// A peer that answers another offer with another path is followed when the new connection is there; up to then the old
// one stands, with what is under way on it (RFC 4975 section 8.4).
func TestPeerIsFollowed(t *testing.T) {
	const other = "msrp://192.0.2.9:2866/other;tcp"
	for _, setup := range []string{"active", "passive"} {
		t.Run(setup, func(t *testing.T) {
			play(t, func(s *scene) {
				x, old := s.bound(nil)
				box := s.inbox(x)
				old.chunk("m", "1-3/6", "abc", "+")
				old.response(200)
				s.n.Host(raw)
				if setup == "passive" { // nobody is there yet
					offer, err := x.Offer(s.Context())
					if err != nil {
						s.Fatal(err)
					}
					if err := x.Update(s.Context(), offer, section(other, "setup:passive")); err == nil {
						s.Error("Update() = nil with nobody there")
					}
				} else {
					s.agree(x, section(other, "setup:active"))
				}
				done := s.sends(x, text("here"))
				if f := old.next(); f.body != "here" {
					s.Errorf("the old connection got %v %q", f.Head, f.body)
				} else {
					old.answer(f, 200)
				}
				s.sent(done, nil)
				old.chunk("m", "4-6/6", "def", "$")
				old.response(200)
				s.expect(box, "abcdef", nil)

				var p *peer
				if setup == "passive" {
					l, err := s.n.Host(raw).Listen(t.Context(), "tcp", ":2866")
					if err != nil {
						s.Fatal(err)
					}
					defer l.Close()
					s.agree(x, section(other, "setup:passive"))
					var conn net.Conn
					if conn, err = l.Accept(); err != nil {
						s.Fatal(err)
					}
					p = s.newPeer(conn, x)
					p.from = other
					p.answer(p.next(), 200)
				} else {
					p = s.callsAs(other, x, nil)
					p.request("SEND", "Message-ID: hello")
					p.response(200)
				}
				p.chunk("n", "1-3/3", "new", "$")
				p.response(200)
				s.expect(box, "new", nil)
				done = s.sends(x, text("there"))
				if f := p.next(); f.body != "there" || f.To != other {
					s.Errorf("the new connection got %v %q", f.Head, f.body)
				} else {
					p.answer(f, 200)
				}
				s.sent(done, nil)
				// The old one has no session any more.
				old.request("SEND", "Message-ID: late")
				if f, err := old.tryNext(time.Minute); err == nil && f.Status != 481 && f.Status != 506 {
					s.Errorf("the old connection gets %v", f.Head)
				} else if errors.Is(err, os.ErrDeadlineExceeded) {
					s.Error("the old connection gets nothing")
				}
			})
		})
	}
}

// It stands for what the peer has not sent before, too: a message where we have connected, and the report of one that is
// under way.
func TestFollowedPeerIsHeard(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		box := s.inbox(x)
		done := s.sends(x, &msrp.Message{ID: "m", Body: strings.NewReader("hello"), SuccessReport: true})
		p.answer(p.next(), 200)
		s.agree(x, section("msrp://192.0.2.9:2866/other;tcp", "setup:active"))
		p.report("m", "1-5/5", "000 200 OK")
		s.sent(done, nil)
		p.chunk("n", "1-3/3", "abc", "$")
		p.response(200)
		s.expect(box, "abc", nil)
	})
}

// A session that ends before the peer has come by its other path leaves nothing behind.
func TestClosedWhileThePeerIsFollowed(t *testing.T) {
	play(t, func(s *scene) {
		s.endpoint(alice, &msrp.Config{Listen: []string{"tcp:" + alice + ":2855"}, MaxSessions: 2})
		for range 5 {
			x, _ := s.bound(nil)
			s.agree(x, section("msrp://192.0.2.9:2866/other;tcp", "setup:active"))
			x.Close()
		}
	})
}

// What a peer has brought to TLS stays there when we offer, also after the connection was lost.
func TestOfferKeepsTLS(t *testing.T) {
	play(t, func(s *scene) {
		for _, host := range []string{alice, bob} {
			s.endpoint(host, &msrp.Config{Listen: []string{"tcp:" + host + ":2855", "tls:" + host + ":2856"}})
		}
		x, y := s.session(alice, &msrp.SessionConfig{TLS: true}), s.session(bob, nil)
		describe := func(offerer, answerer *msrp.Session) {
			s.Helper()
			offer, err := offerer.Offer(s.Context())
			if err != nil {
				s.Fatal(err)
			}
			answer, err := answerer.Answer(s.Context(), offer)
			if err != nil || answer == nil {
				s.Fatalf("Answer() of %s = %v, %v", offer.Proto, answer, err)
			}
			if err := answerer.Update(s.Context(), answer, offer); err != nil {
				s.Fatal(err)
			}
			if err := offerer.Update(s.Context(), offer, answer); err != nil {
				s.Fatal(err)
			}
			if got := fmt.Sprint(offer.Proto, answer.Proto); got != "TCP/TLS/MSRPTCP/TLS/MSRP" {
				s.Errorf("described with %s", got)
			}
			s.sent(s.sends(offerer, text("hello")), nil)
		}
		box, boxes := s.inbox(x), s.inbox(y)
		describe(x, y)
		describe(y, x)
		for len(box) > 0 {
			<-box
		}
		for len(boxes) > 0 {
			<-boxes
		}
		s.n.Host(alice).Reset()
		s.expect(box, "", msrp.ErrLost)
		describe(y, x)

		// An answer that comes to nothing changes nothing.
		if answer, err := y.Answer(s.Context(), section("msrp://192.0.2.9:2866/plain;tcp", "setup:active")); err != nil || answer == nil {
			s.Fatalf("Answer() = %v, %v", answer, err)
		}
		if offer, err := y.Offer(s.Context()); err != nil || offer.Proto != "TCP/TLS/MSRP" {
			s.Errorf("Offer() after an answer that came to nothing = %v, %v", offer, err)
		}

		// Also before the peer has connected, and after the section was refused.
		z := s.session(alice, nil)
		for _, offer := range []*sdp.Media{section(rawURI, "setup:active"), section("msrps://192.0.2.9:2866/secure;tcp", "setup:active")} {
			answer, err := z.Answer(s.Context(), offer)
			if err != nil {
				s.Fatal(err)
			}
			if err := z.Update(s.Context(), answer, offer); err != nil {
				s.Fatal(err)
			}
		}
		for _, when := range []string{"before the connection", "after port 0"} {
			again, err := z.Offer(s.Context())
			if err != nil || again.Proto != "TCP/TLS/MSRP" {
				s.Fatalf("%s: Offer() = %v, %v", when, again, err)
			}
			if err := z.Update(s.Context(), again, &sdp.Media{Type: "message", Proto: again.Proto}); err != nil {
				s.Fatal(err)
			}
		}
	})
}
