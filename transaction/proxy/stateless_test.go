package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// toBob forwards everything to bob without a transaction.
func toBob() *Config {
	return &Config{Handler: func(tx *Server, req *sip.Request) { tx.Reply(sip.StatusNotFound) },
		Stateless: func(*sip.Request, Arrival) (Target, bool) { return Target{URI: uri("sip:bob@" + bobAddr)}, true }}
}

// A call without state: the same request gets the same branch each time, so does
// its CANCEL, and responses find their way by their Vias (RFC 3261 section 16.11).
func TestStateless(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, toBob())
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		alice.send(request(sip.INVITE, aor))
		first := bob.request(sip.INVITE)
		if got := first.URI().String(); got != "sip:bob@192.0.2.11" || first.MaxForwards() != 69 {
			s.Errorf("forwarded to %s with Max-Forwards %d", got, first.MaxForwards())
		}
		alice.send(request(sip.INVITE, aor))
		again := bob.request(sip.INVITE)
		if first.String() != again.String() {
			s.Errorf("forwarded as\n%s\nand again as\n%s", first, again)
		}
		bob.send(first.Reply(sip.StatusRinging))
		ringing := alice.response(sip.StatusRinging)
		if got := ringing.Via().Branch(); got != "z9hG4bKwire" {
			s.Errorf("the response has branch %q on top", got)
		}
		alice.send(request(sip.CANCEL, aor))
		if got := bob.request(sip.CANCEL); got.Via() != first.Via() {
			s.Errorf("Via of the CANCEL = %v, want %v", got.Via(), first.Via())
		}
		bob.send(first.Reply(sip.StatusRequestTerminated))
		resp := alice.response(sip.StatusRequestTerminated)
		alice.send(request(sip.ACK, aor, resp.To()))
		if got := bob.request(sip.ACK); got.Via() != first.Via() {
			s.Errorf("Via of the ACK = %v, want %v", got.Via(), first.Via())
		}
		// No 100, and nothing is sent again.
		if m := alice.next(); m != nil {
			s.Errorf("alice got %v", m)
		}
	})
}

// Peers of RFC 2543 have no branch, or not one that is unlike others: what else
// makes the request decides.
func TestStatelessBranchOfRFC2543(t *testing.T) {
	k := newKey()
	branch := func(via sip.Via, edits ...sip.Edit) string {
		return k.statelessBranch(via, request(sip.INVITE, aor, edits...), mark{})
	}
	for _, id := range []string{"", ";branch=1", ";branch=z9hG4bK"} {
		via := sip.Via{Transport: "UDP", Host: "a.example", Params: sip.Params(id)}
		first := branch(via)
		if first != branch(sip.Via{Transport: "UDP", Host: "A.example", Params: sip.Params(id + ";rport=5060")}, sip.To{URI: uri(aor), Params: ";tag=1"}) {
			t.Errorf("%q: the same request has another branch", id)
		}
		for _, other := range []sip.Edit{sip.CallID("2"), sip.CSeq{Seq: 2, Method: sip.INVITE}, sip.From{URI: uri(aor), Params: ";tag=3"}} {
			if first == branch(via, other) {
				t.Errorf("%q: another request has the same branch", id)
			}
		}
	}
	ours := sip.Via{Transport: "UDP", Host: "a.example", Params: ";branch=z9hG4bK1"}
	if branch(ours) == branch(sip.Via{Transport: "UDP", Host: "b.example", Params: ";branch=z9hG4bK1"}) {
		t.Error("the branch of another client is the same")
	}
}

