package msrp_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
)

// offered returns a session of Alice that has offered, and the offer.
func (s *scene) offered(cfg *msrp.SessionConfig) (*msrp.Session, *sdp.Media) {
	s.Helper()
	x := s.session(alice, cfg)
	offer, err := x.Offer(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return x, offer
}

// answers has the peer of a session answer.
func (s *scene) answers(x *msrp.Session, offer *sdp.Media, path string, attributes ...string) {
	s.Helper()
	if err := x.Update(s.Context(), offer, section(path, append(attributes, "setup:active")...)); err != nil {
		s.Fatal(err)
	}
}

// callsAs is calls of a peer with another URI, by TLS with a certificate if there is one.
func (s *scene) callsAs(uri string, x *msrp.Session, certificate *tls.Certificate) *peer {
	s.Helper()
	p := s.calls(x)
	if certificate != nil {
		p = s.newPeer(tls.Client(p.conn, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*certificate}}), x)
	}
	p.from = uri
	return p
}

// says sends a whole message, whose response has a status.
func (p *peer) says(message, text string, status frame.Status) {
	p.s.Helper()
	p.chunk(message, "1-*/*", text, "$")
	p.response(status)
}

// A connection has two sessions, as that of a gateway has: one with its peer, and one whose offer nobody answers. What
// comes for that one holds up nothing.
func TestUnansweredOfferHoldsUpNobody(t *testing.T) {
	play(t, func(s *scene) {
		s.secure(alice, nil)
		certificate := siptest.NewAuthority().Certificate(raw)
		x, offer := s.offered(&msrp.SessionConfig{TLS: true})
		y, _ := s.offered(&msrp.SessionConfig{TLS: true})
		toX, toY := s.inbox(x), s.inbox(y)
		s.answers(x, offer, secureURI, print("SHA-256", certificate))
		p := s.callsAs(secureURI, x, &certificate)
		q := s.newPeer(p.conn, y)
		q.r, q.from = p.r, "msrps://192.0.2.9:2855/other;tcp"
		start := time.Now()
		p.request("SEND", "Message-ID: hello")
		p.response(200)
		q.request("SEND", "Message-ID: hello")
		q.response(200)
		for i := range 16 { // 16 messages, and 256 KB of them
			q.says(fmt.Sprint("m", i), strings.Repeat("x", 16<<10), 200)
		}
		for i := range 16 {
			q.says(fmt.Sprint("more", i), "x", 413)
		}
		p.says("m", "from the peer", 200)
		s.expect(toX, "from the peer", nil)
		done := s.sends(x, text("from Alice"))
		p.answer(p.next(), 200)
		s.sent(done, nil)
		if d := time.Since(start); d > time.Second {
			s.Errorf("it took %v, want no waiting", d)
		}
		time.Sleep(time.Hour)
		s.none(toY)
	})
}

// A stranger that comes before the answer does not keep the peer out, and nothing that it says is given to the program
// (RFC 8122 section 6.2, RFC 4975 section 5.4). It may even know the URI of the peer, where there is a fingerprint.
func TestStrangerBeforeTheAnswer(t *testing.T) {
	authority := siptest.NewAuthority()
	right, wrong := authority.Certificate(raw), authority.Certificate(raw)
	for _, c := range []struct {
		name           string
		peer, stranger string // their URIs
		secure         bool
	}{
		{"without TLS", rawURI, "msrp://192.0.2.9:2855/eve;tcp", false},
		{"with TLS", secureURI, "msrps://192.0.2.9:2855/eve;tcp", true},
		{"with TLS, as the peer", secureURI, secureURI, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				var of, ofStranger *tls.Certificate
				var attributes []string
				if c.secure {
					s.secure(alice, nil)
					of, ofStranger, attributes = &right, &wrong, []string{print("SHA-256", right)}
				}
				x, offer := s.offered(&msrp.SessionConfig{TLS: c.secure})
				box := s.inbox(x)
				p, eve := s.callsAs(c.peer, x, of), s.callsAs(c.stranger, x, ofStranger)
				eve.says("m", "believe me", 200)
				eve.chunk("half", "1-*/*", "and ", "+")
				eve.response(200)
				p.says("m", "one", 200)
				p.chunk("half", "1-*/*", "two ", "+")
				p.response(200)
				time.Sleep(time.Minute)
				s.none(box)
				s.answers(x, offer, c.peer, attributes...)
				s.expect(box, "one", nil)
				p.chunk("half", "5-*/*", "halves", "$")
				p.response(200)
				s.expect(box, "two halves", nil)
				eve.chunk("half", "5-*/*", "this", "$")
				eve.response(506)
				p.says("one", "more", 200)
				s.expect(box, "more", nil)
				s.none(box)
				eve.closed() // it has no session
				done := s.sends(x, text("hello"))
				p.answer(p.next(), 200)
				s.sent(done, nil)
			})
		})
	}
}

