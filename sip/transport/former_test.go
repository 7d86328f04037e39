package transport

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
)

// A program is started anew, at the same addresses or at others: the response to
// a request that the run before got by UDP leaves by the socket of the request,
// or by one that reaches its sender.
func TestFormerFlowUDP(t *testing.T) {
	play(t, nil, func(s *scene) {
		alice := s.peerSocket(s.alice, aliceAddr)
		e := s.listen(&Config{Listen: []string{"udp:192.0.2.2:5060", "udp:192.0.2.2:5070"}})
		alice.send(message(options), "192.0.2.2:5070")
		in := s.one(e)
		e.Close()
		for listen, want := range map[string]string{
			"udp:192.0.2.2:5070": "192.0.2.2:5070",
			"udp:192.0.2.2:5080": "192.0.2.2:5080",
		} {
			again := s.listen(&Config{Listen: []string{listen}})
			flow, err := again.FormerFlow("udp", in.Flow.LocalAddr(), in.Flow.RemoteAddr(), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp := in.Message.(*sip.Request).Reply(sip.StatusOK)
			if err := again.Respond(&Inbound{Message: in.Message, Flow: flow}, resp); err != nil {
				t.Fatal(err)
			}
			if _, from := alice.receive(); from != want {
				t.Errorf("with %s the response came from %s, want %s", listen, from, want)
			}
			again.Close()
		}
	})
}

// A connection is gone. The flow says whose it was, and responses go by a new
// one.
func TestFormerFlowTCP(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		listener := s.accept(s.alice, "192.0.2.1:5070")
		req := message(options, "Via: SIP/2.0/TCP 192.0.2.1:5070;branch=z9hG4bK1")
		m, err := sip.Parse(req)
		if err != nil {
			t.Fatal(err)
		}
		local, remote := netip.MustParseAddrPort(bobAddr), netip.MustParseAddrPort("192.0.2.1:49152")
		flow, err := e.FormerFlow("TCP", local, remote, []string{"a.example"})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := flow.String(), "TCP 192.0.2.2:5060 to 192.0.2.1:49152"; got != want {
			t.Errorf("the flow is %q, want %q", got, want)
		}
		if got := flow.Identities(); !slices.Equal(got, []string{"a.example"}) {
			t.Errorf("Identities() = %q, want a.example", got)
		}
		if !flow.Reliable() || !flow.Opened().IsZero() || !errors.Is(flow.Err(), ErrNoFlow) {
			t.Errorf("reliable %v, opened %v, err %v, want a connection that is gone", flow.Reliable(), flow.Opened(), flow.Err())
		}
		if err := e.Send(flow, m); !errors.Is(err, ErrNoFlow) {
			t.Errorf("Send() = %v, want %v", err, ErrNoFlow)
		}
		if got := e.FlowToken(flow); got != "" {
			t.Errorf("FlowToken() = %q, want none", got)
		}
		if err := e.Respond(&Inbound{Message: m, Flow: flow}, m.(*sip.Request).Reply(sip.StatusOK)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		conns := listener.all()
		if len(conns) != 1 {
			t.Fatalf("%d connections were made, want 1", len(conns))
		}
		s.contains(conns[0].receive(), "SIP/2.0 200 OK\r\n")
	})
}

// The connection of another node stands for one that would be made to us: its
// local address, which a Contact is made of, is ours.
func TestFormerFlowOfAnotherNode(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"tcp:192.0.2.2:5070"}})
		remote := netip.MustParseAddrPort("192.0.2.1:49152")
		for local, want := range map[string]string{
			"192.0.2.2:5070": "192.0.2.2:5070",
			"192.0.2.9:5060": "192.0.2.2:5070",
		} {
			flow, err := e.FormerFlow("TCP", netip.MustParseAddrPort(local), remote, nil)
			if err != nil || flow.LocalAddr().String() != want {
				t.Errorf("in the place of %s is %v, %v, want %s", local, flow, err, want)
			}
			if uri, err := e.ContactOn(background, flow); err != nil || uri.String() != "sip:"+want+";transport=tcp" {
				t.Errorf("ContactOn() = %v, %v, want %s", uri, err, want)
			}
		}
	})
}

// Nothing here reaches the peer.
func TestFormerFlowNone(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"udp:192.0.2.2:5060"}})
		for _, test := range []struct{ transport, remote string }{
			{"UDP", "[2001:db8::1]:5060"},
			{"SCTP", "192.0.2.1:5060"},
			{"", "192.0.2.1:5060"},
			{"TCP", "192.0.2.1:0"},
		} {
			flow, err := e.FormerFlow(test.transport, netip.AddrPort{}, netip.MustParseAddrPort(test.remote), nil)
			if !errors.Is(err, ErrNoFlow) || !flow.IsZero() {
				t.Errorf("FormerFlow(%q, %s) = %v, %v, want %v", test.transport, test.remote, flow, err, ErrNoFlow)
			}
		}
		if _, err := e.FormerFlow("TCP", netip.AddrPort{}, netip.AddrPort{}, nil); err == nil || !strings.Contains(err.Error(), "TCP") {
			t.Errorf("FormerFlow to nowhere: %v, want an error that names the transport", err)
		}
	})
}
