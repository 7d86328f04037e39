package proxy

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// client is a user agent that listens on nothing: it is reached by the
// connection that it makes.
func (s *scene) client(host string, handler func(*transaction.Server, *sip.Request)) *transaction.Layer {
	s.Helper()
	tc := on(s, s.net, host, "udp")
	tc.Listen = nil
	l, err := transaction.Listen(tc, &transaction.Config{Handler: handler})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { l.Close() })
	return l
}

const instance = ";+sip.instance=\"<urn:uuid:1>\";reg-id=1"

// An edge proxy between a client behind a connection and its registrar: it is on
// the Path with the flow, so that calls come by it, and says so when the flow is
// gone (RFC 5626 sections 5.1 and 5.3).
func TestPath(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Path: true, Handler: relay})
		home := s.wire(bobAddr)
		bob := s.client("192.0.2.21", func(tx *transaction.Server, req *sip.Request) {
			s.note("bob %s %s", req.Method(), req.URI())
			tx.Reply(sip.StatusOK)
		})
		done := make(chan struct{})
		go func() { // ends with the response
			defer close(done)
			s.expect(bob, request(sip.REGISTER, "sip:"+bobAddr, by(proxyAddr+";transport=tcp"), sip.Supported{"path", "outbound"},
				sip.Contact{URI: uri("sip:bob@192.0.2.21;transport=tcp"), Params: instance}), "200")
		}()
		register := home.request(sip.REGISTER)
		path, err := sip.Get[sip.Path](register)
		if err != nil || !path.URI.Params.Has("lr") || !path.URI.Params.Has("ob") {
			s.Fatalf("Path = %v, %v, want one with lr and ob", path, err)
		}
		if got, ok := register.Value("Record-Route"); ok {
			s.Errorf("Record-Route = %q on a REGISTER", got)
		}
		home.send(register.Reply(sip.StatusOK))
		<-done

		call := func() *sip.Request {
			return request(sip.INVITE, "sip:bob@192.0.2.21;transport=tcp", sip.Route(path), sip.Contact{URI: uri("sip:c@" + bobAddr)})
		}
		home.send(call())
		home.response(sip.StatusOK)
		// Dialogs with a client behind a flow have it in their route, whether we
		// want to be on the path or not (section 5.3.1).
		if n := len(routeSet(s.sent("192.0.2.21", "INVITE"))); n != 2 {
			s.Errorf("%d Record-Routes, want 2", n)
		}
		s.noted("bob INVITE sip:bob@192.0.2.21;transport=tcp")

		bob.Close()
		pass(time.Second)
		home.send(call().With(sip.CallID("2"), sip.Push(sip.Via{Transport: "UDP", Host: bobAddr, Params: ";branch=z9hG4bK2"})))
		home.response(sip.StatusFlowFailed)
	})
}

// The registrar speaks UDP alone, its clients speak what they like: the Path names the
// side of the registrar, and the flow of the client.
func TestPathBetweenTransports(t *testing.T) {
	for _, kind := range []string{"udp", "tcp", "ws"} {
		for _, stateless := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, " ", stateless), func(t *testing.T) {
				play(t, func(s *scene) {
					tc := on(s, s.net, proxyAddr)
					tc.Listen = append(tc.Listen, "ws:"+proxyAddr+":80")
					cfg := &Config{Path: true, Handler: relay}
					if stateless {
						cfg.Stateless = func(*sip.Request, Arrival) (Target, bool) { return Target{}, true }
					}
					p, err := Listen(tc, cfg)
					if err != nil {
						s.Fatal(err)
					}
					defer p.Close()
					home, err := transaction.Listen(on(s, s.net, bobAddr, "udp"), &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
						tx.Reply(sip.StatusOK)
					}})
					if err != nil {
						s.Fatal(err)
					}
					defer home.Close()
					client := s.client
					if kind == "udp" {
						client = s.ua
					}
					alice := client(aliceAddr, func(tx *transaction.Server, req *sip.Request) {
						s.note("alice %s", req.Method())
						tx.Reply(sip.StatusOK)
					})
					port := map[string]string{"udp": ":5060", "tcp": ":5060", "ws": ":80"}[kind]
					s.expect(alice, request(sip.REGISTER, "sip:"+bobAddr, by(proxyAddr+port+";transport="+kind)), "200")
					path, err := sip.Get[sip.Path](s.sent(bobAddr, "REGISTER"))
					if err != nil {
						s.Fatal(err)
					}
					if got, want := fmt.Sprintf("%s:%d", path.URI.Host, path.URI.Port), proxyAddr+":5060"; got != want || path.URI.Params.Has("transport") {
						s.Errorf("Path = %s, want one of %s by UDP", path.URI, want)
					}
					s.expect(home, request(sip.MESSAGE, "sip:alice@"+aliceAddr, sip.Route(path)), "200")
					s.noted("alice MESSAGE")
				})
			})
		}
	}
}

