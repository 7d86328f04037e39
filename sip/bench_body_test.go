package sip

import (
	"fmt"
	"strings"
	"testing"
)

// sipT is an INVITE with a session description and what SIP-T adds to it.
func sipT() string {
	sdp := "v=0\r\n" + strings.Repeat("a=rtpmap:0 PCMU/8000\r\n", 20)
	return carry("multipart/mixed;boundary=unique-boundary-1", "--unique-boundary-1\r\nContent-Type: application/isup;version=itu-t92+\r\n"+
		"Content-Disposition: signal;handling=optional\r\n\r\n\x01\x00\x49\x00\r\n--unique-boundary-1\r\nContent-Type: application/sdp\r\n"+
		"Content-Disposition: session;handling=required\r\n\r\n"+sdp+"\r\n--unique-boundary-1--\r\n")
}

// What a body may allocate: the delimiter, the loop, and the index of each part.
func TestBodyAllocations(t *testing.T) {
	req := mustParse(t, sipT())
	allocs(t, "Parts of two", 3+2, func() {
		for p, err := range Parts(req) {
			if d, bad := Disposition(p); err != nil || bad != nil || d.Type == "" || p.Body() == "" {
				t.Fatal(err, bad)
			}
		}
	})
	large := mustParse(t, mixed(strings.Repeat("--b\n\nx\n", 900)+"--b--\n"))
	allocs(t, "Parts of 900", 3+900, func() {
		for _, err := range Parts(large) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	allocs(t, "the first of 900", 3+1, func() {
		for range Parts(large) {
			break
		}
	})
	plain := mustParse(t, string(readMessage(t, "invite.sip")))
	allocs(t, "FindBody of what is not wrapped: the search", 1, func() {
		if body, err := FindBody(plain, "application/sdp", "session"); err != nil || body.Content == "" {
			t.Fatal(err)
		}
	})
	allocs(t, "ParseFragment of a whole status line: its index and a copy", 3, func() {
		if f, err := ParseFragment("SIP/2.0 200 OK\r\n"); err != nil || f.Status() != StatusOK {
			t.Fatal(err)
		}
	})
}

func BenchmarkParts(b *testing.B) {
	req := mustParse(b, sipT())
	b.SetBytes(int64(len(req.Body())))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range Parts(req) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkFindBody(b *testing.B) {
	plain := mustParse(b, string(readMessage(b, "invite.sip")))
	for name, m := range map[string]Message{"plain": plain, "mixed": mustParse(b, sipT())} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := FindBody(m, "application/sdp", "session"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMultipart(b *testing.B) {
	list := parts(b, mustParse(b, sipT()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Multipart("multipart/mixed", list...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseFragment(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseFragment("SIP/2.0 200 OK\r\n"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHostileBodies searches bodies that were made to take long, of 4 to 64
// kB each: the time for a byte does not grow with the length.
func BenchmarkHostileBodies(b *testing.B) {
	long := strings.Repeat("b", 70)
	fill := func(unit string) func(n int) string {
		return func(n int) string { return strings.Repeat(unit, n/len(unit)) }
	}
	for _, shape := range []struct {
		name, boundary string
		body           func(n int) string
	}{
		{"text", "b", fill("The quick brown fox\r\n")},
		{"empty parts", "b", fill("\r\n--b")},
		{"parts without header fields", "b", fill("\r\n--b\r\n\r\n")},
		{"parts with a header field", "b", fill("\r\n--b\r\nContent-Type: a/b\r\n\r\n")},
		{"broken parts", "b", fill("\r\n--b\r\nx\r\n\r\n")},
		{"nearly delimiters", "b", fill("\r\n--bb")},
		{"nearly long delimiters", long, fill("\r\n--" + long[1:])},
		{"starts of long delimiters", long, fill("\r\n--bbb")},
		{"padding that ends in text", "b", fill("\r\n--b" + strings.Repeat(" ", 500) + "x")},
		{"line breaks", "b", fill("\r\n")},
		{"one letter", "b", fill("b")},
		{"nested 8 deep", "b0.", func(n int) string {
			m, _ := Parse(nested(8))
			return strings.Replace(m.Body(), "\r\n\r\nx", "\r\n\r\n"+strings.Repeat("x", n), 1)
		}},
	} {
		for _, n := range []int{4 << 10, 64 << 10} {
			m := mustParse(b, carry("multipart/mixed;boundary="+shape.boundary, shape.body(n)))
			b.Run(fmt.Sprintf("%s/%dkB", shape.name, n>>10), func(b *testing.B) {
				b.SetBytes(int64(len(m.Body())))
				for b.Loop() {
					FindBody(m, "application/sdp", "")
				}
			})
		}
	}
}
