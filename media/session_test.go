package media

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
)

// failing is a network whose sockets fail every read, until they are closed.
type failing struct{ wireHost }

func (f failing) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := f.wireHost.ListenPacket(ctx, network, address)
	return &failingConn{wireConn: c.(*wireConn)}, err
}

type failingConn struct {
	*wireConn
	reads int
}

func (c *failingConn) ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error) {
	c.reads++
	return 0, netip.AddrPort{}, errors.New("connection refused")
}

// A socket that fails every read neither ends the call nor keeps a processor
// busy, and Close ends it.
func TestSocketThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		alice := NewAudio(&AudioConfig{Network: failing{w.host("192.0.2.1")}})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		connect(t, alice, bob)
		pass(10 * time.Second)
		if got := bob.Stats().PacketsReceived; got < 500 {
			t.Errorf("bob got %d packets, want 500", got)
		}
		conn := alice.pair.rtp.conn.(*failingConn)
		closed(t, alice, bob)
		if conn.reads > 1100 {
			t.Errorf("%d reads in 10 s of a socket that fails, want 1010", conn.reads)
		}
	})
}

// The peer asks for 30 ms in a packet, and gets them.
func TestPacketTimeOfThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sent := newWire(), &sentRTP{from: netip.MustParseAddr("192.0.2.1")}
		w.fate = sent.fate
		var heard Recorder
		alice := NewAudio(&AudioConfig{Play: Tone(440), Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Record: &heard, Network: w.host("192.0.2.2")})
		offer, err := alice.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := bob.Answer(t.Context(), offer)
		if err != nil {
			t.Fatal(err)
		}
		answer.Attributes[len(answer.Attributes)-1] = sdp.Attribute{Name: "ptime", Value: "30"}
		update(t, alice, bob, offer, answer)
		pass(3 * time.Second)
		closed(t, alice, bob)
		if n := len(sent.packets); n != 101 || len(sent.packets[0].Payload) != 240 {
			t.Errorf("%d packets of %d samples in 3 s, want 101 of 240", n, len(sent.packets[0].Payload))
		}
		if got := ToneLevel(heard.Clip(), 440); got < 0.98 {
			t.Errorf("bob hears %g of the tone, want 0.98", got)
		}
	})
}

// An echo service sends back what it gets, our SSRC and all: we change ours
// once, say goodbye for the old, and hear ourselves.
func TestEchoService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		echo, err := w.host("192.0.2.2").ListenPacket(t.Context(), "udp4", "192.0.2.2:4000")
		if err != nil {
			t.Fatal(err)
		}
		rtcpPort, err := w.host("192.0.2.2").ListenPacket(t.Context(), "udp4", "192.0.2.2:4001")
		if err != nil {
			t.Fatal(err)
		}
		var goodbyes [][]uint32
		done := make(chan struct{}, 2)
		go func() { // ends when echo is closed
			s, buf := newSocket(echo), make([]byte, 2000)
			for {
				n, from, err := s.read(buf)
				if err != nil {
					break
				}
				s.write(buf[:n], from)
			}
			done <- struct{}{}
		}()
		go func() { // ends when rtcpPort is closed
			s, buf := newSocket(rtcpPort), make([]byte, 2000)
			for {
				n, _, err := s.read(buf)
				if err != nil {
					break
				}
				if r, err := parseRTCP(buf[:n]); err == nil && r.goodbye != nil {
					goodbyes = append(goodbyes, r.goodbye)
				}
			}
			done <- struct{}{}
		}()
		var heard Recorder
		alice := NewAudio(&AudioConfig{Play: Tone(440), Record: &heard, Network: w.host("192.0.2.1")})
		offer, err := alice.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		answer := offer.Clone()
		answer.Address, answer.Port = "192.0.2.2", 4000
		first := alice.session.out.ssrc
		if err := alice.Update(t.Context(), offer, answer); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		closed(t, alice)
		echo.Close()
		rtcpPort.Close()
		<-done
		<-done
		if got := ToneLevel(heard.Clip()[SampleRate/4:], 440); got < 0.99 {
			t.Errorf("alice hears %g of herself, want 0.99", got)
		}
		if len(goodbyes) != 2 || goodbyes[0][0] != first || goodbyes[1][0] == first {
			t.Errorf("goodbyes for %v, want one for %d and one at the end for another", goodbyes, first)
		}
	})
}

