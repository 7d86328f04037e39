package transport

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Datagrams that are no message, or not quite one, and what becomes of each.
// RFC 3261 section 18.3 for those with a Content-Length.
func TestHostileDatagrams(t *testing.T) {
	const via = "Via: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1"
	for _, c := range []struct {
		name, text string
		answer     string // start of what comes back; "" for silence
		handed     bool
		want       Stats
	}{
		{"body shorter than Content-Length", message(options, via, "Content-Length: 10", "\nshort"),
			"SIP/2.0 400 Bad Content-Length\r\n", false, Stats{MalformedRequests: 1, Sent: 1}},
		{"response with a body shorter than Content-Length", message("SIP/2.0 200 OK", "Content-Length: 10"),
			"", false, Stats{MalformedResponses: 1}},
		{"ACK with a body shorter than Content-Length", message("ACK sip:bob@192.0.2.2 SIP/2.0", via, "Content-Length: 10"),
			"", false, Stats{MalformedRequests: 1}},
		{"bytes after the body", message(options, via, "Content-Length: 4", "\nbody and more"),
			"SIP/2.0 200 ", true, Stats{Received: 1, Sent: 1}},
		{"empty", "", "", false, Stats{}},
		{"one byte", "x", "", false, Stats{MalformedRequests: 1}},
		{"NUL", "\x00", "", false, Stats{}},
		{"CRLF", "\r\n", "", false, Stats{}},
		{"CRLF CRLF", "\r\n\r\n", "", false, Stats{}}, // RFC 5626 section 4.4.1: no ping over UDP
		{"CRLFs before a request", "\r\n\r\n" + message(options, via), "SIP/2.0 200 ", true, Stats{Received: 1, Sent: 1}},
		{"STUN Binding request", "\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl", "\x01\x01\x00\x0c", false, Stats{}},
		{"what looks like STUN", "\x00\x01\x00\x00\x21\x12\xa4\x43abcdefghijkl", "", false, Stats{MalformedRequests: 1}},
		{"65,507 bytes", message(options, via, "Content-Length: 65261", "\n"+strings.Repeat("x", 65261)),
			"SIP/2.0 200 ", true, Stats{Received: 1, Sent: 1}},
		{"the first fragment of a request", message(options, via, "Content-Length: 9000", "\n"+strings.Repeat("x", 1200)),
			"SIP/2.0 400 Bad Content-Length\r\n", false, Stats{MalformedRequests: 1, Sent: 1}},
		{"the second fragment of a request", strings.Repeat("x", 1200), "", false, Stats{MalformedRequests: 1}},
		{"no Content-Length", message(options, via, "Content-Length:", "\nbody"), "SIP/2.0 200 ", true, Stats{Received: 1, Sent: 1}},
		{"no Call-ID", message(options, via, "Call-ID:"), "SIP/2.0 400 Bad Call-ID\r\n", false, Stats{MalformedRequests: 1, Sent: 1}},
		{"response without Call-ID", message("SIP/2.0 200 OK", "Call-ID:"), "", false, Stats{MalformedResponses: 1}},
		{"no Via", message(options, "Via:"), "", false, Stats{MalformedRequests: 1}},
		{"Via without host", message(options, "Via: SIP/2.0/UDP ;branch=z9hG4bK1"), "", false, Stats{MalformedRequests: 1}},
		{"two To", message(options, via, "t: <sip:carol@192.0.2.2>"), "SIP/2.0 400 Bad To\r\n", false, Stats{MalformedRequests: 1, Sent: 1}},
		{"SIP/7.0", message("OPTIONS sip:bob@192.0.2.2 SIP/7.0", via), "SIP/2.0 505 ", false, Stats{MalformedRequests: 1, Sent: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				var e *inbox
				e = s.listen(&Config{Handle: ok(&e)})
				alice := s.peerSocket(s.alice, aliceAddr)
				alice.send(c.text, bobAddr)
				got := e.take()
				if (len(got) == 1) != c.handed {
					t.Errorf("%d messages were handed over, want handed over = %v", len(got), c.handed)
				}
				text, _ := alice.receive()
				if !strings.HasPrefix(text, c.answer) || text != "" && c.answer == "" {
					t.Errorf("answered %.80q, want %q", text, c.answer)
				}
				s.stats(e, c.want)
				malformed := int(c.want.MalformedRequests + c.want.MalformedResponses)
				if len(e.malformed) != malformed {
					t.Errorf("the trace has %d malformed messages, want %d", len(e.malformed), malformed)
				}
				for _, m := range e.malformed {
					if m.Err == nil || m.Message != nil || m.Remote.String() != aliceAddr {
						t.Errorf("the trace has %+v", m)
					}
				}
			})
		})
	}
}

