package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Two callees ask for a password, each of its realm: the caller hears of both,
// and can answer both (RFC 3261 section 16.7 step 7).
func TestChallengesTogether(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, both())
		asks := func(status sip.Status, name, realm string) func(*transaction.Server, *sip.Request) {
			return func(tx *transaction.Server, req *sip.Request) {
				tx.Reply(status, sip.Field{Name: name, Value: `Digest realm="` + realm + `", nonce="1"`})
			}
		}
		s.ua(bobAddr, asks(407, "Proxy-Authenticate", "b"))
		s.ua(carolAddr, asks(401, "WWW-Authenticate", "c"))
		_, resp := collect(s.Context(), s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)))
		www, _ := resp.Value("WWW-Authenticate")
		proxy, _ := resp.Value("Proxy-Authenticate")
		if resp.Status() != 401 && resp.Status() != 407 || !strings.Contains(www, `"c"`) || !strings.Contains(proxy, `"b"`) {
			s.Errorf("got\n%s\nwant both challenges", resp)
		}
	})
}

// What is said instead of what a callee has said, or has not (RFC 3261 sections
// 16.7 step 6 and 16.9, RFC 4320 section 4.2, RFC 5626 section 11.5).
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		name   string
		method sip.Method
		status sip.Status // 0: silence
		relay  bool
		want   string
		after  time.Duration
	}{
		{"a refusal", sip.INVITE, 486, false, "486", 0},
		{"overload", sip.INVITE, 503, false, "500", 0},
		{"a flow that has failed, and we chose it", sip.INVITE, 430, false, "480", 0},
		{"one that another chose", sip.INVITE, 430, true, "430", 0},
		{"silence", sip.INVITE, 0, false, "408", 32 * time.Second},
		{"silence where no 408 is due", sip.MESSAGE, 0, false, "100 timeout", 32 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				handler := to(at("sip:bob@" + bobAddr)...)
				target := aor
				if test.relay {
					handler, target = relay, "sip:bob@"+bobAddr
				}
				s.proxy(proxyAddr, example(handler))
				if test.status != 0 {
					s.phone("bob", bobAddr, test.status)
					if test.method == sip.MESSAGE {
						s.Fatal("phones take messages")
					}
				} else {
					s.wire(bobAddr)
				}
				alice := s.ua(aliceAddr, nil)
				got, _ := collect(s.Context(), alice, request(test.method, target, by(proxyAddr)))
				if strings.Contains(got, "timed out") {
					got = "100 timeout"
				}
				if got != test.want {
					s.Errorf("responses %q, want %q", got, test.want)
				}
				if took := time.Since(s.start).Round(time.Second); took != test.after {
					s.Errorf("that took %v, want %v", took, test.after)
				}
			})
		})
	}
}

// A target that nobody can be reached at counts as 503, so that the other one
// decides (RFC 3261 section 16.9).
func TestUnreachable(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@192.0.2.99;transport=tcp", "sip:carol@"+carolAddr)...)))
		s.phone("carol", carolAddr, 501)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "501")
	})
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@192.0.2.99;transport=tcp")...)))
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "500")
	})
}

// No target, and targets that are none.
func TestNoTargets(t *testing.T) {
	for _, test := range []struct {
		name, uri string
		targets   []Target
		want      sip.Status
	}{
		{"none", aor, nil, 480},
		{"sip for sips", "sips:bob@example.com", at("sip:bob@" + bobAddr), 480},
		{"a scheme that nobody knows", aor, at("nobody:knows"), 416},
		{"a number without a gateway", aor, at("tel:+1"), 416},
		{"a number with one", aor, []Target{{URI: uri("tel:+1"), Route: []sip.Route{{URI: uri("sip:192.0.2.11;lr")}}}}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.proxy(proxyAddr, example(to(test.targets...)))
				s.phone("bob", bobAddr, 200)
				alice := s.wire(aliceAddr)
				alice.send(request(sip.MESSAGE, test.uri))
				alice.response(test.want)
			})
		})
	}
}

// A request to a sips URI does not leave without TLS, whatever its Route says
// (RFC 3261 section 26.2.2).
func TestSIPSIsNotDowngraded(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(relay))
		alice, _ := s.wire(aliceAddr), s.wire(bobAddr)
		alice.send(request(sip.MESSAGE, "sips:bob@"+bobAddr, by(proxyAddr, bobAddr)))
		alice.response(500)
		for _, p := range s.net.Packets() {
			if p.To.Addr().String() == bobAddr && strings.Contains(string(p.Data), "MESSAGE") {
				s.Errorf("%q was sent in the clear", p.Data)
			}
		}
	})
}

// A target is tried once, however often it is in the set (RFC 3261 section 16.5).
func TestTargetsAreDistinct(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr, "sip:bob@"+bobAddr+":5060", "SIP:bob@"+bobAddr)...)))
		s.phone("bob", bobAddr, 404)
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "404")
		// A port that is named is another URI (section 19.1.4).
		s.noted("bob INVITE", "bob INVITE")
	})
}

// redirector answers with a 302 and these Contacts.
func redirector(contacts ...string) func(*transaction.Server, *sip.Request) {
	return func(tx *transaction.Server, req *sip.Request) {
		var list []sip.Contact
		for _, text := range contacts {
			contact, err := sip.Contact{}.ParseValue(text)
			if err != nil {
				panic(err)
			}
			list = append(list, contact)
		}
		tx.Reply(302, sip.List(list...))
	}
}

