package media

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
)

// A digit on the wire: one timestamp, durations that grow by a packet time,
// the marker bit on the first report, and three last ones (RFC 4733 section 2.5.1).
func TestEventSender(t *testing.T) {
	codes, err := parseDigits("1#")
	if err != nil {
		t.Fatal(err)
	}
	s := eventSender{codes: codes}
	var got []string
	for now := uint32(1000); !s.done(); now += 160 {
		e, ok := s.step(now, 160)
		if !ok {
			got = append(got, "-")
			continue
		}
		text := fmt.Sprintf("%d@%d+%d", e.payload[0], e.timestamp, binary.BigEndian.Uint16(e.payload[2:]))
		if e.marker {
			text = "M " + text
		}
		if e.payload[1]&0x80 != 0 {
			text += " E"
		}
		if e.payload[1]&0x7f != eventVolume {
			t.Errorf("volume %d, want %d", e.payload[1]&0x7f, eventVolume)
		}
		got = append(got, text)
	}
	want := `M 1@1000+160
1@1000+320
1@1000+480
1@1000+640
1@1000+800 E
1@1000+800 E
1@1000+800 E
-
-
-
M 11@2600+160
11@2600+320
11@2600+480
11@2600+640
11@2600+800 E
11@2600+800 E
11@2600+800 E
-
-
-`
	if got := strings.Join(got, "\n"); got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
}

// Digits are 100 ms long whatever the packet time, and 100 ms apart, or what
// more it takes to the beginning of a packet.
func TestDigitLength(t *testing.T) {
	for frame, want := range map[int]uint32{80: 800, 160: 800, 240: 880, 320: 800, 400: 800, 480: 1120} {
		s := eventSender{codes: []byte{1, 2, 3}}
		var ended, pauses []uint32
		lasts := 0
		for now := uint32(0); !s.done(); now += uint32(frame) {
			e, ok := s.step(now, frame)
			if ok && e.marker && len(ended) > 0 {
				pauses = append(pauses, e.timestamp-ended[len(ended)-1])
			}
			if ok && e.payload[1]&0x80 != 0 {
				length := binary.BigEndian.Uint16(e.payload[2:])
				if length != 800 {
					t.Errorf("packets of %d: a digit of %d samples, want 800", frame, length)
				}
				if lasts++; lasts%3 == 1 {
					ended = append(ended, e.timestamp+uint32(length))
				}
			}
		}
		if lasts != 9 || len(pauses) != 2 {
			t.Errorf("packets of %d: %d final reports and %d pauses, want 9 and 2", frame, lasts, len(pauses))
		}
		for _, pause := range pauses {
			if pause != want {
				t.Errorf("packets of %d: %d samples between digits, want %d", frame, pause, want)
			}
		}
	}
}

func TestParseDigits(t *testing.T) {
	if got, err := parseDigits("0123456789*#abcdABCD"); err != nil || fmt.Sprint(got) != "[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 12 13 14 15]" {
		t.Errorf("parseDigits() = %v, %v", got, err)
	}
	for _, s := range []string{"12 3", "e", "1\xff", strings.Repeat("1", maxDigits+1)} {
		if _, err := parseDigits(s); err == nil {
			t.Errorf("parseDigits(%q) = nil, want an error", s)
		}
	}
}

