package media

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

var peer = netip.MustParseAddrPort("192.0.2.9:4000")

// running returns a session in a call with peer, without sockets: PCMU as 0,
// telephone-event as 101.
func running() *session {
	s := newSession(nil, new(Recorder), LatchNAT, defaultDelay)
	s.running = true
	s.agreed = agreement{rtp: peer, sends: true, receives: true, codec: codecs[0], frame: defaultFrame, events: 101, eventSet: allDigits}
	s.agreed.accepts[0] = accepted{codec: codecs[0]}
	s.agreed.accepts[101] = accepted{event: true}
	s.media.describe(peer)
	s.control.describe(netip.AddrPortFrom(peer.Addr(), peer.Port()+1))
	return s
}

func packet(ssrc uint32, seq uint16, timestamp uint32) []byte {
	h := rtp.Header{Version: 2, SSRC: ssrc, SequenceNumber: seq, Timestamp: timestamp}
	b, _ := (&rtp.Packet{Header: h, Payload: make([]byte, 160)}).Marshal()
	return b
}

// talk sends n packets of a source that is in order, from seq on.
func talk(s *session, ssrc uint32, seq uint16, timestamp uint32, n int) {
	var p rtp.Packet
	for i := range n {
		s.receive(&p, packet(ssrc, seq+uint16(i), timestamp+uint32(i)*160), peer, s.start.Add(time.Duration(i)*20*time.Millisecond))
	}
}

// What cannot be RTP is dropped and counted, before it can latch anything.
func TestHostileRTP(t *testing.T) {
	good := packet(1, 1, 1000)
	set := func(at int, v ...byte) []byte {
		b := slices.Clone(good)
		copy(b[at:], v)
		return b
	}
	extension := func(profile, words uint16, data ...byte) []byte {
		b := set(0, 0x90)[:12]
		b = binary.BigEndian.AppendUint16(b, profile)
		b = binary.BigEndian.AppendUint16(b, words)
		return append(b, data...)
	}
	for _, tt := range []struct {
		name string
		b    []byte
	}{
		{"empty", nil},
		{"one octet", good[:1]},
		{"eleven octets", good[:11]},
		{"version 0, as STUN has it", set(0, 0x00)},
		{"version 1", set(0, 0x40)},
		{"version 3", set(0, 0xc0)},
		{"fifteen CSRCs beyond the end", set(0, 0x8f)[:40]},
		{"an extension header beyond the end", set(0, 0x90)[:14]},
		{"an extension of 65535 words", extension(0xabcd, 0xffff, 1, 2, 3, 4)},
		{"a one-byte extension element beyond its end", extension(0xbede, 1, 0x1f, 0, 0, 0)},
		{"a two-byte extension element beyond its end", extension(0x1000, 1, 1, 200, 0, 0)},
		{"padding of 0", append(set(0, 0xa0), 0)},
		{"padding longer than the packet", append(set(0, 0xa0)[:20], 255)},
		{"padding and nothing else", set(0, 0xa0)[:12]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := running()
			s.receive(new(rtp.Packet), tt.b, peer, s.start)
			if got := s.stats(); got.Malformed != 1 || got.PacketsReceived != 0 {
				t.Errorf("%+v, want one malformed packet", got)
			}
			if s.media.source.IsValid() {
				t.Error("its source is latched")
			}
		})
	}
}

// A payload type that was not agreed is dropped and counted; RTCP on the RTP
// port looks like payload types 72 to 76 (RFC 5761 section 4).
func TestHostilePayloadTypeNotNegotiated(t *testing.T) {
	s := running()
	for _, pt := range []byte{8, 13, 96, 127, 200 & 0x7f, 201} {
		b := packet(1, 1, 1000)
		b[1] = pt
		s.receive(new(rtp.Packet), b, peer, s.start)
	}
	if got := s.stats(); got.UnknownType != 6 || got.PacketsReceived != 0 || s.media.source.IsValid() {
		t.Errorf("%+v, want six of unknown type and nothing latched", got)
	}
}

