package proxy

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// Nobody picks up for longer than timer C: the branch is cancelled, counts as
// 408, and the next one has its turn (RFC 3261 section 16.8).
func TestTimerC(t *testing.T) {
	play(t, func(s *scene) {
		targets := at("sip:bob@"+bobAddr, "sip:carol@"+carolAddr)
		targets[0].Q = 1
		s.proxy(proxyAddr, example(to(targets...)))
		s.phone("bob", bobAddr, 180)
		s.phone("carol", carolAddr, 404)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 404")
		if took := time.Since(s.start); took < 200*time.Second || took > 205*time.Second {
			s.Errorf("the call ended after %v, want 200s, or a little more", took)
		}
		s.notedAll("bob INVITE", "bob cancelled", "carol INVITE")
	})
}

// With nobody else to ask, that 408 is the answer, though what came back is the
// 487 of the proxy's own CANCEL.
func TestTimerCIsTimeout(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		s.phone("bob", bobAddr, 180)
		s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "180 408")
	})
}

// A 180 and the 487 cross the CANCEL of timer C: the branch is a 408 all the same,
// and the other flow of the user agent has its turn.
func TestTimerCCrossesRinging(t *testing.T) {
	play(t, func(s *scene) {
		targets := at("sip:bob@"+bobAddr, "sip:carol@"+carolAddr)
		targets[0].Q = 1
		targets[0].Instance, targets[1].Instance = "x", "x"
		s.proxy(proxyAddr, example(to(targets...)))
		s.phone("carol", carolAddr, 200)
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		alice.send(request(sip.INVITE, aor))
		invite := bob.request(sip.INVITE)
		bob.send(invite.Reply(sip.StatusRinging))
		alice.response(sip.StatusRinging)
		pass(202 * time.Second)
		cancel := bob.request(sip.CANCEL)
		bob.send(invite.Reply(sip.StatusRinging))
		bob.send(cancel.Reply(sip.StatusOK))
		bob.send(invite.Reply(sip.StatusRequestTerminated))
		alice.response(sip.StatusOK)
		s.noted("carol INVITE")
	})
}
