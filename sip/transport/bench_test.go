package transport

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/goparley/parley/internal/race"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// inviteText is the usual INVITE of a phone, rport and all.
func inviteText(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../testdata/messages/invite.sip")
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
	e, err := Listen(&Config{Listen: []string{listen}, Network: network, Handle: func(in *Inbound) {
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
	request := []byte(inviteText(b))
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
	e, flow, raw := quiet(b)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		e.datagram(flow, raw)
	}
}

// The bare minimum of the above: parse, stamp and hand over.
func BenchmarkReceive(b *testing.B) {
	e, flow, raw := quiet(b)
	e.cfg.Handle = func(*Inbound) {}
	b.ReportAllocs()
	for b.Loop() {
		e.datagram(flow, raw)
	}
}

// quiet is an answering endpoint whose socket takes everything and does nothing.
func quiet(t testing.TB) (*Endpoint, Flow, []byte) {
	t.Helper()
	e := answering(t, siptest.NewNetwork(nil).Host("192.0.2.2"), "udp:"+bobAddr)
	s := &udpSocket{e: e, conn: mute{}, local: e.udp[0].local}
	return e, Flow{s, netip.MustParseAddrPort(aliceAddr)}, []byte(inviteText(t))
}

type mute struct{ packetConn }

func (mute) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }

// The allocations of an answered request are few: the message, its stamped
// copy, the response and what was parsed to make them.
func TestAllocations(t *testing.T) {
	e, flow, raw := quiet(t)
	const most = 14 + race.PoolMisses
	if got := testing.AllocsPerRun(100, func() { e.datagram(flow, raw) }); got > most {
		t.Errorf("%v allocations for an answered request, want at most %d", got, most)
	}
	if got := e.Stats().Sent; got == 0 {
		t.Error("nothing was answered")
	}
}
