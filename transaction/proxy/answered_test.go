package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// The handler has answered before it forwards, by a timer say: nobody rings.
func TestForwardAfterReply(t *testing.T) {
	for name, handler := range map[string]func(tx *Server, req *sip.Request, bob, carol Target){
		"before": func(tx *Server, req *sip.Request, bob, _ Target) {
			tx.Reply(sip.StatusTemporarilyUnavailable)
			tx.Forward(req, bob)
		},
		"between two forks": func(tx *Server, req *sip.Request, bob, carol Target) {
			time.AfterFunc(50*time.Millisecond, func() { tx.Reply(sip.StatusTemporarilyUnavailable) })
			tx.Fork(req, carol)
			if best := tx.Fork(req, bob); best != nil {
				tx.Respond(best)
			}
		},
		"while a connection is made": func(tx *Server, req *sip.Request, _, _ Target) {
			time.AfterFunc(50*time.Millisecond, func() { tx.Reply(sip.StatusTemporarilyUnavailable) })
			tx.Forward(req, Target{URI: uri("sip:bob@" + bobAddr + ";transport=tcp")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
					handler(tx, req, at("sip:bob@" + bobAddr)[0], at("sip:carol@" + carolAddr)[0])
				}))
				s.phone("bob", bobAddr, 180)
				s.wire(carolAddr) // says nothing
				px, bob := s.net.Host(proxyAddr), s.net.Host(bobAddr)
				if strings.Contains(name, "connection") {
					s.net.Cut(px, bob)
					time.AfterFunc(3*time.Second, func() { s.net.Mend(px, bob) })
				}
				s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "480")
				pass(4 * time.Minute)
				for _, line := range s.lines {
					if strings.HasPrefix(line, "bob") {
						s.Error(line)
					}
				}
			})
		})
	}
}

// The answer of one fork ends the others of its request (RFC 3261 section 16.7 step
// 10), and there are no further ones.
func TestAnswerOfAnotherFork(t *testing.T) {
	bob, carol := at("sip:bob@" + bobAddr)[0], at("sip:carol@" + carolAddr)[0]
	for _, c := range []struct {
		name    string
		answer  sip.Status // of bob
		handler func(s *scene, tx *Server, req *sip.Request)
		noted   []string
	}{
		{"success", 200, func(_ *scene, tx *Server, req *sip.Request) {
			tx.Forward(req, bob)
			tx.Forward(req, carol)
		}, []string{"bob INVITE", "carol INVITE", "carol cancelled"}},
		{"refusal", 486, func(_ *scene, tx *Server, req *sip.Request) {
			tx.Forward(req, bob)
			tx.Forward(req, carol)
		}, []string{"bob INVITE", "carol INVITE", "carol cancelled"}},
		{"success, and more to do", 200, func(s *scene, tx *Server, req *sip.Request) {
			for _, to := range []Target{bob, carol} {
				tx.ForkThen(req, func(best *sip.Response) { s.note("%s %v", to.URI.User, best != nil) }, to)
			}
		}, []string{"bob INVITE", "carol INVITE", "bob false", "carol cancelled", "carol false"}},
		{"later", 200, func(s *scene, tx *Server, req *sip.Request) {
			tx.ForkThen(req, func(*sip.Response) {}, bob)
			pass(10 * time.Second)
			tx.Forward(req, carol)
		}, []string{"bob INVITE"}},
		{"of the handler", 180, func(s *scene, tx *Server, req *sip.Request) {
			time.AfterFunc(500*time.Millisecond, func() { tx.Reply(sip.StatusBusyHere) })
			s.note("best %v", tx.Fork(req, bob) != nil)
		}, []string{"bob INVITE", "bob cancelled", "best false"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) { c.handler(s, tx, req) }))
				s.phone("bob", bobAddr, 180, c.answer)
				s.phone("carol", carolAddr, 180)
				_, last := collect(s.Context(), s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)))
				if c.answer.Final() && last.Status() != c.answer {
					s.Errorf("the call ended with %d, want %d", int(last.Status()), int(c.answer))
				}
				pass(time.Minute)
				s.notedAll(c.noted...)
			})
		})
	}
}

