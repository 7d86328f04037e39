package media

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sdp"
	"github.com/pion/rtp"
)

// A phone sends what RTP it is told to, from one port.
type phone struct {
	socket *socket
	to     netip.AddrPort
	next   rtp.Packet
}

// phoneAt returns a phone at an address of the wire that calls a: PCMU, full
// of sound.
func phoneAt(t *testing.T, w *wire, address string, ssrc uint32, a *Audio) *phone {
	t.Helper()
	at := netip.MustParseAddrPort(address)
	c, err := wireHost{w, at.Addr()}.ListenPacket(t.Context(), "udp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	p := &phone{socket: newSocket(c)}
	if a.pair != nil {
		p.to = a.pair.local
	}
	p.next = rtp.Packet{Header: rtp.Header{Version: 2, SSRC: ssrc, SequenceNumber: 100}, Payload: make([]byte, defaultFrame)}
	for i := range p.next.Payload {
		p.next.Payload[i] = 0x10 // a loud sample
	}
	return p
}

// send sends the next packet.
func (p *phone) send() {
	if b, err := p.next.Marshal(); err == nil {
		p.socket.write(b, p.to)
	}
	p.next.SequenceNumber++
	p.next.Timestamp += defaultFrame
}

// speak sends n packets, 20 ms apart.
func (p *phone) speak(n int) {
	for range n {
		p.send()
		pass(20 * time.Millisecond)
	}
}

// offered returns a stream on the wire with its offer.
func offered(t *testing.T, w *wire, c AudioConfig) (*Audio, *sdp.Media) {
	t.Helper()
	c.Network = w.host("192.0.2.1")
	a := NewAudio(&c)
	offer, err := a.Offer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a, offer
}

// agreeOn puts two descriptions in force.
func agreeOn(t *testing.T, a *Audio, local, remote *sdp.Media) {
	t.Helper()
	if err := a.Update(t.Context(), local, remote); err != nil {
		t.Fatal(err)
	}
}

// at returns a section with a direction.
func at(m *sdp.Media, d sdp.Direction) *sdp.Media {
	m = m.Clone()
	m.Direction = d
	return m
}
