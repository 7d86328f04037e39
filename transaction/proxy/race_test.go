package proxy

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// both forwards to bob and to carol at once.
func both() *Config { return example(to(at("sip:bob@"+bobAddr, "sip:carol@"+carolAddr)...)) }

// The first to answer gets the call, and the other one is told to stop ringing
// (RFC 3261 section 16.7 steps 5 and 10).
func TestForkInParallel(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, both())
		s.phone("bob", bobAddr, 180)
		s.phone("carol", carolAddr, 180, 200)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 180 200")
		s.notedAll("bob INVITE", "carol INVITE", "bob cancelled")
	})
}

// Nobody has time: the caller hears of one of them, when all have answered (RFC
// 3261 section 16.7 step 6).
func TestForkRefused(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, both())
		s.phone("bob", bobAddr, 486)
		s.phone("carol", carolAddr, 180, 480)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 486")
		pass(time.Second)
	})
}

// One after the other, in the order of q (RFC 3261 section 16.6).
func TestForkInSeries(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(
			Target{URI: uri("sip:carol@" + carolAddr), Q: 0.1},
			Target{URI: uri("sip:bob@" + bobAddr), Q: 0.7})))
		s.phone("bob", bobAddr, 180, 480)
		s.phone("carol", carolAddr, 200)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 200")
		s.noted("bob INVITE", "carol INVITE")
		if got := s.sent(carolAddr, "INVITE"); maxBreadth(got) != 60 || got.MaxForwards() != 69 {
			s.Errorf("carol got Max-Breadth %d and Max-Forwards %d, want 60 and 69", maxBreadth(got), got.MaxForwards())
		}
	})
}

func maxBreadth(req *sip.Request) int {
	breadth, _ := sip.Get[sip.MaxBreadth](req)
	return int(breadth)
}

// The caller gives up: everybody stops ringing, and the caller gets 487 (RFC 3261
// section 16.10).
func TestCancel(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, both())
		s.phone("bob", bobAddr, 180)
		s.phone("carol", carolAddr, 180)
		alice := s.ua(aliceAddr, nil)
		ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
		defer cancel()
		if got, _ := collect(ctx, alice, request(sip.INVITE, aor, by(proxyAddr))); got != "180 180 487" {
			s.Errorf("responses %q, want 180 180 487", got)
		}
		s.notedAll("bob INVITE", "carol INVITE", "bob cancelled", "carol cancelled")
	})
}

// The CANCEL of what the proxy does not know gets 481, where RFC 3261 section
// 16.10 would have it forwarded: what was forwarded without state is known by
// Config.Stateless, and anything else would be a relay for strangers.
func TestCancelOfNothing(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, both())
		alice := s.wire(aliceAddr)
		alice.send(request(sip.CANCEL, aor))
		alice.response(sip.StatusCallDoesNotExist)
	})
}

// The CANCEL crosses the 200: the caller has a call to hang up (RFC 3261 section
// 9.1).
func TestCancelCrossesSuccess(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-tx.Context().Done() // and picks up all the same
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@" + bobAddr)})
		})
		alice := s.ua(aliceAddr, nil)
		ctx, cancel := context.WithTimeout(s.Context(), time.Second)
		defer cancel()
		if got, _ := collect(ctx, alice, request(sip.INVITE, aor, by(proxyAddr))); got != "180 200" {
			s.Errorf("responses %q, want 180 200", got)
		}
	})
}

// Two pick up at the same moment: the caller hears of both (RFC 3261 section 16.7
// step 5), and has two calls, of which it will end one.
func TestSuccessOfTwoForks(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, both())
		s.phone("bob", bobAddr, 180, 200)
		s.phone("carol", carolAddr, 180, 200)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 180 200")
		pass(time.Second)
		s.notedAll("bob INVITE", "carol INVITE", aliceAddr+" further 200")
	})
}