// An answer and a fork at once: whoever rings is cancelled.
func TestReplyAsItIsForwarded(t *testing.T) {
	for range 50 {
		play(t, func(s *scene) {
			s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
				answered := make(chan struct{})
				go func() { // ends with the answer
					tx.Reply(sip.StatusTemporarilyUnavailable)
					close(answered)
				}()
				tx.Forward(req, at("sip:bob@"+bobAddr)...)
				<-answered
			}))
			s.phone("bob", bobAddr, 180)
			collect(s.Context(), s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)))
			pass(10 * time.Second)
			if got := strings.Join(s.lines, ", "); got != "" && got != "bob INVITE, bob cancelled" {
				s.Error(got)
			}
		})
	}
}

// A target that takes no connection has its Wait, and no more.
func TestNoAnswerOfTheUnreachable(t *testing.T) {
	for method, want := range map[sip.Method]string{sip.INVITE: "486", sip.MESSAGE: "200"} {
		play(t, func(s *scene) {
			targets := at("sip:x@192.0.2.99;transport=tcp", "sip:bob@"+bobAddr)
			targets[0].Q, targets[0].Wait = 1, time.Second
			s.proxy(proxyAddr, example(to(targets...)))
			s.net.Host("192.0.2.99")
			s.net.Cut(s.net.Host(proxyAddr), s.net.Host("192.0.2.99"))
			s.phone("bob", bobAddr, 486)
			s.expect(s.ua(aliceAddr, nil), request(method, aor, by(proxyAddr)), want)
			if took := time.Since(s.start).Round(time.Second / 10); took != time.Second {
				s.Errorf("%s: bob answered after %v, want 1s", method, took)
			}
		})
	}
}

// A request may become too long for UDP by what is put on it, and the connection that
// it needs may not come: nobody else waits for that.
func TestLongRequestsKeepNobodyWaiting(t *testing.T) {
	const dead = "192.0.2.99"
	long := Target{URI: uri("sip:x@" + dead + ";x=" + strings.Repeat("a", 1000))}
	short, bob := Target{URI: uri("sip:x@" + dead)}, Target{URI: uri("sip:bob@" + bobAddr)}
	carol := Target{URI: uri("sip:carol@" + carolAddr), Q: 1}
	for name, c := range map[string]struct {
		stateless bool
		maxUDP    int
		targets   []Target
	}{
		"beside another":        {targets: []Target{long, bob}},
		"in series":             {targets: []Target{carol, long}},
		"in series, small UDP":  {targets: []Target{carol, short}, maxUDP: 300},
		"without state":         {targets: []Target{long}, stateless: true},
		"without state, MaxUDP": {targets: []Target{short}, stateless: true, maxUDP: 300},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				tc := on(s, s.net, proxyAddr)
				tc.MaxUDP = c.maxUDP
				cfg := example(func(tx *Server, req *sip.Request) {
					if req.URI().User == "ping" {
						tx.Reply(sip.StatusOK)
						return
					}
					tx.Forward(req, c.targets...)
				})
				if c.stateless {
					cfg.Stateless = func(req *sip.Request, _ Arrival) (Target, bool) {
						return c.targets[0], req.URI().User != "ping"
					}
				}
				p, err := Listen(tc, cfg)
				if err != nil {
					s.Fatal(err)
				}
				defer p.Close()
				s.net.Host(dead)
				s.net.Cut(s.net.Host(proxyAddr), s.net.Host(dead))
				s.phone("bob", bobAddr, sip.StatusRinging)
				s.phone("carol", carolAddr, sip.StatusBusyHere)
				alice, other := s.wire(aliceAddr), s.wire("192.0.2.77")
				alice.send(request(sip.INVITE, aor))
				pass(300 * time.Millisecond)
				other.send(request(sip.OPTIONS, "sip:ping@example.com"))
				other.response(sip.StatusOK)
			})
		})
	}
}
