package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
)

// The stories of this file are about those who send too much.

// Datagrams beyond Config.MaxRate get no answer, whatever they are; another
// source is served. After a second there are as many again.
func TestMaxRateUDP(t *testing.T) {
	const binding = "\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl"
	for name, text := range map[string]string{
		"requests":  message(options, "Via: SIP/2.0/UDP 192.0.2.66;rport;branch=z9hG4bK1"),
		"malformed": message(options, "Via: SIP/2.0/UDP 192.0.2.66;rport;branch=z9hG4bK1", "Call-ID:"),
		"STUN":      binding,
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				var e *inbox
				e = s.listen(&Config{MaxRate: 10, Handle: func(in *Inbound) { ok(&e)(in) }})
				flood := s.peerSocket(s.n.Host("192.0.2.66"), "192.0.2.66:5060")
				more := s.peerSocket(s.n.Host("192.0.2.66"), "192.0.2.66:5061")
				answers := func(c *peerSocket) int {
					for n := 0; ; n++ {
						if text, _ := c.receive(); text == "" {
							return n
						}
					}
				}
				for range 50 {
					flood.send(text, bobAddr)
					more.send(text, bobAddr)
				}
				synctest.Wait()
				alice := s.peerSocket(s.alice, aliceAddr)
				alice.send(message(options), bobAddr)
				if text, _ := alice.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
					t.Errorf("another source is answered %q, want 200", text)
				}
				if got := answers(flood) + answers(more); got != 10 {
					t.Errorf("100 datagrams of one source got %d answers, want 10", got)
				}
				if got := e.Stats().Limited; got != 90 {
					t.Errorf("Limited = %d, want 90", got)
				}
				s.tables(e, 0, 0)
				s.wait(time.Second)
				for range 50 {
					flood.send(text, bobAddr)
				}
				if got := answers(flood); got != 10 {
					t.Errorf("50 datagrams after a second got %d answers, want 10", got)
				}
			})
		})
	}
}

// Less than 0 is no limit, and what keeps a binding alive is not counted.
func TestNoMaxRate(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{MaxRate: -1})
		alice := s.peerSocket(s.alice, aliceAddr)
		for range 30_000 {
			alice.send(message(options), bobAddr)
			synctest.Wait()
		}
		s.stats(e, Stats{Received: 30_000})
	})
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{MaxRate: 1})
		alice := s.peerSocket(s.alice, aliceAddr)
		for range 100 {
			alice.send("\r\n\r\n", bobAddr)
		}
		alice.send(message(options), bobAddr)
		s.one(e)
	})
}

// A connection that brings more than Config.MaxRate is read more slowly, and
// loses nothing. One of another source goes on.
func TestMaxRateOfConnections(t *testing.T) {
	for name, text := range map[string]string{
		"requests": message(options, tcpVia), "malformed": message(options, tcpVia, "Call-ID:"), "pings": "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				var e *inbox
				e = s.listen(&Config{MaxRate: 10, Handle: func(in *Inbound) { ok(&e)(in) }})
				flood, alice := s.dial(s.n.Host("192.0.2.66"), bobAddr), s.dial(s.alice, bobAddr)
				flood.send(strings.Repeat(text, 110))
				synctest.Wait()
				alice.send(message(options, tcpVia))
				s.contains(alice.receive(), "SIP/2.0 200 ")
				what := "SIP/2.0 "
				if name == "pings" {
					what = "\r\n"
				}
				answered := strings.Count(flood.receive(), what)
				if answered != 10 {
					t.Errorf("%d answers at once, want 10", answered)
				}
				for answered < 110 && time.Since(s.began) < time.Hour {
					answered += strings.Count(flood.receive(), what)
				}
				if took := time.Since(s.began); answered != 110 || took < 9*time.Second || took > 12*time.Second {
					t.Errorf("%d answers within %v, want 110 in 10 s", answered, took)
				}
				if got := e.Stats(); got.Paced == 0 || got.Limited != 0 {
					t.Errorf("Stats() = %+v, want Paced and nothing Limited", got)
				}
				s.tables(e, 2, 0)

				// A connection that waits is no reason for Close to wait.
				flood.send(strings.Repeat(text, 110))
				synctest.Wait()
				before := time.Now()
				e.Close()
				if took := time.Since(before); took != 0 {
					t.Errorf("Close took %v", took)
				}
			})
		})
	}
}

