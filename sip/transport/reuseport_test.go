package transport

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// With Config.Sockets the system spreads the peers over several sockets of one
// port. Each peer is answered from that port, by the socket that its requests
// come in on; a token of its flow leads to it. On the system's sockets.
func TestSocketsThatShareAPort(t *testing.T) {
	if !canReusePorts {
		t.Log("the system does not spread datagrams over sockets: one is bound")
	}
	var e *Endpoint
	var perSocket [2]atomic.Int64
	flows := make(chan Flow, 1000)
	ready := make(chan struct{})
	e, err := Listen(&Config{Listen: []string{"udp:127.0.0.1:0"}, Sockets: 2, Handle: func(in *Inbound) {
		<-ready
		for i, s := range e.udp {
			if in.Flow.via == s {
				perSocket[i].Add(1)
			}
		}
		flows <- in.Flow
		e.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK))
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	close(ready)
	if got := len(e.udp); canReusePorts && got != 2 {
		t.Fatalf("%d sockets, want 2", got)
	}
	for _, s := range e.udp {
		if s.local != e.Addr("udp") {
			t.Errorf("a socket is bound to %v, want %v", s.local, e.Addr("udp"))
		}
	}
	server := net.UDPAddrFromAddrPort(e.Addr("udp"))
	const peers = 100
	for range peers {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ask := func() Flow {
			c.WriteTo([]byte(message(options, "Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK1")), server)
			return <-flows
		}
		answer := func() string {
			b := make([]byte, 1500)
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, from, err := c.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			if from.String() != server.String() {
				t.Errorf("answered from %v, want %v", from, server)
			}
			return string(b[:n])
		}
		first, second := ask(), ask()
		if first != second {
			t.Errorf("one peer came by %v and another socket", first)
		}
		for range 2 {
			if text := answer(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
				t.Errorf("answered %q", text)
			}
		}
		flow, err := e.FlowOf(e.FlowToken(first))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Send(flow, outgoing(t)); err != nil {
			t.Fatal(err)
		}
		if text := answer(); !strings.HasPrefix(text, options) {
			t.Errorf("by its token a peer got %q", text)
		}
		// A Binding request is answered by the same port, whichever socket asks.
		for _, s := range e.udp {
			asked := make(chan error, 1)
			go func() { // ends with the answer
				b := make([]byte, 1500)
				n, from, err := c.ReadFrom(b)
				if err == nil && n == 20 { // from one Binding request to its answer
					answer := append([]byte{1, 1, 0, 12}, b[4:20]...)
					answer = append(answer, 0, 0x20, 0, 8, 0, 1, 0x13^0x21, 0xc4^0x12, 127^0x21, 0x12, 0xa4, 1^0x42)
					_, err = c.WriteTo(answer, from)
				}
				asked <- err
			}()
			mapped, err := s.mapped(t.Context(), addrPort(c.LocalAddr()))
			if err != nil || mapped.String() != "127.0.0.1:5060" {
				t.Errorf("Binding = %v, %v, want what was answered", mapped, err)
			}
			if err := <-asked; err != nil {
				t.Error(err)
			}
		}
		c.Close()
	}
	for i := range e.udp {
		if got := perSocket[i].Load(); got == 0 {
			t.Errorf("socket %d got none of %d peers", i+1, peers)
		}
	}
}