// The peer may come when the stranger is known not to be it, and finds the session free.
func TestPeerAfterAStranger(t *testing.T) {
	play(t, func(s *scene) {
		s.secure(alice, nil)
		authority := siptest.NewAuthority()
		right, wrong := authority.Certificate(raw), authority.Certificate(raw)
		x, offer := s.offered(&msrp.SessionConfig{TLS: true})
		box := s.inbox(x)
		eve := s.callsAs(secureURI, x, &wrong)
		eve.says("m", "believe me", 200)
		s.answers(x, offer, secureURI, print("SHA-256", right))
		eve.says("n", "again", 403)
		p := s.callsAs(secureURI, x, &right)
		p.says("m", "hello", 200)
		s.expect(box, "hello", nil)
		s.none(box)
	})
}

// Sixteen may claim a session whose peer is not known. Another one is told that the session is in use, and has the place of
// one that has gone, with which its messages are.
func TestClaimsOfASession(t *testing.T) {
	play(t, func(s *scene) {
		x, offer := s.offered(nil)
		box := s.inbox(x)
		var peers []*peer
		for i := range 17 {
			p := s.callsAs(fmt.Sprintf("msrp://192.0.2.9:2855/raw%d;tcp", i), x, nil)
			status := frame.StatusOK
			if i == 16 {
				status = frame.StatusSessionBoundElsewhere
			}
			p.says("m", p.from, status)
			peers = append(peers, p)
		}
		peers[3].conn.Close()
		time.Sleep(time.Second)
		peers[16].says("m", "the last one", 200)
		s.answers(x, offer, peers[16].from)
		s.expect(box, "the last one", nil)
		s.none(box)
	})
}

// What is kept of one is 256 KB, in whole and unfinished messages, and early parts. More is refused, and others have
// room of their own.
func TestMemoryOfClaims(t *testing.T) {
	for _, c := range []struct {
		name, at, flag string
	}{
		{"whole", "1-*/*", "$"}, {"unfinished", "1-*/*", "+"}, {"early", "100-*/*", "+"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, offer := s.offered(nil)
				box := s.inbox(x)
				p, q := s.calls(x), s.callsAs("msrp://192.0.2.9:2855/other;tcp", x, nil)
				before := heap()
				body := strings.Repeat("x", 100<<10)
				for i := range 14 {
					p.chunk(fmt.Sprint("m", i), c.at, body, c.flag)
					if status := p.next().Status; i < 2 && status != 200 || i == 2 && status != 413 {
						s.Errorf("chunk %d gets %v", i, status)
					}
				}
				if used := heap() - before; used > 1<<20 {
					s.Errorf("%d KB of memory", used>>10)
				}
				q.says("m", "hello", 200)
				s.answers(x, offer, q.from)
				s.expect(box, "hello", nil)
				s.none(box)
			})
		})
	}
}

// A message of which a part has come when the answer does is given out with all that still comes, however much that is.
func TestAnswerInTheMiddleOfAMessage(t *testing.T) {
	play(t, func(s *scene) {
		x, offer := s.offered(nil)
		box := s.inbox(x)
		p := s.calls(x)
		head := fmt.Sprintf("MSRP onechunk SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: m\nByte-Range: 1-*/*\nContent-Type: text/plain\n\n", p.to, p.from)
		p.write(head + "hello")
		time.Sleep(time.Second)
		s.answers(x, offer, p.from)
		rest := strings.Repeat("x", 1<<20)
		p.write(rest + "\n-------onechunk$\n")
		p.response(200)
		s.expect(box, "hello"+rest, nil)
		p.says("n", "and another", 200)
		s.expect(box, "and another", nil)
	})
}

// Nor is one that somebody else is sending then taken for said: its chunk is refused, and the session is none of theirs.
func TestStrangerInTheMiddleOfAMessage(t *testing.T) {
	play(t, func(s *scene) {
		x, offer := s.offered(nil)
		box := s.inbox(x)
		q := s.callsAs("msrp://192.0.2.66:2855/stranger;tcp", x, nil)
		q.write(fmt.Sprintf("MSRP onechunk SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: m\nByte-Range: 1-*/*\nContent-Type: text/plain\n\nhello", q.to, q.from))
		time.Sleep(time.Second)
		s.answers(x, offer, rawURI)
		q.write(" there\n-------onechunk$\n")
		q.response(413)
		p := s.calls(x)
		p.says("m", "from the peer", 200)
		s.expect(box, "from the peer", nil)
		s.none(box)
	})
}

