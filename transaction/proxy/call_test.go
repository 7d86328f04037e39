package proxy

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
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

// relay is a handler that relays everything.
func relay(tx *Server, req *sip.Request) { tx.Relay(req) }

func at(uris ...string) []Target {
	var list []Target
	for _, u := range uris {
		list = append(list, Target{URI: uri(u)})
	}
	return list
}

// example is the configuration of a proxy of example.com.
func example(handler func(*Server, *sip.Request)) *Config {
	return &Config{Domains: []string{"example.com"}, RecordRoute: true, Handler: handler}
}

// A call through a proxy that stays on its path: INVITE, ACK and BYE go by it, in
// both directions (RFC 3261 section 16.12.1.1).
func TestCall(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		s.phone("bob", bobAddr, 180, 200)
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 200")
		if _, _, err := alice.Send(s.Context(), within(sip.ACK, 1, ok)); err != nil {
			s.Fatal(err)
		}
		s.expect(alice, within(sip.BYE, 2, ok), "200")
		s.noted("bob INVITE", "bob ACK", "bob BYE")
		for _, p := range s.net.Packets() {
			if p.From.Addr().String() == aliceAddr && p.To.Addr().String() != proxyAddr {
				s.Errorf("%q went past the proxy", p.Data)
			}
		}
	})
}

// Who forwards an INVITE says so when nobody else does in 200 ms, and the client
// stops to send it again (RFC 3261 section 17.2.1). The callee's 100 is for the
// proxy alone (section 16.7 step 5).
func TestTrying(t *testing.T) {
	for _, trying := range []bool{false, true} {
		play(t, func(s *scene) {
			s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
			bob := s.wire(bobAddr)
			alice := s.ua(aliceAddr, nil)
			ctx, cancel := context.WithCancel(s.Context())
			done := make(chan struct{})
			go func() { // ends with the response, or with what is left of it
				defer close(done)
				collect(ctx, alice, request(sip.INVITE, aor, by(proxyAddr)))
			}()
			if invite := bob.request(sip.INVITE); trying {
				bob.send(invite.Reply(sip.StatusTrying))
			}
			pass(10 * time.Second)
			var got []string
			for _, p := range s.net.Packets() {
				if first, _, _ := strings.Cut(string(p.Data), " sip:"); p.From.Addr().String() == aliceAddr || p.To.Addr().String() == aliceAddr {
					first, _, _ = strings.Cut(first, "\r\n")
					got = append(got, fmt.Sprint(p.Time.Sub(s.start), " ", first))
				}
			}
			if got, want := strings.Join(got, ", "), "0s INVITE, 210ms SIP/2.0 100 Trying"; got != want {
				s.Errorf("the callee sends a 100: %v: between alice and the proxy %s, want %s", trying, got, want)
			}
			cancel()
			<-done
		})
	}
}

// Three proxies in a row. Each is on the path, none knows of the others, and a
// request within the dialog takes the same way from either end.
func TestThreeProxies(t *testing.T) {
	play(t, func(s *scene) {
		const second, third = "192.0.2.4", "192.0.2.5"
		s.proxy(proxyAddr, &Config{RecordRoute: true, Handler: relay})
		s.proxy(second, &Config{RecordRoute: true, Handler: relay})
		s.proxy(third, &Config{RecordRoute: true, Handler: relay})
		var bob *transaction.Layer
		var invite *sip.Request
		bob = s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			s.note("bob %s %d", req.Method(), req.MaxForwards())
			if req.Method() == sip.INVITE {
				invite = req
			}
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@" + bobAddr)})
		})
		alice := s.phone("alice", aliceAddr, 200)
		ok := s.expect(alice, request(sip.INVITE, "sip:bob@"+bobAddr, by(proxyAddr, second, third)), "200")
		if got := len(routeSet(invite)); got != 3 {
			s.Errorf("%d Record-Routes, want 3: all hops are alike", got)
		}
		s.expect(alice, within(sip.BYE, 2, ok), "200")
		// And from the other end: bob's route set is that of the INVITE.
		contact, _ := sip.Get[sip.Contact](invite)
		back := request(sip.INFO, contact.URI.String(), sip.From(ok.To()), sip.To(ok.From()), sip.List(routeSet(invite)...))
		s.expect(bob, back, "200")
		s.noted("bob INVITE 67", "bob BYE 67", "alice INFO")
	})
}