// The peer takes digits no more, in the middle of them.
func TestDTMFTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		alice := NewAudio(&AudioConfig{Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		connect(t, alice, bob)
		sent := make(chan error)
		go func() { sent <- alice.SendDigits(t.Context(), "1234567890") }() // ends with the update below
		pass(time.Second)
		if err := alice.SendDigits(t.Context(), "1"); err != ErrBusy {
			t.Errorf("a second SendDigits() = %v, want ErrBusy", err)
		}
		offer, err := alice.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		offer.SetRTP(offer.RTP()[:1])
		answer, err := bob.Answer(t.Context(), offer)
		if err != nil {
			t.Fatal(err)
		}
		update(t, alice, bob, offer, answer)
		if err := <-sent; err != ErrNoDTMF {
			t.Errorf("SendDigits() = %v, want ErrNoDTMF", err)
		}
		closed(t, alice, bob)
	})
}

// The section is ended by port 0, and taken up again on the same sockets.
func TestSectionEndsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		alice := NewAudio(&AudioConfig{Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		connect(t, alice, bob)
		pass(time.Second)
		local, err := alice.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		refused := local.Clone()
		refused.Port = 0
		if err := alice.Update(t.Context(), local, refused); err != nil {
			t.Fatal(err)
		}
		before := alice.Stats().PacketsSent
		pass(time.Second)
		if got := alice.Stats().PacketsSent; got > before+1 {
			t.Errorf("%d packets were sent to port 0", got-before)
		}
		connect(t, alice, bob)
		pass(time.Second)
		if got := alice.Stats().PacketsSent; got < before+49 {
			t.Errorf("%d packets were sent in a second, want 50", got-before)
		}
		if got := w.open(); got != 4 {
			t.Errorf("%d sockets are open, want 4", got)
		}
		closed(t, alice, bob)
	})
}

// A recording lasts as long as the call: the peer's source changes in a hold,
// or before a digit, when there is nothing to begin it with.
func TestRecordingLastsAsLongAsTheCall(t *testing.T) {
	for _, tt := range []struct {
		name   string
		middle func(a *Audio, offer, answer *sdp.Media, p *phone) // for a second
	}{
		{"a pause", func(*Audio, *sdp.Media, *sdp.Media, *phone) { pass(time.Second) }},
		{"another source in a hold", func(a *Audio, offer, answer *sdp.Media, p *phone) {
			agreeOn(t, a, at(offer, sdp.SendOnly), at(answer, sdp.RecvOnly))
			p.next.SSRC = 2
			p.speak(50)
			agreeOn(t, a, offer, answer)
		}},
		{"another source and its digit", func(_ *Audio, _, _ *sdp.Media, p *phone) {
			p.next.SSRC = 2
			audio := p.next.Payload
			p.next.PayloadType, p.next.Payload = 101, []byte{1, eventVolume, 0, 160}
			p.speak(50)
			p.next.PayloadType, p.next.Payload = 0, audio
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire()
				var heard Recorder
				a, offer := offered(t, w, AudioConfig{Record: &heard})
				p, answer := phoneAt(t, w, "192.0.2.2:4000", 1, a), section("192.0.2.2", 4000, format(0, "PCMU"), format(101, eventName))
				agreeOn(t, a, offer, answer)
				p.speak(100)
				tt.middle(a, offer, answer, p)
				p.speak(100)
				closed(t, a)
				if got := heard.Clip().Duration(); got < 4960*time.Millisecond || got > 5040*time.Millisecond {
					t.Errorf("%v of a call of 5s are recorded", got)
				}
			})
		})
	}
}
