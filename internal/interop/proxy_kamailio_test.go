package interop_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

// Kamailio and a proxy of ours are on the path of SIPp's calls, in which each side
// asks something of the other within the dialog.
func TestKamailioAndProxy(t *testing.T) {
	interop.Need(t)
	const calls = 20
	// One after the other: a Kamailio that starts takes the machine's time from
	// calls, which then have retransmissions.
	v := capturing(t, func(t *testing.T) {
		// Kamailio stands at the edge of our example server, which challenges the
		// REGISTER and finds the callee by its Path and outbound.
		t.Run("at the edge of the example", func(t *testing.T) {
			server := interop.StartExample(t, nil, "bob")
			registrar := server.At("udp", "127.0.0.1")
			edge := interop.StartEdge(t, registrar, nil)
			bob := bobBehind(t, edge.Addr, calls)
			// The edge is passed at both ends.
			talkBothWays(t, bob, &interop.SIPpOptions{Target: edge.Addr, Domain: "sip.test", Calls: calls}, edge.Addr, registrar, edge.Addr)
		})

		// The other way round: ours is at the edge of Kamailio.
		t.Run("behind an edge of ours", func(t *testing.T) {
			registrar := interop.StartKamailio(t, nil)
			next, err := sip.ParseURI("sip:" + registrar.Addr + ";lr")
			if err != nil {
				t.Fatal(err)
			}
			edge := newProxy(t, &proxy.Config{RecordRoute: true, Path: true, Handler: func(tx *proxy.Server, req *sip.Request) {
				if tx.Routed() {
					tx.Relay(req)
				} else {
					tx.Forward(req, proxy.Target{Route: []sip.Route{{URI: next}}})
				}
			}})
			bob := bobBehind(t, edge, calls)
			if got := registrar.Bindings(t, "bob"); len(got) != 1 || got[0].Path == "" || got[0].RegID != 1 {
				t.Errorf("bindings of bob are %+v, want one with a Path and a reg-id", got)
			}
			talkBothWays(t, bob, &interop.SIPpOptions{Target: edge, Domain: "sip.test", Calls: calls}, edge, registrar.Addr, edge)
		})

		// Users of Kamailio's domain are called by way of a proxy of ours, over UDP
		// and over TCP, for which there are two entries of ours (RFC 5658).
		for _, transport := range []string{"udp", "tcp"} {
			t.Run("behind a proxy, from "+transport, func(t *testing.T) {
				registrar := interop.StartKamailio(t, nil)
				front := newProxy(t, &proxy.Config{RecordRoute: true, Handler: func(tx *proxy.Server, req *sip.Request) { tx.Relay(req) }})
				bob := interop.StartSIPp(t, "uas_info", &interop.SIPpOptions{Calls: calls})
				if resp := interop.Register(t, "127.0.0.1:0", registrar.Addr, "bob", contact(bob, "")); resp.Status() != sip.StatusOK {
					t.Fatalf("register: %v", resp.Status())
				}
				path := []string{registrar.Addr, front}
				if transport == "tcp" {
					path = append(path, front)
				}
				talkBothWays(t, bob, &interop.SIPpOptions{Target: front, Transport: transport, Domain: registrar.Addr, Calls: calls}, path...)
			})
		}
	})
	// INVITE, 180, 200 and ACK, two INFOs and a BYE with their 200s, over each hop.
	// Over TCP two may be in one packet.
	if want := (4 + 4 + 3 + 2) * 10 * calls; v.SIP < want {
		t.Errorf("%d packets of SIP, want %d or more", v.SIP, want)
	}
}

// Kamailio reaches clients of a proxy of ours by its own transport, whatever theirs is.
func TestKamailioBehindEdge(t *testing.T) {
	interop.Need(t)
	registrar := interop.StartKamailio(t, nil)
	next, err := sip.ParseURI("sip:" + registrar.Addr + ";lr")
	if err != nil {
		t.Fatal(err)
	}
	addr, ws := fmt.Sprintf("127.0.0.1:%d", interop.Port(t)), fmt.Sprintf("127.0.0.1:%d", interop.Port(t))
	edge, err := proxy.Listen(&transport.Config{Listen: []string{"udp:" + addr, "tcp:" + addr, "ws:" + ws}},
		&proxy.Config{Path: true, Handler: func(tx *proxy.Server, req *sip.Request) {
			if tx.Routed() {
				tx.Relay(req)
			} else {
				tx.Forward(req, proxy.Target{Route: []sip.Route{{URI: next}}})
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer edge.Close()
	alice, err := transaction.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	for kind, server := range map[string]string{"tcp": addr + ";transport=tcp", "ws": ws + ";transport=ws"} {
		t.Run(kind, func(t *testing.T) {
			got := make(chan sip.URI, 1)
			phone, err := transaction.Listen(&transport.Config{}, &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
				got <- req.URI()
				tx.Reply(sip.StatusOK)
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer phone.Close()
			if resp := interop.RegisterBy(t, phone, server, kind, "<sip:"+kind+"@client.invalid;transport="+kind+">"); resp.Status() != sip.StatusOK {
				t.Fatalf("register: %v", resp.Status())
			}
			to := sip.URI{Scheme: "sip", User: kind, Host: "sip.test"}
			resp, err := alice.Do(t.Context(), sip.NewRequest(sip.MESSAGE, to, sip.Route{URI: next}, sip.MaxForwards(70),
				sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "a.invalid"}, Params: ";tag=1"}, sip.To{URI: to},
				sip.CallID(rand.Text()), sip.CSeq{Seq: 1, Method: sip.MESSAGE}))
			if err != nil || resp.Status() != sip.StatusOK {
				t.Fatalf("%v, %v", resp, err)
			}
			if uri := <-got; uri.Host != "client.invalid" {
				t.Errorf("the MESSAGE is for %s", uri)
			}
		})
	}
}

// bobBehind registers bob with outbound (RFC 5626) by way of an edge, and returns
// his script, which is at the address that the REGISTER came from.
func bobBehind(t *testing.T, edge string, calls int) *interop.SIPp {
	t.Helper()
	port := interop.Port(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	resp := interop.Register(t, addr, edge, "bob",
		"<sip:sipp@"+addr+`;ob>;reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"`)
	if require, err := sip.Get[sip.Require](resp); resp.Status() != sip.StatusOK || err != nil || !slices.Contains(require, "outbound") {
		t.Fatalf("registered without outbound:\n%s", resp)
	}
	return interop.StartSIPp(t, "uas_info", &interop.SIPpOptions{Port: port, Calls: calls})
}

// talkBothWays calls bob, and wants the Record-Route of the answer to have these
// addresses, the nearest to him first.
func talkBothWays(t *testing.T, bob *interop.SIPp, opts *interop.SIPpOptions, recordRoute ...string) {
	t.Helper()
	opts.User, opts.Text = "bob", "Record-Route:"
	for _, addr := range recordRoute {
		opts.Text += ".*" + addr + "[;>]"
	}
	caller := interop.StartSIPp(t, "uac_info", opts)
	wantCalls(t, caller, opts.Calls)
	wantCalls(t, bob, opts.Calls)
}
