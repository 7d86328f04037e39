package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// RFC 3261 section 18.1.1: the Via names where we are reached. RFC 3581 section
// 3: it asks for rport, without a value.
func TestSendRequest(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		alice := s.peerSocket(s.alice, aliceAddr)
		flow, out, err := e.SendRequest(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		text, from := alice.receive()
		if text != out.String() || from != bobAddr {
			t.Errorf("%q came from %s, want %q from %s", text, from, out, bobAddr)
		}
		if got, want := string(out.Via().AppendValue(nil)), "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1;rport"; got != want {
			t.Errorf("Via = %s, want %s", got, want)
		}
		if got, want := flow.String(), "UDP 192.0.2.2:5060 to 192.0.2.1:5060"; got != want {
			t.Errorf("flow = %s, want %s", got, want)
		}

		// A retransmission is the same bytes on the same flow.
		if err := e.Send(flow, out); err != nil {
			t.Fatal(err)
		}
		if again, _ := alice.receive(); again != text {
			t.Errorf("retransmitted %q, want %q", again, text)
		}
		s.stats(e, Stats{Sent: 2})
		if got := len(e.sent); got != 2 || e.sent[0].Text != text || e.sent[0].Remote.String() != aliceAddr {
			t.Errorf("the trace has %d messages, want 2", got)
		}
	})
}

// What every server is told stands in each Via of ours, and in no other.
func TestViaParams(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{ViaParams: `;oc;oc-algo="loss,rate"`})
		r := outgoing(t).With(sip.Push(sip.Via{Transport: "UDP", Host: "a.example", Params: ";branch=z9hG4bK0"}))
		_, out, err := e.SendRequest(background, r, target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for via := range sip.All[sip.Via](out) {
			got = append(got, string(via.Params))
		}
		if want := []string{`;branch=z9hG4bK1;rport;oc;oc-algo="loss,rate"`, ";branch=z9hG4bK0"}; !slices.Equal(got, want) {
			t.Errorf("the Vias have %q, want %q", got, want)
		}
	})
}

func TestSendRequestErrors(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		var op *net.OpError
		_, _, err := e.SendRequest(background, outgoing(t), target("UDP", "[2001:db8::1]:5060"), "z9hG4bK1")
		if !errors.As(err, &op) {
			t.Errorf("no socket of the family: %v, want a *net.OpError", err)
		}
		_, _, err = e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1")
		if !errors.As(err, &op) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v, want ECONNREFUSED", err)
		}
		_, _, err = e.SendRequest(background, outgoing(t), target("SCTP", aliceAddr), "z9hG4bK1")
		if !errors.Is(err, resolve.ErrTransport) {
			t.Errorf("SCTP: %v, want ErrTransport", err)
		}
		var syntax *sip.SyntaxError
		broken := outgoing(t).With(sip.Field{Name: "Subject", Value: "\n"})
		if _, _, err = e.SendRequest(background, broken, target("UDP", aliceAddr), "z9hG4bK1"); !errors.As(err, &syntax) {
			t.Errorf("a broken request: %v, want a SyntaxError", err)
		}
		if _, _, err = e.SendRequest(background, outgoing(t), target("UDP", aliceAddr), "a\r\nb"); !errors.As(err, &syntax) {
			t.Errorf("a broken branch: %v, want a SyntaxError", err)
		}
		s.stats(e, Stats{})
	})
}

// large is a request of exactly n bytes once it has its Via.
func large(t *testing.T, n int) *sip.Request {
	via := len("Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1;rport\r\n")
	r := outgoing(t, "Subject: ")
	return r.With(sip.Field{Name: "Subject", Value: strings.Repeat("x", n-via-len(r.String()))})
}