// routeSet returns the route set of who is called.
func routeSet(m sip.Message) (set []sip.Route) {
	for rr := range sip.All[sip.RecordRoute](m) {
		set = append(set, sip.Route(rr))
	}
	return set
}

// A client that stays on TCP, and a callee on UDP: each is told how to reach the
// proxy from its side (RFC 5658), and the caller by the connection that it has
// made (RFC 5626 section 5.3).
func TestRecordRouteBetweenTransports(t *testing.T) {
	play(t, func(s *scene) {
		p := s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		var invite *sip.Request
		bob := s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				invite = req
			}
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@" + bobAddr)})
		})
		// She listens on nothing: the connection is the only way to her.
		tc := on(s, s.net, aliceAddr, "udp")
		tc.Listen = nil
		alice, err := transaction.Listen(tc, &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
			s.note("alice %s", req.Method())
			tx.Reply(sip.StatusOK)
		}})
		if err != nil {
			s.Fatal(err)
		}
		defer alice.Close()
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr+";transport=tcp")), "200")
		set := routeSet(invite)
		if len(set) != 2 {
			s.Fatalf("Record-Route has %d values, want 2", len(set))
		}
		for i, want := range []string{"sip:" + proxyAddr + ":5060;lr", "sip:" + proxyAddr + ":5060;transport=tcp;lr"} {
			u := set[i].URI
			flow, err := p.self.flowOf(p.Layer().Endpoint(), u)
			if err != nil || flow.IsZero() != (i == 0) {
				s.Errorf("value %d: flow %v, %v", i, flow, err)
			}
			u.User, u.Params = "", u.Params.Without(bondParam)
			if u.String() != want {
				s.Errorf("value %d = %s, want %s", i, u, want)
			}
		}
		contact, _ := sip.Get[sip.Contact](invite)
		s.expect(bob, request(sip.BYE, contact.URI.String(), sip.From(ok.To()), sip.To(ok.From()), sip.List(set...)), "200")
		s.noted("alice BYE")
	})
}

// A client behind a NAT: what is for it within the dialog goes through the hole
// that its INVITE has made.
func TestRecordRouteOfNAT(t *testing.T) {
	play(t, func(s *scene) {
		box := s.net.NAT("203.0.113.1", &siptest.NATConfig{Filtering: siptest.AddressAndPortDependent})
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		var invite *sip.Request
		bob := s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			invite = req
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@" + bobAddr)})
		})
		tc := on(s, s.net, aliceAddr, "udp")
		tc.Network, tc.Listen = box.Host("10.0.0.2"), []string{"udp:10.0.0.2:5060"}
		alice, err := transaction.Listen(tc, &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
			s.note("alice %s", req.Method())
			tx.Reply(sip.StatusOK)
		}})
		if err != nil {
			s.Fatal(err)
		}
		defer alice.Close()
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr), sip.Contact{URI: uri("sip:alice@10.0.0.2")}), "200")
		s.expect(bob, request(sip.BYE, "sip:alice@10.0.0.2", sip.From(ok.To()), sip.To(ok.From()), sip.List(routeSet(invite)...)), "200")
		s.noted("alice BYE")
	})
}

