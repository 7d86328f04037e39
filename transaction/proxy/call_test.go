package proxy

import (
	"testing"

	"github.com/goparley/parley/sip"
)

// to returns a handler that relays what is within dialogs, and forwards what is
// for bob to these targets.
func to(targets ...Target) func(*Server, *sip.Request) {
	return func(tx *Server, req *sip.Request) {
		switch {
		case tx.Routed():
			tx.Relay(req)
		case tx.Local():
			tx.Forward(req, targets...)
		default:
			tx.Reply(sip.StatusForbidden)
		}
	}
}

func at(uris ...string) []Target {
	var list []Target
	for _, u := range uris {
		list = append(list, Target{URI: uri(u)})
	}
	return list
}

// A call through a proxy that stays on its path: INVITE, ACK and BYE go by it,
// and the ends see one Record-Route (RFC 3261 section 16.12.1.1).
func TestCall(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Domains: []string{"example.com"}, RecordRoute: true, Handler: to(at("sip:bob@" + bobAddr)...)})
		s.phone("bob", bobAddr, 180, 200)
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 200")
		if _, _, err := alice.Send(t.Context(), within(sip.ACK, 1, ok)); err != nil {
			t.Fatal(err)
		}
		s.expect(alice, within(sip.BYE, 2, ok), "200")
		s.noted("bob INVITE", "bob ACK", "bob BYE")
	})
}