// A 6xx waits for the others to end, and one of them has picked up: the 2xx wins
// (RFC 3261 section 16.7 step 5).
func TestGlobalFailureBesideSuccess(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, both())
		s.phone("bob", bobAddr, 603)
		s.ua(carolAddr, func(tx *transaction.Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-tx.Context().Done()
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:carol@" + carolAddr)})
		})
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 200")
	})
}

// A 6xx ends the search, once the others have stopped (RFC 3261 section 16.7
// steps 5 and 6).
func TestGlobalFailure(t *testing.T) {
	play(t, func(s *scene) {
		targets := at("sip:bob@"+bobAddr, "sip:carol@"+carolAddr, "sip:dave@192.0.2.13")
		targets[0].Q, targets[1].Q = 1, 1
		s.proxy(proxyAddr, example(to(targets...)))
		s.phone("bob", bobAddr, 180, 603)
		s.phone("carol", carolAddr, 180)
		s.phone("dave", "192.0.2.13", 200)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 180 603")
		s.notedAll("bob INVITE", "carol INVITE", "carol cancelled")
	})
}

// The callee is slow to hear of the CANCEL and says 200 after the proxy has
// nothing to wait for (RFC 3261 section 9.1). The server transaction has its 487 by
// then, and the 200 goes past it (section 16.7 step 5).
func TestSuccessLongAfterCancel(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		alice.send(request(sip.INVITE, aor))
		invite := bob.request(sip.INVITE)
		bob.send(invite.Reply(sip.StatusRinging))
		alice.response(sip.StatusRinging)
		alice.send(request(sip.CANCEL, aor))
		alice.response(sip.StatusOK)
		pass(32 * time.Second)
		alice.response(sip.StatusRequestTerminated)
		bob.send(invite.Reply(sip.StatusOK))
		for range 10 { // the 487 is repeated
			if resp, ok := alice.next().(*sip.Response); ok && resp.Status().Success() {
				return
			}
		}
		s.Error("alice got no 200")
	})
}

// A 487 after the 200, of the same branch: the call is up, and stays so.
func TestTerminatedAfterSuccess(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		bob := s.wire(bobAddr)
		go func() { // ends with its 487
			invite := bob.request(sip.INVITE)
			bob.send(invite.Reply(sip.StatusOK))
			bob.send(invite.Reply(sip.StatusRequestTerminated))
		}()
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "200")
		pass(time.Second)
		s.noted()
	})
}

// A callee that ends its early dialog says 487 of its own accord: that is passed
// on.
func TestTerminatedByCallee(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		s.phone("bob", bobAddr, 180, 487)
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "180 487")
	})
}

// A handler of several steps: the phone of bob, and when that does not answer in
// time his mailbox. Fork leaves the answer to the handler.
func TestForkThenMailbox(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			best := tx.Fork(req, at("sip:bob@"+bobAddr)...)
			s.note("best %d", int(best.Status()))
			if best.Status() == sip.StatusBusyHere {
				tx.Forward(req, at("sip:mailbox@"+carolAddr)...)
				return
			}
			tx.Respond(best)
		}))
		s.phone("bob", bobAddr, 180, 486)
		s.phone("carol", carolAddr, 200)
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "180 200")
		s.noted("bob INVITE", "best 486", "carol INVITE")
	})
}

// A proxy that is shut down lets what rings come to its end.
func TestShutdown(t *testing.T) {
	play(t, func(s *scene) {
		p, err := Listen(on(s, s.net, proxyAddr), example(to(at("sip:bob@"+bobAddr)...)))
		if err != nil {
			s.Fatal(err)
		}
		s.phone("bob", bobAddr, 180, 180, 180, 200)
		alice := s.ua(aliceAddr, nil)
		done := make(chan struct{})
		go func() { // ends with the call
			defer close(done)
			s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 180 180 200")
		}()
		pass(100 * time.Millisecond)
		if err := p.Shutdown(s.Context()); err != nil {
			s.Error(err)
		}
		<-done
	})
}