// A response that we have not forwarded the request of goes nowhere: not with a
// branch that is made up, and not with one of another request (RFC 6026 section
// 7.3).
func TestStatelessResponseOfNothing(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, toBob())
		alice, bob, carol := s.wire(aliceAddr), s.wire(bobAddr), s.wire(carolAddr)
		alice.send(request(sip.MESSAGE, aor))
		ok := bob.request(sip.MESSAGE).Reply(sip.StatusOK)
		text := ok.String()
		for _, changed := range []string{
			strings.Replace(text, "z9hG4bKwire", "z9hG4bKother", 1),
			strings.Replace(text, "z9hG4bKwire", "z9hG4bKwire;received="+carolAddr, 1),
			strings.Replace(text, "z9hG4bKwire", "z9hG4bKwire;maddr=224.0.1.75", 1),
			strings.Replace(text, "192.0.2.1;branch=z9hG4bKwire", carolAddr+";branch=z9hG4bKwire", 1),
			strings.Replace(text, ok.Via().Branch(), "z9hG4bK"+strings.Repeat("0", 32)+".1", 1),
			strings.Replace(text, ok.Via().Branch(), "z9hG4bK1", 1),
		} {
			bob.conn.WriteTo([]byte(changed), bob.to)
		}
		if m := carol.next(); m != nil {
			s.Errorf("carol got %v", m)
		}
		if m := alice.next(); m != nil {
			s.Errorf("alice got %v", m)
		}
		for _, p := range s.net.Packets() {
			if p.To.Addr().IsMulticast() {
				s.Errorf("a group got %s", p.Data)
			}
		}
		bob.send(ok)
		alice.response(sip.StatusOK)
	})
}

// What is wrong with a request is told all the same (RFC 3261 section 16.11), and
// what the function does not take has a transaction.
func TestStatelessBesideStateful(t *testing.T) {
	play(t, func(s *scene) {
		cfg := toBob()
		cfg.Stateless = func(req *sip.Request, _ Arrival) (Target, bool) { return Target{}, req.Method() == sip.MESSAGE }
		s.proxy(proxyAddr, cfg)
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		alice.send(request(sip.MESSAGE, "sip:bob@"+bobAddr, sip.MaxForwards(0)))
		alice.response(sip.StatusTooManyHops)
		alice.send(request(sip.INFO, "sip:bob@"+bobAddr))
		alice.response(sip.StatusNotFound)
		alice.send(request(sip.MESSAGE, "tel:+1", sip.CallID("2"), sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: ";branch=z9hG4bK2"})))
		alice.response(sip.StatusUnsupportedURIScheme)
		alice.send(request(sip.MESSAGE, "sip:bob@"+bobAddr, by(proxyAddr, proxyAddr, proxyAddr), sip.CallID("3"),
			sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: ";branch=z9hG4bK3"})))
		if got := bob.request(sip.MESSAGE); routes(got) != "" {
			s.Errorf("Route = %q", routes(got))
		}
	})
}

// A loop of proxies without state is found when the request comes to one of them as
// it has before, long before its Max-Forwards are used up.
func TestStatelessLoop(t *testing.T) {
	play(t, func(s *scene) {
		for host, next := range map[string]string{proxyAddr: "192.0.2.4", "192.0.2.4": proxyAddr} {
			s.proxy(host, &Config{Stateless: func(*sip.Request, Arrival) (Target, bool) {
				s.note("to %s", next)
				return Target{Route: []sip.Route{{URI: uri("sip:" + next + ";lr")}}}, true
			}})
		}
		s.expect(s.ua(aliceAddr, nil), request(sip.MESSAGE, aor, by(proxyAddr)), "482")
		s.noted("to 192.0.2.4", "to "+proxyAddr)
	})
}

// A callee by TCP: the request waits for the connection beside the socket, and
// the response comes back.
func TestStatelessToTCP(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{RecordRoute: true, Stateless: func(*sip.Request, Arrival) (Target, bool) { return Target{}, true }})
		s.phone("bob", bobAddr, 200)
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, "sip:bob@"+bobAddr+";transport=tcp", by(proxyAddr+";transport=tcp")), "200")
		if _, _, err := alice.Send(s.Context(), within(sip.ACK, 1, ok)); err != nil {
			s.Fatal(err)
		}
		s.expect(alice, within(sip.BYE, 2, ok), "200")
		s.noted("bob INVITE", "bob ACK", "bob BYE")
	})
}