// One IPv4 address, or one /64 of IPv6, has as many connections as
// Config.MaxConnsPerSource says.
func TestMaxConnsPerSource(t *testing.T) {
	for _, c := range []struct {
		name, at           string
		one, same, another string
	}{
		{"IPv4", "192.0.2.2:5060", "192.0.2.66", "192.0.2.66", "192.0.2.67"},
		{"IPv6", "[2001:db8::2]:5060", "2001:db8:0:1::66", "2001:db8:0:1:ffff::1", "2001:db8:0:2::66"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e := s.listen(&Config{MaxConnsPerSource: 3, Listen: []string{"tcp:" + c.at}, Network: s.n.Host(netip.MustParseAddrPort(c.at).Addr().String())})
				var conns []*peerStream
				for _, from := range []string{c.one, c.same, c.one, c.same, c.one} {
					conns = append(conns, s.dial(s.n.Host(from), c.at))
					synctest.Wait()
				}
				for i, conn := range conns {
					if got, want := conn.isClosed(), i >= 3; got != want {
						t.Errorf("connection %d: closed = %v, want %v", i+1, got, want)
					}
				}
				s.dial(s.n.Host(c.another), c.at)
				s.tables(e, 4, 0)
				s.stats(e, Stats{RefusedConns: 2})
				conns[0].Close()
				synctest.Wait()
				s.dial(s.n.Host(c.same), c.at)
				s.tables(e, 4, 0)
				s.dial(s.n.Host(c.one), c.at)
				s.tables(e, 4, 0)
				s.stats(e, Stats{RefusedConns: 3})
				for _, conn := range conns {
					conn.Close()
				}
				s.wait(time.Hour)
				s.tables(e, 0, 0)
				if len(e.sources.count) != 0 || e.caused != 0 {
					t.Errorf("%d sources and %d connections are counted when there are none", len(e.sources.count), e.caused)
				}
			})
		})
	}
}

// forger is a socket on which datagrams of any source arrive.
type forger struct {
	net.PacketConn
	arrive chan forged
}

type forged struct {
	text string
	from netip.AddrPort
}

func (f forger) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	in, open := <-f.arrive
	if !open {
		return 0, netip.AddrPort{}, net.ErrClosed
	}
	return copy(b, in.text), in.from, nil
}

func (f forger) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }

// A hundred thousand datagrams from as many forged sources, of every kind that
// there is, leave nothing behind: no entry in a table, and the heap as it was.
func TestNoStatePerPeer(t *testing.T) {
	const binding = "\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl"
	kinds := []string{
		message(options), message("SIP/2.0 200 OK"), message(options, "Call-ID:"), "\r\n\r\n", binding, "\x00\x01", "x",
		message("REGISTER sip:192.0.2.2 SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.9;maddr=192.0.2.8;received=192.0.2.7;branch=z9hG4bK1"),
	}
	arrive := make(chan forged)
	var e *Endpoint
	ready := make(chan struct{})
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket := forger{pc, arrive}
	e, err = Listen(&Config{Listen: []string{"udp:127.0.0.1:5060"}, Network: oneSocket{socket}, Handle: func(in *Inbound) {
		<-ready
		if r, isRequest := in.Message.(*sip.Request); isRequest {
			e.Respond(in, r.Reply(sip.StatusOK))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	flood := func(n int, from func(i int) netip.AddrPort) {
		for i := range n {
			arrive <- forged{kinds[i%len(kinds)], from(i)}
		}
	}
	four := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(i)|1)
	}
	six := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 16), byte(i >> 8), byte(i), 1, 15: 1}), 5060)
	}
	flood(1000, four)
	before := heap()
	flood(50_000, four)
	flood(50_000, six)
	flood(50_000, func(i int) netip.AddrPort { return four(7 * i) })
	if grown := heap() - before; grown > 200<<10 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	e.mu.Lock()
	for name, n := range map[string]int{
		"conns": len(e.conns), "live": len(e.live), "byID": len(e.byID), "sources": len(e.sources.count),
		"stun": len(e.stun), "watchers": len(e.watchers), "routes": len(e.routes),
	} {
		if n != 0 {
			t.Errorf("%d entries in %s", n, name)
		}
	}
	if n := len(e.hosts); n != 1 {
		t.Errorf("%d hosts are remembered, want our own", n)
	}
	e.mu.Unlock()
	if got := e.Stats(); got.Received < 30_000 || got.Limited != 0 {
		t.Errorf("Stats() = %+v, want that they were read", got)
	}
	close(arrive)
	e.Close()
}

