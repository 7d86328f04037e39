package transport

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/nat/stun"
)

// An answer belongs to the socket that has asked. One that comes to another of
// ours, with whatever transaction ID, tells nothing of the flow.
func TestSTUNAnswerToAnotherSocket(t *testing.T) {
	play(t, nil, func(s *scene) {
		alice := s.stunServer(s.alice, aliceAddr)
		e := s.listen(&Config{Listen: []string{"udp:" + bobAddr, "udp:192.0.2.2:5070"}})
		alice.answers(func(msg []byte, from netip.AddrPort) []byte {
			alice.send(string(stun.Respond(msg, from)), "192.0.2.2:5070")
			return nil
		})
		dead := &deaths{s: s}
		flow := Flow{via: e.udp[0], remote: netip.MustParseAddrPort(aliceAddr)}
		e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: dead.dead})
		s.wait(2 * time.Minute)
		dead.want(stun.ErrTimeout)
		if n := len(alice.times()); n != 7 {
			t.Errorf("%d requests, want one that is sent seven times", n)
		}
	})
}

// Who has cancelled a Binding request hears no more of it, also where the answer
// was read before and is looked at after that, or its time is up.
func TestSTUNAnswerAfterCancel(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, flow, alice, _, stop := s.onUDP(&KeepAlive{Answered: true, Interval: time.Minute})
		alice.answers(silence)
		s.wait(time.Minute)
		e.Endpoint.mu.Lock()
		var asked *stunQuery
		for _, asked = range e.stun {
		}
		e.Endpoint.mu.Unlock()
		if asked == nil {
			t.Fatal("no Binding request is under way")
		}
		told := 0
		asked.done = func(netip.AddrPort, error) { told++ }
		stop()
		asked.answer(stun.Respond(alice.requests[0], netip.MustParseAddrPort(bobAddr)), flow.remote)
		s.wait(time.Hour)
		asked.step()
		if told != 0 {
			t.Errorf("told %d times after it was cancelled", told)
		}
		s.quiet(e)
	})
}
