package proxy

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// A request came by two ways, and each waits for its spiral, when the other is over as
// well (RFC 3261 section 8.2.2.2 calls them merged).
func TestVouchedOfMerged(t *testing.T) {
	via := func(host, branch string) sip.Edit {
		return sip.Push(sip.Via{Transport: "UDP", Host: host, Params: ";branch=z9hG4bK" + sip.Params(branch)})
	}
	for _, over := range []int{0, 1} {
		play(t, func(s *scene) {
			s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
				if req.URI().User == "dave" {
					s.note("vouched %v", tx.Vouched())
					tx.Reply(sip.StatusBusyHere)
					return
				}
				tx.Vouch()
				tx.Forward(req, at("sip:bob@"+bobAddr)...)
			}))
			alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
			var forwarded []*sip.Request
			for _, branch := range []string{"one", "two"} {
				alice.send(request(sip.INVITE, aor, via(aliceAddr, branch)))
				forwarded = append(forwarded, bob.request(sip.INVITE))
			}
			back := func(req *sip.Request, branch string) {
				bob.send(req.WithURI(uri("sip:dave@example.com")).With(via(bobAddr, branch)))
				pass(100 * time.Millisecond)
			}
			bob.send(forwarded[over].Reply(sip.StatusBusyHere))
			pass(100 * time.Millisecond)
			back(forwarded[1-over], "early")
			bob.send(forwarded[1-over].Reply(sip.StatusBusyHere))
			pass(100 * time.Millisecond)
			back(forwarded[1-over], "late")
			s.noted("vouched true", "vouched false")
		})
	}
}
