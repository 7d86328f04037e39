package digest

import "testing"

// RFC 7616 section 3.4: eight hex digits, and the first count is 1.
func TestCountText(t *testing.T) {
	for n, want := range map[uint32]string{1: "00000001", 0xabc: "00000abc", 1<<32 - 1: "ffffffff"} {
		got := CountText(n)
		if got != want {
			t.Errorf("CountText(%d) = %s, want %s", n, got, want)
		}
		if back, ok := ReadCount(got); back != n || !ok {
			t.Errorf("ReadCount(%s) = %d, %v, want %d", got, back, ok, n)
		}
	}
	for _, text := range []string{"", "1", "00000000", "0000000g", "000000001", "+0000001", "0x000001"} {
		if n, ok := ReadCount(text); ok {
			t.Errorf("ReadCount(%q) = %d, want a failure", text, n)
		}
	}
}
