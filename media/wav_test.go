package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wav makes a WAV file of data in the given format.
func wav(tag, channels, rate, bits int, data []byte) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

func pcm(samples ...int16) []byte {
	var b []byte
	for _, s := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// sine returns n samples of a tone at a rate, in each of the channels.
func sine(hz float64, rate, channels, n int) []int16 {
	var s []int16
	for i := range n {
		v := int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
		for range channels {
			s = append(s, v)
		}
	}
	return s
}

// What is recorded can be read again, and by others: the sizes are right.
func TestWAVWrittenIsRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "call.wav")
	w, err := CreateWAV(name)
	if err != nil {
		t.Fatal(err)
	}
	want := Clip{0, 1, -1, 32767, -32768, 1234}
	for _, part := range []Clip{want[:2], want[2:]} {
		if err := w.WriteSamples(part); err != nil {
			t.Fatal(err)
		}
	}
	// A program that crashes here has lost nothing.
	if got, err := OpenWAV(name); err != nil || !slices.Equal(got, want) {
		t.Errorf("before Close: OpenWAV() = %v, %v, want %v", got, err, want)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close() again = %v, want nil", err)
	}
	if err := w.WriteSamples(want); !errors.Is(err, os.ErrClosed) {
		t.Errorf("WriteSamples() after Close = %v, want os.ErrClosed", err)
	}
	if got, err := OpenWAV(name); err != nil || !slices.Equal(got, want) {
		t.Errorf("OpenWAV() = %v, %v, want %v", got, err, want)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if want := wav(wavPCM, 1, 8000, 16, pcm(want...)); !bytes.Equal(got, want) {
		t.Errorf("the file is\n%q, want\n%q", got, want)
	}
}

