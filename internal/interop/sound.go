package interop

import (
	"encoding/binary"
	"math"
	"os"
	"testing"
	"time"
)

// A Sound is what a peer recorded.
type Sound struct {
	Rate    int // samples per second
	Samples []int16
}

// Duration returns how long the sound is.
func (s Sound) Duration() time.Duration {
	return time.Duration(len(s.Samples)) * time.Second / time.Duration(max(s.Rate, 1))
}

// Middle returns the sound without the first and the last quarter: what is
// left when a call has been set up and not yet ended.
func (s Sound) Middle() Sound {
	n := len(s.Samples)
	return Sound{Rate: s.Rate, Samples: s.Samples[n/4 : n-n/4]}
}

// Loudness returns the root mean square of the samples, from 0 for silence to
// 1 for a full-scale square wave.
func (s Sound) Loudness() float64 {
	var sum float64
	for _, v := range s.Samples {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum/float64(max(len(s.Samples), 1))) / 32768
}

// Tone returns the share of the sound's energy that lies at a frequency in
// hertz: 1 for a pure tone of it, 0 for silence and for other tones. It is
// Goertzel's algorithm over windows of 50 ms, so it tells tones apart that
// differ by 20 Hz or more, and does not mind a jump in the phase.
func (s Sound) Tone(hertz float64) float64 {
	window := s.Rate / 20
	if window == 0 {
		return 0
	}
	var at, all float64
	c := 2 * math.Cos(2*math.Pi*hertz/float64(s.Rate))
	for from := 0; from+window <= len(s.Samples); from += window {
		var s1, s2 float64
		for _, v := range s.Samples[from : from+window] {
			x := float64(v)
			all += x * x
			s1, s2 = x+c*s1-s2, s1
		}
		// The power of one bin; a pure tone of energy E gives E*window/2.
		at += (s1*s1 + s2*s2 - c*s1*s2) * 2 / float64(window)
	}
	if all == 0 {
		return 0
	}
	return at / all
}

// ReadWAV reads the first channel of a WAV file of 16-bit samples. A file that
// is still being written, whose header names no length yet, is read to its end.
func ReadWAV(t testing.TB, path string) Sound {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		t.Fatalf("%s is no WAV file", path)
	}
	var s Sound
	channels := 0
	for b = b[12:]; len(b) >= 8; {
		id, size := string(b[:4]), int(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		if id == "data" && (size == 0 || size > len(b)) {
			size = len(b)
		}
		if size > len(b) {
			break
		}
		switch chunk := b[:size]; {
		case id == "fmt " && size >= 16:
			channels = int(binary.LittleEndian.Uint16(chunk[2:]))
			s.Rate = int(binary.LittleEndian.Uint32(chunk[4:]))
			if bits := binary.LittleEndian.Uint16(chunk[14:]); bits != 16 {
				t.Fatalf("%s has %d bits a sample, want 16", path, bits)
			}
		case id == "data" && channels > 0:
			for i := 0; i+2*channels <= size; i += 2 * channels {
				s.Samples = append(s.Samples, int16(binary.LittleEndian.Uint16(chunk[i:])))
			}
			return s
		}
		b = b[min(size+size%2, len(b)):]
	}
	t.Fatalf("%s has no samples", path)
	return s
}
