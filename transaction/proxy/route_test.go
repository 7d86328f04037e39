package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// routes returns the Route of a request as one line.
func routes(req *sip.Request) string {
	var list []string
	for r := range sip.All[sip.Route](req) {
		list = append(list, r.URI.String())
	}
	return strings.Join(list, " ")
}

// What a request is forwarded as, by its Request-URI and its Route (RFC 3261
// section 16.4, 16.6 step 6 and 16.12). TOKEN is one of the proxy's.
func TestRoute(t *testing.T) {
	const me, bob = "sip:192.0.2.3;lr", "sip:bob@192.0.2.11"
	for _, test := range []struct {
		name, uri, route       string
		wantURI, wantRoute, to string
	}{
		{"no Route", bob, "", bob, "", bobAddr},
		{"ours", bob, me, bob, "", bobAddr},
		{"ours with port and transport", bob, "sip:192.0.2.3:5060;transport=tcp;lr", bob, "", bobAddr},
		{"ours by domain", bob, "sip:Example.com.;lr", bob, "", bobAddr},
		{"ours without lr", bob, "sip:192.0.2.3", bob, "", bobAddr},
		{"ours by domain without lr", bob, "sip:example.com sip:192.0.2.12;lr", bob, "sip:192.0.2.12;lr", carolAddr},
		{"ours behind ours, without lr", bob, me + " sip:192.0.2.3:5060", bob, "", bobAddr},
		{"a domain of ours as Request-URI", "sip:example.com", me + " sip:192.0.2.12;lr", "sip:example.com", "sip:192.0.2.12;lr", carolAddr},
		{"two of ours", bob, "sip:TOKEN@192.0.2.3;lr " + me, bob, "", bobAddr},
		{"ours by token, at a name that is gone", bob, "sip:TOKEN@old.example;lr", bob, "", bobAddr},
		{"another's", "sip:bob@b.example", "sip:192.0.2.12;lr", "sip:bob@b.example", "sip:192.0.2.12;lr", carolAddr},
		{"ours and another's", "sip:bob@b.example", me + " sip:192.0.2.12;lr", "sip:bob@b.example", "sip:192.0.2.12;lr", carolAddr},
		{"ours behind another's", "sip:bob@b.example", "sip:192.0.2.12;lr " + me, "sip:bob@b.example", "sip:192.0.2.12;lr " + me, carolAddr},
		{"another port is another's", bob, "sip:192.0.2.3:5070;lr sip:192.0.2.12;lr", bob, "sip:192.0.2.3:5070;lr sip:192.0.2.12;lr", ""},

		{"a strict router in front of us", "sip:TOKEN@192.0.2.3;lr", bob, bob, "", bobAddr},
		{"and others behind us", "sip:TOKEN@192.0.2.3;lr", "sip:192.0.2.12;lr " + bob, bob, "sip:192.0.2.12;lr", carolAddr},
		{"with both of our entries", "sip:TOKEN@192.0.2.3;lr", "sip:TOKEN@192.0.2.3;lr " + bob, bob, "", bobAddr},
		{"without a token", me, bob, bob, "", bobAddr},
		{"with a token of somebody else's making", "sip:old@192.0.2.3;lr", "sip:192.0.2.12;lr sip:carol@192.0.2.3", "sip:old@192.0.2.3;lr", "sip:192.0.2.12;lr sip:carol@192.0.2.3", carolAddr},

		{"a strict router behind us", "sip:alice@a.example", me + " sip:192.0.2.12", "sip:192.0.2.12", "sip:alice@a.example", carolAddr},
		{"and others behind it", "sip:alice@a.example", me + " sip:192.0.2.12 sip:p.example;lr", "sip:192.0.2.12", "sip:p.example;lr sip:alice@a.example", carolAddr},
		{"on both sides", "sip:TOKEN@192.0.2.3;lr", "sip:192.0.2.12 " + bob, "sip:192.0.2.12", bob, carolAddr},

		{"maddr is ours", "sip:bob@b.example;maddr=192.0.2.3", "sip:192.0.2.12;lr", "sip:bob@b.example", "sip:192.0.2.12;lr", carolAddr},
		{"with its port and transport", "sip:bob@b.example:5060;maddr=192.0.2.3;transport=udp", "sip:192.0.2.12;lr", "sip:bob@b.example", "sip:192.0.2.12;lr", carolAddr},
		{"at another port", "sip:bob@b.example:5070;maddr=192.0.2.3", "sip:192.0.2.12;lr", "sip:bob@b.example:5070;maddr=192.0.2.3", "sip:192.0.2.12;lr", carolAddr},
		{"by another transport", "sip:bob@b.example;maddr=192.0.2.3;transport=tcp", "sip:192.0.2.12;lr", "sip:bob@b.example;maddr=192.0.2.3;transport=tcp", "sip:192.0.2.12;lr", carolAddr},
		{"another's maddr", "sip:bob@b.example;maddr=192.0.2.12", "", "sip:bob@b.example;maddr=192.0.2.12", "", carolAddr},

		{"a URN with a Route", "urn:service:sos", "sip:192.0.2.12;lr", "urn:service:sos", "sip:192.0.2.12;lr", carolAddr},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				p := s.proxy(proxyAddr, &Config{Domains: []string{"example.com"}, Handler: relay})
				token := p.Layer().Endpoint().FlowToken(transport.Flow{})
				alice, bob, carol := s.wire(aliceAddr), s.wire(bobAddr), s.wire(carolAddr)
				var list []sip.Route
				for _, text := range strings.Fields(test.route) {
					list = append(list, sip.Route{URI: uri(strings.ReplaceAll(text, "TOKEN", token))})
				}
				alice.send(request(sip.MESSAGE, strings.ReplaceAll(test.uri, "TOKEN", token), sip.List(list...)))
				var got *sip.Request
				switch test.to {
				case bobAddr:
					got = bob.request(sip.MESSAGE)
				case carolAddr:
					got = carol.request(sip.MESSAGE)
				default:
					pass(time.Second)
					got = s.sentByProxy("MESSAGE")
				}
				if got.URI().String() != test.wantURI || routes(got) != test.wantRoute {
					s.Errorf("forwarded %s with Route %q, want %s with %q", got.URI(), routes(got), test.wantURI, test.wantRoute)
				}
				if got.MaxForwards() != 69 {
					s.Errorf("Max-Forwards = %d, want 69", got.MaxForwards())
				}
			})
		})
	}
}

