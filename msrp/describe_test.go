package msrp_test

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sdp"
)

func attribute(m *sdp.Media, name string) string {
	v, ok := m.Attribute(name)
	if !ok {
		return "none"
	}
	return v
}

// reachable returns an endpoint's configuration for one that listens, or does not.
func reachable(yes bool) *msrp.Config {
	if yes {
		return nil
	}
	return &msrp.Config{Listen: []string{noListener}, Host: alice}
}

// awaits listens where the path of the raw peer leads, and returns whether somebody comes in a minute.
func (s *scene) awaits(host, port string) func() bool {
	s.Helper()
	l, err := s.n.Host(host).Listen(s.Context(), "tcp", ":"+port)
	if err != nil {
		s.Fatal(err)
	}
	come := make(chan net.Conn, 1)
	go func() {
		if conn, err := l.Accept(); err == nil {
			come <- conn
		}
	}()
	s.Cleanup(func() { l.Close() })
	return func() bool {
		select {
		case conn := <-come:
			conn.Close()
			return true
		case <-time.After(time.Minute):
			return false
		}
	}
}

// Who connects when we answer (RFC 6135 sections 4.2 and 5, RFC 4975 section 5.4).
func TestSetupOfOffers(t *testing.T) {
	for _, c := range []struct {
		offer    string
		listens  bool
		answer   string // "refused"
		connects bool
	}{
		{"none", true, "passive", false},
		{"holdconn", true, "passive", false},
		{"active", true, "passive", false},
		{"ACTIVE", true, "passive", false},
		{"nonsense", true, "passive", false},
		{"actpass", true, "passive", false},
		{"passive", true, "active", true},
		{"none", false, "refused", false},
		{"holdconn", false, "refused", false},
		{"active", false, "refused", false},
		{"actpass", false, "active", true},
		{"passive", false, "active", true},
	} {
		t.Run(c.offer, func(t *testing.T) {
			play(t, func(s *scene) {
				s.endpoint(alice, reachable(c.listens))
				x := s.session(alice, nil)
				comes := s.awaits(raw, "2855")
				offer := section(rawURI, "setup:"+c.offer)
				if c.offer == "none" {
					offer = section(rawURI)
				}
				answer, err := x.Answer(s.Context(), offer)
				if err != nil {
					s.Fatal(err)
				}
				if answer == nil {
					if c.answer != "refused" {
						s.Error("refused")
					}
					return
				}
				if got := attribute(answer, "setup"); got != c.answer {
					s.Errorf("answer setup:%s, want %s", got, c.answer)
				}
				if !c.listens && answer.Port != 9 {
					s.Errorf("port %d of who does not listen, want 9", answer.Port)
				}
				if err := x.Update(s.Context(), answer, offer); err != nil {
					s.Error(err)
				}
				if got := comes(); got != c.connects {
					s.Errorf("connects: %v, want %v", got, c.connects)
				}
			})
		})
	}
}

// Who connects when our offer is answered. A peer that says nothing of it is one of RFC 4975, to which we
// connect; who cannot be reached connects in any case.
func TestSetupOfAnswers(t *testing.T) {
	for _, c := range []struct {
		answer            string
		listens, connects bool
	}{
		{"none", true, true},
		{"holdconn", true, true},
		{"passive", true, true},
		{"actpass", true, true},
		{"active", true, false},
		{"none", false, true},
		{"passive", false, true},
		{"active", false, true},
	} {
		t.Run(c.answer, func(t *testing.T) {
			play(t, func(s *scene) {
				s.endpoint(alice, reachable(c.listens))
				x := s.session(alice, nil)
				comes := s.awaits(raw, "2855")
				offer, err := x.Offer(s.Context())
				if err != nil {
					s.Fatal(err)
				}
				want, port := "actpass", 2855
				if !c.listens {
					want, port = "active", 9
				}
				if got := attribute(offer, "setup"); got != want || offer.Port != port {
					s.Errorf("offer setup:%s at port %d, want %s at %d", got, offer.Port, want, port)
				}
				if got := attribute(offer, "connection"); got != "none" {
					s.Errorf("offer connection:%s", got)
				}
				answer := section(rawURI, "setup:"+c.answer)
				if c.answer == "none" {
					answer = section(rawURI)
				}
				if err := x.Update(s.Context(), offer, answer); err != nil {
					s.Error(err)
				}
				if got := comes(); got != c.connects {
					s.Errorf("connects: %v, want %v", got, c.connects)
				}
			})
		})
	}
}