// RFC 3261 section 18.1.1: a request of more than 1300 bytes goes by TCP, and
// its Via says so.
func TestLargeRequestGoesByTCP(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		udp, tcp := s.peerSocket(s.alice, aliceAddr), s.accept(s.alice, aliceAddr)
		flow, out, err := e.SendRequest(background, large(t, 1300), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil || flow.Transport() != "UDP" || len(out.String()) != 1300 {
			t.Fatalf("1300 bytes: %v, %v, %d bytes; want UDP", flow, err, len(out.String()))
		}
		udp.receive()

		flow, out, err = e.SendRequest(background, large(t, 1301), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil || flow.Transport() != "TCP" || !flow.Reliable() {
			t.Fatalf("1301 bytes: %v, %v; want TCP", flow, err)
		}
		conns := tcp.all()
		if len(conns) != 1 {
			t.Fatalf("%d connections, want 1", len(conns))
		}
		text := conns[0].receive()
		s.contains(text, "\r\nVia: SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bK1;rport\r\n")
		if text != out.String() {
			t.Errorf("sent %.60q, want what was returned", text)
		}
		if text, _ := udp.receive(); text != "" {
			t.Errorf("%.60q went by UDP", text)
		}
	})
}

// RFC 3261 section 18.1.1: if TCP is refused, the large request goes by UDP
// after all, with a Via that says UDP.
func TestLargeRequestFallsBackToUDP(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		udp := s.peerSocket(s.alice, aliceAddr)
		flow, _, err := e.SendRequest(background, large(t, 5000), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil || flow.Transport() != "UDP" {
			t.Fatalf("%v, %v; want UDP", flow, err)
		}
		text, _ := udp.receive()
		s.contains(text, "\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1;rport\r\n")
	})
}

// Silence is no refusal: whoever does not answer by TCP is not sent fragments.
func TestLargeRequestIntoSilence(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		s.alice.Down()
		_, _, err := e.SendRequest(background, large(t, 5000), target("UDP", aliceAddr), "z9hG4bK1")
		var op *net.OpError
		if !errors.As(err, &op) || !op.Timeout() {
			t.Errorf("err = %v, want a timeout", err)
		}
		s.at(handshakeTimeout)
		s.stats(e, Stats{})
	})
}

// RFC 3261 section 18.1.1: a request to an address with an open connection uses
// it, also one that the peer made, and also if many are sent at once.
func TestConnectionReuse(t *testing.T) {
	play(t, &siptest.NetworkConfig{Delay: 20 * time.Millisecond}, func(s *scene) {
		e := s.listen(nil)
		tcp := s.accept(s.alice, aliceAddr)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if _, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), fmt.Sprint("z9hG4bK", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s.wait(time.Second)
		conns := tcp.all()
		if len(conns) != 1 {
			t.Fatalf("%d connections, want 1", len(conns))
		}
		if got := strings.Count(conns[0].receive(), options); got != 50 {
			t.Errorf("%d requests arrived, want 50", got)
		}
		s.tables(e, 1, 0)

		phone := s.dial(s.alice, bobAddr)
		s.wait(time.Second)
		if _, _, err := e.SendRequest(background, outgoing(t), target("TCP", phone.LocalAddr().String()), "z9hG4bKx"); err != nil {
			t.Fatal(err)
		}
		s.contains(phone.receive(), options)
		s.tables(e, 2, 0)
	})
}

// A dial that fails fails for all who wait, once. The next sender tries anew.
func TestFailedDialIsSharedAndForgotten(t *testing.T) {
	play(t, &siptest.NetworkConfig{Delay: 20 * time.Millisecond}, func(s *scene) {
		network := &countingNetwork{Network: s.bob}
		e := s.listen(&Config{Network: network})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1")
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("err = %v, want ECONNREFUSED", err)
				}
			})
		}
		wg.Wait()
		if got := network.dials.Load(); got != 1 {
			t.Errorf("%d dials, want 1", got)
		}
		s.tables(e, 0, 0)
		s.accept(s.alice, aliceAddr)
		if _, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1"); err != nil {
			t.Errorf("once the peer listens: %v", err)
		}
		s.tables(e, 1, 0)
	})
}

