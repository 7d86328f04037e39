package proxy

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Nobody picks up for 20 seconds, and the mailbox does; the caller hears it all.
// Another phone that is busy at once is not waited for.
func TestNoAnswer(t *testing.T) {
	play(t, func(s *scene) {
		handler := func(tx *Server, req *sip.Request) {
			if tx.Routed() {
				tx.Relay(req)
				return
			}
			targets := at("sip:bob@"+bobAddr, "sip:mailbox@"+carolAddr)
			targets[0].Q, targets[0].Wait = 1, 20*time.Second
			tx.Forward(req, targets...)
		}
		s.proxy(proxyAddr, example(handler))
		var cancelled time.Time
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-tx.Context().Done()
			cancelled = time.Now()
		})
		s.phone("mailbox", carolAddr, 200)
		alice := s.ua(aliceAddr, nil)
		start := time.Now()
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 200")
		if took := cancelled.Sub(start).Round(time.Second); took != 20*time.Second {
			s.Errorf("bob was cancelled after %v, want 20s", took)
		}
		if took := time.Since(start).Round(time.Second); took != 20*time.Second {
			s.Errorf("the mailbox answered after %v, want 20s", took)
		}
	})
}

// Alone, a target that takes too long is 408; another request is given up by that
// time, too, and gets no 408 (RFC 4320 section 4.2).
func TestNoAnswerAtAll(t *testing.T) {
	play(t, func(s *scene) {
		handler := func(tx *Server, req *sip.Request) {
			tx.Forward(req, Target{URI: uri("sip:bob@" + bobAddr), Wait: 10 * time.Second})
		}
		s.proxy(proxyAddr, example(handler))
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusRinging)
			}
			<-tx.Context().Done()
		})
		alice := s.ua(aliceAddr, nil)
		start := time.Now()
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 408")
		if took := time.Since(start).Round(time.Second); took != 10*time.Second {
			s.Errorf("the INVITE took %v, want 10s", took)
		}
		if _, err := alice.Do(s.Context(), request(sip.MESSAGE, aor, by(proxyAddr), sip.CallID("2"))); err == nil {
			s.Error("the MESSAGE got an answer, want none")
		}
	})
}

// A phone that is dead, or dies while it rings, does not answer the CANCEL either:
// what comes next begins when the time is over.
func TestNoAnswerOfTheDead(t *testing.T) {
	for _, rings := range []bool{false, true} {
		play(t, func(s *scene) {
			targets := at("sip:bob@"+bobAddr, "sip:carol@"+carolAddr)
			targets[0].Q, targets[0].Wait = 1, 5*time.Second
			s.proxy(proxyAddr, example(to(targets...)))
			alice, bob, carol := s.wire(aliceAddr), s.wire(bobAddr), s.wire(carolAddr)
			alice.send(request(sip.INVITE, aor))
			invite := bob.request(sip.INVITE)
			if rings {
				bob.send(invite.Reply(sip.StatusRinging))
			}
			pass(4900 * time.Millisecond)
			carol.request(sip.INVITE)
			if took := time.Since(s.start).Round(time.Second / 10); took != 5*time.Second {
				s.Errorf("ringing %v: carol's INVITE came after %v, want 5s", rings, took)
			}
		})
	}
}

// Bob's phone has given up on him when he picks up: the call is his, and the
// mailbox is cancelled.
func TestAnswerAfterTheWait(t *testing.T) {
	play(t, func(s *scene) {
		targets := at("sip:bob@"+bobAddr, "sip:mailbox@"+carolAddr)
		targets[0].Q, targets[0].Wait = 1, 5*time.Second
		s.proxy(proxyAddr, example(to(targets...)))
		s.phone("mailbox", carolAddr, 180)
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		alice.send(request(sip.INVITE, aor))
		invite := bob.request(sip.INVITE)
		bob.send(invite.Reply(sip.StatusRinging))
		alice.response(sip.StatusRinging)
		pass(4900 * time.Millisecond)
		bob.request(sip.CANCEL)
		alice.response(sip.StatusRinging) // of the mailbox
		bob.send(invite.Reply(sip.StatusOK))
		alice.response(sip.StatusOK)
		pass(time.Second)
		s.notedAll("mailbox INVITE", "mailbox cancelled")
	})
}

// A phone redirects to another one, which has the rest of the time and no more.
func TestNoAnswerOfTheRedirected(t *testing.T) {
	play(t, func(s *scene) {
		targets := at("sip:bob@"+bobAddr, "sip:mailbox@"+carolAddr)
		targets[0].Q, targets[0].Wait = 1, 20*time.Second
		cfg := example(to(targets...))
		cfg.Recurse = true
		s.proxy(proxyAddr, cfg)
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			if req.URI().User == "bob" {
				<-time.After(3 * time.Second)
				tx.Reply(sip.StatusMovedTemporarily, sip.Contact{URI: uri("sip:bob2@" + bobAddr)})
				return
			}
			tx.Reply(sip.StatusRinging)
			<-tx.Context().Done()
		})
		s.phone("mailbox", carolAddr, 200)
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "180 200")
		if took := time.Since(s.start).Round(time.Second); took != 20*time.Second {
			s.Errorf("the mailbox answered after %v, want 20s", took)
		}
	})
}

// A client on a connection gets such an answer by that, though its Via does not say
// which it is (RFC 3261 section 18.2.2).
func TestAnswerAfterTheWaitByTCP(t *testing.T) {
	play(t, func(s *scene) {
		targets := at("sip:bob@" + bobAddr)
		targets[0].Wait = 5 * time.Second
		s.proxy(proxyAddr, example(to(targets...)))
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-tx.Context().Done()
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@" + bobAddr)})
		})
		conn, err := s.net.Host(aliceAddr).DialContext(s.Context(), "tcp", proxyAddr+":5060")
		if err != nil {
			s.Fatal(err)
		}
		defer conn.Close()
		invite := request(sip.INVITE, aor, sip.Push(sip.Via{Transport: "TCP", Host: aliceAddr, Params: ";branch=z9hG4bK1"}))
		fmt.Fprint(conn, invite)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		text, _ := io.ReadAll(conn)
		var got []string
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "SIP/2.0 ") {
				got = append(got, line[8:11])
			}
		}
		if want := []string{"180", "408", "200"}; !slices.Equal(got, want) {
			s.Errorf("responses %q, want %q", got, want)
		}
	})
}