// Whoever answers late or again is heard (RFC 3261 section 16.7 step 5): the 200
// that the callee repeats until its ACK comes goes to the caller each time. After
// the server transaction has ended it goes nowhere (RFC 6026 section 7.3).
func TestFurtherSuccess(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		bob := s.wire(bobAddr)
		alice := s.ua(aliceAddr, nil)
		go func() { // ends with the call
			for resp, err := range alice.Responses(s.Context(), request(sip.INVITE, aor, by(proxyAddr))) {
				if err != nil {
					s.note("alice %v", err)
					continue
				}
				s.note("alice %d", int(resp.Status()))
			}
		}()
		pass(100 * time.Millisecond)
		invite := s.sent(bobAddr, "INVITE")
		bob.send(invite.Reply(sip.StatusRinging))
		pass(3 * time.Minute) // for longer than anything is kept that is over
		ok := invite.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@" + bobAddr)})
		bob.send(ok)
		pass(time.Second)
		bob.send(ok)
		pass(time.Second)
		s.noted("alice 180", "alice 200", aliceAddr+" further 200")
		to := ok.To()
		to.Params = ";tag=other" // of another fork
		bob.send(ok.With(to))
		pass(25 * time.Second)
		bob.send(ok)
		pass(time.Second)
		s.noted(aliceAddr+" further 200", aliceAddr+" further 200")
		pass(10 * time.Second)
		bob.send(ok)
		pass(time.Second)
		s.noted()
	})
}

// sent returns the last request of a method that was sent to a host.
func (s *scene) sent(host, method string) *sip.Request {
	s.Helper()
	var last *sip.Request
	for _, p := range s.net.Packets() {
		if m, err := sip.Parse(string(p.Data)); err == nil && p.To.Addr().String() == host {
			if req, ok := m.(*sip.Request); ok && string(req.Method()) == method {
				last = req
			}
		}
	}
	if last == nil {
		s.Fatalf("no %s was sent to %s", method, host)
	}
	return last
}

// What a proxy may not touch it does not touch (RFC 3261 section 16.6 step 1): it
// forwards header fields that it does not know, or that are broken, in their
// order, and the body.
func TestUntouched(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Handler: relay})
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		const rest = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKwire\r\nDate: never\r\nX-Odd:   7  ;a\r\n" +
			"From: <sip:alice@a.example>;tag=1\r\nt: <sip:bob@b.example>\r\nCall-ID: 7\r\nCSeq: 1 FROB\r\n" +
			"Contact: <<<\r\nSubject: a\r\n b\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\na\x00b"
		m, err := sip.Parse("FROB sip:bob@" + bobAddr + " SIP/2.0\r\n" + rest)
		if err != nil {
			s.Fatal(err)
		}
		alice.send(m)
		got := bob.request("FROB").String()
		for _, line := range []string{"\r\nDate: never\r\nX-Odd:   7  ;a\r\n", "\r\nt: <sip:bob@b.example>\r\n", "\r\nSubject: a\r\n b\r\n", "\r\n\r\na\x00b", "\r\nMax-Forwards: 70\r\n", "\r\nMax-Breadth: 60\r\n"} {
			if !strings.Contains(got, line) {
				s.Errorf("forwarded as %q, want %q in it", got, line)
			}
		}
	})
}

// Calls that ring without a handler do not use up its places: a thousand of them, and
// the next one is served. When all have refused, what the func says is done: another
// target is tried, or none.
func TestForkThen(t *testing.T) {
	play(t, func(s *scene) {
		cfg := example(func(tx *Server, req *sip.Request) {
			tx.ForkThen(req, func(best *sip.Response) {
				tx.ForkThen(req, func(best *sip.Response) {
					if best != nil {
						tx.Respond(best)
					}
				}, at("sip:carol@"+carolAddr)...)
			}, at("sip:bob@"+bobAddr)...)
		})
		cfg.Transaction = &transaction.Config{MaxHandlers: 10}
		s.proxy(proxyAddr, cfg)
		release := make(chan struct{})
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-release
			tx.Reply(sip.StatusBusyHere)
		})
		s.ua(carolAddr, func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusNotFound) })
		alice := s.ua(aliceAddr, nil)
		const calls = 1000
		answers := make(chan string, calls)
		for i := range calls {
			go func() { // ends with the call
				got, _ := collect(s.Context(), alice, request(sip.INVITE, aor, by(proxyAddr), sip.CallID(fmt.Sprint(i))))
				answers <- got
			}()
			pass(time.Millisecond)
		}
		pass(20 * time.Second)
		close(release)
		for range calls {
			if got := <-answers; got != "180 404" {
				s.Fatalf("responses %q, want %q", got, "180 404")
			}
		}
	})
}

