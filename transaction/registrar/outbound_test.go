package registrar

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

const (
	flowOne = "<sip:alice@192.0.2.1;transport=tcp>;reg-id=1;" + instanceOne
	flowTwo = "<sip:alice@192.0.2.1;transport=tcp>;reg-id=2;" + instanceOne
)

// byTCP has a phone register by TCP from now on.
func (p *phone) byTCP() *phone {
	p.uri = "sip:example.com;transport=tcp"
	return p
}

// behind puts another Via on a request, as of a client behind a proxy.
func behind() sip.Edit {
	return sip.Push(sip.Via{Transport: "UDP", Host: "10.0.0.1", Params: ";branch=z9hG4bKinner"})
}

// RFC 5626 section 6: with a direct flow, the binding is of instance and reg-id,
// the response says so and when to send keepalives, and the flow is kept as a
// Path of our own.
func TestOutbound(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		ok := s.phone.byTCP().register(200, contact(flowOne), knows("outbound", "path"))
		expectHeader(t, ok, "Require", "outbound")
		expectHeader(t, ok, "Flow-Timer", "120")
		expectHeader(t, ok, "Path", "") // which is not the client's business
		expectContacts(t, ok, flowOne+";expires=3600")
		target := s.expectTargets(aliceAOR, "sip:alice@192.0.2.1;transport=tcp")[0]
		if len(target.Route) != 1 {
			t.Fatalf("Route = %v, want one entry", target.Route)
		}
		own := target.Route[0].URI
		if own.Host != registrarAddr || own.Port != 5060 || string(own.Params) != ";transport=tcp;lr;ob" {
			t.Errorf("Path of our own: %s", own)
		}
		flow, err := s.server.Endpoint().FlowOf(own.User)
		if err != nil || flow.Transport() != "TCP" || flow.RemoteAddr().Addr().String() != phoneAddr {
			t.Errorf("flow %v, %v, want the one that the REGISTER came by", flow, err)
		}

		// Another Contact by the same flow is the same binding, of another REGISTER.
		s.phone.callID, s.phone.seq = "2@phone", 0
		ok = s.phone.register(200, contact("<sip:alice@192.0.2.77;transport=tcp>;reg-id=1;"+strings.ToUpper(instanceOne[:24])+instanceOne[24:]), knows("outbound"))
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.77;transport=tcp")
		expectHeader(t, ok, "Require", "outbound")
		s.phone.register(200, contact("<sip:any@where.invalid>;reg-id=1;"+instanceOne+";expires=0"), knows("outbound"))
		s.expectTargets(aliceAOR)
	})
}

// RFC 5626 section 6: what makes a reg-id count, and what follows where it does
// not.
func TestRegIDThatCounts(t *testing.T) {
	plain := "<sip:alice@192.0.2.1;transport=tcp>"
	for _, c := range []struct {
		name    string
		contact []string
		edits   []sip.Edit
		status  sip.Status
		require string
		counts  bool
	}{
		{"direct", contact(flowOne), []sip.Edit{knows("outbound")}, 200, "outbound", true},
		{"direct, required", contact(flowOne), []sip.Edit{sip.Require{"outbound"}}, 200, "outbound", true},
		{"direct, unsaid", contact(flowOne), nil, 200, "", true},
		{"no instance", contact(plain + ";reg-id=1"), []sip.Edit{knows("outbound")}, 200, "", false},
		{"no reg-id", contact(plain + ";" + instanceOne), []sip.Edit{knows("outbound")}, 200, "", false},
		{"reg-id 0", contact(plain + ";reg-id=0;" + instanceOne), []sip.Edit{knows("outbound")}, 200, "", false},
		{"reg-id too high", contact(plain + ";reg-id=2147483648;" + instanceOne), []sip.Edit{knows("outbound")}, 200, "", false},
		{"two to add", contact(flowOne, plain), []sip.Edit{knows("outbound")}, 400, "", false},
		{"one to add, one to remove", contact(flowOne, plain+";expires=0"), []sip.Edit{knows("outbound")}, 200, "outbound", true},
		{"first hop without Path", contact(flowOne), []sip.Edit{behind(), knows("outbound", "path")}, 439, "", false},
		{"first hop without ob", contact(flowOne), []sip.Edit{behind(), knows("outbound", "path"), sip.Path{URI: uri(t, "sip:edge.example;lr")}}, 439, "", false},
		{"no ob, unsaid", contact(flowOne), []sip.Edit{behind(), knows("path"), sip.Path{URI: uri(t, "sip:edge.example;lr")}}, 200, "", false},
		{"ob of the first hop", contact(flowOne), []sip.Edit{behind(), knows("outbound", "path"),
			sip.List(sip.Path{URI: uri(t, "sip:core.example;lr")}, sip.Path{URI: uri(t, "sip:t@edge.example;lr;ob")})}, 200, "outbound", true},
		{"ob of another hop", contact(flowOne), []sip.Edit{behind(), knows("outbound", "path"),
			sip.List(sip.Path{URI: uri(t, "sip:t@core.example;lr;ob")}, sip.Path{URI: uri(t, "sip:edge.example;lr")})}, 439, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, nil, func(t *testing.T, s *scene) {
				resp := s.phone.byTCP().register(c.status, c.contact, c.edits...)
				expectHeader(s, resp, "Require", c.require)
				if flowTimer := header(resp, "Flow-Timer"); flowTimer != "" && (c.require == "" || c.name == "ob of the first hop") {
					s.Errorf("Flow-Timer: %s, which is for a client with outbound and a flow to us", flowTimer)
				}
				b, _ := s.location.Bindings(s.Context(), uri(s, aliceAOR))
				if c.status == 200 && (len(b) != 1 || b[0].outbound != c.counts) {
					s.Errorf("bindings %+v, want one by reg-id: %v", b, c.counts)
				}
			})
		})
	}
}

