package media

import "math/bits"

// A codec turns samples into payload and back. G.711 has no memory and one
// octet a sample, which is why a lost packet costs no more than itself.
type codec struct {
	name   string // the encoding name of RFC 3551 section 6
	static uint8  // the payload type of RFC 3551 table 4
	encode func(int16) byte
	decode *[256]int16
}

// codecs are the codecs we know, the preferred first.
var codecs = [...]*codec{
	{name: "PCMU", static: 0, encode: encodePCMU, decode: pcmuTable()},
	{name: "PCMA", static: 8, encode: encodePCMA, decode: pcmaTable()},
}

// appendEncoded appends the payload for samples to b.
func (c *codec) appendEncoded(b []byte, samples []int16) []byte {
	for _, s := range samples {
		b = append(b, c.encode(s))
	}
	return b
}

// encodePCMU returns the mu-law octet for a sample (ITU-T G.711 table 2).
//
// The law is defined on 14-bit values. Adding 33 makes each segment end at a
// power of two: the segment is the position of the top bit, the step the four
// bits below it. Negative values are complemented, not negated, as in the
// ITU's reference software (G.191).
func encodePCMU(s int16) byte {
	sign := byte(0x80)
	if s < 0 {
		s, sign = ^s, 0
	}
	m := min(uint16(s)>>2, 8158) + 33
	segment := bits.Len16(m) - 6
	step := byte(m>>(segment+1)) & 0x0f
	return ^(byte(segment)<<4|step)&0x7f | sign
}

// pcmuTable returns the sample in the middle of each mu-law interval.
func pcmuTable() *[256]int16 {
	t := new([256]int16)
	for i := range t {
		b := ^byte(i)
		m := (int16(b&0x0f)<<1+33)<<(b>>4&7) - 33
		if b&0x80 != 0 {
			m = -m
		}
		t[i] = m << 2
	}
	return t
}

// encodePCMA returns the A-law octet for a sample (ITU-T G.711 table 1, with
// the even bits inverted). The law is defined on 13-bit values; its first two
// segments have steps of the same size.
func encodePCMA(s int16) byte {
	sign := byte(0x80)
	if s < 0 {
		s, sign = ^s, 0
	}
	m := uint16(s) >> 4 // in steps of the first segment
	b := byte(m)
	if m >= 32 {
		segment := bits.Len16(m) - 4
		b = byte(segment)<<4 | byte(m>>(segment-1))&0x0f
	}
	return (b | sign) ^ 0x55
}

// pcmaTable returns the sample in the middle of each A-law interval.
func pcmaTable() *[256]int16 {
	t := new([256]int16)
	for i := range t {
		b := byte(i) ^ 0x55
		m := int16(b&0x0f)<<1 + 1 // in half steps
		if segment := b >> 4 & 7; segment > 0 {
			m = (m + 32) << (segment - 1)
		}
		if b&0x80 == 0 {
			m = -m
		}
		t[i] = m << 3
	}
	return t
}
