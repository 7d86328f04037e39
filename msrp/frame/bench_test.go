package frame_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp/frame"
)

// repeat is a stream of the same text for ever.
type repeat struct {
	text []byte
	at   int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], r.text[r.at:])
		n += k
		r.at = (r.at + k) % len(r.text)
	}
	return n, nil
}

// chunksOf are 64 chunks of a message, with bodies of a size.
func chunksOf(t testing.TB, body []byte) []byte {
	t.Helper()
	var b []byte
	for i := range int64(64) {
		size := int64(len(body))
		h := frame.Head{ID: string(frame.AppendID(nil)), Method: frame.SEND, To: "msrp://bob.example.com:8493/si438ds;tcp", From: "msrp://alice.example.com:7777/iau39;tcp",
			MessageID: "12339sdqwer", Range: frame.Range{Start: i*size + 1, End: (i + 1) * size, Total: frame.Unknown}, ContentType: "text/plain", HasBody: true}
		var err error
		if b, err = h.Append(b); err != nil {
			t.Fatal(err)
		}
		b = h.AppendEnd(append(b, body...), frame.Continued)
	}
	return b
}

// readOne reads a frame and passes over its body.
func readOne(t testing.TB, r *frame.Reader) {
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := r.Body(); err != nil {
			return
		}
	}
}

func BenchmarkReader(b *testing.B) {
	read := func(name string, text []byte, frames int) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text) / frames))
			b.ReportAllocs()
			r := frame.NewReader(&repeat{text: text})
			for b.Loop() {
				readOne(b, r)
			}
		})
	}
	for _, size := range []int{100, 2048, 65536} {
		read(fmt.Sprint(size), chunksOf(b, bytes.Repeat([]byte("x"), size)), 64)
	}
	// Bodies that are full of what an end-line begins with.
	for name, piece := range map[string]string{"CR": "\r", "CRLF": "\r\n", "hyphens": "\r\n-------"} {
		read("65536 of "+name, chunksOf(b, []byte(strings.Repeat(piece, 65536/len(piece)))), 64)
	}
	// Two messages in turn, and what answers them.
	two := strings.Repeat("MSRP abcd SEND\r\n"+paths+"Message-ID: 1\r\nByte-Range: 1-3/3\r\nContent-Type: text/plain\r\n\r\nabc\r\n-------abcd$\r\n"+
		"MSRP abcd SEND\r\n"+paths+"Message-ID: 2\r\nByte-Range: 1-3/3\r\nContent-Type: text/plain\r\n\r\nabc\r\n-------abcd$\r\n", 16)
	read("in turn", []byte(two), 32)
	read("response", []byte("MSRP abcd 200 OK\r\n"+paths+"-------abcd$\r\n"), 1)
}

func BenchmarkAppend(b *testing.B) {
	h := aHead()
	buf := make([]byte, 0, 4096)
	for b.Loop() {
		buf, _ = h.Append(buf[:0])
	}
}

func BenchmarkParsePath(b *testing.B) {
	for b.Loop() {
		if _, err := frame.ParsePath("msrps://relay.example.com:2855/ahd8a9sdj;tcp msrps://192.0.2.10:9/kjh2j3h4k2;tcp"); err != nil {
			b.Fatal(err)
		}
	}
}

// What is done for every chunk makes little garbage.
func TestAllocations(t *testing.T) {
	chunks := frame.NewReader(&repeat{text: chunksOf(t, make([]byte, 2048))})
	responses := frame.NewReader(&repeat{text: []byte("MSRP abcd 200 OK\r\n" + paths + "-------abcd$\r\n")})
	turns := frame.NewReader(&repeat{text: []byte("MSRP abcd SEND\r\n" + paths + "X: 1\r\nContent-Type: text/plain\r\n\r\nabc\r\n-------abcd$\r\nMSRP efgh REPORT\r\n" + paths + "Y: 2\r\n-------efgh$\r\n")})
	h := aHead()
	buf := make([]byte, 0, 4096)
	for name, c := range map[string]struct {
		want float64
		do   func()
	}{
		"a chunk like the last":   {1, func() { readOne(t, chunks) }}, // its identifier
		"a response":              {1, func() { readOne(t, responses) }},
		"two of different fields": {6, func() { readOne(t, turns); readOne(t, turns) }}, // identifiers, names and values
		"Append":                  {0, func() { buf, _ = h.Append(buf[:0]) }},
		"AppendID":                {0, func() { buf = frame.AppendID(buf[:0]) }},
		"ParseURI": {0, func() {
			if _, err := frame.ParseURI("msrps://alice@192.0.2.10:9/kjh2j3h4k2;tcp;a=b"); err != nil {
				t.Fatal(err)
			}
		}},
		"ParsePath": {1, func() {
			if _, err := frame.ParsePath("msrp://a:1/b;tcp msrps://192.0.2.10:9/kjh2j3h4k2;tcp"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		if got := testing.AllocsPerRun(1000, c.do); got > c.want {
			t.Errorf("%s: %v allocations, want %v", name, got, c.want)
		}
	}
}