// The Contacts of a 3xx are tried here, by q, and each once (RFC 3261 section
// 16.7 step 4).
func TestRecursion(t *testing.T) {
	play(t, func(s *scene) {
		cfg := example(to(at("sip:bob@" + bobAddr)...))
		cfg.Recurse = true
		s.proxy(proxyAddr, cfg)
		s.ua(bobAddr, redirector("<sip:bob@192.0.2.11>", "<sip:carol@192.0.2.12?Subject=x>;q=0.1", "<sip:dave@192.0.2.13>;q=0.9"))
		s.phone("carol", carolAddr, 200)
		s.phone("dave", "192.0.2.13", 486)
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "200")
		s.noted("dave INVITE", "carol INVITE")
		if got := s.sent(carolAddr, "INVITE").URI().String(); got != "sip:carol@192.0.2.12" {
			s.Errorf("Request-URI = %s", got)
		}
	})
}

// A q of more than 1 is none (RFC 3261 section 25.1), and goes before no other.
func TestRecursionOfMoreThanBest(t *testing.T) {
	play(t, func(s *scene) {
		cfg := example(to(at("sip:bob@" + bobAddr)...))
		cfg.Recurse = true
		s.proxy(proxyAddr, cfg)
		s.ua(bobAddr, redirector("<sip:dave@192.0.2.13>;q=1.0001", "<sip:carol@192.0.2.12>;q=1"))
		s.phone("carol", carolAddr, 200)
		s.wire("192.0.2.13") // and does not answer
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "200")
		if took := time.Since(s.start); took > time.Second {
			s.Errorf("carol was asked after dave: that took %v", took)
		}
	})
}

// Without Recurse, and where the proxy only relays, a 3xx is for the caller.
func TestNoRecursion(t *testing.T) {
	for _, test := range []struct {
		recurse bool
		handler func(*Server, *sip.Request)
		target  string
	}{
		{false, to(at("sip:bob@" + bobAddr)...), aor},
		{true, relay, "sip:bob@" + bobAddr},
		{true, func(tx *Server, req *sip.Request) { tx.Forward(req, Target{}) }, "sip:bob@" + bobAddr}, // not ours to find (section 16.5)
	} {
		play(t, func(s *scene) {
			cfg := example(test.handler)
			cfg.Recurse = test.recurse
			target := test.target
			s.proxy(proxyAddr, cfg)
			s.ua(bobAddr, redirector("<sip:carol@192.0.2.12>"))
			resp := s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, target, by(proxyAddr)), "302")
			if contact, err := sip.Get[sip.Contact](resp); err != nil || contact.URI.Host != carolAddr {
				s.Errorf("Contact = %v, %v", contact, err)
			}
		})
	}
}

// What is not followed is left to the caller: another scheme, and what is beyond
// the bound.
func TestRecursionLeavesTheRest(t *testing.T) {
	play(t, func(s *scene) {
		cfg := example(to(at("sip:bob@" + bobAddr)...))
		cfg.Recurse = true
		s.proxy(proxyAddr, cfg)
		s.ua(bobAddr, redirector("<sip:carol@192.0.2.12>", "<mailto:bob@example.com>"))
		s.phone("carol", carolAddr, 486)
		resp := s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "302")
		if got, _ := resp.Value("Contact"); got != "<mailto:bob@example.com>" {
			s.Errorf("Contact = %q", got)
		}
	})
}

// A gateway that does not know tel URIs gets the number as a sip URI (RFC 3261
// section 16.7 step 4).
func TestRecursionOfNumbers(t *testing.T) {
	play(t, func(s *scene) {
		cfg := example(to(Target{URI: uri("tel:+12015550123"), Route: []sip.Route{{URI: uri("sip:192.0.2.11;lr")}}}))
		cfg.Recurse = true
		s.proxy(proxyAddr, cfg)
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			s.note("%s", req.URI())
			if req.URI().Scheme == "tel" {
				tx.Reply(416)
				return
			}
			tx.Reply(200)
		})
		s.expect(s.ua(aliceAddr, nil), request(sip.MESSAGE, aor, by(proxyAddr)), "200")
		s.noted("tel:+12015550123", "sip:+12015550123@192.0.2.11;user=phone")
	})
}

// Whoever answers may not aim the answer: the Vias of the request are what it
// goes by, and not the topmost one alone.
func TestViasOfResponse(t *testing.T) {
	const below = "Via: SIP/2.0/UDP edge.example;branch=z9hG4bK0\r\n"
	for _, test := range []struct{ name, old, new string }{
		{"as they were", "", ""},
		{"another address", "received=" + aliceAddr, "received=" + carolAddr},
		{"another host further on", "edge.example", carolAddr},
		{"one less", below, ""},
		{"one more", below, below + "Via: SIP/2.0/UDP " + carolAddr + ";branch=z9hG4bK2\r\n"},
		{"in one line", "\r\nVia: SIP/2.0/UDP edge.example", ", SIP/2.0/UDP edge.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
				alice, bob, victim := s.wire(aliceAddr), s.wire(bobAddr), s.wire(carolAddr)
				alice.send(request(sip.MESSAGE, aor, sip.Push(sip.Via{Transport: "UDP", Host: "edge.example", Params: ";branch=z9hG4bK0"}),
					sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: ";branch=z9hG4bK1;rport"})))
				text := bob.request(sip.MESSAGE).Reply(200).String()
				if !strings.Contains(text, test.old) {
					s.Fatalf("no %q in\n%s", test.old, text)
				}
				bob.conn.WriteTo([]byte(strings.Replace(text, test.old, test.new, 1)), bob.to)
				got := ""
				for via := range sip.All[sip.Via](alice.response(200)) {
					got += fmt.Sprintf("%s %s ", via.Host, via.Received())
				}
				if want := aliceAddr + " " + aliceAddr + " edge.example invalid IP "; got != want {
					s.Errorf("Vias %q, want %q", got, want)
				}
				if m := victim.next(); m != nil {
					s.Errorf("the victim got %v", m)
				}
			})
		})
	}
}
