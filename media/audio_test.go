package media

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
	"github.com/pion/rtp"
)

// Ten seconds of a call: each hears the other's tone, nothing is lost, and
// when both have closed nothing is left open.
func TestTenSecondsOfToneAreHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		var atAlice, atBob Recorder
		alice := NewAudio(&AudioConfig{Play: Tone(440), Record: &atAlice, Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Play: Tone(1000), Record: &atBob, Network: w.host("192.0.2.2"), Codecs: []string{"PCMA"}})
		connect(t, alice, bob)
		pass(10*time.Second + 10*time.Millisecond)
		for _, tt := range []struct {
			name string
			a    *Audio
			clip Clip
			hz   float64
		}{{"alice", alice, atAlice.Clip(), 1000}, {"bob", bob, atBob.Clip(), 440}} {
			if got := ToneLevel(tt.clip[SampleRate/10:], tt.hz); got < 0.99 {
				t.Errorf("%s hears %g of the tone, want 0.99 and more", tt.name, got)
			}
			if got := tt.clip.Duration(); got < 9900*time.Millisecond || got > 10100*time.Millisecond {
				t.Errorf("%s heard %v, want 10 s", tt.name, got)
			}
			got := tt.a.Stats()
			// The callee's first packet may be there before its answer.
			if got.PacketsSent != 501 || got.PacketsReceived+got.Strangers != 501 || got.Strangers > 1 || got.Lost != 0 || got.Jitter != 0 {
				t.Errorf("%s: %+v, want 501 packets each way, and no jitter or loss", tt.name, got)
			}
		}
		closed(t, alice, bob)
		if got := w.open(); got != 0 {
			t.Errorf("%d sockets are open, want none", got)
		}
	})
}

// A network that loses, delays and reorders: the tone is still the tone, and
// both sides know what was lost.
func TestBadNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, rnd := newWire(), rand.New(rand.NewPCG(1, 2))
		var lostRTP int64
		w.fate = func(from, to netip.AddrPort, b []byte) (time.Duration, bool) {
			lost := from.Port()%2 == 0 && rnd.IntN(20) == 0
			if lost && from.Addr() == netip.MustParseAddr("192.0.2.1") {
				lostRTP++
			}
			return 30*time.Millisecond + time.Duration(rnd.Int64N(int64(50*time.Millisecond))), lost
		}
		var heard Recorder
		alice := NewAudio(&AudioConfig{Play: Tone(440), Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Record: &heard, Network: w.host("192.0.2.2")})
		connect(t, alice, bob)
		pass(30 * time.Second)
		alice.SetDirection(sdp.RecvOnly)
		connect(t, alice, bob) // stop sending, and let what is on its way arrive
		pass(10 * time.Second)
		if got := ToneLevel(heard.Clip(), 440); got < 0.9 {
			t.Errorf("bob hears %g of the tone, want 0.9 and more", got)
		}
		got := bob.Stats()
		if d := got.Lost - lostRTP; d < -2 || d > 2 || lostRTP < 40 { // the ends cannot be known
			t.Errorf("bob knows of %d lost packets, want %d", got.Lost, lostRTP)
		}
		if got.Late > 40 {
			t.Errorf("%d packets were late, want few", got.Late)
		}
		if got.Jitter < 5*time.Millisecond || got.Jitter > 40*time.Millisecond {
			t.Errorf("jitter %v, want about 17ms", got.Jitter)
		}
		sent := alice.Stats()
		if sent.PeerLost != got.Lost {
			t.Errorf("alice was told of %d lost packets, want %d", sent.PeerLost, got.Lost)
		}
		if sent.RTT < 60*time.Millisecond || sent.RTT > 160*time.Millisecond {
			t.Errorf("round trip %v, want 60 to 160 ms", sent.RTT)
		}
		closed(t, alice, bob)
	})
}

// sentRTP records the RTP that leaves an address.
type sentRTP struct {
	mu      sync.Mutex
	from    netip.Addr
	packets []rtp.Packet
	times   []time.Time
	reports int
}