// Packets of no samples, of one, and of more than fits are survived.
func TestHostilePayloadLength(t *testing.T) {
	s := running()
	for i, n := range []int{0, 1, 159, 1400, maxDatagram - 12} {
		b := append(packet(1, uint16(i), uint32(i)*160)[:12], make([]byte, n)...)
		s.receive(new(rtp.Packet), b, peer, s.start)
		b[1] = 101
		s.receive(new(rtp.Packet), b, peer, s.start)
	}
	if got := s.stats(); got.PacketsReceived != 10 {
		t.Errorf("%+v, want ten packets", got)
	}
}

// The peer changes its SSRC in mid call, as after a transfer: two packets in
// sequence make the new source, and single ones of other sources none.
func TestSSRCChange(t *testing.T) {
	s := running()
	talk(s, 1, 100, 1000, 50)
	for i := range uint32(1000) {
		s.receive(new(rtp.Packet), packet(10+i, uint16(7*i), 5), peer, s.start)
	}
	if s.in.ssrc != 1 {
		t.Errorf("source %d, want 1: a thousand others sent one packet each", s.in.ssrc)
	}
	talk(s, 1, 150, 9000, 1)
	talk(s, 2, 60000, 77, 21)
	if got := s.stats(); s.in.ssrc != 2 || got.PacketsReceived != 71 || got.Lost != 0 {
		t.Errorf("source %d, %+v, want 2 and 71 packets, none lost", s.in.ssrc, got)
	}
	if got := s.in.playout.end - s.in.playout.next; got != 20*160+480 {
		t.Errorf("%d samples to play, want those of the new source after the delay", got)
	}
}

// Our own SSRC from the peer: we take another one, and say goodbye for the
// old. If it comes back again the peer is an echo, and is heard.
func TestSSRCCollision(t *testing.T) {
	s := running()
	ours := s.out.ssrc
	talk(s, ours, 1, 0, 2)
	if s.out.ssrc == ours || !s.in.hasLeft || s.in.leaving != ours {
		t.Error("we keep an SSRC that the peer has")
	}
	second := s.out.ssrc
	talk(s, second, 1, 0, 5)
	if s.out.ssrc != second {
		t.Error("an echo makes us change our SSRC again and again")
	}
	if got := s.stats().PacketsReceived; got != 6 {
		t.Errorf("%d packets of an echo are heard, want 6", got)
	}
}

// The timestamps go backwards: what comes is a new beginning, not a hang.
func TestTimestampBackwards(t *testing.T) {
	s := running()
	talk(s, 1, 100, 1<<31, 50)
	for i := range uint16(50) {
		s.receive(new(rtp.Packet), packet(1, 150+i, 1000-uint32(i)*160), peer, s.start)
	}
	talk(s, 1, 200, 5000, 10)
	if got := s.stats(); got.PacketsReceived != 110 || got.Lost != 0 {
		t.Errorf("%+v, want 110 packets", got)
	}
	if got := s.in.playout.end - s.in.playout.next; got > playoutSize {
		t.Errorf("%d samples to play, want at most %d", got, playoutSize)
	}
}

// The sequence number jumps by 2^15, there and back.
func TestSequenceJump(t *testing.T) {
	s := running()
	talk(s, 1, 100, 1000, 10)
	talk(s, 1, 100+1<<15, 2600, 10)
	talk(s, 1, 110, 4200, 10)
	if got := s.stats(); got.PacketsReceived != 28 || got.Malformed != 2 || got.Lost != 0 {
		t.Errorf("%+v, want 28 packets, and the first of each jump dropped", got)
	}
}

func report() []byte {
	b, _ := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: 1, NTPTime: 5 << 32, Reports: []rtcp.ReceptionReport{{SSRC: 7}}},
		&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 1, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "a"}}}}},
		&rtcp.Goodbye{Sources: []uint32{1}, Reason: "bye"},
	})
	return b
}

