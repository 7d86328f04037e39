package media

import (
	"io"
	"slices"
	"testing"
	"time"
)

func TestClip(t *testing.T) {
	clip := Clip{1, 2, 3, 4, 5}
	once := clip.Once()
	p := make([]int16, 3)
	for _, want := range [][]int16{{1, 2, 3}, {4, 5}} {
		if n, err := once.ReadSamples(p); err != nil || !slices.Equal(p[:n], want) {
			t.Errorf("ReadSamples() = %v, %v, want %v", p[:n], err, want)
		}
	}
	if n, err := once.ReadSamples(p); n != 0 || err != io.EOF {
		t.Errorf("ReadSamples() at the end = %d, %v, want 0, EOF", n, err)
	}
	loop, p := clip.Loop(), make([]int16, 12)
	if n, err := loop.ReadSamples(p); err != nil || !slices.Equal(p[:n], []int16{1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2}) {
		t.Errorf("ReadSamples() = %v, %v, want the clip over and over", p[:n], err)
	}
	if n, err := (Clip{}).Loop().ReadSamples(p); n != 0 || err != io.EOF {
		t.Errorf("an empty loop: ReadSamples() = %d, %v, want 0, EOF", n, err)
	}
	if got, want := make(Clip, 12000).Duration(), 1500*time.Millisecond; got != want {
		t.Errorf("Duration() = %v, want %v", got, want)
	}
}

func TestRecorderKeepsTheLast(t *testing.T) {
	r := &Recorder{Keep: time.Millisecond} // 8 samples
	for i := int16(0); i < 20; i += 5 {
		r.WriteSamples([]int16{i, i + 1, i + 2, i + 3, i + 4})
	}
	if got, want := r.Clip(), (Clip{12, 13, 14, 15, 16, 17, 18, 19}); !slices.Equal(got, want) {
		t.Errorf("Clip() = %v, want %v", got, want)
	}
	long := new(Recorder)
	for range 61 {
		long.WriteSamples(make([]int16, SampleRate))
	}
	if got := long.Clip().Duration(); got != time.Minute {
		t.Errorf("Duration() = %v, want a minute", got)
	}
}

func TestToneLevel(t *testing.T) {
	clip := make(Clip, SampleRate)
	Tone(440).ReadSamples(clip)
	for hz, want := range map[float64]bool{440: true, 443: true, 480: false, 880: false, 1000: false, 3000: false} {
		if got := ToneLevel(clip, hz); (got > 0.9) != want || !want && got > 0.1 {
			t.Errorf("ToneLevel(440 Hz, %g) = %g, want the tone: %v", hz, got, want)
		}
	}
	both := slices.Clone(clip)
	Tone(1000).ReadSamples(both)
	for i := range both {
		both[i] = both[i]/2 + clip[i]/2
	}
	for _, hz := range []float64{440, 1000} {
		if got := ToneLevel(both, hz); got < 0.48 || got > 0.52 {
			t.Errorf("ToneLevel(both, %g) = %g, want half", hz, got)
		}
	}
	Silence().ReadSamples(clip)
	if got := ToneLevel(clip, 440); got != 0 {
		t.Errorf("ToneLevel(silence) = %g, want 0", got)
	}
	if got := ToneLevel(nil, 440); got != 0 {
		t.Errorf("ToneLevel(nil) = %g, want 0", got)
	}
}