// Without a handler a proxy carries on with what it is on the path of, and takes
// nothing new.
func TestNoHandler(t *testing.T) {
	play(t, func(s *scene) {
		tc := on(s, s.net, proxyAddr)
		tc.FlowKey = []byte("the key of both runs")
		p, err := Listen(tc, example(to(at("sip:bob@"+bobAddr)...)))
		if err != nil {
			s.Fatal(err)
		}
		s.phone("bob", bobAddr, 200)
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "200")
		p.Close()
		if p, err = Listen(tc, nil); err != nil {
			s.Fatal(err)
		}
		s.expect(alice, within(sip.BYE, 2, ok), "200")
		s.expect(alice, request(sip.MESSAGE, "sip:bob@"+bobAddr, by(proxyAddr), sip.CallID("2")), "403")
		pass(time.Minute)
		p.Close()
	})
}

// A fork behind the callee's address answers twice, by two transports at once: each
// 2xx is passed on (RFC 3261 section 16.7 step 5).
func TestTwoSuccessesAtOnce(t *testing.T) {
	for range 20 {
		play(t, func(s *scene) {
			s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
			alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
			conn, err := s.net.Host(bobAddr).DialContext(s.Context(), "tcp", proxyAddr+":5060")
			if err != nil {
				s.Fatal(err)
			}
			defer conn.Close()
			alice.send(request(sip.INVITE, aor))
			invite := bob.request(sip.INVITE)
			tagged := func(tag string) *sip.Response {
				ok := invite.Reply(sip.StatusOK)
				return ok.With(ok.To().WithTag(tag))
			}
			bob.send(tagged("a"))
			if _, err := conn.Write([]byte(tagged("b").String())); err != nil {
				s.Fatal(err)
			}
			tags := map[string]bool{}
			for len(tags) < 2 && !s.Failed() {
				tags[alice.response(sip.StatusOK).To().Tag()] = true
			}
		})
	}
}

// The handler loses patience and answers itself: the callee is cancelled, and if he
// picks up in that moment the caller hears of it.
func TestReplyWhileForwarding(t *testing.T) {
	for _, picksUp := range []bool{false, true} {
		play(t, func(s *scene) {
			s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
				tx.Forward(req, at("sip:bob@"+bobAddr)...)
				<-time.After(2 * time.Second)
				tx.Reply(sip.StatusTemporarilyUnavailable)
			}))
			alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
			alice.send(request(sip.INVITE, aor))
			invite := bob.request(sip.INVITE)
			bob.send(invite.Reply(sip.StatusRinging))
			alice.response(sip.StatusRinging)
			pass(1900 * time.Millisecond)
			alice.response(sip.StatusTemporarilyUnavailable)
			cancel := bob.request(sip.CANCEL)
			if took := time.Since(s.start).Round(time.Second); took != 2*time.Second {
				s.Errorf("the CANCEL came after %v, want 2s", took)
			}
			bob.send(cancel.Reply(sip.StatusOK))
			if picksUp {
				bob.send(invite.Reply(sip.StatusOK))
				alice.response(sip.StatusOK)
			}
		})
	}
}

// Requests of one call that are forked leave in the order in which they came.
func TestForkKeepsOrder(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, both())
		bob := s.wire(bobAddr)
		s.phone("carol", carolAddr, 200)
		alice := s.wire(aliceAddr)
		const n = 40
		for i := range n {
			via := sip.Via{Transport: "UDP", Host: aliceAddr, Params: sip.Params(fmt.Sprintf(";branch=z9hG4bK%d", i))}
			alice.send(request(sip.MESSAGE, aor, sip.CSeq{Seq: uint32(i + 1), Method: sip.MESSAGE}, sip.Push(via)))
		}
		for i := range n {
			if got := bob.request(sip.MESSAGE).CSeq().Seq; got != uint32(i+1) {
				s.Fatalf("MESSAGE %d came in place of %d", got, i+1)
			}
		}
	})
}
