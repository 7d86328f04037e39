package transaction

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// RFC 5626 section 9: Bob finds out about his edge proxies and registers by both
// of them. One crashes. Calls reach him by the other one, until he notices and
// has another flow to the first, and then he calls himself.
func TestOutboundExample(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		s := newOutboundScene(t, n)
		ep1 := s.edge(ep1Addr, "ep1.example.com")
		s.edge(ep2Addr, "ep2.example.com")
		h := &home{}
		s.listen(n.Host(homeAddr), h.handle, h.accepted)
		s.listen(n.Host(configAddr), configServer, nil)
		alice := s.listen(n.Host(callerAddr), answering("<sip:alice@192.0.2.30;transport=tcp>", "plqus8"), nil)
		bobHost := s.box.Host(bobInside)
		bob := s.listen(bobHost, answering("<sip:bob@192.0.2.2;transport=tcp;ob>", "skduk2"), nil)

		// 9.1. The outbound proxy set comes from a server of configurations.
		anonymous := sip.Address{URI: s.uri("sip:anonymous@example.com")}
		device := s.uri("sip:" + deviceUser + "@example.com")
		resp, err := bob.Do(t.Context(), sip.NewRequest(sip.SUBSCRIBE, device, sip.MaxForwards(70), sip.From(anonymous).WithTag("23324"),
			sip.To{URI: device}, sip.CallID("nSz1TWN54x7My0GvpEBj"), sip.CSeq{Seq: 1, Method: sip.SUBSCRIBE},
			sip.Field{Name: "Event", Value: "ua-profile"}, sip.Expires(0), sip.Supported{sip.OptionPath, sip.OptionOutbound},
			sip.Field{Name: "Contact", Value: "<sip:192.0.2.2;transport=tcp;ob>;" + bobInstance}))
		if err != nil || resp.Status() != sip.StatusOK {
			t.Fatalf("SUBSCRIBE: %v, %v", resp, err)
		}
		pass(time.Second)
		f := s.figure("9.1", `
			SUBSCRIBE Bob EP1
			SUBSCRIBE EP1 Config
			200 Config EP1
			200 EP1 Bob
			NOTIFY Config EP1
			NOTIFY EP1 Bob
			200 Bob EP1
			200 EP1 Config`)
		s.has(f[1], "Record-Route: <sip:TOKEN@ep1.example.com;lr>")
		s.has(f[4], "Route: <sip:TOKEN@ep1.example.com;lr>")
		s.has(f[5], "Route:", "Record-Route:")

		// 9.2. He registers by each of the two.
		first := &registration{s: s, l: bob, edge: "ep1.example.com", callID: "16CB75F21C70", tag: "7F94778B653B", regID: 1}
		second := &registration{s: s, l: bob, edge: "ep2.example.com", callID: "E05133BD26DD", tag: "755285EABDE2", regID: 2}
		for _, r := range []*registration{first, second} {
			if err := r.register(); err != nil {
				t.Fatal(err)
			}
		}
		f = s.figure("9.2", `
			REGISTER Bob EP1
			REGISTER EP1 Proxy
			200 Proxy EP1
			200 EP1 Bob
			REGISTER Bob EP2
			REGISTER EP2 Proxy
			200 Proxy EP2
			200 EP2 Bob`)
		s.has(f[0], "Route: <sip:ep1.example.com;lr>", "Supported: path, outbound", "Path:",
			"Contact: <sip:bob@192.0.2.2;transport=tcp>;reg-id=1;"+bobInstance)
		s.has(f[1], "Route:", "Path: <sip:TOKEN@ep1.example.com;lr;ob>", "Max-Forwards: 69")
		s.has(f[2], "Supported: path, outbound", "Require: outbound", "Path: <sip:TOKEN@ep1.example.com;lr;ob>",
			"Contact: <sip:bob@192.0.2.2;transport=tcp>;reg-id=1;"+bobInstance+";expires=3600")
		s.has(f[7], "Require: outbound", "Path: <sip:TOKEN@ep2.example.com;lr;ob>", // of the current registration alone
			"Contact: <sip:bob@192.0.2.2;transport=tcp>;reg-id=1;"+bobInstance+";expires=3600, "+
				"<sip:bob@192.0.2.2;transport=tcp>;reg-id=2;"+bobInstance+";expires=3600")
		path1, path2 := token(f[1].message, "Path"), token(f[5].message, "Path")

		// About 120 seconds later.
		pass(125 * time.Second)
		pings := map[string]int{}
		for _, step := range s.news() {
			pings[step.String()]++
		}
		for _, want := range []string{"2CRLF Bob EP1", "CRLF EP1 Bob", "2CRLF Bob EP2", "CRLF EP2 Bob"} {
			if pings[want] != 1 || len(pings) != 4 {
				t.Errorf("after two minutes: %v, want one %q", pings, want)
			}
		}

		// 9.3. EP1 crashes and starts again. Bob does not hear of it.
		n.Cut(bobHost, n.Host(ep1Addr))
		ep1.Close()
		s.edge(ep1Addr, "ep1.example.com")
		caller := sip.From{Display: "Alice", URI: s.uri("sip:alice@a.example")}.WithTag("02935")
		invite := sip.NewRequest(sip.INVITE, s.uri("sip:bob@example.com"), sip.MaxForwards(70), caller,
			sip.To{Display: "Bob", URI: s.uri("sip:bob@example.com")}, sip.CallID("klmvCxVWGp6MxJp2T2mb"),
			sip.CSeq{Seq: 1, Method: sip.INVITE}, sip.Field{Name: "Contact", Value: "<sip:alice@192.0.2.30;transport=tcp>"})
		toHome := WithNextHop(t.Context(), s.uri("sip:"+homeAddr+";transport=tcp"))
		callBob := func() (ok *sip.Response) {
			t.Helper()
			ok, err := alice.Do(toHome, invite)
			if err != nil || ok.Status() != sip.StatusOK {
				t.Fatalf("INVITE: %v, %v", ok, err)
			}
			if _, _, err := alice.Send(t.Context(), within(sip.ACK, 1, ok)); err != nil {
				t.Fatal(err)
			}
			if bye, err := alice.Do(t.Context(), within(sip.BYE, 2, ok)); err != nil || bye.Status() != sip.StatusOK {
				t.Fatalf("BYE: %v, %v", bye, err)
			}
			return ok
		}
		callBob()
		f = s.figure("9.3", `
			INVITE Alice Proxy
			INVITE Proxy EP1
			430 EP1 Proxy
			ACK Proxy EP1
			INVITE Proxy EP2
			INVITE EP2 Bob
			200 Bob EP2
			200 EP2 Proxy
			200 Proxy Alice
			ACK Alice EP2
			BYE Alice EP2
			ACK EP2 Bob
			BYE EP2 Bob
			200 Bob EP2
			200 EP2 Alice`)
		s.has(f[1], "Route: <sip:TOKEN@ep1.example.com;lr;ob>")
		s.has(f[4], "Route: <sip:TOKEN@ep2.example.com;lr;ob>")
		if got := token(f[1].message, "Route"); got != path1 {
			t.Errorf("the Route by EP1 has token %s, want that of the Path, %s", got, path1)
		}
		for i, target := range map[int]string{1: "sip:bob@192.0.2.2;transport=tcp", 4: "sip:bob@192.0.2.2;transport=tcp", 5: "sip:bob@192.0.2.2;transport=tcp"} {
			if got := f[i].message.(*sip.Request).URI().String(); got != target {
				t.Errorf("%s: Request-URI %s, want %s", f[i], got, target)
			}
		}
		for _, i := range []int{5, 6, 7, 8} {
			s.has(f[i], "Record-Route: <sip:TOKEN@ep2.example.com;lr>", "Route:")
			if got := token(f[i].message, "Record-Route"); got != path2 {
				t.Errorf("%s: the Record-Route has token %s, want that of the Path, %s", f[i], got, path2)
			}
		}
		for _, i := range []int{9, 10} {
			s.has(f[i], "Route: <sip:TOKEN@ep2.example.com;lr>")
		}

		// 9.4. Bob's keepalives find it out, and he registers anew by EP1: the
		// same reg-id and Call-ID, another flow.
		pass(2*time.Minute + 10*time.Second)
		n.Mend(bobHost, n.Host(ep1Addr))
		pass(time.Minute)
		var seen []string
		for _, step := range s.news() {
			if step.message != nil {
				seen = append(seen, step.String())
				f = append(f, step)
			}
		}
		if got, want := strings.Join(seen, ", "), "REGISTER Bob EP1, REGISTER EP1 Proxy, 200 Proxy EP1, 200 EP1 Bob"; got != want {
			t.Fatalf("section 9.4 went %s, want %s", got, want)
		}
		f = f[len(f)-4:]
		s.has(f[0], "Call-ID: 16CB75F21C70", "Route: <sip:ep1.example.com;lr>",
			"Contact: <sip:bob@192.0.2.2;transport=tcp>;reg-id=1;"+bobInstance)
		s.has(f[1], "Path: <sip:TOKEN@ep1.example.com;lr;ob>")
		if token(f[1].message, "Path") == path1 {
			t.Error("the Path has the token of the flow that is dead")
		}
		first.mu.Lock()
		if len(first.dead) != 1 || first.dead[0] != transport.ErrNoPong {
			t.Errorf("the flow by EP1 died of %v, want %v", first.dead, transport.ErrNoPong)
		}
		first.mu.Unlock()
		second.mu.Lock()
		if len(second.dead) != 0 {
			t.Errorf("the flow by EP2 died of %v", second.dead)
		}
		second.mu.Unlock()

		// 9.5. He calls, by EP1 again.
		alicesURI := s.uri("sip:alice@a.example")
		ok, err := bob.Do(t.Context(), sip.NewRequest(sip.INVITE, alicesURI, sip.MaxForwards(70),
			sip.From{Display: "Bob", URI: s.uri("sip:bob@example.com")}.WithTag("ldw22z"), sip.To{Display: "Alice", URI: alicesURI},
			sip.CallID("95KGsk2V/Eis9LcpBYy3"), sip.CSeq{Seq: 1, Method: sip.INVITE}, sip.Route{URI: s.uri("sip:ep1.example.com;lr")},
			sip.Field{Name: "Contact", Value: "<sip:bob@192.0.2.2;transport=tcp;ob>"}))
		if err != nil || ok.Status() != sip.StatusOK {
			t.Fatalf("INVITE: %v, %v", ok, err)
		}
		if _, _, err := bob.Send(t.Context(), within(sip.ACK, 1, ok)); err != nil {
			t.Fatal(err)
		}
		if bye, err := bob.Do(t.Context(), within(sip.BYE, 2, ok)); err != nil || bye.Status() != sip.StatusOK {
			t.Fatalf("BYE: %v, %v", bye, err)
		}
		f = s.figure("9.5", `
			INVITE Bob EP1
			INVITE EP1 Proxy
			INVITE Proxy Alice
			200 Alice Proxy
			200 Proxy EP1
			200 EP1 Bob
			ACK Bob EP1
			BYE Bob EP1
			ACK EP1 Alice
			BYE EP1 Alice
			200 Alice EP1
			200 EP1 Bob`)
		for _, i := range []int{1, 2, 3, 4, 5} {
			s.has(f[i], "Record-Route: <sip:TOKEN@ep1.example.com;lr>")
		}
		for _, i := range []int{6, 7} {
			s.has(f[i], "Route: <sip:TOKEN@ep1.example.com;lr>")
		}
		s.has(f[9], "Route:")

		// And is called, by whichever flow comes first.
		invite = invite.With(sip.CallID("again"))
		if rr, want := recorded(callBob())[0].URI.Host, "ep2.example.com"; rr != want {
			t.Errorf("called by %s, want %s", rr, want)
		}
	})
}