// A Route value that is no way to anywhere is the fault of the client, and nothing
// that a proxy could look up, be it with a transaction or without.
func TestRouteOfAnotherScheme(t *testing.T) {
	for _, value := range []string{"tel:+1", "http://foo/", "cid:a", "urn:service:sos;lr"} {
		for _, stateless := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stateless %v", value, stateless), func(t *testing.T) {
				play(t, func(s *scene) {
					s.proxy(proxyAddr, &Config{Handler: relay,
						Stateless: func(*sip.Request, Arrival) (Target, bool) { return Target{}, stateless }})
					alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
					alice.send(request(sip.OPTIONS, "sip:bob@"+bobAddr, sip.Route{URI: uri(value)}))
					alice.response(sip.StatusBadRequest)
					if got := bob.next(); got != nil {
						s.Errorf("bob got %v", got)
					}
				})
			})
		}
	}
}

// An entry of an earlier run of the program comes in the Request-URI, from a strict
// router: it cannot be told from a user of ours. Whom the request is for is at the
// end of the Route, is us too, and must not be taken off as that.
func TestStrictRouterWithEntryOfEarlierRun(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			if tx.Local() && req.URI().User == "bob" {
				tx.Forward(req, at("sip:bob@"+bobAddr)...)
				return
			}
			tx.Relay(req)
		}))
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		alice.send(request(sip.MESSAGE, "sip:earlier@192.0.2.3;lr", sip.Route{URI: uri("sip:bob@192.0.2.3")}))
		if got := bob.request(sip.MESSAGE); routes(got) != "" {
			s.Errorf("Route = %q, want none", routes(got))
		}
	})
}

// sentByProxy returns the first request of a method that the proxy sent.
func (s *scene) sentByProxy(method string) *sip.Request {
	s.Helper()
	for _, p := range s.net.Packets() {
		if m, err := sip.Parse(string(p.Data)); err == nil && p.From.Addr().String() == proxyAddr {
			if req, ok := m.(*sip.Request); ok && string(req.Method()) == method {
				return req
			}
		}
	}
	s.Fatalf("the proxy has sent no %s", method)
	return nil
}

