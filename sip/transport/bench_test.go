package transport

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/goparley/parley/internal/race"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// inviteText is an INVITE that comes from a proxy, with a received and an rport
// that the Via had before.
func inviteText(t testing.TB) string { return messageText(t, "invite") }

// registerText is the REGISTER of a phone, which asks for rport.
func registerText(t testing.TB) string { return messageText(t, "register") }

func messageText(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("../testdata/messages/" + name + ".sip")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// answering responds 200 to every request.
func answering(t testing.TB, network Network, listen string) *Endpoint {
	t.Helper()
	var e *Endpoint
	ready := make(chan struct{}) // closed when e is set
	e, err := Listen(&Config{Listen: []string{listen}, Network: network, MaxRate: 1e9, Handle: func(in *Inbound) {
		<-ready
		e.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK))
	}})
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	t.Cleanup(func() { e.Close() })
	return e
}

// roundTrips sends a request and reads its response, one after the other. The
// allocations are the endpoint's: the peer makes none.
func roundTrips(b *testing.B, peer packetConn, to netip.AddrPort) {
	request := []byte(registerText(b))
	buf := make([]byte, 65536)
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := peer.WriteToUDPAddrPort(request, to); err != nil {
			b.Fatal(err)
		}
		if _, _, err := peer.ReadFromUDPAddrPort(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// UDP on the loopback interface: from the socket to Handle, and Respond.
func BenchmarkRespondLoopback(b *testing.B) {
	e := answering(b, nil, "udp:127.0.0.1:0")
	peer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	roundTrips(b, peer, e.Addr("udp"))
}

// The same on a socket that is bound to a wildcard, which is told of each
// datagram where it was sent to, and tells where its answer comes from.
func BenchmarkRespondWildcard(b *testing.B) {
	for _, listen := range []string{"udp:0.0.0.0:0", "udp::0"} {
		b.Run(listen, func(b *testing.B) {
			e := answering(b, nil, listen)
			peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				b.Fatal(err)
			}
			defer peer.Close()
			roundTrips(b, peer, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), e.Addr("udp").Port()))
		})
	}
}

// The same without the system: on the in-memory network.
func BenchmarkRespondInMemory(b *testing.B) {
	n := siptest.NewNetwork(nil)
	e := answering(b, n.Host("192.0.2.2"), "udp:"+bobAddr)
	peer, err := n.Host("192.0.2.1").ListenPacket(background, "udp", aliceAddr)
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	roundTrips(b, peer.(packetConn), e.Addr("udp"))
}

// What the endpoint itself does to a datagram, without any network: parse,
// stamp, Handle, reply, respond.
func BenchmarkDatagram(b *testing.B) {
	for name, text := range texts(b) {
		b.Run(name, func(b *testing.B) {
			s, raw := quiet(b), []byte(text)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				s.take(raw, alice)
			}
		})
	}
}

// The same on as many sockets of one endpoint as there are processors: with
// -cpu 1,2 it shows what they share.
func BenchmarkDatagramSockets(b *testing.B) {
	first, raw := quiet(b), []byte(registerText(b))
	var peers atomic.Uint32
	b.RunParallel(func(pb *testing.PB) {
		s := quietReader(first.s.e)
		n := peers.Add(1)
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 5060)
		for pb.Next() {
			s.take(raw, from)
		}
	})
}

// The bare minimum of the above: parse, stamp and hand over.
func BenchmarkReceive(b *testing.B) {
	for name, text := range texts(b) {
		b.Run(name, func(b *testing.B) {
			s, raw := quiet(b), []byte(text)
			s.s.e.cfg.Handle = func(*Inbound) {}
			b.ReportAllocs()
			for b.Loop() {
				s.take(raw, alice)
			}
		})
	}
}

func texts(t testing.TB) map[string]string {
	return map[string]string{"INVITE": inviteText(t), "REGISTER": registerText(t)}
}

var alice = netip.MustParseAddrPort(aliceAddr)

// quiet is the socket of an answering endpoint that takes everything and does
// nothing.
func quiet(t testing.TB) quietSocket {
	t.Helper()
	return quietReader(answering(t, siptest.NewNetwork(nil).Host("192.0.2.2"), "udp:"+bobAddr))
}

func quietReader(e *Endpoint) quietSocket {
	return quietSocket{&udpReader{s: &udpSocket{e: e, conn: mute{}, local: e.udp[0].local}}}
}

type quietSocket struct{ *udpReader }

// take does what is done with a datagram that was read.
func (q quietSocket) take(raw []byte, from netip.AddrPort) {
	var mine bool
	q.datagram(raw, Flow{via: q.s, remote: from}, q.s.e.began, &mine)
}

type mute struct{ packetConn }

func (mute) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }

// The allocations of an answered request are few: the message, the Inbound and
// the response, and where the Via has more than a plain rport a stamped copy of
// the message.
func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		name, text string
		most       float64
	}{
		{"REGISTER", registerText(t), 3},
		{"INVITE with a received", inviteText(t), 5},
	} {
		s, raw := quiet(t), []byte(c.text)
		if got, most := testing.AllocsPerRun(100, func() { s.take(raw, alice) }), c.most+race.PoolMisses; got > most {
			t.Errorf("%v allocations for an answered %s, want at most %v", got, c.name, most)
		}
		if got := s.s.e.Stats().Sent; got == 0 {
			t.Errorf("no %s was answered", c.name)
		}
	}
}

// A connection that waits has a stack of 4 KB: the collector halves a larger
// one that is used by less than a quarter. One frame on the way to the socket
// that is a few hundred bytes larger would make it 8 KB.
func TestIdleStack(t *testing.T) {
	e := answering(t, nil, "tcp:127.0.0.1:0")
	before := stacks()
	const conns = 200
	for range conns {
		nc, err := net.Dial("tcp", e.Addr("tcp").String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write([]byte(registerText(t))); err != nil {
			t.Fatal(err)
		}
		if _, err := sip.NewReader(nc, nil).ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	// The race detector makes frames larger.
	if got, most := (stacks()-before)/conns, 6<<10+race.PoolMisses<<10; got > most {
		t.Errorf("%d bytes of stack for an idle connection, want at most %d", got, most)
	}
}

// stacks returns the bytes of all stacks when the collector has made them small.
func stacks() int {
	for range 5 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.StackInuse)
}