// A flow token that an edge proxy has not made leads nowhere (RFC 5626 section
// 5.3.1).
func TestForgedFlowToken(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		s := newOutboundScene(t, n)
		s.edge(ep1Addr, "ep1.example.com")
		alice := s.listen(n.Host(callerAddr), nil, nil)
		flow, _, err := alice.Send(t.Context(), request(sip.ACK, "sip:ep1.example.com")) // any of EP1's
		if err != nil {
			t.Fatal(err)
		}
		for what, user := range map[string]string{"no token": "bob", "the token of another": alice.Endpoint().FlowToken(flow)} {
			resp, err := alice.Do(t.Context(), request(sip.OPTIONS, "sip:bob@192.0.2.2", sip.Route{URI: s.uri("sip:" + user + "@ep1.example.com;lr")}))
			if err != nil || resp.Status() != sip.StatusForbidden {
				t.Errorf("%s: got %v, %v, want 403", what, resp, err)
			}
		}
	})
}

// A phone that speaks UDP from behind a NAT with a memory of 30 seconds is
// called after ten minutes: STUN has kept its flow. When the NAT gets another
// address, STUN tells, and another flow takes the place of the old one (RFC 5626
// sections 4.4.2 and 8).
func TestOutboundOverUDP(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		s := newOutboundScene(t, n)
		s.edge(ep1Addr, "ep1.example.com")
		h := &home{}
		s.listen(n.Host(homeAddr), h.handle, h.accepted)
		alice := s.listen(n.Host(callerAddr), nil, nil)
		bob := s.listen(s.box.Host(bobInside), answering("<sip:bob@192.0.2.2;ob>", "skduk2"), nil)
		r := &registration{s: s, l: bob, edge: "ep1.example.com;transport=udp", callID: "16CB75F21C70", tag: "7F94778B653B", regID: 1}
		if err := r.register(); err != nil {
			t.Fatal(err)
		}
		reach := func() {
			t.Helper()
			ctx := WithNextHop(t.Context(), s.uri("sip:"+homeAddr+";transport=tcp"))
			resp, err := alice.Do(ctx, request(sip.MESSAGE, "sip:bob@example.com", sip.CallID(rand.Text())))
			if err != nil || resp.Status() != sip.StatusOK {
				t.Errorf("MESSAGE: %v, %v, want 200", resp, err)
			}
		}
		pass(10 * time.Minute)
		reach()
		s.box.Move("203.0.113.2")
		pass(time.Minute)
		reach()
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.dead) != 1 || r.dead[0] != transport.ErrRebound || r.seq != 2 {
			t.Errorf("after %d REGISTERs the flow died of %v, want 2 and %v", r.seq, r.dead, transport.ErrRebound)
		}
		if len(h.bindings) != 1 {
			t.Errorf("%d bindings, want one: the reg-id is the same", len(h.bindings))
		}
	})
}