// A REGISTER goes by a connection of a proxy that does not listen on its transport: the
// Path is not of that, which the registrar could not make again, whatever the client is
// on.
func TestPathWithoutListener(t *testing.T) {
	long := sip.Field{Name: "X-Long", Value: strings.Repeat("x", 1200)} // too long for UDP
	for _, c := range []struct {
		listen []string
		client string
		want   string
	}{
		{[]string{"udp:" + proxyAddr + ":5060"}, proxyAddr, ":5060 "},
		{[]string{"udp:" + proxyAddr + ":5070", "ws:" + proxyAddr + ":80"}, proxyAddr + ":80;transport=ws", ":5070 "},
		{[]string{"ws:" + proxyAddr + ":80"}, proxyAddr + ":80;transport=ws", ":80 ws"},
	} {
		play(t, func(s *scene) {
			tc := on(s, s.net, proxyAddr)
			tc.Listen = c.listen
			p, err := Listen(tc, &Config{Path: true, Handler: relay})
			if err != nil {
				s.Fatal(err)
			}
			defer p.Close()
			s.ua(bobAddr, func(tx *transaction.Server, req *sip.Request) {
				path, _ := sip.Get[sip.Path](req)
				kind, _ := path.URI.Param("transport")
				s.note("%s %s:%d %s", tx.Flow().Transport(), path.URI.Host, path.URI.Port, kind)
				tx.Reply(sip.StatusOK)
			})
			s.expect(s.ua(aliceAddr, nil), request(sip.REGISTER, "sip:"+bobAddr, by(c.client), long), "200")
			s.noted("TCP " + proxyAddr + c.want)
		})
	}
}

// twoFamilies is a machine with an address of each.
type twoFamilies struct{ four, six *siptest.Host }

func (m twoFamilies) of(address string) *siptest.Host {
	if strings.HasPrefix(address, "[") {
		return m.six
	}
	return m.four
}

func (m twoFamilies) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	return m.of(address).ListenPacket(ctx, network, address)
}

func (m twoFamilies) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return m.of(address).Listen(ctx, network, address)
}

func (m twoFamilies) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return m.of(address).DialContext(ctx, network, address)
}

// A REGISTER goes to a registrar on IPv6, by a connection of a proxy that does not listen
// for those. The Path names the UDP socket of that family, though it is not the first one.
func TestPathOfTheOtherFamily(t *testing.T) {
	play(t, func(s *scene) {
		long := sip.Field{Name: "X-Long", Value: strings.Repeat("x", 1200)} // too long for UDP
		tc := on(s, s.net, proxyAddr)
		tc.Network = twoFamilies{s.net.Host(proxyAddr), s.net.Host("2001:db8::10")}
		tc.Listen = []string{"udp:" + proxyAddr + ":5060", "udp:[2001:db8::10]:5060", "ws:" + proxyAddr + ":80"}
		p, err := Listen(tc, &Config{Path: true, Handler: relay})
		if err != nil {
			s.Fatal(err)
		}
		defer p.Close()
		s.ua("2001:db8::2", func(tx *transaction.Server, req *sip.Request) {
			path, _ := sip.Get[sip.Path](req)
			kind, _ := path.URI.Param("transport")
			s.note("%s %s:%d %s", tx.Flow().Transport(), path.URI.Host, path.URI.Port, kind)
			tx.Reply(sip.StatusOK)
		})
		s.expect(s.ua(aliceAddr, nil), request(sip.REGISTER, "sip:[2001:db8::2]", by(proxyAddr+":80;transport=ws"), long), "200")
		s.noted("TCP [2001:db8::10]:5060 ")
	})
}