// What cannot be RTCP is dropped whole, and counted.
func TestHostileRTCP(t *testing.T) {
	good := report()
	bye := bytes.Index(good, []byte("\x81\xcb"))
	set := func(at int, v ...byte) []byte {
		b := slices.Clone(good)
		copy(b[at:], v)
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
	}{
		{"empty", nil},
		{"three octets", good[:3]},
		{"a header alone that says more", good[:4]},
		{"version 1", set(0, 0x41)},
		{"a length beyond the packet", set(2, 0xff, 0xff)},
		{"a length that ends in the middle", set(2, 0, 3)},
		{"more report blocks than there are", set(0, 0x9f)},
		{"padding in the first packet", set(0, 0xa1)},
		{"begins with a name", good[52:]},
		{"begins with BYE", good[bye:]},
		{"BYE with 31 sources", set(bye, 0x9f)},
		{"a BYE reason of 255 octets", set(bye+8, 255)},
		{"a name of 255 octets", set(bytes.Index(good, []byte{1, 1, 'a'})+1, 255)},
		{"rubbish after the last packet", append(slices.Clone(good), 1, 2, 3)},
		{"padding of 0", padded(good, bye, 0)},
		{"padding of 3", padded(good, bye, 3)},
		{"padding of the whole packet", padded(good, bye, 16)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := running()
			talk(s, 1, 1, 1, 1)
			s.receiveReport(tt.b, peer, s.start)
			if got := s.stats(); got.Malformed != 1 || s.control.source.IsValid() || !s.in.heard {
				t.Errorf("%+v, want one malformed packet that changes nothing", got)
			}
		})
	}
}

// padded returns b with four octets of padding after its last packet, which
// begins at last, and says that there are n.
func padded(b []byte, last int, n byte) []byte {
	b = append(slices.Clone(b), 0, 0, 0, n)
	b[last] |= 0x20
	b[last+3]++
	return b
}

// Packets we do not listen to, whatever is in them, and a well padded one, do
// not hide what is next to them.
func TestHostileRTCPOfOtherTypes(t *testing.T) {
	good := report()
	bye := bytes.Index(good, []byte("\x81\xcb"))
	between := func(p ...byte) []byte { return slices.Concat(good[:bye], p, good[bye:]) }
	for _, tt := range []struct {
		name string
		b    []byte
	}{
		{"as it is", good},
		{"padded", padded(good, bye, 4)},
		{"an XR block longer than its packet", between(0x80, 207, 0, 2, 0, 0, 0, 1, 4, 0, 0xff, 0xff)},
		{"RPSI with 255 bits of padding", between(0x83, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 255, 0, 0, 0)},
		{"a NACK of no length", between(0x81, 205, 0, 0)},
		{"APP of 4 octets", between(0x80, 204, 0, 0)},
		{"an unknown type", between(0x9f, 255, 0, 1, 1, 2, 3, 4)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := running()
			talk(s, 1, 1, 1, 1)
			s.receiveReport(tt.b, peer, s.start)
			if got := s.stats(); got.Malformed != 0 || s.in.heard {
				t.Errorf("%+v, source heard: %v, want the BYE to be taken", got, s.in.heard)
			}
			// The source that said goodbye may come back.
			talk(s, 1, 2, 161, 1)
			if got := s.stats(); got.PacketsReceived != 2 {
				t.Errorf("%+v, want two packets", got)
			}
		})
	}
}

// FuzzReceive sends three datagrams to both ports of a call, and takes what
// is to be played out.
func FuzzReceive(f *testing.F) {
	f.Add(packet(1, 1, 1000), packet(1, 2, 1160), report())
	f.Add(append([]byte{0x80, 101, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}, 5, 0x8a, 3, 0x20), packet(2, 1, 0), padded(report(), 64, 4))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		s := running()
		var p rtp.Packet
		frame := make([]int16, defaultFrame)
		for i, d := range [][]byte{a, b, c, a, b} {
			now := s.start.Add(time.Duration(i) * 20 * time.Millisecond)
			s.receive(&p, d, peer, now)
			s.receiveReport(d, peer, now)
			s.in.playout.read(frame)
			if got := s.in.playout.end - s.in.playout.next; s.in.playout.started && got > playoutSize {
				t.Fatalf("%d samples are held", got)
			}
		}
		// What was heard can be reported.
		if got := s.compound(1, s.start.Add(time.Second), 8000, true, true); got == nil {
			t.Error("no report can be made")
		}
		if st := s.stats(); st.PacketsReceived+st.Malformed+st.UnknownType+st.Strangers < 5 {
			t.Errorf("%+v, want every datagram counted", st)
		}
	})
}