// A message of which a part has come may come again by another path, of which nobody knows yet that it is the peer's (RFC
// 4975 section 5.4). Who reads the part hears that it is lost, and all of it is read when the answer has come.
func TestMessageComesAgainBeforeTheAnswer(t *testing.T) {
	play(t, func(s *scene) {
		s.endpoint(alice, &msrp.Config{Listen: []string{"tcp::2855"}})
		x := s.session(alice, nil)
		x.UseAddress(s.n.Host(alice).Addr())
		p := s.calls(x)
		if err := x.Connect(s.Context(), rawPath(s), false); err != nil {
			s.Fatal(err)
		}
		box := s.inbox(x)
		p.chunk("m", "1-*/*", "half", "+")
		p.response(200)

		x.UseAddress(s.n.Host(bob).Addr()) // for another path
		offer, err := x.Offer(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		conn, err := s.n.Host(raw).DialContext(s.Context(), "tcp", alice+":2855")
		if err != nil {
			s.Fatal(err)
		}
		q := s.newPeer(conn, x)
		q.chunk("m", "1-*/*", "half and ", "+")
		q.response(200)
		s.none(box)
		s.answers(x, offer, rawURI)
		s.expect(box, "half", msrp.ErrLost)
		q.chunk("m", "10-*/*", "half", "$")
		q.response(200)
		s.expect(box, "half and half", nil)
	})
}

// What the program serves itself has no place to wait in: a message and a request are refused, and the session is there for
// others when the answer has come.
func TestServedBeforeTheAnswer(t *testing.T) {
	play(t, func(s *scene) {
		served := make(chan string, 10)
		x, offer := s.offered(&msrp.SessionConfig{
			OnMessage: func(m *msrp.Incoming, body []byte) frame.Status { served <- string(body); return frame.StatusOK },
			OnRequest: func(h *frame.Head, _ []byte) frame.Status { served <- string(h.Method); return frame.StatusOK },
		})
		p := s.calls(x)
		p.request("SEND", "Message-ID: hello")
		p.response(200)
		p.says("m", "hello", 413)
		p.request("NICKNAME")
		p.response(403)
		s.answers(x, offer, p.from)
		p.says("n", "hello", 200)
		p.request("NICKNAME")
		p.response(200)
		for _, want := range []string{"hello", "NICKNAME"} {
			if got := <-served; got != want {
				s.Errorf("served %q, want %q", got, want)
			}
		}
	})
}

// A session that ends, or whose offer is refused, takes what came before the answer along.
func TestClaimsEndWithTheSession(t *testing.T) {
	for name, end := range map[string]func(s *scene, x *msrp.Session, offer *sdp.Media){
		"closed": func(_ *scene, x *msrp.Session, _ *sdp.Media) { x.Close() },
		"refused": func(s *scene, x *msrp.Session, offer *sdp.Media) {
			refused := section(rawURI)
			refused.Port = 0
			if err := x.Update(s.Context(), offer, refused); err != nil {
				s.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, offer := s.offered(nil)
				p := s.calls(x)
				p.says("m", "hello", 200)
				time.Sleep(time.Hour)
				end(s, x, offer)
				p.says("n", "hello", 481)
				p.closed()
			})
		})
	}
}

// A peer that is connected to again after another one was, without a description, does not speak for it.
func TestConnectToAnother(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		path, err := frame.ParsePath("msrp://192.0.2.9:9/other;tcp")
		if err != nil {
			s.Fatal(err)
		}
		if err := x.Connect(s.Context(), path, false); err != nil {
			s.Fatal(err)
		}
		go io.Copy(io.Discard, p.conn) // ends with the connection
		q := s.callsAs(path.String(), x, nil)
		box := s.inbox(x)
		q.says("m", "hello", 200)
		s.expect(box, "hello", nil)
	})
}

// Two that both connect, because one of them says nothing of setup or says what it should not, have the connection that
// names the session first (RFC 4975 section 5.4, RFC 6135 section 5).
func TestBothConnect(t *testing.T) {
	for _, c := range []struct {
		name       string
		attributes []string
	}{{"no setup", nil}, {"passive", []string{"setup:passive"}}} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, offer := s.offered(nil)
				box := s.inbox(x)
				p := s.calls(x)
				p.request("SEND", "Message-ID: hello")
				p.response(200)
				if err := x.Update(s.Context(), offer, section(rawURI, c.attributes...)); err != nil {
					s.Fatal(err)
				}
				p.says("m", "hello", 200)
				s.expect(box, "hello", nil)
			})
		})
	}
}
