package media

import (
	"slices"
	"testing"
)

// decisions returns the decision values of a G.711 law, as its tables give
// them: the interval n covers the magnitudes from decisions[n] up to, not
// including, decisions[n+1].
func decisions(first []int, segments []struct{ end, steps int }) []int {
	d := slices.Clone(first)
	for _, s := range segments {
		from := d[len(d)-1]
		for i := 1; i <= s.steps; i++ {
			d = append(d, from+(s.end-from)*i/s.steps)
		}
	}
	return d
}

var (
	// Table 2a/G.711: values of 14 bits. The first interval is half a step.
	muDecisions = decisions([]int{0, 1}, []struct{ end, steps int }{
		{31, 15}, {95, 16}, {223, 16}, {479, 16}, {991, 16}, {2015, 16}, {4063, 16}, {8159, 16}})
	// Table 1a/G.711: values of 13 bits.
	aDecisions = decisions([]int{0}, []struct{ end, steps int }{
		{32, 16}, {64, 16}, {128, 16}, {256, 16}, {512, 16}, {1024, 16}, {2048, 16}, {4096, 16}})
)

// interval returns the number of the interval m is in, at most 127.
func interval(decisions []int, m int) int {
	n, found := slices.BinarySearch(decisions, m)
	if !found {
		n--
	}
	return min(n, 127)
}

func magnitude(s int16, shift int) (m int, negative bool) {
	if s < 0 {
		return int(^s) >> shift, true
	}
	return int(s) >> shift, false
}

func TestPCMUEncodesEverySampleAsG711Defines(t *testing.T) {
	for i := -32768; i <= 32767; i++ {
		m, negative := magnitude(int16(i), 2)
		want := byte(255 - interval(muDecisions, m)) // table 2a: 1 0000000 is the largest
		if negative {
			want = byte(127 - interval(muDecisions, m)) // table 2b
		}
		if got := encodePCMU(int16(i)); got != want {
			t.Fatalf("encodePCMU(%d) = %#x, want %#x", i, got, want)
		}
	}
}

func TestPCMAEncodesEverySampleAsG711Defines(t *testing.T) {
	for i := -32768; i <= 32767; i++ {
		m, negative := magnitude(int16(i), 3)
		want := byte(interval(aDecisions, m))
		if !negative {
			want |= 0x80
		}
		want ^= 0x55 // the even bits are inverted, table 1a note 2
		if got := encodePCMA(int16(i)); got != want {
			t.Fatalf("encodePCMA(%d) = %#x, want %#x", i, got, want)
		}
	}
}

func TestG711DecodesToTheMiddleOfTheInterval(t *testing.T) {
	for n := range 128 {
		mu := (muDecisions[n] + muDecisions[n+1]) / 2 * 4
		if n == 0 {
			mu = 0 // the quantised value of interval 0 is 0
		}
		a := (aDecisions[n] + aDecisions[n+1]) * 8 / 2
		for _, tt := range []struct {
			c    *codec
			b    byte
			want int
		}{
			{codecs[0], byte(255 - n), mu}, {codecs[0], byte(127 - n), -mu},
			{codecs[1], byte(n|0x80) ^ 0x55, a}, {codecs[1], byte(n) ^ 0x55, -a},
		} {
			if got := int(tt.c.decode[tt.b]); got != tt.want {
				t.Errorf("%s decode[%#x] = %d, want %d", tt.c.name, tt.b, got, tt.want)
			}
		}
	}
}

func TestG711RoundTrip(t *testing.T) {
	for _, c := range codecs {
		for i := range 256 {
			want := byte(i)
			if c.name == "PCMU" && i == 0x7f {
				want = 0xff // minus zero comes back as zero
			}
			if got := c.encode(c.decode[i]); got != want {
				t.Errorf("%s: %#x came back as %#x, want %#x", c.name, i, got, want)
			}
		}
	}
}