// The end of one sender's context ends its waiting, and not the dial.
func TestContextEndsTheWaitingOnly(t *testing.T) {
	play(t, &siptest.NetworkConfig{Delay: time.Second}, func(s *scene) {
		e := s.listen(nil)
		tcp := s.accept(s.alice, aliceAddr)
		ctx, cancel := context.WithTimeout(background, 500*time.Millisecond)
		defer cancel()
		_, _, err := e.SendRequest(ctx, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want DeadlineExceeded", err)
		}
		s.at(500 * time.Millisecond)
		if _, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1"); err != nil {
			t.Error(err)
		}
		s.at(2 * time.Second) // the first dial's SYN-ACK
		s.wait(time.Minute)
		if got := len(tcp.all()); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

// With a context that is over no connection is opened, but what can be sent at once
// is sent: over UDP, and by a connection that is there.
func TestContextThatIsOver(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		tcp := s.accept(s.alice, aliceAddr)
		over, end := context.WithCancel(background)
		end()
		send := func(ctx context.Context, kind string) error {
			_, _, err := e.SendRequest(ctx, outgoing(t), target(kind, aliceAddr), "z9hG4bK1")
			return err
		}
		if err := send(over, "TCP"); !errors.Is(err, context.Canceled) {
			t.Errorf("without a connection: %v, want Canceled", err)
		}
		s.wait(time.Minute)
		if got := len(tcp.all()); got != 0 {
			t.Errorf("%d connections, want none", got)
		}
		if err := send(background, "TCP"); err != nil {
			t.Fatal(err)
		}
		for range 20 { // it is no matter of chance
			if err := send(over, "TCP"); err != nil {
				t.Errorf("by a connection: %v", err)
			}
		}
		if err := send(over, "UDP"); err != nil {
			t.Errorf("over UDP: %v", err)
		}
	})
}

// A connection that the peer has closed is not used again.
func TestClosedConnectionIsReplaced(t *testing.T) {
	play(t, nil, func(s *scene) {
		var closed []error
		e := s.listen(&Config{Closed: func(_ Flow, err error) { closed = append(closed, err) }})
		tcp := s.accept(s.alice, aliceAddr)
		send := func() Flow {
			flow, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1")
			if err != nil {
				t.Fatal(err)
			}
			return flow
		}
		first := send()
		tcp.all()[0].Close()
		synctest.Wait()
		if err := e.Send(first, outgoing(t)); !errors.Is(err, ErrNoFlow) {
			t.Errorf("Send on the old flow = %v, want ErrNoFlow", err)
		}
		if send() == first {
			t.Error("the new connection is the old flow")
		}
		if got := len(tcp.all()); got != 2 {
			t.Errorf("%d connections, want 2", got)
		}
		if len(closed) != 1 {
			t.Errorf("Closed was called with %v, want one call", closed)
		}
		s.tables(e, 1, 0)
	})
}

// RFC 3261 section 18.1.1: a request to a multicast group names the group in
// the Via, and a TTL of 1.
func TestSendMulticast(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		_, out, err := e.SendRequest(background, outgoing(t), target("UDP", "224.0.1.75:5060"), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		s.contains(out.String(), "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1;rport;maddr=224.0.1.75;ttl=1\r\n")
	})
}

// The zone of a group says which of our interfaces leads there, and nothing to
// a peer.
func TestSendMulticastZone(t *testing.T) {
	play(t, nil, func(s *scene) {
		server := s.n.Host("2001:db8::2")
		e := s.listen(&Config{Network: server, Listen: []string{"udp:[2001:db8::2]:5060"}})
		_, out, err := e.SendRequest(background, outgoing(t), target("UDP", "[ff02::1%eth0]:5060"), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		s.contains(out.String(), "Via: SIP/2.0/UDP [2001:db8::2]:5060;branch=z9hG4bK1;rport;maddr=[ff02::1]\r\n")
	})
}

// Edits are made for the flow that a request takes, those of an outer context first.
func TestWithEdits(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		add := func(ctx context.Context, name string, err error) context.Context {
			return WithEdits(ctx, func(_ context.Context, f Flow) ([]sip.Edit, error) {
				return []sip.Edit{sip.Field{Name: name, Value: f.Transport()}}, err
			})
		}
		ctx := WithEdits(add(add(WithEdits(background, nil), "X-Outer", nil), "X-Inner", nil), nil)
		_, out, err := e.Prepare(ctx, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"X-Outer", "X-Inner"} {
			if got, _ := out.Value(name); got != "UDP" {
				t.Errorf("%s is %q, want UDP", name, got)
			}
		}
		failed := errors.New("no such place")
		if _, _, err := e.Prepare(add(ctx, "X", failed), outgoing(t), target("UDP", aliceAddr), "z9hG4bK1"); !errors.Is(err, failed) {
			t.Errorf("edits that fail: %v, want %v", err, failed)
		}
	})
}