// A client that can be reached, and has asked for nothing, is on a Path without a
// flow.
func TestPathOfAnybody(t *testing.T) {
	play(t, func(s *scene) {
		p := s.proxy(proxyAddr, &Config{Path: true, Handler: relay})
		home, alice := s.wire(bobAddr), s.wire(aliceAddr)
		alice.send(request(sip.REGISTER, "sip:"+bobAddr, by(proxyAddr)))
		path, err := sip.Get[sip.Path](home.request(sip.REGISTER))
		if err != nil || path.URI.Params.Has("ob") {
			s.Fatalf("Path = %v, %v, want one without ob", path, err)
		}
		if flow, err := p.Layer().Endpoint().FlowOf(path.URI.User); err != nil || !flow.IsZero() {
			s.Errorf("its token is of %v, %v, want no flow", flow, err)
		}
	})
}

// A registrar and proxy in one: the targets are bindings with their Path, ours
// among it, and the flows of one user agent are tried one after the other (RFC
// 5626 section 7).
func TestFlowsOfOneInstance(t *testing.T) {
	play(t, func(s *scene) {
		var path []sip.Route // by flow
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			switch {
			case req.Method() == sip.REGISTER:
				ep := tx.Layer().Endpoint()
				u := uri("sip:" + proxyAddr + ";lr;ob")
				u.User = ep.FlowToken(tx.Flow())
				path = append(path, sip.Route{URI: u})
				tx.Reply(sip.StatusOK)
			case tx.Routed():
				tx.Relay(req)
			default:
				var targets []Target
				for _, r := range path {
					targets = append(targets, Target{URI: uri("sip:bob@192.0.2.21;transport=tcp"), Route: []sip.Route{r}, Instance: "urn:uuid:1"})
				}
				tx.Forward(req, targets...)
			}
		}))
		phone := func(name string) *transaction.Layer {
			l := s.client("192.0.2.21", func(tx *transaction.Server, req *sip.Request) {
				s.note("%s %s", name, req.Method())
				tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:bob@192.0.2.21;transport=tcp")})
			})
			s.expect(l, request(sip.REGISTER, "sip:example.com", by(proxyAddr+";transport=tcp"), sip.CallID(name)), "200")
			return l
		}
		first := phone("first")
		phone("second")
		alice := s.ua(aliceAddr, nil)
		ok := s.expect(alice, request(sip.INVITE, aor, by(proxyAddr)), "200")
		s.expect(alice, within(sip.BYE, 2, ok), "200")
		s.noted("first INVITE", "first BYE")
		first.Close()
		pass(time.Second)
		ok = s.expect(alice, request(sip.INVITE, aor, by(proxyAddr), sip.CallID("2")), "200")
		s.expect(alice, within(sip.BYE, 2, ok).With(sip.CallID("2")), "200")
		s.noted("second INVITE", "second BYE")
	})
}

// A client sends by its own flow, which stands in its Route: that is no reason to
// send it back by it (RFC 5626 section 5.3).
func TestOutgoingByItsFlow(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.OPTIONS {
				tx.Reply(sip.StatusOK, sip.Field{Name: "X-Token", Value: tx.Layer().Endpoint().FlowToken(tx.Flow())})
				return
			}
			tx.Relay(req)
		}})
		s.phone("bob", bobAddr, 200)
		alice := s.ua(aliceAddr, nil)
		token, _ := s.expect(alice, request(sip.OPTIONS, "sip:"+proxyAddr), "200").Value("X-Token")
		own := sip.Route{URI: uri("sip:" + token + "@" + proxyAddr + ";lr")}
		s.expect(alice, request(sip.MESSAGE, "sip:bob@"+bobAddr, own), "200")
		s.noted("bob MESSAGE")
	})
}

