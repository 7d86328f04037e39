package registrar

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

var sharedKey = []byte("of more than one")

// message sends a MESSAGE to alice by a node, and returns what it gets.
func (p *phone) message(by string) sip.Status {
	p.t.Helper()
	p.seq++
	return p.ask(sip.NewRequest(sip.MESSAGE, uri(p.t, aliceAOR), sip.MaxForwards(70),
		sip.From{URI: uri(p.t, "sip:carol@example.org"), Params: ";tag=1"}, sip.To{URI: uri(p.t, aliceAOR)},
		sip.CallID(p.callID), sip.CSeq{Seq: p.seq, Method: sip.MESSAGE},
		sip.Route{URI: uri(p.t, "sip:"+by+";lr")})).Status()
}

// serve runs a proxy for example.com with a Registrar, until stop.
func serve(t *testing.T, n *siptest.Network, addr string, location *Registrar, tc transport.Config, pc proxy.Config) (stop func()) {
	t.Helper()
	tc.Listen = []string{"udp:" + addr + ":5060", "tcp:" + addr + ":5060"}
	tc.Network, tc.Resolver, tc.Logger = n.Host(addr), names{}, quiet
	pc.Domains = []string{"example.com"}
	pc.Handler = func(tx *proxy.Server, req *sip.Request) {
		switch {
		case tx.Local() && req.Method() == sip.REGISTER:
			location.Register(tx.Server, req)
		case tx.Local():
			location.Forward(tx, req)
		case tx.Routed():
			tx.Relay(req)
		default:
			tx.Reply(sip.StatusForbidden)
		}
	}
	p, err := proxy.Listen(&tc, &pc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return func() { p.Close() }
}

// through has a REGISTER go by a node.
func through(t *testing.T, node string) sip.Edit {
	return sip.Route{URI: uri(t, "sip:"+node+";lr")}
}

// Two layers of one program, with one key and one Registrar: a flow of either is
// no flow of the other, and is not lost for that.
func TestTwoLayersOneKey(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		phones := map[string]*phone{}
		for i, addr := range []string{nodeA, nodeB} {
			l, err := transaction.Listen(&transport.Config{
				Listen: []string{"tcp:" + addr + ":5060"}, Network: s.n.Host(addr), Resolver: names{}, Logger: quiet, FlowKey: sharedKey,
			}, &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) { s.location.Register(tx, req) }, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			p := newPhone(t, s.n.Host("192.0.2.3"+string('0'+rune(i))))
			p.callID = addr
			p.register(200, contact([]string{flowOne, flowTwo}[i]), knows("outbound"), through(t, addr+";transport=tcp"))
			phones[addr] = p
			time.Sleep(time.Second)
		}
		const at = "sip:alice@192.0.2.1;transport=tcp"
		s.expectTargets(aliceAOR, at, at)
		phones[nodeB].layer.Close()
		time.Sleep(time.Second)
		s.expectTargets(aliceAOR, at)
		phones[nodeA].layer.Close()
		time.Sleep(time.Second)
		s.expectTargets(aliceAOR)
	})
}

// A program that was stopped and has begun anew, with a Store that has outlived it
// and the FlowKey of before: who is behind a NAT is reached by UDP as if nothing had
// been. A connection is gone, which with outbound is no target that is waited for.
func TestRestartWithStoreAndKey(t *testing.T) {
	for _, c := range []struct {
		name, node string
		contact    string
		option     []string
		after      sip.Status
	}{
		{"UDP", nodeA, "<sip:alice@10.0.0.2>", nil, 200},
		{"UDP with outbound", nodeA, "<sip:alice@10.0.0.2>;reg-id=1;" + instanceOne, []string{"outbound"}, 200},
		{"TCP with outbound", nodeA + ";transport=tcp", "<sip:alice@10.0.0.2;transport=tcp>;reg-id=1;" + instanceOne, []string{"outbound"}, 480},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
				store := NewMemory(nil)
				start := func() (stop func()) {
					return serve(t, n, nodeA, must(New(&Config{Domains: []string{"example.com"}, Store: store, Logger: quiet})), transport.Config{FlowKey: sharedKey}, proxy.Config{})
				}
				stop := start()
				box := n.NAT("203.0.113.1", &siptest.NATConfig{Filtering: siptest.AddressAndPortDependent})
				alice := newFlow(t, box.Host("10.0.0.2"))
				alice.uri, alice.callID = "sip:example.com", "1"
				alice.register(200, contact(c.contact), knows(c.option...), through(t, c.node))
				carol := newPhone(t, n.Host("192.0.2.7"))
				if got := carol.message(nodeA); got != 200 {
					t.Fatalf("MESSAGE got %v before the restart, want 200", got)
				}
				stop()
				start()
				began := time.Now()
				if got := carol.message(nodeA); got != c.after {
					t.Errorf("MESSAGE got %v after the restart, want %v", got, c.after)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// Mallory has called Bob, who is behind a NAT, and has the Record-Route of that
// call. It is no Path for her to register: what is for her does not go to Bob,
// whatever she does to it, and by however many Vias her REGISTER says to come.
func TestRecordRouteIsNoPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		location := must(New(&Config{Domains: []string{"example.com"}, Logger: quiet}))
		serve(t, n, nodeA, location, transport.Config{}, proxy.Config{RecordRoute: true})
		box := n.NAT("203.0.113.1", &siptest.NATConfig{Filtering: siptest.AddressAndPortDependent})
		got := 0
		bob := &phone{t: t, to: "sip:bob@example.com", uri: "sip:example.com", callID: "bob", layer: listen(t, box.Host("10.0.0.2"), func(tx *transaction.Server, req *sip.Request) {
			got++
			answerCalls(tx, req)
		})}
		bob.register(200, contact("<sip:bob@10.0.0.2;transport=tcp>"), through(t, nodeA+";transport=tcp"))
		mallory := newPhone(t, n.Host("192.0.2.66"))
		ok := mallory.ask(sip.NewRequest(sip.INVITE, uri(t, bob.to), sip.MaxForwards(70),
			sip.From{URI: uri(t, aliceAOR), Params: ";tag=1"}, sip.To{URI: uri(t, bob.to)}, sip.CallID("call"),
			sip.CSeq{Seq: 1, Method: sip.INVITE}, sip.Contact{URI: uri(t, "sip:alice@192.0.2.66")}, through(t, nodeA)))
		var entries []sip.URI
		for rr := range sip.All[sip.RecordRoute](ok) {
			u := rr.URI
			bare, unmarked := u, u
			bare.Params = u.Params.Without("bond")
			unmarked.User = strings.TrimPrefix(u.User, ".")
			both := unmarked
			both.Params = bare.Params
			entries = append(entries, u, bare, unmarked, both)
		}
		if ok.Status() != 200 || len(entries) != 8 || got != 1 {
			t.Fatalf("%v, %d entries, %d requests for Bob", ok.Status(), len(entries), got)
		}
		carol := newPhone(t, n.Host("192.0.2.7"))
		for _, entry := range entries {
			for _, vias := range [][]sip.Edit{nil, {behind()}} {
				path := sip.Path{URI: entry}
				mallory.register(200, contact("<sip:bob@10.0.0.2;transport=tcp>"), append(vias, path, knows("path"), through(t, nodeA))...)
				if status := carol.message(nodeA); status < 300 || got != 1 {
					t.Errorf("MESSAGE to Mallory, whose Path is %s, got %v, Bob has %d requests", entry, status, got)
				}
			}
		}
	})
}
