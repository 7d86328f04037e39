package media

import "math"

// A resampler brings samples of another rate to SampleRate with a windowed
// sinc filter in polyphase form. Its pass band ends a little below half the
// lower rate; outside of it, it takes away about 60 dB, more than G.711 can
// tell. Time is O(taps) a sample, memory that of the result.
type resampler struct {
	rate   int
	out    Clip
	phases [][]float32 // by the fraction of a sample, each of 2*half taps
	half   int         // taps on each side
	ring   []float32   // the last 2*half samples
	in     int64       // samples added
}

// maxPhases bounds the filter's table when the rates have no common divisor.
// The fraction is then rounded to 1/512 of a sample.
const maxPhases = 512

// newResampler returns a resampler from rate, which must be more than 0.
func newResampler(rate int) *resampler {
	r := &resampler{rate: rate}
	if rate == SampleRate {
		return r
	}
	const lobes = 16
	cutoff := 0.45 * min(1, SampleRate/float64(rate)) // of the rate of the input
	r.half = int(math.Ceil(lobes * max(1, float64(rate)/SampleRate)))
	r.ring = make([]float32, 2*r.half)
	r.phases = make([][]float32, min(SampleRate/gcd(rate, SampleRate), maxPhases))
	for p := range r.phases {
		taps := make([]float32, 2*r.half)
		fraction := float64(p) / float64(len(r.phases))
		sum := 0.0
		for i := range taps {
			x := float64(i-r.half+1) - fraction
			w := math.Cos(math.Pi * x / 2 / float64(r.half))
			v := sinc(2*cutoff*x) * w * w
			taps[i] = float32(v)
			sum += v
		}
		for i := range taps { // a level stays what it is
			taps[i] /= float32(sum)
		}
		r.phases[p] = taps
	}
	return r
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// add takes the next sample of the input, and makes those of the output that
// it completes.
func (r *resampler) add(v float32) {
	if r.phases == nil {
		r.out = append(r.out, int16(v))
		return
	}
	r.ring[r.in%int64(len(r.ring))] = v
	r.in++
	for r.next() {
	}
}

// next makes the next sample of the output if its filter has all it needs:
// input samples up to half beyond its place.
func (r *resampler) next() bool {
	n := int64(len(r.out)) * int64(r.rate)
	at, rest := n/SampleRate, n%SampleRate
	if at+int64(r.half) >= r.in {
		return false
	}
	taps := r.phases[rest*int64(len(r.phases))/SampleRate]
	// The first tap is for the sample at-half+1; before the start is silence,
	// which is what the ring was made of.
	i := int((at + int64(r.half) + 1) % int64(len(r.ring)))
	var sum float32
	for j, v := range r.ring[i:] {
		sum += v * taps[j]
	}
	for j, v := range r.ring[:i] {
		sum += v * taps[len(r.ring)-i+j]
	}
	r.out = append(r.out, int16(max(-32768, min(32767, math.Round(float64(sum))))))
	return true
}

// finish returns the result: as many samples as the input lasted.
func (r *resampler) finish() Clip {
	if r.phases != nil {
		want := int(r.in * SampleRate / int64(r.rate))
		for len(r.out) < want {
			r.add(0)
		}
		r.out = r.out[:want]
	}
	return r.out
}
