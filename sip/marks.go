package sip

import (
	"math/bits"
	"unsafe"
)

// marks tells where the bytes of a text are that mean something. The letters,
// digits, '-', '.' and '_' that most of it is made of have no mark, and the
// vector unit finds them 64 at a time; every separator has one
// (docs/design/007-marks.md has what was measured).
//
// What is spelled as nearly everything is spelled is taken by its marks, by the
// methods called quick. They take only what they are sure of and leave all else,
// what is broken included, to the scanners, which look at each byte. Where there
// is no such vector unit they leave everything.
type marks struct {
	s       string
	from    int    // where the part of s begins that is marked
	upto    int    // how many bytes of it are
	special bitmap // each byte that is no word character
	control bitmap // each byte below 0x20
}

// bitmap are marks, one for each byte of a part of a text.
type bitmap [markBlocks]uint64

// markBlocks is how many blocks of 64 bytes are marked at once: most header
// sections are shorter.
const markBlocks = 16

// mark makes the marks from that place on, as many as there is room for. Behind
// the end of the text each byte of a block has both.
func (k *marks) mark(from int) {
	from = min(from, len(k.s))
	k.from = from
	rest := k.s[from:]
	whole := min(len(rest)/64, markBlocks)
	if whole > 0 {
		markAVX2(unsafe.StringData(rest), whole, &k.special[0], &k.control[0])
	}
	k.upto = whole * 64
	if whole < markBlocks {
		var tail [64]byte
		copy(tail[:], rest[whole*64:])
		markAVX2(&tail[0], 1, &k.special[whole], &k.control[whole])
		k.upto += 64
	}
}

// cursor goes from mark to mark. It is a value, which keeps it in registers.
type cursor struct {
	left  uint64 // the marks of the block from the cursor's own on
	block int    // where in the text the block begins
}

// pos returns the place of the cursor's mark.
func (c cursor) pos() int { return c.block + bits.TrailingZeros64(c.left) }

// at returns a cursor at the first of these marks from pos on.
func (k *marks) at(b *bitmap, pos int) cursor {
	for {
		i := uint(pos - k.from)
		if i >= uint(k.upto) {
			k.mark(pos)
			i = 0
		}
		c := cursor{b[i/64] >> (i % 64) << (i % 64), pos - int(i%64)}
		if c.left != 0 {
			return c
		}
		pos = c.block + 64
	}
}

// next returns a cursor at the next of these marks.
func (k *marks) next(b *bitmap, c cursor) cursor {
	if c.left &= c.left - 1; c.left == 0 {
		return k.at(b, c.block+64)
	}
	return c
}