// heap returns the bytes that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// oneSocket is a network with one UDP socket.
type oneSocket struct{ pc net.PacketConn }

func (n oneSocket) ListenPacket(context.Context, string, string) (net.PacketConn, error) {
	return n.pc, nil
}

func (oneSocket) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}

func (oneSocket) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

// exhausted is a network where a process has no file descriptors left for the
// first hundred accepts.
type exhausted struct {
	Network
	accepts *atomic.Int64
}

func (n exhausted) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := n.Network.Listen(ctx, network, address)
	return exhaustedListener{l, n.accepts}, err
}

type exhaustedListener struct {
	net.Listener
	accepts *atomic.Int64
}

func (l exhaustedListener) Accept() (net.Conn, error) {
	if l.accepts.Add(1) <= 100 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// A process without file descriptors goes on accepting when there are some
// again, without spinning meanwhile, whatever is to run on the connections.
func TestOutOfFileDescriptors(t *testing.T) {
	for _, kind := range []string{"TCP", "TLS", "WS", "WSS"} {
		t.Run(kind, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				server, client := s.secure()
				network := exhausted{s.bob, new(atomic.Int64)}
				var e *inbox
				e = s.listen(&Config{Listen: []string{strings.ToLower(kind) + ":" + bobAddr, "udp:" + bobAddr}, Network: network, TLS: server,
					Handle: func(in *Inbound) { ok(&e)(in) }})
				phone := s.listen(&Config{Listen: []string{}, Network: s.alice, TLS: client})
				// It is served by UDP all the while.
				udp := s.peerSocket(s.alice, aliceAddr)
				udp.send(message(options), bobAddr)
				if text, _ := udp.receive(); !strings.HasPrefix(text, "SIP/2.0 200 ") {
					t.Errorf("answered %q, want 200", text)
				}
				if _, _, err := phone.SendRequest(background, outgoing(t), aliceAt(kind, bobAddr), "z9hG4bK1"); err != nil {
					t.Fatal(err)
				}
				s.wait(10 * time.Second)
				s.one(phone)
				if got := network.accepts.Load(); got != 102 {
					t.Errorf("%d accepts, want a hundred that fail, one that does not, and one that waits", got)
				}
				if took := phone.take(); len(took) != 0 {
					t.Errorf("%d messages too many", len(took))
				}
			})
		})
	}
	// An endpoint without descriptors can be closed.
	play(t, nil, func(s *scene) {
		network := exhausted{s.bob, new(atomic.Int64)}
		e := s.listen(&Config{Network: network})
		s.wait(time.Second)
		before := time.Now()
		if err := e.Close(); err != nil || time.Since(before) > 50*time.Millisecond {
			t.Errorf("Close = %v after %v", err, time.Since(before))
		}
	})
}

// A datagram of which a fragment is lost never arrives; those around it do.
func TestFragmentsLost(t *testing.T) {
	play(t, nil, func(s *scene) {
		const via = "Via: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1"
		var e *inbox
		e = s.listen(&Config{Handle: func(in *Inbound) { ok(&e)(in) }})
		alice := s.peerSocket(s.alice, aliceAddr)
		for i := range 4 {
			whole := message(options, via, fmt.Sprintf("CSeq: %d OPTIONS", i), "Content-Length: 4000", "\n"+strings.Repeat("x", 4000))
			switch i {
			case 1: // all but the first
				alice.send(whole[1480:], bobAddr)
				continue
			case 2: // all but the last, from a system that passes on what it has
				alice.send(whole[:1480], bobAddr)
				text, _ := alice.receive()
				s.contains(text, "SIP/2.0 400 Bad Content-Length\r\n")
				continue
			}
			alice.send(whole, bobAddr)
			text, _ := alice.receive()
			s.contains(text, fmt.Sprintf("CSeq: %d OPTIONS", i))
			s.contains(text, "SIP/2.0 200 ")
		}
		s.stats(e, Stats{Received: 2, Sent: 3, MalformedRequests: 2})
	})
}
