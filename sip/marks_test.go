package sip

import (
	"math/rand/v2"
	"testing"
)

// The marks of random text are where they are to be, from every place on.
func TestMarks(t *testing.T) {
	if !hasAVX2 {
		t.Log("no vector unit, so no marks")
		return
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 3000 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
			if r.Uint32()%2 == 0 {
				b[i] = 'a'
			}
		}
		k := marks{s: string(b)}
		k.mark(min(n, 3))
		special, control := n, n
		for i := n; i >= 0; i-- {
			if i < n && !isWord(b[i]) {
				special = i
			}
			if i < n && b[i] < ' ' {
				control = i
			}
			if n > 200 && i%13 != 0 {
				continue
			}
			if got := k.at(&k.special, i).pos(); got != special {
				t.Fatalf("special mark from %d on: %d, want %d in %q", i, got, special, b)
			}
			if got := k.at(&k.control, i).pos(); got != control {
				t.Fatalf("control mark from %d on: %d, want %d in %q", i, got, control, b)
			}
		}
		c, at := k.at(&k.special, 0), 0
		for ; at < n; at++ {
			if !isWord(b[at]) {
				if c.pos() != at {
					t.Fatalf("next mark at %d, want %d in %q", c.pos(), at, b)
				}
				c = k.next(&k.special, c)
			}
		}
	}
}

func isWord(c byte) bool {
	return isAlpha(c) || isDigit(c) || c == '-' || c == '.' || c == '_'
}