func TestEventReceiver(t *testing.T) {
	type report struct {
		code      byte
		timestamp uint32
		duration  uint16
		marker    bool
	}
	for _, tt := range []struct {
		name    string
		reports []report
		want    string
	}{
		{"the final three are one digit", []report{{1, 1000, 160, true}, {1, 1000, 800, false}, {1, 1000, 800, false}, {1, 1000, 800, false}}, "1"},
		{"the start is lost", []report{{1, 1000, 800, false}, {1, 1000, 800, false}}, "1"},
		{"the end is lost", []report{{1, 1000, 160, true}, {2, 3000, 160, true}}, "12"},
		{"the same digit twice", []report{{1, 1000, 160, true}, {1, 3000, 160, true}}, "11"},
		{"the same digit twice, both starts lost", []report{{1, 1000, 800, false}, {1, 3000, 800, false}}, "11"},
		{"a late end of the digit before", []report{{1, 1000, 800, true}, {2, 3000, 160, true}, {1, 1000, 800, false}, {2, 3000, 320, false}}, "12"},
		{"the timestamp wraps", []report{{1, 0xffffff00, 160, true}, {2, 1000, 160, true}}, "12"},
		{"the timestamp jumps back", []report{{1, 0x80000000, 160, true}, {2, 1000, 160, true}}, "12"},
		{"longer than a report can say", []report{{1, 1000, 0xffff, true}, {1, 1000 + 0xffff, 160, false}, {1, 1000 + 0xffff, 320, false}, {2, 200000, 160, true}}, "12"},
		{"all digits", []report{{10, 1, 1, true}, {11, 2000, 1, true}, {15, 4000, 1, true}}, "*#D"},
		{"flash is no digit", []report{{16, 1000, 160, true}}, ""},
	} {
		var r eventReceiver
		var got []rune
		for _, p := range tt.reports {
			payload := binary.BigEndian.AppendUint16([]byte{p.code, 10}, p.duration)
			if d, ok := r.report(payload, p.timestamp, p.marker); ok {
				got = append(got, d)
			}
		}
		if string(got) != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, string(got), tt.want)
		}
	}
	if _, ok := new(eventReceiver).report([]byte{1, 10, 0}, 0, true); ok {
		t.Error("a report of three octets is a digit")
	}
}

// Digits cross a network that loses every third packet, by the numbers the
// other side gave them: 96 here, 101 there.
func TestDigitsAreHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newWire(), 0
		w.fate = func(from, _ netip.AddrPort, _ []byte) (time.Duration, bool) {
			if from.Port()%2 == 0 && from.Addr() == netip.MustParseAddr("192.0.2.1") {
				n++
			}
			return 10 * time.Millisecond, n%3 == 2
		}
		alice := NewAudio(&AudioConfig{Play: Tone(440), Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		offer, err := alice.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		formats := offer.RTP()
		formats[len(formats)-1].PayloadType = 96
		offer.SetRTP(formats)
		answer, err := bob.Answer(t.Context(), offer)
		if err != nil || answer == nil {
			t.Fatalf("Answer() = %v, %v", answer, err)
		}
		update(t, alice, bob, offer, answer)
		heard := make(chan string)
		go func() { // ends when bob is closed
			var s []rune
			for d, err := range bob.Digits(context.Background()) {
				if err != nil {
					t.Errorf("Digits: %v", err)
				}
				s = append(s, d)
			}
			heard <- string(s)
		}()
		pass(time.Second)
		start := time.Now()
		if err := alice.SendDigits(t.Context(), "123#*0a"); err != nil {
			t.Errorf("SendDigits() = %v, want nil", err)
		}
		if got, want := time.Since(start), 7*200*time.Millisecond; got < want-20*time.Millisecond || got > want+40*time.Millisecond {
			t.Errorf("seven digits took %v, want %v", got, want)
		}
		pass(time.Second)
		closed(t, alice, bob)
		if got, want := <-heard, "123#*0A"; got != want {
			t.Errorf("bob heard %q, want %q", got, want)
		}
	})
}

// A digit that is given up is ended all the same; one on hold waits.
func TestSendDigitsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		alice := NewAudio(&AudioConfig{Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		short := func(d time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			t.Cleanup(cancel)
			return ctx
		}
		if err := alice.SendDigits(short(time.Second), "1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("before the call: SendDigits() = %v, want the deadline", err)
		}
		connect(t, alice, bob)
		if err := alice.SendDigits(t.Context(), "x"); err == nil {
			t.Error("SendDigits(x) = nil, want an error")
		}
		start := time.Now()
		if err := alice.SendDigits(short(50*time.Millisecond), "1234567890"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SendDigits() = %v, want the deadline", err)
		}
		if got := time.Since(start); got > 250*time.Millisecond {
			t.Errorf("giving up took %v, want the rest of a digit", got)
		}
		var heard []string
		for d, err := range bob.Digits(short(time.Second)) {
			heard = append(heard, fmt.Sprintf("%q %v", d, err))
		}
		if got, want := strings.Join(heard, ", "), `'1' <nil>, '\x00' context deadline exceeded`; got != want {
			t.Errorf("bob heard %s, want %s", got, want)
		}
		alice.SetDirection(sdp.RecvOnly)
		connect(t, alice, bob)
		if err := alice.SendDigits(short(time.Second), "1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("on hold: SendDigits() = %v, want the deadline", err)
		}
		alice.SetDirection(sdp.SendRecv)
		connect(t, alice, bob)
		if err := alice.SendDigits(t.Context(), "2"); err != nil {
			t.Errorf("after the hold: SendDigits() = %v, want nil", err)
		}
		closed(t, alice, bob)
		if err := alice.SendDigits(t.Context(), "1"); err != ErrClosed {
			t.Errorf("SendDigits() = %v, want ErrClosed", err)
		}
	})
}