// What a handler is told of a request.
func TestLocalAndRouted(t *testing.T) {
	for _, test := range []struct{ name, uri, route, want string }{
		{"a user of ours", aor, "", "local"},
		{"at our address", "sip:192.0.2.3", "", "local"},
		{"of another domain", "sip:bob@b.example", "", ""},
		{"of another port", "sip:bob@192.0.2.3:5070", "", ""},
		{"with a Route to go", aor, "sip:192.0.2.12;lr", ""},
		{"by our preloaded Route", aor, "sip:192.0.2.3;lr", "local"},
		{"within a dialog", "sip:bob@192.0.2.11", "sip:TOKEN@192.0.2.3;lr;bond=BOND", "routed"},
		{"to a GRUU of ours within a dialog", "sip:bob@example.com;gr=1", "sip:TOKEN@192.0.2.3;lr;bond=BOND", "local routed"},
		{"by an entry of no dialog", "sip:bob@192.0.2.11", "sip:TOKEN@192.0.2.3;lr", ""},
		{"with a Route that is not ours but looks so", "sip:bob@192.0.2.11", "sip:192.0.2.3;lr", ""},
		{"a number", "tel:+1-201-555-0123", "", "local"},
		{"a maddr", "sip:bob@example.com;maddr=192.0.2.12", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				var got []string
				p := s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
					if tx.Local() {
						got = append(got, "local")
					}
					if tx.Routed() {
						got = append(got, "routed")
					}
					tx.Reply(sip.StatusOK)
				}))
				edits := []sip.Edit{}
				if test.route != "" {
					bond := p.bonds.dialog("call-1", "1")
					text := strings.NewReplacer("TOKEN", p.Layer().Endpoint().FlowToken(transport.Flow{}), "BOND", string(bond[:])).Replace(test.route)
					edits = append(edits, sip.Route{URI: uri(text)}, sip.To{URI: uri(aor), Params: ";tag=2"})
				}
				alice := s.wire(aliceAddr)
				alice.send(request(sip.MESSAGE, test.uri, edits...))
				alice.response(200)
				if got := strings.Join(got, " "); got != test.want {
					s.Errorf("the request is %q, want %q", got, test.want)
				}
			})
		})
	}
}

// A loop: example.com is b.example is example.com. It is found when the request
// comes by as it has before, whoever it was sent by in between (RFC 5393 section
// 4.2).
func TestLoop(t *testing.T) {
	play(t, func(s *scene) {
		count := 0
		s.proxy(proxyAddr, &Config{Domains: []string{"example.com"}, Handler: func(tx *Server, req *sip.Request) {
			count++
			// The two rewrite each other's URIs.
			tx.Forward(req, Target{URI: uri("sip:bob@b.example"), Route: []sip.Route{{URI: uri("sip:192.0.2.4;lr")}}})
		}})
		s.proxy("192.0.2.4", &Config{Domains: []string{"b.example"}, Handler: func(tx *Server, req *sip.Request) {
			count++
			tx.Forward(req, Target{URI: uri(aor), Route: []sip.Route{{URI: uri("sip:192.0.2.3;lr")}}})
		}})
		alice := s.ua(aliceAddr, nil)
		s.expect(alice, request(sip.INVITE, aor, sip.Route{URI: uri("sip:192.0.2.3;lr")}), "482")
		if count > 3 {
			s.Errorf("handlers ran %d times, want 3 at most", count)
		}
	})
}

// A request that comes by twice with something changed in between is no loop: a
// service in the middle has rewritten the Request-URI (RFC 3261 section 16.3).
func TestSpiral(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Domains: []string{"example.com"}, RecordRoute: true, Handler: func(tx *Server, req *sip.Request) {
			switch {
			case tx.Routed():
				tx.Relay(req)
			case req.URI().User == "bob":
				tx.Forward(req, Target{Route: []sip.Route{{URI: uri("sip:192.0.2.4;lr")}}})
			default:
				tx.Forward(req, at("sip:"+req.URI().User+"@"+carolAddr)...)
			}
		}})
		s.proxy("192.0.2.4", &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Forward(req, Target{URI: uri("sip:carol@example.com"), Route: []sip.Route{{URI: uri("sip:192.0.2.3;lr")}}})
		}})
		s.phone("carol", carolAddr, 180, 200)
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "180 200")
		s.expect(alice, within(sip.BYE, 2, ok), "200") // past itself at once
		s.noted("carol INVITE", "carol BYE")
	})
}

// A service returns the request as it came, which is a loop, or by a Route that was
// given to it, which is none.
func TestServiceReturnsIt(t *testing.T) {
	const service = "192.0.2.44"
	for name, c := range map[string]struct {
		route []sip.Route
		want  string
	}{
		"by the Request-URI": {[]sip.Route{{URI: uri("sip:" + service + ";lr")}}, "482"},
		"by a Route":         {[]sip.Route{{URI: uri("sip:" + service + ";lr")}, {URI: uri("sip:served@" + proxyAddr + ";lr")}}, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
					if tx.Flow().RemoteAddr().Addr().String() == service {
						tx.Forward(req, at("sip:bob@"+bobAddr)...)
						return
					}
					tx.Forward(req, Target{Route: c.route})
				}))
				s.proxy(service, &Config{Handler: func(tx *Server, req *sip.Request) {
					if _, ok := req.Value("Route"); ok {
						tx.Relay(req)
						return
					}
					tx.Forward(req, Target{Route: []sip.Route{{URI: uri("sip:" + proxyAddr + ";lr")}}})
				}})
				s.phone("bob", bobAddr, 200)
				s.expect(s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)), c.want)
			})
		})
	}
}