func TestReadWAVFormats(t *testing.T) {
	mu := make([]byte, 256)
	for i := range mu {
		mu[i] = byte(i)
	}
	extensible := func() []byte {
		b := wav(wavExtensible, 1, 8000, 16, pcm(5, 6))
		ext := append([]byte{22, 0, 16, 0, 4, 0, 0, 0, wavPCM, 0}, guidTail...)
		b[16] = 40
		return slices.Insert(b, 36, ext...)
	}
	unknown := wav(wavPCM, 1, 8000, 16, pcm(5, 6))
	copy(unknown[40:], "\xff\xff\xff\xff")
	other := slices.Insert(wav(wavPCM, 1, 8000, 16, pcm(5, 6)), 36, []byte("LIST\x03\x00\x00\x00abc\x00")...)
	for _, tt := range []struct {
		name string
		file []byte
		want Clip
	}{
		{"PCM", wav(wavPCM, 1, 8000, 16, pcm(5, -6)), Clip{5, -6}},
		{"stereo is mixed", wav(wavPCM, 2, 8000, 16, pcm(5, 7, 32767, 32767, -4, 4)), Clip{6, 32767, 0}},
		{"mu-law", wav(wavMuLaw, 1, 8000, 8, mu), codecs[0].decode[:]},
		{"A-law", wav(wavALaw, 1, 8000, 8, mu), codecs[1].decode[:]},
		{"extensible", extensible(), Clip{5, 6}},
		{"a chunk of odd size before", other, Clip{5, 6}},
		{"size unknown", unknown, Clip{5, 6}},
		{"empty", wav(wavPCM, 1, 8000, 16, nil), nil},
	} {
		if got, err := ReadWAV(bytes.NewReader(tt.file)); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: ReadWAV() = %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

// Another rate keeps the tone, its level and its length, and what a telephone
// cannot carry is gone rather than folded down.
func TestReadWAVResamples(t *testing.T) {
	for _, rate := range []int{4000, 11025, 16000, 22050, 44100, 44101, 48000, 96000, 192000} {
		clip, err := ReadWAV(bytes.NewReader(wav(wavPCM, 2, rate, 16, pcm(sine(1000, rate, 2, rate/2)...))))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(clip), rate/2*SampleRate/rate; got != want {
			t.Errorf("rate %d: %d samples, want %d", rate, got, want)
		}
		middle := clip[400:3600]
		if got := ToneLevel(middle, 1000); got < 0.999 {
			t.Errorf("rate %d: %g of the tone, want 0.999", rate, got)
		}
		if got := slices.Max(middle); got < 7900 || got > 8100 {
			t.Errorf("rate %d: peak %d, want 8000", rate, got)
		}
	}
	clip, err := ReadWAV(bytes.NewReader(wav(wavPCM, 1, 48000, 16, pcm(sine(7000, 48000, 1, 24000)...))))
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Max(clip[400:3600]); got > 16 {
		t.Errorf("7000 Hz came through with a peak of %d of 8000, want 54 dB less", got)
	}
}

// A file that lies about its sizes, or is none, is a WAVError that says where.
func TestReadWAVRefuses(t *testing.T) {
	good := wav(wavPCM, 1, 8000, 16, pcm(1, 2, 3))
	patched := func(at int, s string) []byte {
		b := slices.Clone(good)
		copy(b[at:], s)
		return b
	}
	var chunks []byte
	for range maxChunks + 1 {
		chunks = append(chunks, "junk\x00\x00\x00\x00"...)
	}
	for _, tt := range []struct {
		name, msg string
		file      []byte
	}{
		{"empty", "no RIFF header", nil},
		{"not RIFF", "not a RIFF WAVE file", patched(0, "RIFX")},
		{"not WAVE", "not a RIFF WAVE file", patched(8, "AVI ")},
		{"no fmt", "data before the fmt chunk", append(slices.Clone(good[:12]), good[36:]...)},
		{"no data", "no data chunk", good[:36]},
		{"two fmt", "a second fmt chunk", slices.Concat(good[:36], good[12:])},
		{"short fmt", "a fmt chunk of 15 octets", patched(16, "\x0f\x00")},
		{"huge fmt", "a fmt chunk of 4294967295 octets", patched(16, "\xff\xff\xff\xff")},
		{"cut fmt", "the fmt chunk is longer than the file", good[:30]},
		{"data beyond the end", "of which 6 are there", patched(40, "\xf0\x00")},
		{"data of 2 GB", "longer than an hour", patched(40, "\xfe\xff\xff\x7f")},
		{"half a sample", "not a multiple", patched(40, "\x05")},
		{"skip beyond the end", "the chunk is longer than the file", patched(12, "junk\xff\xff\xff\x7f")},
		{"float", "format 0x3 is none of", patched(20, "\x03")},
		{"extensible without more", "format 0xfffe is none of", patched(20, "\xfe\xff")},
		{"24 bits", "24 bits a sample", patched(34, "\x18")},
		{"no bits", "0 bits a sample", patched(34, "\x00")},
		{"no channels", "0 channels", patched(22, "\x00")},
		{"6 channels", "6 channels", patched(22, "\x06")},
		{"rate 0", "0 samples a second", patched(24, "\x00\x00\x00\x00")},
		{"rate 2^32-1", "4294967295 samples a second", patched(24, "\xff\xff\xff\xff")},
		{"blocks of 0", "blocks of 0 octets", patched(32, "\x00")},
		{"only chunks", "too many chunks", append(slices.Clone(good[:12]), chunks...)},
	} {
		_, err := ReadWAV(bytes.NewReader(tt.file))
		var wrong *WAVError
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Msg, tt.msg) {
			t.Errorf("%s: ReadWAV() = %v, want a WAVError with %q", tt.name, err, tt.msg)
		}
	}
	// A file with no end ends at an hour.
	endless := io.MultiReader(bytes.NewReader(patched(40, "\xff\xff\xff\xff")), zeros{})
	if _, err := ReadWAV(endless); err == nil || !strings.Contains(err.Error(), "longer than an hour") {
		t.Errorf("endless file: %v, want an error", err)
	}
	if _, err := OpenWAV(filepath.Join(t.TempDir(), "none.wav")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OpenWAV() of no file = %v, want os.ErrNotExist", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func FuzzReadWAV(f *testing.F) {
	f.Add(wav(wavPCM, 2, 44100, 16, pcm(1, 2, 3, 4)))
	f.Add(wav(wavMuLaw, 1, 8000, 8, []byte("abc")))
	f.Add(wav(wavALaw, 2, 4000, 8, []byte("abcd")))
	f.Fuzz(func(t *testing.T, b []byte) {
		clip, err := ReadWAV(bytes.NewReader(b))
		if err != nil && clip != nil {
			t.Errorf("a clip of %d samples with an error", len(clip))
		}
		if len(clip) > len(b)*2 { // 4000 a second at most doubles, of one octet each
			t.Errorf("%d samples from %d octets", len(clip), len(b))
		}
	})
}
