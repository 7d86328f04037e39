package sip

import (
	"strings"
	"testing"
)

// A buffer that the next datagram is read into does not change a message that
// came in it, whatever size that was.
func TestParseBytesCopies(t *testing.T) {
	short := "OPTIONS sip:b.example SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bK1\r\nf:<sip:a@a>;tag=1\r\nt:<sip:b@b>\r\ni:1\r\nCSeq:1 OPTIONS\r\n"
	answer := strings.Replace(short, "OPTIONS sip:b.example SIP/2.0", "SIP/2.0 200 OK", 1)
	for _, head := range []string{short, answer} {
		for size := range 4200 {
			text := head + "\r\n" + strings.Repeat("x", size)
			b := []byte(text)
			m, err := ParseBytes(b)
			if err != nil {
				t.Fatal(err)
			}
			clear(b)
			if m.String() != text || m.From().Tag() != "1" || m.CallID() != "1" {
				t.Fatalf("of %d bytes there is\n%q", len(text), m)
			}
			if again := with(m); again.String() != text {
				t.Fatalf("With() of %d bytes is\n%q", len(text), again)
			}
		}
	}
}

// What was refused is kept, too.
func TestParseBytesError(t *testing.T) {
	text := tweak("CSeq", "CSeq: x")
	b := []byte("\r\n" + text)
	_, err := ParseBytes(b)
	clear(b)
	_, want := Parse(text)
	if got := err.(*SyntaxError); got.Text() != text || *got != *want.(*SyntaxError) {
		t.Errorf("ParseBytes() = %#v, want %#v", got, want)
	}
	if got := err.(*SyntaxError).Reply(); got == nil || got.Status() != StatusBadRequest {
		t.Errorf("Reply() = %v, want a 400", got)
	}
}