// Which sections are refused, and which answers end the negotiation.
func TestSectionsThatAreNotOfMSRP(t *testing.T) {
	change := func(f func(*sdp.Media)) *sdp.Media {
		m := section(rawURI, "setup:actpass")
		f(m)
		return m
	}
	set := func(name, value string) *sdp.Media {
		return change(func(m *sdp.Media) {
			m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool { return a.Name == name })
			if value != "" {
				m.Attributes = append(m.Attributes, sdp.Attribute{Name: name, Value: value})
			}
		})
	}
	for _, c := range []struct {
		name    string
		section *sdp.Media
		ok      bool
	}{
		{"one that is", change(func(*sdp.Media) {}), true},
		{"audio", change(func(m *sdp.Media) { m.Type = "audio" }), false},
		{"another protocol", change(func(m *sdp.Media) { m.Proto = "TCP/CHESS" }), false},
		{"the protocol in small letters", change(func(m *sdp.Media) { m.Proto = "tcp/msrp" }), true},
		{"no path", set("path", ""), false},
		{"a path that is none", set("path", "192.0.2.9"), false},
		{"a path of too many", set("path", strings.Repeat(rawURI+" ", 17)), false},
		{"a URI without a port", at(set("path", "msrp://192.0.2.9/raw;tcp"), "", 2855), false}, // of which DNS would say nothing
		{"a URI of no session", set("path", "msrp://192.0.2.9:2855;tcp"), false},
		{"msrps without TLS", set("path", "msrps://192.0.2.9:2855/raw;tcp"), false},
		{"TLS without msrps", change(func(m *sdp.Media) { m.Proto = "TCP/TLS/MSRP" }), false},
		{"no types", set("accept-types", ""), false},
		{"no type that we take", set("accept-types", "text/html image/*"), false},
		{"our type among others", set("accept-types", "text/html  TEXT/PLAIN image/*"), true},
		{"our type with parameters", set("accept-types", "text/plain;format=flowed"), true},
		{"types like ours", set("accept-types", "text/*"), true},
		{"all types", set("accept-types", "*"), true},
		{"our type inside of others", set("accept-wrapped-types", "text/html"), true},
		{"a size that is none", set("max-size", "large"), true},
		{"more than a number has", set("max-size", "99999999999999999999"), true},
		{"less than nothing", set("max-size", "-5"), true},
		{"a path by relays", set("path", "msrp://192.0.2.9:2855/relay;tcp msrp://192.0.2.66:2855/raw;tcp"), true},
		{"a path by a WebSocket further on", set("path", "msrp://192.0.2.9:2855/relay;tcp msrp://df7jal23ls0d.invalid:2855/raw;ws"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x := s.session(alice, nil)
				answer, err := x.Answer(s.Context(), c.section)
				if err != nil {
					s.Fatal(err)
				}
				if (answer != nil) != c.ok {
					s.Errorf("Answer() = %v, want one: %v", answer, c.ok)
				}
			})
		})
	}
}

// An answer that cannot be read is an error, and so is one of a session that never was described.
func TestUpdateErrors(t *testing.T) {
	play(t, func(s *scene) {
		x := s.session(alice, nil)
		good := section(rawURI, "setup:active")
		if err := x.Update(s.Context(), good, good); !errors.Is(err, msrp.ErrNotConnected) {
			s.Errorf("Update() before all = %v", err)
		}
		offer, err := x.Offer(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		noPort := at(section("msrp://192.0.2.9/x;tcp", "setup:active"), raw, 2855)
		noTypes := section(rawURI, "setup:active")
		noTypes.Attributes = slices.DeleteFunc(noTypes.Attributes, func(a sdp.Attribute) bool { return a.Name == "accept-types" })
		for _, bad := range []*sdp.Media{noPort, noTypes, {Type: "message", Proto: "TCP/MSRP", Port: 9}} {
			if err := x.Update(s.Context(), offer, bad); err == nil {
				s.Errorf("Update(%v) = nil", bad)
			}
		}
		if err := x.Update(s.Context(), offer, good); err != nil {
			s.Errorf("Update() = %v", err)
		}
		x.Close()
		if _, err := x.Offer(s.Context()); !errors.Is(err, msrp.ErrClosed) {
			s.Errorf("Offer() of a closed session = %v", err)
		}
	})
}

// A connection that is lost between an offer and its answer is not taken for one that stays.
func TestLostDuringAnOffer(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		offer, err := x.Offer(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		p.conn.Close()
		time.Sleep(time.Second)
		if err := x.Update(s.Context(), offer, section(rawURI, "setup:active")); !errors.Is(err, msrp.ErrLost) {
			s.Errorf("Update() = %v, want %v", err, msrp.ErrLost)
		}
		box, p := s.rebound(x)
		p.chunk("m", "1-*/*", "hello", "$")
		s.expect(box, "hello", nil)
	})
}