// RFC 5626 section 7: of several flows of one user agent the latest comes first,
// all with its Instance. With the connection ends the binding, as far as
// outbound is used and it is of this node.
func TestFlowsOfOneInstance(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		first := s.phone.byTCP()
		second := newPhone(t, s.n.Host("192.0.2.2")).byTCP()
		second.callID = "2@phone"
		first.register(200, contact(flowOne), knows("outbound"))
		time.Sleep(time.Second)
		second.register(200, contact(flowTwo), knows("outbound"))
		targets := s.expectTargets(aliceAOR, "sip:alice@192.0.2.1;transport=tcp", "sip:alice@192.0.2.1;transport=tcp")
		if a, b := targets[0].Instance, targets[1].Instance; a != b || a == "" {
			t.Errorf("Instance = %q and %q, want the same", a, b)
		}
		flow, _ := s.server.Endpoint().FlowOf(targets[0].Route[0].URI.User)
		if got := flow.RemoteAddr().Addr().String(); got != "192.0.2.2" {
			t.Errorf("first comes the flow to %s, want the latest, to 192.0.2.2", got)
		}

		second.layer.Close()
		time.Sleep(time.Second)
		left := s.expectTargets(aliceAOR, "sip:alice@192.0.2.1;transport=tcp")
		if flow, err := s.server.Endpoint().FlowOf(left[0].Route[0].URI.User); err != nil {
			t.Errorf("the flow that is left: %v, %v", flow, err)
		}
		// To another node the binding is one that may be good, for all it knows.
		expectTargets(t, must(New(&Config{Store: s.location.store})), aliceAOR, "sip:alice@192.0.2.1;transport=tcp", "sip:alice@192.0.2.1;transport=tcp")
		// The next REGISTER clears it away.
		first.register(200, contact(flowOne), knows("outbound"))
		if b, _ := must(New(&Config{Store: s.location.store})).Bindings(t.Context(), uri(t, aliceAOR)); len(b) != 1 {
			t.Errorf("%d bindings are kept, want 1", len(b))
		}
	})
}

// RFC 5626 section 6: a Contact without reg-id is about all bindings with its URI,
// those with a flow included, but not about those of another user agent.
func TestFlowAndNoFlow(t *testing.T) {
	const plain = "<sip:alice@192.0.2.1;transport=tcp>"
	story(t, nil, func(t *testing.T, s *scene) {
		s.phone.byTCP().register(200, contact(flowOne), knows("outbound"))
		s.phone.register(200, contact(flowTwo), knows("outbound"))
		expectContacts(t, s.phone.register(200, contact(plain)), plain+";expires=3600")
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1;transport=tcp")

		// Back to outbound: what there was without a flow is removed with it.
		expectContacts(t, s.phone.register(200, contact(flowOne, plain+";expires=0"), knows("outbound")), flowOne+";expires=3600")
		expectContacts(t, s.phone.register(200, contact(plain+";"+instanceTwo)), flowOne+";expires=3599", plain+";"+instanceTwo+";expires=3600")
		s.phone.register(200, contact(plain+";"+instanceTwo+";expires=0"))
		expectContacts(t, s.phone.register(200, contact(plain+";"+instanceOne)), plain+";"+instanceOne+";expires=3600")
		s.phone.register(200, contact(flowOne), knows("outbound"))
		s.phone.register(200, contact(plain+";expires=0"))
		s.expectTargets(aliceAOR)

		// Of the order of REGISTERs it is told as of any other binding.
		s.phone.register(200, contact(flowOne), knows("outbound"))
		s.phone.seq -= 2
		s.phone.register(500, contact(plain+";expires=0"))
	})
}

