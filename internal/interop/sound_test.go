package interop_test

import (
	"math"
	"testing"

	"github.com/goparley/parley/internal/interop"
)

func sine(rate int, hertz float64, seconds float64) interop.Sound {
	s := interop.Sound{Rate: rate}
	for i := range int(float64(rate) * seconds) {
		s.Samples = append(s.Samples, int16(8000*math.Sin(2*math.Pi*hertz*float64(i)/float64(rate))))
	}
	return s
}

// A tone is found at its own frequency and nowhere else, and silence has none.
func TestTone(t *testing.T) {
	for _, rate := range []int{8000, 48000} {
		for _, hertz := range []float64{440, 600, 1000} {
			s := sine(rate, hertz, 1)
			for _, probe := range []float64{440, 600, 1000} {
				got := s.Tone(probe)
				if probe == hertz && got < 0.95 {
					t.Errorf("%d Hz: share of a %v Hz tone at %v Hz = %.3f, want 0.95 or more", rate, hertz, probe, got)
				}
				if probe != hertz && got > 0.02 {
					t.Errorf("%d Hz: share of a %v Hz tone at %v Hz = %.3f, want 0.02 or less", rate, hertz, probe, got)
				}
			}
		}
	}
	silence := interop.Sound{Rate: 8000, Samples: make([]int16, 8000)}
	if got := silence.Tone(440); got != 0 {
		t.Errorf("share of silence at 440 Hz = %v, want 0", got)
	}
	if got := silence.Loudness(); got != 0 {
		t.Errorf("loudness of silence = %v, want 0", got)
	}
}