// From a connection to UDP somebody has to send again what is lost, and the client
// does not: there a request has a transaction, whatever Stateless says (RFC 3261
// section 16.1).
func TestStatelessFromTCPToUDP(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, toBob())
		alice := s.client(aliceAddr, nil)
		done := make(chan struct{})
		go func() { // ends with the response
			defer close(done)
			s.expect(alice, request(sip.MESSAGE, aor, by(proxyAddr+";transport=tcp")), "200")
		}()
		pass(time.Second) // the first datagrams meet nobody
		s.phone("bob", bobAddr, 200)
		<-done
		s.noted("bob MESSAGE")
		// The ACK of a 2xx is not sent again by anybody but the client.
		if _, _, err := alice.Send(s.Context(), request(sip.ACK, aor, by(proxyAddr+";transport=tcp"), sip.To{URI: uri(aor), Params: ";tag=2"})); err != nil {
			s.Fatal(err)
		}
		pass(time.Second)
		s.noted("bob ACK")
	})
}

// From UDP to a connection it is the response that may be lost: the request comes
// again, and over a connection nobody expects that.
func TestStatelessFromUDPToTCP(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Stateless: func(*sip.Request, Arrival) (Target, bool) {
			return Target{URI: uri("sip:bob@" + bobAddr + ";transport=tcp")}, true
		}})
		s.phone("bob", bobAddr, 200)
		alice := s.wire(aliceAddr)
		for range 2 {
			alice.send(request(sip.MESSAGE, aor))
			alice.response(sip.StatusOK)
		}
		s.noted("bob MESSAGE")
	})
}

// A proxy that is shut down takes no new requests without a transaction, either;
// what is within a dialog goes on.
func TestStatelessShutdown(t *testing.T) {
	play(t, func(s *scene) {
		cfg := toBob()
		all := cfg.Stateless
		cfg.Stateless = func(req *sip.Request, in Arrival) (Target, bool) {
			if req.Method() == sip.OPTIONS {
				return Target{}, false
			}
			return all(req, in)
		}
		end := make(chan struct{})
		cfg.Handler = func(tx *Server, req *sip.Request) {
			<-end
			tx.Reply(sip.StatusOK)
		}
		p, err := Listen(on(s, s.net, proxyAddr), cfg)
		if err != nil {
			s.Fatal(err)
		}
		s.phone("bob", bobAddr, 200)
		alice := s.ua(aliceAddr, nil)
		answered, down := make(chan struct{}), make(chan struct{})
		go func() { // ends with the response
			defer close(answered)
			s.expect(alice, request(sip.OPTIONS, aor, by(proxyAddr)), "200")
		}()
		pass(time.Second)
		go func() { // ends with the OPTIONS
			defer close(down)
			if err := p.Shutdown(s.Context()); err != nil {
				s.Error(err)
			}
		}()
		pass(time.Second)
		s.expect(alice, request(sip.MESSAGE, aor, by(proxyAddr), sip.CallID("2")), "503")
		s.expect(alice, request(sip.BYE, aor, by(proxyAddr), sip.CallID("3"), sip.To{URI: uri(aor), Params: ";tag=2"}), "200")
		s.noted("bob BYE")
		close(end)
		<-answered
		<-down
	})
}

// Stateless is told what the handler is: what is for our users, and what is within
// a dialog that we are on the path of.
func TestStatelessArrival(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Domains: []string{"example.com"}, RecordRoute: true,
			Stateless: func(req *sip.Request, in Arrival) (Target, bool) {
				s.note("%s local %v routed %v", req.Method(), in.Local, in.Routed)
				if in.Local {
					return Target{URI: uri("sip:bob@" + bobAddr)}, true
				}
				return Target{}, in.Routed
			}})
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@" + bobAddr)})
		})
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "200")
		s.expect(alice, within(sip.BYE, 2, ok), "200")
		s.noted("INVITE local true routed false", "BYE local false routed true")
		s.expect(alice, request(sip.MESSAGE, "sip:bob@"+bobAddr, by(proxyAddr), sip.CallID("2")), "403")
	})
}
