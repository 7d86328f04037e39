package ua_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// edge is a registrar that keeps the flows of its users.
type edge struct {
	l      *transaction.Layer
	answer func(*sip.Request) *sip.Response

	mu    sync.Mutex
	flow  transport.Flow // of the last REGISTER
	asked []*sip.Request // what came, REGISTERs for the most part
	at    []time.Time    // when they came
}

// withOutbound accepts a REGISTER as a registrar that keeps flows does (RFC
// 5626 section 6).
func withOutbound(req *sip.Request) *sip.Response {
	return req.Reply(sip.StatusOK, sip.Require{sip.OptionOutbound}, sip.Expires(3600))
}

func newEdge(t *testing.T, host *siptest.Host, answer func(*sip.Request) *sip.Response) *edge {
	t.Helper()
	e := &edge{answer: answer}
	at := host.Addr().String() + ":5060"
	var err error
	e.l, err = transaction.Listen(&transport.Config{Listen: []string{"udp:" + at, "tcp:" + at}, Network: host},
		&transaction.Config{Handler: e.handle})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.l.Close() })
	return e
}

func (e *edge) handle(tx *transaction.Server, req *sip.Request) {
	e.mu.Lock()
	e.flow = tx.Flow()
	e.asked, e.at = append(e.asked, req), append(e.at, time.Now())
	e.mu.Unlock()
	tx.Respond(e.answer(req))
}

// registers returns how many REGISTERs have come, and the last one.
func (e *edge) registers() (int, *sip.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.asked), e.asked[len(e.asked)-1]
}

// reaches reports whether the user of the last REGISTER answers on its flow.
func (e *edge) reaches(t *testing.T) bool {
	e.mu.Lock()
	flow := e.flow
	e.mu.Unlock()
	resp, err := e.l.Do(transaction.WithFlow(t.Context(), flow), request(sip.OPTIONS, "sip:alice@10.0.0.2"))
	return err == nil && resp.Status() == sip.StatusOK
}

// behindNAT is an agent of edge.example behind a box that forgets a binding after 30
// seconds.
func behindNAT(t *testing.T, answer func(*sip.Request) *sip.Response, f func(*testing.T, *edge, *siptest.NAT, *ua.Agent)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		box := n.NAT("203.0.113.1", &siptest.NATConfig{
			Mapping: siptest.AddressAndPortDependent, Filtering: siptest.AddressAndPortDependent,
			NewPorts: true, Timeout: 30 * time.Second,
		})
		e := newEdge(t, n.Host("192.0.2.9"), answer)
		alice, err := ua.New("sip:alice@192.0.2.9", &ua.Config{
			Network: box.Host("10.0.0.2"), Listen: []string{"udp::5060", "tcp::5060"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { alice.Close() })
		f(t, e, box, alice)
	})
}

// A registration from behind a NAT that forgets after 30 seconds stays
// reachable, whether its registrar answers keepalives or not.
func TestRegistrationStaysReachable(t *testing.T) {
	plain := func(req *sip.Request) *sip.Response { return req.Reply(sip.StatusOK, sip.Expires(3600)) }
	for name, answer := range map[string]func(*sip.Request) *sip.Response{"outbound": withOutbound, "plain": plain} {
		t.Run(name, func(t *testing.T) {
			behindNAT(t, answer, func(t *testing.T, e *edge, _ *siptest.NAT, alice *ua.Agent) {
				if _, err := alice.Register(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				for range 6 {
					time.Sleep(61 * time.Second)
					if !e.reaches(t) {
						t.Fatal("not reachable")
					}
				}
				n, req := e.registers()
				if n != 1 {
					t.Errorf("%d REGISTERs, want 1", n)
				}
				for _, want := range []string{";+sip.instance=\"<urn:uuid:", ";reg-id=1", "Supported: path, outbound, gruu\r\n"} {
					if !strings.Contains(req.String(), want) {
						t.Errorf("REGISTER has no %q:\n%s", want, req)
					}
				}
			})
		})
	}
}

// A registrar that wants keepalives more often from now on gets them (RFC 5626
// section 4.4).
func TestFlowTimerChanges(t *testing.T) {
	timer := sip.FlowTimer(100)
	answer := func(req *sip.Request) *sip.Response {
		resp := req.Reply(sip.StatusOK, sip.Require{sip.OptionOutbound}, sip.Expires(60), timer)
		timer = 10
		return resp
	}
	behindNAT(t, answer, func(t *testing.T, e *edge, _ *siptest.NAT, alice *ua.Agent) {
		if _, err := alice.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Second)
		if n, _ := e.registers(); n != 1 {
			t.Fatalf("%d REGISTERs, want 1", n)
		}
		for range 6 { // the first refresh comes within 54 s, and its flow needs a keepalive each 30
			time.Sleep(50 * time.Second)
			if n, _ := e.registers(); n > 1 && !e.reaches(t) {
				t.Fatal("not reachable")
			}
		}
	})
}

// The box forgets everything and gives out new ports: the answer to a keepalive
// shows it, and a new REGISTER with the same reg-id makes the agent reachable.
func TestFlowIsReplaced(t *testing.T) {
	behindNAT(t, withOutbound, func(t *testing.T, e *edge, box *siptest.NAT, alice *ua.Agent) {
		if _, err := alice.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		box.Reboot()
		time.Sleep(31 * time.Second)
		n, req := e.registers()
		if n != 2 || !strings.Contains(req.String(), "reg-id=1") {
			t.Fatalf("%d REGISTERs, want a second one:\n%s", n, req)
		}
		if !e.reaches(t) {
			t.Error("not reachable")
		}
	})
}

