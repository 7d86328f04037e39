package media

import "math"

// Tone returns a source of a sine wave of hz hertz that never ends, at 10 dB
// below full scale. It is of use up to 3400 Hz, where a telephone's band ends.
func Tone(hz float64) Source {
	return &tone{step: 2 * math.Pi * hz / SampleRate}
}

const toneAmplitude = 10362 // 32767 / 10^(10/20)

type tone struct{ phase, step float64 }

// ReadSamples fills p with the next samples of the tone.
func (t *tone) ReadSamples(p []int16) (int, error) {
	for i := range p {
		p[i] = int16(math.Round(toneAmplitude * math.Sin(t.phase)))
		t.phase += t.step
	}
	t.phase = math.Mod(t.phase, 2*math.Pi)
	return len(p), nil
}

// Silence returns a source of silence that never ends. It still sends
// packets, which keeps the way through a NAT open (RFC 6263).
func Silence() Source { return silence{} }

type silence struct{}

// ReadSamples fills p with zeros.
func (silence) ReadSamples(p []int16) (int, error) {
	clear(p)
	return len(p), nil
}

// toneBlock is the number of samples looked at together by ToneLevel. 50 ms
// take all tones within about 10 Hz as the one asked for, so a sender whose
// clock is a little off, or a lost packet, does not hide a tone.
const toneBlock = SampleRate / 20

// ToneLevel returns how much of the power of samples is at hz hertz: 1 for
// nothing but that tone, about 0 for other tones and for silence. A tone that
// came through G.711 has more than 0.99. Samples that do not fill a block of
// 50 ms at the end are not looked at.
func ToneLevel(samples []int16, hz float64) float64 {
	// Goertzel's algorithm: a resonator tuned to hz, run over a block; what
	// is then in it is the tone's part of the block's energy.
	c := 2 * math.Cos(2*math.Pi*hz/SampleRate)
	var tone, total float64
	for ; len(samples) >= toneBlock; samples = samples[toneBlock:] {
		var s1, s2 float64
		for _, v := range samples[:toneBlock] {
			x := float64(v)
			total += x * x
			s1, s2 = x+c*s1-s2, s1
		}
		tone += (s1*s1 + s2*s2 - c*s1*s2) * 2 / toneBlock
	}
	if total == 0 {
		return 0
	}
	return min(tone/total, 1)
}