// A peer without telephone-event.
func TestNoDTMF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		alice := NewAudio(&AudioConfig{Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		offer, err := alice.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		offer.SetRTP(offer.RTP()[:2])
		answer, err := bob.Answer(t.Context(), offer)
		if err != nil || answer == nil {
			t.Fatalf("Answer() = %v, %v", answer, err)
		}
		update(t, alice, bob, offer, answer)
		if err := bob.SendDigits(t.Context(), "1"); err != ErrNoDTMF {
			t.Errorf("SendDigits() = %v, want ErrNoDTMF", err)
		}
		closed(t, alice, bob)
	})
}

func TestEventSet(t *testing.T) {
	for params, want := range map[string]string{
		"": dtmfDigits, "0-15": dtmfDigits, "0-9": "0123456789", "0-11": "0123456789*#", "0-16": dtmfDigits,
		"1,3, 5-7 ,15": "13567D", "0-15,66,70": dtmfDigits, "66,70": "", "32-36": "", "9-0": "",
		"events=0-9": "0123456789", "0-9;x=y": "0123456789", "all": dtmfDigits, "0-": dtmfDigits, "0-99999": dtmfDigits,
	} {
		var got []byte
		for code := range dtmfDigits {
			if eventSet(params)&(1<<code) != 0 {
				got = append(got, dtmfDigits[code])
			}
		}
		if string(got) != want {
			t.Errorf("eventSet(%q) has %q, want %q", params, got, want)
		}
	}
}

// A peer that takes 0-9 is sent no "#", nor the digits before it; also not if
// it says so only while they wait to be sent.
func TestDigitThePeerDoesNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sent := newWire(), &sentRTP{from: netip.MustParseAddr("192.0.2.1")}
		w.fate = sent.fate
		a, offer := offered(t, w, AudioConfig{})
		early := make(chan error)
		go func() { early <- a.SendDigits(t.Context(), "1#") }() // ends with the first packet
		synctest.Wait()
		event := format(101, "telephone-event")
		event.Params = "0-9"
		agreeOn(t, a, offer, section("192.0.2.2", 4000, format(0, "PCMU"), event))
		for i, err := range []error{<-early, a.SendDigits(t.Context(), "1#")} {
			if !errors.Is(err, ErrNoDTMF) || !strings.Contains(err.Error(), "'#'") {
				t.Errorf("call %d: SendDigits(1#) = %v, want ErrNoDTMF for '#'", i, err)
			}
		}
		pass(time.Second)
		sent.mu.Lock()
		for _, p := range sent.packets {
			if p.PayloadType == 101 {
				t.Errorf("event %d was sent, want none", p.Payload[0])
			}
		}
		sent.mu.Unlock()
		if err := a.SendDigits(t.Context(), "12"); err != nil {
			t.Errorf("SendDigits(12) = %v, want nil", err)
		}
		closed(t, a)
	})
}

// Digits that nobody reads cost 64 of them, the last.
func TestDigitsNobodyReads(t *testing.T) {
	s := newSession(nil, nil, 0, 0)
	for i := range 1000 {
		s.heard(rune(i))
	}
	s.close()
	var got []rune
	for d := range s.receiveDigits(t.Context()) {
		got = append(got, d)
	}
	if len(got) != digitsPending || got[0] != 1000-digitsPending || got[digitsPending-1] != 999 {
		t.Errorf("%d digits are kept: %v, want the last %d", len(got), got, digitsPending)
	}
}