// Wildcards match both ways (RFC 4975 section 8.6).
func TestTypesInCommon(t *testing.T) {
	for _, c := range []struct {
		ours, theirs string
		ok           bool
	}{
		{"text/plain", "text/plain", true},
		{"text/plain", "text/html", false},
		{"*", "image/x-unheard", true},
		{"image/x-unheard", "*", true},
		{"text/*", "text/html", true},
		{"text/html", "text/*", true},
		{"text/*", "TEXT/*", true},
		{"text/*", "image/*", false},
		{"text/* image/png", "audio/ogg image/png", true},
		{"message/cpim", "text/plain", false},
	} {
		play(t, func(s *scene) {
			x := s.session(alice, &msrp.SessionConfig{AcceptTypes: strings.Fields(c.ours)})
			m := section(rawURI)
			m.Attributes[1].Value = c.theirs
			answer, err := x.Answer(s.Context(), m)
			if err != nil || (answer != nil) != c.ok {
				s.Errorf("we take %q and they %q: %v, %v; want %v", c.ours, c.theirs, answer != nil, err, c.ok)
			}
		})
	}
}

// negotiate has two sessions agree by SDP, as their engines do it. Each is told what the other says.
func (s *scene) negotiate(offerer, answerer *msrp.Session, a, b *sdp.Engine) (offer, answer string) {
	s.Helper()
	must := func(err error) {
		s.Helper()
		if err != nil {
			s.Fatal(err)
		}
	}
	m, err := offerer.Offer(s.Context())
	must(err)
	offer, err = a.Offer([]*sdp.Media{m})
	must(err)
	sections, err := b.ReceiveOffer(offer)
	must(err)
	m, err = answerer.Answer(s.Context(), sections[0])
	must(err)
	answer, theirs, err := b.Answer([]*sdp.Media{m})
	must(err)
	ours, err := a.ReceiveAnswer(answer)
	must(err)
	if theirs[0].Active() {
		done := make(chan error, 1)
		go func() { done <- answerer.Update(s.Context(), theirs[0].Local, theirs[0].Remote) }()
		must(offerer.Update(s.Context(), ours[0].Local, ours[0].Remote))
		must(<-done)
	}
	return offer, answer
}

// A session is described, used, described again with nothing new, which is the same description, and then with a new
// path, which is another connection; by either side (RFC 4975 section 8.4).
func TestDescribedAgain(t *testing.T) {
	play(t, func(s *scene) {
		e, host := s.countedEndpoint()
		x, y := msrp.NewSession(e, nil), s.session(bob, nil)
		toAlice, toBob := s.inbox(x), s.inbox(y)
		a, b := sdp.NewEngine(nil), sdp.NewEngine(nil)
		talk := func() {
			s.Helper()
			s.sent(s.sends(x, text("to Bob")), nil)
			s.expect(toBob, "to Bob", nil)
			s.sent(s.sends(y, text("to Alice")), nil)
			s.expect(toAlice, "to Alice", nil)
		}
		offer, answer := s.negotiate(x, y, a, b)
		talk()
		if again, answered := s.negotiate(x, y, a, b); again != offer || answered != answer {
			s.Errorf("described again as\n%s%s\nwas\n%s%s", again, answered, offer, answer)
		}
		talk()
		if answered, again := s.negotiate(y, x, b, a); !strings.Contains(answered, "setup:actpass") || !strings.Contains(again, "setup:passive") {
			s.Errorf("the other way round:\n%s%s", answered, again)
		}
		talk()
		if n := host.made.Load(); n != 1 {
			s.Errorf("%d connections, want 1", n)
		}

		// The connection is lost; either side may offer.
		for _, who := range []string{"Alice", "Bob"} {
			s.n.Host(alice).Reset()
			s.expect(toAlice, "", msrp.ErrLost)
			s.expect(toBob, "", msrp.ErrLost)
			toAlice, toBob = nil, nil
			if who == "Alice" {
				s.negotiate(x, y, a, b)
			} else {
				s.negotiate(y, x, b, a)
			}
			toAlice, toBob = s.inbox(x), s.inbox(y)
			talk()
		}
	})
}