// A panic in the func costs the one request.
func TestForkThenPanics(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			tx.ForkThen(req, func(*sip.Response) { panic("oops") }, at("sip:bob@"+bobAddr)...)
		}))
		s.phone("bob", bobAddr, 486)
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "500")
		s.expect(alice, request(sip.INVITE, aor, by(proxyAddr), sip.CallID("2")), "500")
	})
}

// The func is never called on the stack of ForkThen, nor of Respond: what their caller
// holds it may wait for, and it may fork again and again. There is an end to that.
func TestForkThenOnNoStack(t *testing.T) {
	play(t, func(s *scene) {
		var mu sync.Mutex
		forks, ends := 0, 0
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			fork := func(then func(best *sip.Response), targets ...Target) {
				mu.Lock()
				defer mu.Unlock()
				forks++
				tx.ForkThen(req, func(best *sip.Response) {
					mu.Lock()
					ends++
					mu.Unlock()
					then(best)
				}, targets...)
			}
			if req.Method() == sip.INVITE {
				fork(func(best *sip.Response) {
					if best != nil {
						s.note("%d", best.Status())
					}
					s.note("answered")
				}, at("sip:bob@"+bobAddr)...)
				pass(time.Second)
				mu.Lock()
				tx.Reply(sip.StatusBusyHere)
				mu.Unlock()
				return
			}
			var next func(best *sip.Response)
			next = func(best *sip.Response) {
				if best != nil {
					fork(next, at("sip:bob@"+bobAddr)...) // which is nobody for a sips URI
				}
			}
			next(req.Reply(sip.StatusTrying))
		}))
		s.phone("bob", bobAddr, 180)
		alice := s.wire(aliceAddr)
		alice.send(request(sip.MESSAGE, "sips:bob@example.com"))
		alice.response(sip.StatusServerInternalError)
		if forks != maxForks+1 || ends != forks {
			s.Errorf("%d forks and %d ends, want %d of each, and one that comes to nothing", forks, ends, maxForks)
		}
		s.expect(s.ua(carolAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), "180 486")
		pass(time.Second)
		s.noted("bob INVITE", "bob cancelled", "answered")
	})
}

// A request that was cancelled is that once for its handler. A fork after that comes
// to nothing, so that who tries one after the other comes to an end.
func TestForkOfCancelled(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			for {
				best := tx.Fork(req, at("sip:bob@"+bobAddr)...)
				if best == nil {
					s.note("nil")
					return
				}
				s.note("%d", int(best.Status()))
			}
		}))
		s.phone("bob", bobAddr, 180)
		ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
		defer cancel()
		if got, _ := collect(ctx, s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr))); got != "180 487" {
			s.Errorf("responses %q, want 180 487", got)
		}
		s.noted("bob INVITE", "bob cancelled", "487", "nil")
	})
}

// What has ended of a request that is forwarded again and again is let go of.
func TestForksAreLetGo(t *testing.T) {
	play(t, func(s *scene) {
		left := make(chan int, 1)
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			for range 10 {
				tx.Fork(req, at("sip:bob@"+bobAddr)...)
			}
			n := 0
			for f := tx.forking; f != nil; f = f.next {
				n++
			}
			left <- n
		}))
		s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusBusyHere)
			}
		})
		s.wire(aliceAddr).send(request(sip.INVITE, aor))
		if n := <-left; n != 0 {
			s.Errorf("%d forks are left, want none", n)
		}
	})
}
