package proxy

import (
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// A Route that is us by name is taken off, whoever's name stands in front of it,
// and says nothing of who has made it (RFC 3261 section 16.4). Without lr it is
// another's.
func TestRouteWithUser(t *testing.T) {
	for _, test := range []struct{ entry, want string }{
		{"sip:orig@192.0.2.3;lr", "local"},
		{"sip:term@example.com;lr;x=1", "local"},
		{"sip:a-name-that-is-as-long-as-a-token@192.0.2.3:5060;lr", "local"},
		{"sip:orig@192.0.2.3", ""},
		{"sip:orig@192.0.2.3:5070;lr", ""},
	} {
		play(t, func(s *scene) {
			got := ""
			s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
				if tx.Local() {
					got += "local"
				}
				if tx.Routed() {
					got += " routed"
				}
				tx.Reply(sip.StatusOK)
			}))
			alice := s.wire(aliceAddr)
			alice.send(request(sip.MESSAGE, aor, sip.Route{URI: uri(test.entry)}))
			alice.response(sip.StatusOK)
			if got != test.want {
				s.Errorf("by %s the request is %q, want %q", test.entry, got, test.want)
			}
		})
	}
}

// A Request-URI with a user is no entry of ours, even if it has lr: only a strict
// router would have put one there, and that has a token or no user.
func TestRequestURIWithUserAndLR(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		s.phone("bob", bobAddr, 200)
		s.expect(s.ua(aliceAddr, nil), request(sip.MESSAGE, aor+";lr", by(proxyAddr)), "200")
		s.noted("bob MESSAGE")
	})
}

// A proxy that starts again with another key cannot read the tokens of its
// Record-Routes any more. They are taken off all the same, as it is us that they
// name (RFC 3261 section 16.4): that is a matter for the handler. With the same
// key nobody notices.
func TestRestartWithinDialog(t *testing.T) {
	for _, test := range []struct{ key, want, noted string }{
		{"", "403", "routed false, Route \"\""},
		{"a key of 16 bytes", "200", "routed true, Route \"\""},
	} {
		play(t, func(s *scene) {
			r := s.restarting(test.key, example(func(tx *Server, req *sip.Request) {
				if req.Method() == sip.BYE {
					route, _ := req.Value("Route")
					s.note("routed %v, Route %q", tx.Routed(), route)
				}
				to(at("sip:bob@"+bobAddr)...)(tx, req)
			}))
			s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
				tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@" + bobAddr)})
			})
			alice := s.ua(aliceAddr, nil)
			ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "200")
			r.p.Close()
			r.start(nil)
			s.expect(alice, within(sip.BYE, 2, ok), test.want)
			s.noted(test.noted)
		})
	}
}

// A handler that relays everything, as that of a proxy in a closed network may,
// carries on after a restart, where a Contact is enough.
func TestRestartOfRelay(t *testing.T) {
	play(t, func(s *scene) {
		r := s.restarting("", &Config{RecordRoute: true, Handler: relay})
		s.phone("bob", bobAddr, 200)
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, "sip:bob@"+bobAddr, by(proxyAddr)), "200")
		r.p.Close()
		r.start(nil)
		s.expect(alice, within(sip.BYE, 2, ok), "200")
		s.noted("bob INVITE", "bob BYE")
	})
}

// In an entry with ob, a token is the way to a user agent, and the only one: if
// it is not ours, it is refused (RFC 5626 section 5.3.1).
func TestForgedFlowToken(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Handler: relay})
		bob := s.wire(bobAddr)
		alice := s.ua(aliceAddr, nil)
		forged := sip.Route{URI: uri("sip:bm9ib2R5IGhhcyBldmVyIHNpZ25lZCB0aGlz@" + proxyAddr + ";lr;ob")}
		s.expect(alice, request(sip.MESSAGE, "sip:bob@"+bobAddr, forged), "403")
		if m := bob.next(); m != nil {
			s.Errorf("bob got %v", m)
		}
	})
}
