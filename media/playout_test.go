package media

import (
	"fmt"
	"strings"
	"testing"
)

// plain is a codec whose octets are the samples.
var plain = func() *codec {
	c := &codec{decode: new([256]int16)}
	for i := range c.decode {
		c.decode[i] = int16(i)
	}
	return c
}()

// A script of a playout with a delay of 10: "w 100 5x10" writes ten samples of
// value 5 at timestamp 100, "o" the same out of order, "r 10" reads ten.
func TestPlayout(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"nothing before the first packet", "r 10", "none"},
		{"the first packet waits for the delay", "w 100 5x10, r 20", "0x10 5x10"},
		{"in order", "w 100 1x10, r 10, w 110 2x10, r 20", "0x10, 1x10 2x10"},
		{"out of order", "w 100 1x10, w 120 3x10, o 110 2x10, r 40", "0x10 1x10 2x10 3x10"},
		{"across the wrap", "w 4294967291 1x10, w 5 2x10, r 30", "0x10 1x10 2x10"},
		{"a loss is silence", "w 100 1x10, w 120 3x10, r 40", "0x10 1x10 0x10 3x10"},
		{"a copy changes nothing", "w 100 1x10, r 20, o 100 1x10, r 10", "0x10 1x10, late, 0x10"},
		{"one that is late by a packet is waited for", "w 100 1x10, r 30, w 110 2x10, w 120 3x10, r 20", "0x10 1x10 0x10, 2x10 3x10"},
		{"and by less", "w 100 1x10, r 25, w 110 2x10, w 120 3x10, r 20", "0x10 1x10 0x5, 2x10 3x10"},
		{"but not if it came out of order", "w 100 1x10, w 120 3x10, r 30, o 110 2x10, r 10", "0x10 1x10 0x10, late, 3x10"},
		{"one that is late by more is dropped", "w 100 1x10, r 40, w 110 2x10, w 130 3x10, r 10", "0x10 1x10 0x20, late, 3x10"},
		{"after four in a row the playout waits", "w 100 1x10, r 80, w 110 2x10, w 120 2x10, w 130 2x10, w 140 2x10, w 150 3x10, r 20",
			"0x10 1x10 0x60, late, late, late, late, 0x10 3x10"},
		{"a jump ahead is a new beginning", "w 100 1x10, w 1000000 2x10, r 20", "0x10 2x10"},
		{"a jump back is a new beginning", "w 1000000 1x10, w 100 2x10, r 20", "0x10 2x10"},
		{"one out of order does not begin anew", "w 1000000 1x10, o 100 2x10, r 20", "late, 0x10 1x10"},
		{"a pause of the sender", "w 100 1x10, r 30, r 100, w 230 2x10, r 20", "0x10 1x10 0x10, 0x100, 0x10 2x10"},
	} {
		p := &playout{delay: 10}
		var got []string
		for _, step := range strings.Split(tt.script, ", ") {
			var op string
			var at uint32
			var value byte
			var n int
			fmt.Sscanf(step, "%s %d %dx%d", &op, &at, &value, &n)
			if op == "r" {
				got = append(got, readRuns(p, int(at)))
				continue
			}
			payload := make([]byte, n)
			for i := range payload {
				payload[i] = value
			}
			if !p.write(at, payload, plain, op == "o") {
				got = append(got, "late")
			}
		}
		if got := strings.Join(got, ", "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// readRuns reads n samples, and writes them as runs of equal ones.
func readRuns(p *playout, n int) string {
	b := make([]int16, n)
	if !p.read(b) {
		return "none"
	}
	var runs []string
	for len(b) > 0 {
		k := 1
		for k < len(b) && b[k] == b[0] {
			k++
		}
		runs = append(runs, fmt.Sprintf("%dx%d", b[0], k))
		b = b[k:]
	}
	return strings.Join(runs, " ")
}

// A sender whose clock is 1 % too fast does not make the delay grow for ever:
// it stays below a quarter of a second, and all but some of it is heard.
func TestPlayoutOfAFastSender(t *testing.T) {
	p := &playout{delay: 480}
	frame, timestamp, silent := make([]int16, 160), uint32(0), 0
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = 1
	}
	for i := range 10000 {
		p.write(timestamp, payload, plain, false)
		timestamp += 160
		if i%100 == 0 {
			p.write(timestamp, payload, plain, false)
			timestamp += 160
		}
		p.read(frame)
		if i > 10 && frame[0] == 0 {
			silent++
		}
		if held := p.end - p.next; held > SampleRate/4 {
			t.Fatalf("after %d frames %d samples are held, want 2000 at most", i, held)
		}
	}
	if silent > 0 {
		t.Errorf("%d frames are silent, want none", silent)
	}
}

// A sender whose clock is 300 ppm too slow: in ten minutes it falls 180 ms
// behind. No packet is lost for that, and each wait is 20 ms long.
func TestPlayoutOfASlowSender(t *testing.T) {
	p := &playout{delay: 480}
	frame, timestamp, silent, run := make([]int16, 160), uint32(0), 0, 0
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = 1
	}
	for i := range int64(30000) {
		for sent := int64(timestamp) / 160; sent*1000300 <= i*1000000; sent++ {
			if !p.write(timestamp, payload, plain, false) {
				t.Errorf("the packet after %v was late", sampleTime(int64(timestamp)))
			}
			timestamp += 160
		}
		p.read(frame)
		for _, s := range frame {
			if run++; s != 0 {
				run = 0
			} else if i > 10 {
				silent++
			}
			if i > 10 && run > 160 {
				t.Fatalf("after %d frames there was more than a frame of silence", i)
			}
		}
	}
	if silent < SampleRate/20 || silent > SampleRate/5 {
		t.Errorf("%d samples of silence, want what the sender was behind, less the delay: 960", silent)
	}
}

func TestPlayoutRefusesWhatCannotBe(t *testing.T) {
	p := &playout{delay: 10}
	if p.write(0, nil, plain, false) || p.write(0, make([]byte, playoutSize/2+1), plain, false) {
		t.Error("a packet of no samples, or of half a second, is taken")
	}
}