// Within a dialog whose flow is gone: with ob in the Path or the Contact it is the
// only way, and without it the Contact may do (RFC 5626 sections 4.3 and 5.3.1).
func TestFlowGoneWithinDialog(t *testing.T) {
	play(t, func(s *scene) {
		var token string
		s.proxy(proxyAddr, &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.REGISTER {
				token = tx.Layer().Endpoint().FlowToken(tx.Flow())
				tx.Reply(sip.StatusOK)
				return
			}
			tx.Relay(req)
		}})
		bob := s.client(bobAddr, nil)
		s.expect(bob, request(sip.REGISTER, "sip:"+proxyAddr+";transport=tcp"), "200")
		bob.Close()
		pass(time.Second)
		s.phone("bob", bobAddr, 200) // he is back, and listens
		alice := s.ua(aliceAddr, nil)
		for i, c := range []struct{ path, contact, want string }{{"", "", "200"}, {";ob", "", "430"}, {"", ";ob", "430"}} {
			s.expect(alice, request(sip.MESSAGE, "sip:bob@"+bobAddr+c.contact, by(proxyAddr), sip.CallID(strconv.Itoa(i)),
				sip.List(sip.Route{URI: uri("sip:" + proxyAddr + ";lr")}, sip.Route{URI: uri("sip:" + token + "@" + proxyAddr + ";lr" + c.path)})), c.want)
		}
	})
}

// A GRUU within a dialog that has its Route: the Path of the binding is left out
// (RFC 5627 section 6.1).
func TestGRUUWithinDialog(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) {
			tx.Forward(req, Target{URI: uri("sip:bob@" + bobAddr), Route: []sip.Route{{URI: uri("sip:edge.example;lr")}}})
		}))
		carol := s.wire(carolAddr)
		alice := s.wire(aliceAddr)
		alice.send(request(sip.MESSAGE, aor+";gr=1", by(proxyAddr, carolAddr)))
		if got := routes(carol.request(sip.MESSAGE)); got != "sip:192.0.2.12;lr" {
			s.Errorf("Route = %q", got)
		}
	})
}

// The token of no flow is enough for a dialog of two that can be reached.
func TestRecordRouteOfNoFlow(t *testing.T) {
	play(t, func(s *scene) {
		p := s.proxy(proxyAddr, example(to(at("sip:bob@"+bobAddr)...)))
		bob, alice := s.wire(bobAddr), s.wire(aliceAddr)
		alice.send(request(sip.INVITE, aor))
		set := routeSet(bob.request(sip.INVITE))
		bond := p.bonds.dialog("call-1", "1")
		want := "sip:" + p.Layer().Endpoint().FlowToken(transport.Flow{}) + "@192.0.2.3:5060;lr;bond=" + string(bond[:])
		if len(set) != 1 || set[0].URI.String() != want {
			s.Errorf("Record-Route = %v, want %s alone", set, want)
		}
		// With ob in the Contact, the flow (RFC 5626 section 5.3.2).
		alice.send(request(sip.INVITE, aor, sip.CallID("2"), sip.Contact{URI: uri("sip:alice@" + aliceAddr + ";ob")},
			sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: ";branch=z9hG4bK2"})))
		bob.send(s.sent(bobAddr, "INVITE").Reply(404))
		pass(time.Second)
		if set = routeSet(s.sent(bobAddr, "INVITE")); len(set) != 2 || strings.Contains(want, set[1].URI.User) {
			s.Errorf("Record-Route = %v, want two, one with a flow", set)
		}
	})
}