func (s *sentRTP) fate(from, _ netip.AddrPort, b []byte) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from.Addr() == s.from {
		var p rtp.Packet
		if from.Port()%2 == 1 {
			s.reports++
		} else if p.Unmarshal(slices.Clone(b)) == nil {
			s.packets = append(s.packets, p)
			s.times = append(s.times, time.Now())
		}
	}
	return 0, false
}

// count returns how many packets and reports have left.
func (s *sentRTP) count() (packets, reports int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.packets), s.reports
}

// slow is a source that takes 7 ms to make 20 ms of audio.
type slow struct{}

func (slow) ReadSamples(p []int16) (int, error) {
	time.Sleep(7 * time.Millisecond)
	clear(p)
	return len(p), nil
}

// Packets leave by the clock: what the source takes to make one does not add
// up. Sequence numbers count, timestamps go by samples, and the marker bit is
// on the first packet alone (RFC 3551 section 4.1).
func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sent := newWire(), &sentRTP{from: netip.MustParseAddr("192.0.2.1")}
		w.fate = sent.fate
		alice := NewAudio(&AudioConfig{Play: slow{}, Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		start := time.Now()
		connect(t, alice, bob)
		pass(20 * time.Second)
		closed(t, alice, bob)
		if got := len(sent.packets); got < 1000 {
			t.Fatalf("%d packets, want 1000", got)
		}
		for i, p := range sent.packets {
			if got, want := sent.times[i].Sub(start), time.Duration(i)*20*time.Millisecond+7*time.Millisecond; got != want {
				t.Fatalf("packet %d left at %v, want %v", i, got, want)
			}
			first := sent.packets[0]
			if p.SequenceNumber != first.SequenceNumber+uint16(i) || p.Timestamp != first.Timestamp+uint32(160*i) || p.Marker != (i == 0) || len(p.Payload) != 160 {
				t.Fatalf("packet %d: %v, want the next in order", i, p)
			}
		}
	})
}

// A source that was stuck for a second is not made up for: the packets in
// between are left out, and their time with them.
func TestStuckSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sent := newWire(), &sentRTP{from: netip.MustParseAddr("192.0.2.1")}
		w.fate = sent.fate
		stuck := &stuckOnce{}
		alice := NewAudio(&AudioConfig{Play: stuck, Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		connect(t, alice, bob)
		pass(2*time.Second - time.Millisecond)
		closed(t, alice, bob)
		if got := len(sent.packets); got != 51 {
			t.Errorf("%d packets in two seconds of which one was stuck, want 51", got)
		}
		p := sent.packets
		if got := p[1].Timestamp - p[0].Timestamp; got != SampleRate {
			t.Errorf("the timestamp went on by %d, want %d", got, SampleRate)
		}
		if got := p[1].SequenceNumber - p[0].SequenceNumber; got != 1 {
			t.Errorf("the sequence number went on by %d, want 1", got)
		}
	})
}

type stuckOnce struct{ was bool }

func (s *stuckOnce) ReadSamples(p []int16) (int, error) {
	if !s.was {
		s.was = true
		time.Sleep(time.Second)
	}
	return len(p), nil
}