// A flow is kept where it is needed: for connections and behind NATs. Without
// outbound a binding outlives it.
func TestFlowWithoutOutbound(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		route := func(want string) {
			t.Helper()
			targets, err := s.location.Lookup(t.Context(), uri(t, aliceAOR))
			if err != nil || len(targets) != 1 {
				t.Fatalf("Lookup() = %v, %v, want one", targets, err)
			}
			var got []string
			for _, hop := range targets[0].Route {
				u := hop.URI
				if u.User != "" {
					if flow, err := s.server.Endpoint().FlowOf(u.User); err == nil {
						u.User = "by-" + flow.RemoteAddr().String()
					} else {
						u.User = "gone"
					}
				}
				got = append(got, u.String())
			}
			if text := strings.Join(got, " "); text != want {
				t.Errorf("Route: %q, want %q", text, want)
			}
		}
		s.phone.register(200, contact("<sip:alice@192.0.2.1>"))
		route("")
		s.phone.register(200, contact("<sip:alice@192.0.2.1>"), behind())
		route("")

		box := s.n.NAT("203.0.113.1", &siptest.NATConfig{})
		inside := newPhone(t, box.Host("10.0.0.2"))
		s.phone.register(200, contact("*"), sip.Expires(0))
		inside.register(200, contact("<sip:alice@10.0.0.2>"))
		targets, _ := s.location.Lookup(t.Context(), uri(t, aliceAOR))
		flow, err := s.server.Endpoint().FlowOf(targets[0].Route[0].URI.User)
		if err != nil || flow.RemoteAddr().Addr().String() != "203.0.113.1" || string(targets[0].Route[0].URI.Params) != ";lr" {
			t.Errorf("behind a NAT: Route %v, flow %v, %v", targets[0].Route, flow, err)
		}

		s.phone.register(200, contact("*"), sip.Expires(0))
		third := newPhone(t, s.n.Host("192.0.2.3")).byTCP()
		third.callID = "3@phone"
		third.register(200, contact("<sip:alice@192.0.2.3;transport=tcp>"))
		third.layer.Close()
		time.Sleep(time.Second)
		route("sip:gone@192.0.2.10:5060;transport=tcp;lr")
	})
}

// Config.Node is what other nodes are told; the rest of the URI is ours.
func TestNode(t *testing.T) {
	story(t, &Config{Node: uri(t, "sip:[2001:db8::1]:5070;transport=udp;ob"), FlowTimer: -1}, func(t *testing.T, s *scene) {
		ok := s.phone.byTCP().register(200, contact("<sip:alice@192.0.2.1>;"+instanceOne), knows("outbound"))
		own := s.expectTargets(aliceAOR, "sip:alice@192.0.2.1")[0].Route[0].URI
		token := own.User
		if own.User = ""; own.String() != "sip:[2001:db8::1]:5070;transport=udp;lr" || token == "nobody" {
			t.Errorf("Path of our own: %s with %q", own, token)
		}
		expectHeader(t, ok, "Flow-Timer", "")
		ok = s.phone.register(200, contact(flowOne), knows("outbound"))
		expectHeader(t, ok, "Flow-Timer", "")
	})
	story(t, &Config{FlowTimer: 90 * time.Second}, func(t *testing.T, s *scene) {
		expectHeader(t, s.phone.register(200, contact(flowOne), knows("outbound")), "Flow-Timer", "90")
	})
	story(t, nil, func(t *testing.T, s *scene) { // over UDP
		expectHeader(t, s.phone.register(200, contact(flowOne), knows("outbound")), "Flow-Timer", "25")
	})
}

// Other nodes reach a browser's node by a socket that is for servers.
func TestNodeOfABrowser(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		location := must(New(nil))
		host := s.n.Host("192.0.2.11")
		l, err := transaction.Listen(&transport.Config{Listen: []string{"ws:192.0.2.11:80", "udp:192.0.2.11:5062"}, Network: host, Logger: quiet},
			&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) { location.Register(tx, req) }, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		browser := s.phone
		browser.uri, browser.to = "sip:192.0.2.11:80;transport=ws", "sip:alice@192.0.2.11"
		browser.register(200, contact("<sip:alice@df7jal23ls0d.invalid;transport=ws>"))
		targets, err := location.Lookup(context.Background(), uri(t, browser.to))
		if err != nil || len(targets) != 1 {
			t.Fatalf("Lookup() = %v, %v", targets, err)
		}
		own := targets[0].Route[0].URI
		if flow, err := l.Endpoint().FlowOf(own.User); err != nil || flow.Transport() != "WS" || own.HostPort() != "192.0.2.11:5062" {
			t.Errorf("Path of our own: %s, by %v, %v", own, flow, err)
		}
	})
}