// A registrar that goes away with the connection gets a REGISTER on a new one:
// at once if the flow has lived for a while, else after 30 to 60 seconds, so
// that one which closes each connection is not stormed.
func TestConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		e := newEdge(t, n.Host("192.0.2.9"), withOutbound)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@192.0.2.9", ua.Config{Proxy: "sip:192.0.2.9;transport=tcp"})
		if _, err := alice.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		n.Host("192.0.2.9").Reset()
		time.Sleep(time.Second)
		if got, _ := e.registers(); got != 2 || !e.reaches(t) {
			t.Fatalf("%d REGISTERs, want a second one at once", got)
		}
		n.Host("192.0.2.9").Reset()
		time.Sleep(29 * time.Second)
		if got, _ := e.registers(); got != 2 {
			t.Errorf("%d REGISTERs, want it to wait this time", got)
		}
		time.Sleep(32 * time.Second)
		if got, _ := e.registers(); got != 3 || !e.reaches(t) {
			t.Errorf("%d REGISTERs, want a third one after 30 to 60 s", got)
		}
	})
}

// 439: a proxy on the way cannot keep flows, so the agent does without (RFC
// 5626 section 6).
func TestFirstHopLacksOutbound(t *testing.T) {
	refuse := func(req *sip.Request) *sip.Response {
		if strings.Contains(req.String(), "reg-id") {
			return req.Reply(sip.StatusFirstHopLacksOutboundSupport)
		}
		return req.Reply(sip.StatusOK, sip.Expires(3600))
	}
	behindNAT(t, refuse, func(t *testing.T, e *edge, _ *siptest.NAT, alice *ua.Agent) {
		if _, err := alice.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if n, req := e.registers(); n != 2 || strings.Contains(req.String(), "outbound") {
			t.Errorf("%d REGISTERs, want a second one without outbound:\n%s", n, req)
		}
	})
}

// Where the registrar keeps flows, a call asks for the requests of the other side
// to come by its flow too, and a subscription likewise. Where Supported names other
// options, proxies look there for outbound, too (RFC 5626 section 4.3).
func TestCallOnFlow(t *testing.T) {
	for accept, want := range map[string]struct {
		contact   string
		supported bool
	}{
		"Require: outbound": {":5060;ob>\r\n", true},
		"Supported: path":   {":5060>\r\n", false},
	} {
		answer := func(req *sip.Request) *sip.Response {
			if req.Method() != sip.REGISTER {
				return req.Reply(sip.StatusBusyHere)
			}
			name, value, _ := strings.Cut(accept, ": ")
			return req.Reply(sip.StatusOK, sip.Field{Name: name, Value: value})
		}
		behindNAT(t, answer, func(t *testing.T, e *edge, _ *siptest.NAT, alice *ua.Agent) {
			if _, err := alice.Register(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			for method, begin := range map[sip.Method]func() error{
				sip.INVITE: func() error { _, err := alice.Invite(t.Context(), "sip:bob@192.0.2.9", nil); return err },
				sip.SUBSCRIBE: func() error {
					_, err := alice.Subscribe(t.Context(), "sip:bob@192.0.2.9", "presence", &ua.SubscribeOptions{Lists: true})
					return err
				},
			} {
				if err := begin(); !errors.Is(err, sip.StatusBusyHere) {
					t.Errorf("%s: error %v, want 486", method, err)
				}
				_, req := e.registers()
				if req.Method() != method || !strings.Contains(req.String(), "Contact: <sip:alice@10.0.0.2"+want.contact) {
					t.Errorf("%s without the Contact %q:\n%s", method, want.contact, req)
				}
				options, err := sip.Get[sip.Supported](req)
				if got := slices.Contains(options, sip.OptionOutbound); err != nil || got != want.supported {
					t.Errorf("%s: Supported %v, %v, want outbound in it to be %t", method, options, err, want.supported)
				}
			}
		})
	}
}

// Nothing is sent any more for a registration that is closed.
func TestClosedRegistrationIsNotKept(t *testing.T) {
	behindNAT(t, withOutbound, func(t *testing.T, e *edge, _ *siptest.NAT, alice *ua.Agent) {
		reg, err := alice.Register(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := reg.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if e.reaches(t) {
			t.Error("the binding of the NAT is kept open")
		}
	})
}

// Two registrations of one agent, by a proxy each, are two flows to the registrar. A number
// that is free again is taken again.
func TestTwoRegistrations(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		register := func(proxy string) *ua.Registration {
			reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: []string{proxy}})
			if err != nil {
				t.Fatal(err)
			}
			return reg
		}
		first := register(proxies[0])
		register(proxies[1])
		s.expectFlows("1 by 192.0.2.11, 2 by 192.0.2.12")
		first.Close()
		s.expectFlows("2 by 192.0.2.12")
		register(proxies[0])
		s.expectFlows("1 by 192.0.2.11, 2 by 192.0.2.12")
	})
}

// The instance is a URN (RFC 5626 section 4.1), and nothing that is none goes into a Contact.
func TestInstanceIsURN(t *testing.T) {
	for instance, ok := range map[string]bool{
		"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6": true, "URN:gsma:imei:90420156-025763-0": true,
		"foo": false, "uuid:1": false, "urn:uuid": false, "urn:uuid:": false, "urn::1": false, "urn:-x:1": false, "urn:u u:1": false, "urn:uuid:1>": false,
	} {
		_, err := ua.New("sip:alice@a.example", &ua.Config{Instance: instance, Listen: []string{"none"}})
		if refused := err != nil && strings.Contains(err.Error(), "is no URN"); refused == ok {
			t.Errorf("%q: %v, want it to be a URN: %v", instance, err, ok)
		}
	}
}