// Alice puts Bob on hold, each way there is, and takes him back. Media stops
// in the direction it must; RTCP goes on; the first packet after it has the
// marker bit, and the timestamps went on.
func TestHold(t *testing.T) {
	for _, hold := range []sdp.Direction{sdp.SendOnly, sdp.RecvOnly, sdp.Inactive} {
		t.Run(hold.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, sent := newWire(), &sentRTP{from: netip.MustParseAddr("192.0.2.1")}
				w.fate = sent.fate
				alice := NewAudio(&AudioConfig{Play: Tone(440), Network: w.host("192.0.2.1")})
				bob := NewAudio(&AudioConfig{Play: Tone(1000), Network: w.host("192.0.2.2")})
				connect(t, alice, bob)
				pass(time.Second)
				alice.SetDirection(hold)
				connect(t, alice, bob)
				before := alice.Stats()
				packets, reports := sent.count()
				pass(20*time.Second - time.Millisecond)
				after := alice.Stats()
				if got, want := after.PacketsSent > before.PacketsSent, hold.Sends(); got != want {
					t.Errorf("alice sends: %v, want %v", got, want)
				}
				if got, want := after.PacketsReceived > before.PacketsReceived+1, hold.Receives(); got != want {
					t.Errorf("alice receives: %v, want %v", got, want)
				}
				if _, now := sent.count(); now-reports < 3 {
					t.Errorf("alice sent %d reports in 20 s of hold, want 3 and more", now-reports)
				}
				alice.SetDirection(sdp.SendRecv)
				connect(t, alice, bob)
				pass(time.Second)
				closed(t, alice, bob)
				if !hold.Sends() {
					last, next := sent.packets[packets-1], sent.packets[packets]
					if !next.Marker {
						t.Errorf("no marker bit on the first packet after the hold")
					}
					if got := next.Timestamp - last.Timestamp; got < 20*SampleRate || got > 21*SampleRate {
						t.Errorf("the timestamp went on by %d samples in 20 s of hold", got)
					}
					if next.SequenceNumber != last.SequenceNumber+1 {
						t.Errorf("sequence number %d after %d, want the next", next.SequenceNumber, last.SequenceNumber)
					}
				}
			})
		})
	}
}

// An old phone holds with c=0.0.0.0 (RFC 2543): nothing may be sent there, nor
// to where its packets came from.
func TestHoldByUnspecifiedAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sent := newWire(), &sentRTP{from: netip.MustParseAddr("192.0.2.2")}
		w.fate = sent.fate
		alice := NewAudio(&AudioConfig{Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		connect(t, alice, bob)
		pass(time.Second)
		offer, err := alice.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		offer.Address = "0.0.0.0"
		answer, err := bob.Answer(t.Context(), offer)
		if err != nil || answer == nil {
			t.Fatalf("Answer() = %v, %v, want a section", answer, err)
		}
		if err := bob.Update(t.Context(), answer, offer); err != nil {
			t.Fatal(err)
		}
		packets, reports := sent.count()
		pass(20 * time.Second)
		if p, r := sent.count(); p != packets || r != reports {
			t.Errorf("%d packets and %d reports were sent to a phone at 0.0.0.0, want none", p-packets, r-reports)
		}
		if got := bob.Stats().Remote; got.IsValid() {
			t.Errorf("Remote = %v, want none", got)
		}
		closed(t, alice, bob)
	})
}

// A prompt is played in the middle of music, and the music goes on where it was.
func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		var heard Recorder
		alice := NewAudio(&AudioConfig{Play: Tone(440), Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Record: &heard, Network: w.host("192.0.2.2")})
		beep := make(Clip, 2*SampleRate)
		Tone(1000).ReadSamples(beep)
		// Play waits for the call to be answered.
		played := make(chan error)
		go func() { played <- alice.Play(t.Context(), beep.Once()) }() // ends with the prompt
		synctest.Wait()
		if err := alice.Play(t.Context(), beep.Once()); err != ErrBusy {
			t.Errorf("a second Play() = %v, want ErrBusy", err)
		}
		connect(t, alice, bob)
		start := time.Now()
		if err := <-played; err != nil {
			t.Errorf("Play() = %v, want nil", err)
		}
		if got := time.Since(start); got < 2*time.Second || got > 2040*time.Millisecond {
			t.Errorf("a prompt of 2s took %v", got)
		}
		pass(time.Second)
		clip := heard.Clip()
		if got := ToneLevel(clip[SampleRate/2:3*SampleRate/2], 1000); got < 0.99 {
			t.Errorf("bob hears %g of the prompt, want 0.99", got)
		}
		if got := ToneLevel(clip[5*SampleRate/2:], 440); got < 0.99 {
			t.Errorf("bob hears %g of the music, want 0.99", got)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := alice.Play(ctx, beep.Loop()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Play() = %v, want the deadline", err)
		}
		wrong := errors.New("the disk is gone")
		if err := alice.Play(t.Context(), broken{wrong}); !errors.Is(err, wrong) {
			t.Errorf("Play() = %v, want %v", err, wrong)
		}
		go func() { played <- alice.Play(t.Context(), beep.Loop()) }() // ends with Close
		synctest.Wait()
		closed(t, alice, bob)
		if err := <-played; err != ErrClosed {
			t.Errorf("Play() = %v, want ErrClosed", err)
		}
		if err := alice.Play(t.Context(), beep.Once()); err != ErrClosed {
			t.Errorf("Play() = %v, want ErrClosed", err)
		}
	})
}