// A session that moves, because this host has another address, takes its new connection in use when it is there,
// and messages under way on the old one are lost to both.
func TestNewAddress(t *testing.T) {
	play(t, func(s *scene) {
		s.endpoint(alice, &msrp.Config{Listen: []string{"tcp::2855"}})
		s.endpoint(bob, &msrp.Config{Listen: []string{"tcp::2855"}})
		x, y := s.session(alice, nil), s.session(bob, nil)
		x.UseAddress(s.n.Host("192.0.2.100").Addr()) // nobody goes there: Alice connects
		y.UseAddress(s.n.Host(bob).Addr())
		toAlice, toBob := s.inbox(x), s.inbox(y)
		a, b := sdp.NewEngine(nil), sdp.NewEngine(nil)
		before, _ := s.negotiate(x, y, a, b)
		s.sent(s.sends(x, text("hello")), nil)
		s.expect(toBob, "hello", nil)
		x.UseAddress(s.n.Host(alice).Addr())
		after, _ := s.negotiate(x, y, a, b)
		if !strings.Contains(before, "path:msrp://192.0.2.100:") || !strings.Contains(after, "path:msrp://192.0.2.1:") {
			s.Errorf("offers\n%s%s", before, after)
		}
		s.sent(s.sends(x, text("here I am")), nil)
		s.expect(toBob, "here I am", nil)
		s.sent(s.sends(y, text("I see")), nil)
		s.expect(toAlice, "I see", nil)
	})
}

// A section that is not in use, be it ours or the peer's, ends the session's connection, and later there may be another
// (RFC 3264 section 8.2).
func TestPortZero(t *testing.T) {
	play(t, func(s *scene) {
		x, y := s.session(alice, nil), s.session(bob, nil)
		a, b := sdp.NewEngine(nil), sdp.NewEngine(nil)
		toBob := s.inbox(y)
		used, refused := section(rawURI), section(rawURI)
		refused.Port = 0
		for _, of := range [][2]*sdp.Media{{used, refused}, {refused, used}} {
			s.negotiate(x, y, a, b)
			s.sent(s.sends(x, text("hello")), nil)
			s.expect(toBob, "hello", nil)
			for i, z := range []*msrp.Session{x, y} {
				if err := z.Update(s.Context(), of[i], of[1-i]); err != nil {
					s.Error(err)
				}
			}
		}
		s.negotiate(y, x, b, a)
		s.sent(s.sends(x, text("again")), nil)
		s.expect(toBob, "again", nil)
	})
}

// An answer that comes early, and then for good; and one of another phone, whose session is in the place of the
// first (RFC 4975 section 8.8).
func TestForkedAnswers(t *testing.T) {
	play(t, func(s *scene) {
		x, y, z := s.session(alice, nil), s.session(bob, nil), s.session("192.0.2.3", nil)
		toY, toZ := s.inbox(y), s.inbox(z)
		offer, err := x.Offer(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		answer := func(from *msrp.Session) *sdp.Media {
			s.Helper()
			m, err := from.Answer(s.Context(), offer)
			if err != nil {
				s.Fatal(err)
			}
			if err := from.Update(s.Context(), m, offer); err != nil {
				s.Fatal(err)
			}
			return m
		}
		early, other := answer(y), answer(z)
		for _, step := range []struct {
			answer *sdp.Media
			box    <-chan got
		}{{early, toY}, {early, toY}, {other, toZ}, {other, toZ}} {
			if err := x.Update(s.Context(), offer, step.answer); err != nil {
				s.Fatal(err)
			}
			s.sent(s.sends(x, text("hello")), nil)
			s.expect(step.box, "hello", nil)
		}
	})
}

// An early answer whose host cannot be reached yet is tried again with the final one.
func TestEarlyAnswerThatFails(t *testing.T) {
	play(t, func(s *scene) {
		x := s.session(alice, nil)
		offer, err := x.Offer(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		answer := section(rawURI, "setup:passive")
		s.n.Host(raw)
		if err := x.Update(s.Context(), offer, answer); err == nil {
			s.Error("Update() = nil with nobody there")
		}
		comes := s.awaits(raw, "2855")
		if err := x.Update(s.Context(), offer, answer); err != nil {
			s.Errorf("Update() = %v", err)
		}
		if !comes() {
			s.Error("the final answer is not connected to")
		}
	})
}

// A session that has to have TLS does not go without, and one that has not goes with it.
func TestTLSIsNotTakenAway(t *testing.T) {
	play(t, func(s *scene) {
		x := s.session(alice, &msrp.SessionConfig{TLS: true})
		if m, err := x.Answer(s.Context(), section(rawURI, "setup:actpass")); m != nil || err != nil {
			s.Errorf("Answer() without TLS = %v, %v; want none", m, err)
		}
		y := s.session(alice, nil)
		m, err := y.Answer(s.Context(), section("msrps://192.0.2.9:2855/raw;tcp", "setup:actpass"))
		if err != nil || m == nil || m.Proto != "TCP/TLS/MSRP" {
			s.Errorf("Answer() with TLS = %v, %v", m, err)
		}
	})
}