// RFC 3261 section 18.3: what follows the body in a datagram is discarded.
func TestBytesAfterTheBody(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		s.peerSocket(s.alice, aliceAddr).send(message(options, "Content-Length: 4", "\nbody and more"), bobAddr)
		if got, want := s.one(e).Message.Body(), "body"; got != want {
			t.Errorf("Body() = %q, want %q", got, want)
		}
	})
}

// A malformed request is answered like a good one: to the source, from the
// socket it came in on, with the Via stamped if it can be (RFC 3261 section
// 18.2.2).
func TestMalformedRequestIsAnsweredToItsSource(t *testing.T) {
	const via = "Via: SIP/2.0/UDP 203.0.113.9;rport;received=203.0.113.9;branch=z9hG4bK1"
	for _, c := range []struct{ broken, want string }{
		{"Call-ID:", "SIP/2.0 400 Bad Call-ID\r\nVia: SIP/2.0/UDP 203.0.113.9;rport=4540;branch=z9hG4bK1;received=192.0.2.1\r\n"},
		{"Max-Forwards: many", "SIP/2.0 400 Bad Max-Forwards\r\nVia: SIP/2.0/UDP 203.0.113.9;rport=4540;branch=z9hG4bK1;received=192.0.2.1\r\n"},
		{"CSeq: none OPTIONS", "SIP/2.0 400 Bad CSeq\r\nVia: SIP/2.0/UDP 203.0.113.9;rport"},
		{"From: <", "SIP/2.0 400 Bad From\r\nVia: SIP/2.0/UDP 203.0.113.9;rport"},
	} {
		t.Run(c.broken, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				s.listen(nil)
				source, victim := s.peerSocket(s.alice, "192.0.2.1:4540"), s.peerSocket(s.n.Host("203.0.113.9"), "203.0.113.9:5060")
				source.send(message(options, c.broken, via), bobAddr)
				text, from := source.receive()
				s.contains(text, c.want)
				if from != bobAddr {
					t.Errorf("answered from %s, want %s", from, bobAddr)
				}
				if text, _ := victim.receive(); text != "" {
					t.Errorf("a third party got %q", text)
				}
			})
		})
	}
}

// An error of a read, such as an ICMP message that some systems report there,
// ends nothing, and one that stays does not spin. The socket is a bare
// net.PacketConn.
func TestReadErrors(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		network := &unreliable{Network: s.bob}
		e = s.listen(&Config{Network: network, Listen: []string{"udp:" + bobAddr}, Handle: func(in *Inbound) { ok(&e)(in) }})
		s.wait(time.Second)
		if reads := network.conn.reads.Load(); reads != 50 {
			t.Errorf("%d reads, want 49 that fail and one that waits", reads)
		}
		s.at(time.Second)
		alice := s.peerSocket(s.alice, aliceAddr)
		alice.send(message(options), bobAddr)
		if text, _ := alice.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
			t.Errorf("answered %q, want a 200", text)
		}
	})
}

// unreliable has datagram sockets that fail to read at first.
type unreliable struct {
	Network
	conn *unreliableConn
}

func (n *unreliable) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	pc, err := n.Network.ListenPacket(ctx, network, address)
	n.conn = &unreliableConn{PacketConn: pc}
	return n.conn, err
}

type unreliableConn struct {
	net.PacketConn
	reads atomic.Int64
}

func (c *unreliableConn) ReadFrom(b []byte) (int, net.Addr, error) {
	if c.reads.Add(1) < 50 {
		return 0, nil, &net.OpError{Op: "read", Net: "udp", Err: syscall.ECONNREFUSED}
	}
	return c.PacketConn.ReadFrom(b)
}