type broken struct{ err error }

func (b broken) ReadSamples([]int16) (int, error) { return 0, b.err }
func (b broken) WriteSamples([]int16) error       { return b.err }

// What goes wrong in the program's source and sink ends neither the call nor
// the other direction, and Close tells of it.
func TestBrokenSourceAndSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		alice := NewAudio(&AudioConfig{Play: broken{io.ErrUnexpectedEOF}, Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Record: broken{os.ErrPermission}, Network: w.host("192.0.2.2")})
		connect(t, alice, bob)
		pass(time.Second)
		if got := bob.Stats().PacketsReceived; got < 49 {
			t.Errorf("%d packets, want 50: silence", got)
		}
		if err := alice.Close(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("alice.Close() = %v, want the error of her source", err)
		}
		if err := bob.Close(); !errors.Is(err, os.ErrPermission) {
			t.Errorf("bob.Close() = %v, want the error of his sink", err)
		}
		if err := bob.Close(); err != nil {
			t.Errorf("Close() again = %v, want nil", err)
		}
	})
}

// Closed before it began, in every state: no error, nothing left.
func TestCloseEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		closed(t, NewAudio(nil))
		offered := NewAudio(&AudioConfig{Network: w.host("192.0.2.1")})
		if _, err := offered.Offer(t.Context()); err != nil {
			t.Fatal(err)
		}
		closed(t, offered)
		if _, err := NewAudio(nil).Answer(t.Context(), &sdp.Media{Type: "video", Port: 9}); err != nil {
			t.Errorf("Answer() to video: %v, want nil", err)
		}
		if got := w.open(); got != 0 {
			t.Errorf("%d sockets are open, want none", got)
		}
		if err := offered.Update(t.Context(), new(sdp.Media), new(sdp.Media)); err != ErrClosed {
			t.Errorf("Update() = %v, want ErrClosed", err)
		}
		if err := NewAudio(nil).Update(t.Context(), new(sdp.Media), new(sdp.Media)); err == nil || !strings.Contains(err.Error(), "nothing was offered") {
			t.Errorf("Update() without an offer = %v, want an error", err)
		}
	})
}

// One second over real sockets on this machine, with no config at all but
// what to play and what to hear.
func TestRealSockets(t *testing.T) {
	heard := make(signal)
	alice := NewAudio(&AudioConfig{Play: Tone(440), Address: netip.MustParseAddr("127.0.0.1")})
	bob := NewAudio(&AudioConfig{Record: heard})
	connect(t, alice, bob)
	if got := bob.address; !got.IsLoopback() {
		t.Errorf("bob describes himself with %v, want loopback as alice does", got)
	}
	var clip Clip
	for len(clip) < SampleRate/2 {
		clip = append(clip, <-heard...)
	}
	go func() { // ends when bob is closed and heard with it
		for range heard {
		}
	}()
	closed(t, alice, bob)
	close(heard)
	// On a busy machine packets come late, and some too late.
	if got := ToneLevel(clip[SampleRate/10:], 440); got < 0.7 {
		t.Errorf("bob hears %g of the tone, want 0.7 and more", got)
	}
}

// signal is a sink that hands over what it is given.
type signal chan []int16

func (s signal) WriteSamples(p []int16) error { s <- slices.Clone(p); return nil }
