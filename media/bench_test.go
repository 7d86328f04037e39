package media

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// nowhere is a connection that takes everything and gives nothing.
type nowhere struct{ net.PacketConn }

func (nowhere) ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error) {
	return 0, netip.AddrPort{}, net.ErrClosed
}
func (nowhere) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }

func sendingNowhere() *sending {
	s := running()
	s.play = Tone(440)
	s.pair = &socketPair{rtp: newSocket(nowhere{}), rtcp: newSocket(nowhere{})}
	return &sending{s: s, pace: pacer{start: s.start}}
}

// nextIn makes b the next packet of its source.
func nextIn(b []byte, n int) {
	b[2], b[3] = byte(n>>8), byte(n)
	n *= 160
	b[4], b[5], b[6], b[7] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
}

// The hot paths allocate nothing: a packet out, a packet in, a frame played.
func TestHotPathsDoNotAllocate(t *testing.T) {
	l := sendingNowhere()
	now := l.s.start
	if got := testing.AllocsPerRun(1000, func() {
		now = now.Add(20 * time.Millisecond)
		l.packet(now)
	}); got != 0 {
		t.Errorf("sending a packet allocates %v times, want 0", got)
	}

	s, n := running(), 0
	var p rtp.Packet
	b, frame := packet(1, 0, 0), make([]int16, defaultFrame)
	if got := testing.AllocsPerRun(1000, func() {
		n++
		nextIn(b, n)
		s.receive(&p, b, peer, now)
		s.in.playout.read(frame)
	}); got != 0 {
		t.Errorf("receiving a packet allocates %v times, want 0", got)
	}
	if got := s.stats(); got.PacketsReceived != uint64(n) || got.Late != 0 {
		t.Errorf("%+v, want %d packets in time", got, n)
	}

	b[0] |= 2 // with CSRCs, as a conference bridge sends them
	if got := testing.AllocsPerRun(1000, func() {
		n++
		nextIn(b, n)
		s.receive(&p, b, peer, now)
	}); got != 0 {
		t.Errorf("receiving a packet with CSRCs allocates %v times, want 0", got)
	}
}

func BenchmarkSend(b *testing.B) {
	l := sendingNowhere()
	l.s.play = nil
	now := l.s.start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(20 * time.Millisecond)
		l.packet(now)
	}
}

func BenchmarkReceive(b *testing.B) {
	s, n := running(), 0
	var p rtp.Packet
	buf, frame := packet(1, 0, 0), make([]int16, defaultFrame)
	now := s.start
	b.ReportAllocs()
	for b.Loop() {
		n++
		nextIn(buf, n)
		s.receive(&p, buf, peer, now)
		s.in.playout.read(frame)
	}
}

// A stranger's packet costs no more than one of the peer.
func BenchmarkReceiveStranger(b *testing.B) {
	s := running()
	var p rtp.Packet
	buf, from := packet(1, 0, 0), netip.MustParseAddrPort("203.0.113.66:6666")
	b.ReportAllocs()
	for b.Loop() {
		s.receive(&p, buf, from, s.start)
	}
}

func BenchmarkLoopback(b *testing.B) {
	listen := func() *socket {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		return newSocket(c)
	}
	out, in := listen(), listen()
	to := addrPort(in.conn.LocalAddr())
	p, buf := packet(1, 1, 1), make([]byte, maxDatagram)
	b.ReportAllocs()
	for b.Loop() {
		if err := out.write(p, to); err != nil {
			b.Fatal(err)
		}
		if _, _, err := in.read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadWAV48kHz(b *testing.B) {
	file := wav(wavPCM, 1, 48000, 16, pcm(sine(440, 48000, 1, 48000)...))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadWAV(bytes.NewReader(file)); err != nil {
			b.Fatal(err)
		}
	}
}