// A proxy that sends to itself: the request has nothing new when it comes back.
func TestLoopOfOne(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Domains: []string{"example.com"}, Handler: func(tx *Server, req *sip.Request) {
			s.note("handler")
			tx.Forward(req, at("sip:bob@192.0.2.3")...)
		}})
		s.expect(s.ua(aliceAddr, nil), request(sip.MESSAGE, "sip:bob@192.0.2.3"), "482")
		s.noted("handler")
	})
}

// The mark is of the request as it came, whatever its method, and of nobody
// else's making.
func TestMark(t *testing.T) {
	k, other := newMarker(newKey()), newMarker(newKey())
	first := request(sip.INVITE, aor, by("192.0.2.9"))
	same := request(sip.CANCEL, aor, by("192.0.2.9"), sip.MaxForwards(3), sip.To{URI: uri(aor), Params: ";tag=2"}, sip.Push(sip.Via{Transport: "UDP", Host: "h"}))
	if k.mark(first) != k.mark(same) {
		t.Error("the CANCEL has another mark")
	}
	if k.mark(first) == other.mark(first) {
		t.Error("another key makes the same mark")
	}
	for _, changed := range []*sip.Request{
		request(sip.INVITE, aor+";x=1", by("192.0.2.9")), request(sip.INVITE, aor), request(sip.INVITE, aor, by("192.0.2.9", "192.0.2.9")),
		first.With(sip.CallID("2")), first.With(sip.From{URI: uri(aor), Params: ";tag=2"}), first.With(sip.CSeq{Seq: 2, Method: sip.INVITE}),
	} {
		if k.mark(first) == k.mark(changed) {
			t.Errorf("the mark is the same of\n%s", changed)
		}
	}
}

// maxBreadth of the branches, and who gets none (RFC 5393 section 5.3.3).
func TestMaxBreadth(t *testing.T) {
	for _, test := range []struct {
		name   string
		header string
		most   int
		want   []int
		status sip.Status
	}{
		{"none", "", 0, []int{30, 30}, 0},
		{"theirs", "5", 0, []int{3, 2}, 0},
		{"more than ours", "1000", 10, []int{5, 5}, 0},
		{"no more than a series", "1", 0, []int{1, 1}, 0},
		{"nothing", "0", 0, nil, 440},
		{"nonsense", "many", 0, nil, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				cfg := both()
				cfg.MaxBreadth = test.most
				s.proxy(proxyAddr, cfg)
				var got []int
				answer := func(tx *transaction.Server, req *sip.Request) {
					s.mu.Lock()
					got = append(got, maxBreadth(req))
					s.mu.Unlock()
					tx.Reply(sip.StatusNotFound)
				}
				s.ua(bobAddr, answer)
				s.ua(carolAddr, answer)
				alice := s.wire(aliceAddr)
				req := request(sip.MESSAGE, aor)
				if test.header != "" {
					text := strings.Replace(req.With(sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: ";branch=z9hG4bK1"})).String(),
						"Max-Forwards", "Max-Breadth: "+test.header+"\r\nMax-Forwards", 1)
					alice.conn.WriteTo([]byte(text), alice.to)
				} else {
					alice.send(req)
				}
				want := test.status
				if want == 0 {
					want = sip.StatusNotFound
				}
				alice.response(want)
				sum, most := 0, 0
				for _, b := range got {
					sum, most = sum+b, max(most, b)
				}
				wantSum, wantMost := 0, 0
				for _, b := range test.want {
					wantSum, wantMost = wantSum+b, max(wantMost, b)
				}
				if len(got) != len(test.want) || sum != wantSum || most != wantMost {
					s.Errorf("Max-Breadth of the branches %v, want %v", got, test.want)
				}
			})
		})
	}
}

// The next hop of a request is its first Route or its Request-URI, with TLS if that
// is sips, also where it goes to the end of the Route for a strict router.
func TestNextHop(t *testing.T) {
	for _, test := range []struct{ uri, route, want string }{
		{"sip:bob@h", "", "sip:bob@h"},
		{"sip:bob@h", "sip:r;lr", "sip:r;lr"},
		{"sips:bob@h", "sip:r;lr", "sips:r;lr"},
		{"sips:bob@h", "sip:r", "sips:r"},
		{"sip:bob@h", "sips:r;lr", "sips:r;lr"},
	} {
		w := way{uri: uri(test.uri)}
		if test.route != "" {
			w.values = []sip.Route{{URI: uri(test.route)}}
		}
		p := passage{p: &Proxy{}, counted: true}
		out, err := p.prepare(request(sip.OPTIONS, test.uri), w)
		if got := out.hop.String(); err != nil || got != test.want {
			t.Errorf("%s by %q goes to %s, %v, want %s", test.uri, test.route, got, err, test.want)
		}
	}
}
