package sip

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// Eight bytes at a time are the same as one by one, at every length.
func TestLineEnd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const some = "abc \t\x1f\x20\x80\xff\x0d\x0a"
	for range 20000 {
		b := make([]byte, r.IntN(60))
		for i := range b {
			b[i] = some[r.IntN(len(some)-r.IntN(5))]
		}
		s := "x" + string(b)
		want := strings.IndexByte(s[1:], '\n') + 1
		line := strings.TrimSuffix(s[1:max(want, 1)], "\r")
		odd := strings.IndexAny(line, "\x1f\r") + 1
		if end, gotOdd := lineEnd(s, 1); end != want || gotOdd != odd {
			t.Fatalf("lineEnd(%q, 1) = %d, %d, want %d, %d", s, end, gotOdd, want, odd)
		}
	}
}
