package sip

// markAVX2 makes the marks of whole blocks of 64 bytes.
//
//go:noescape
func markAVX2(text *byte, blocks int, special, control *uint64)

func cpuid(leaf, sub uint32) (a, b, c, d uint32)

func xgetbv() uint32

// hasAVX2 is whether processor and operating system have 32-byte vectors.
var hasAVX2 = func() bool {
	const (
		osxsave, avx = 1 << 27, 1 << 28 // leaf 1, register C
		avx2         = 1 << 5           // leaf 7, register B
		ymm          = 1<<1 | 1<<2      // states that the operating system saves
	)
	if last, _, _, _ := cpuid(0, 0); last < 7 {
		return false
	}
	_, _, c, _ := cpuid(1, 0)
	if c&(osxsave|avx) != osxsave|avx || xgetbv()&ymm != ymm {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&avx2 != 0
}()
