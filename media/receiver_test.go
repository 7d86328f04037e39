package media

import (
	"testing"
	"time"
)

// Sequence numbers as they come, and what is known of losses in the end
// (RFC 3550 appendices A.1 and A.3).
func TestReceiverSequence(t *testing.T) {
	for _, tt := range []struct {
		name     string
		seqs     []uint16
		verdicts string // n in order, o out of order, s suspect, r restarted
		lost     int64
	}{
		{"in order", []uint16{1, 2, 3}, "nnn", 0},
		{"across the wrap", []uint16{65534, 65535, 0, 1}, "nnnn", 0},
		{"a loss", []uint16{1, 2, 5}, "nnn", 2},
		{"a loss at the wrap", []uint16{65534, 1}, "nn", 2},
		{"reordered", []uint16{1, 3, 2, 4}, "nnon", 0},
		{"reordered at the wrap", []uint16{65535, 1, 0, 2}, "nnon", 0},
		{"a copy", []uint16{1, 2, 2, 3}, "nnon", -1},
		{"before the first", []uint16{10, 9, 11}, "non", -1},
		{"a jump that comes to nothing", []uint16{1, 32769, 2, 3}, "nsnn", 0},
		{"a jump of 2^15", []uint16{1, 32769, 32770, 32771}, "nsrn", 0},
		{"a jump back", []uint16{30000, 1, 2, 3}, "nsrn", 0},
		{"the same far number over and over", []uint16{1, 32769, 32769, 32769}, "nsss", 0},
	} {
		r := newReceiver(7, tt.seqs[0])
		var got []byte
		for _, s := range tt.seqs {
			got = append(got, "nosr"[r.sequence(s)])
		}
		if string(got) != tt.verdicts {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.verdicts)
		}
		if r.lost() != tt.lost {
			t.Errorf("%s: lost %d, want %d", tt.name, r.lost(), tt.lost)
		}
	}
}

func TestReceiverFraction(t *testing.T) {
	r := newReceiver(7, 0)
	for i := range uint16(100) {
		if i%4 != 3 {
			r.sequence(i)
		}
	}
	r.sequence(99)
	if got, want := r.fraction(), uint8(24*256/100); got != want {
		t.Errorf("fraction() = %d, want %d", got, want)
	}
	if got := r.fraction(); got != 0 {
		t.Errorf("fraction() with nothing since = %d, want 0", got)
	}
	for range 10 {
		r.sequence(99)
	}
	if got := r.fraction(); got != 0 {
		t.Errorf("fraction() with only copies = %d, want 0", got)
	}
}

// The jitter of packets that are alternately 10 ms late converges to 10 ms;
// a jump or wrap of the timestamps is no jitter (RFC 3550 appendix A.8).
func TestReceiverJitter(t *testing.T) {
	r := newReceiver(7, 0)
	start := uint32(0xffffff00)
	at, timestamp := int64(0), start
	for i := range 500 {
		r.arrived(at+int64(i%2*80), timestamp)
		at, timestamp = at+160, timestamp+160
	}
	if got := r.jitterTime(); got < 9*time.Millisecond || got > 10*time.Millisecond {
		t.Errorf("jitter %v, want 10ms", got)
	}
	for i := range 100 {
		r.arrived(at, timestamp+uint32(i%2)<<30)
		at, timestamp = at+160, timestamp+160
	}
	if got := r.jitterTime(); got > time.Millisecond {
		t.Errorf("jitter %v after jumps of the timestamps, want next to none", got)
	}
}
