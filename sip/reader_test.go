package sip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// framed returns a request with a body and its right Content-Length.
func framed(id int, body string) string {
	return strings.Replace(tweak("Content-Length", fmt.Sprintf("Content-Length: %d", len(body))), "1@a", fmt.Sprintf("%d@a", id), 1) + body
}

// pieces gives a text in pieces of random length.
type pieces struct {
	text string
	rand *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := min(1+p.rand.IntN(1+p.rand.IntN(200)), len(p.text), len(b))
	copy(b, p.text[:n])
	p.text = p.text[n:]
	return n, nil
}

// collect reads a stream to its end.
func collect(r *Reader) (texts []string, err error) {
	for {
		m, err := r.ReadMessage()
		var syntax *SyntaxError
		switch {
		case err == nil:
			texts = append(texts, m.String())
		case errors.As(err, &syntax):
			texts = append(texts, "broken")
		default:
			return texts, err
		}
	}
}

// A stream says the same however it is cut: pipelined messages, keepalives
// between them, a broken one that is skipped, bodies that look like messages.
func TestReaderSplits(t *testing.T) {
	want := []string{framed(1, ""), framed(2, "hello"), "broken", framed(4, framed(5, "inner")), framed(6, strings.Repeat("b", 9000))}
	stream := "\r\n\r\n" + want[0] + "\r\n" + want[1] +
		strings.Replace(framed(3, "x"), "Max-Forwards: 70", "Max-Forwards: x", 1) +
		"\r\n\r\n\r\n" + want[3] + want[4] + "\r\n"
	readers := map[string]io.Reader{
		"at once":           strings.NewReader(stream),
		"a byte at a time":  iotest.OneByteReader(strings.NewReader(stream)),
		"halves":            iotest.HalfReader(strings.NewReader(stream)),
		"end with the data": iotest.DataErrReader(strings.NewReader(stream)),
	}
	for seed := range uint64(50) {
		readers[fmt.Sprint("seed ", seed)] = &pieces{stream, rand.New(rand.NewPCG(seed, 0))}
	}
	for name, r := range readers {
		var pings, pongs int
		got, err := collect(NewReader(r, &ReaderConfig{Ping: func() { pings++ }, Pong: func() { pongs++ }}))
		if err != io.EOF || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: %d messages, %v, want %d", name, len(got), err, len(want))
		}
		if pings != 2 || pongs != 7 {
			t.Errorf("%s: %d pings and %d single line breaks, want 2 and 7", name, pings, pongs)
		}
	}
}

// RFC 3261 section 20.14: on a stream the length must be there, once, and is
// kept to; without it no end can be found and the connection is to be closed.
func TestReaderContentLength(t *testing.T) {
	next := framed(2, "next")
	for _, c := range []struct {
		name, stream string
		want         int // messages before the end
		err          error
	}{
		{"none", tweak("Content-Length") + next, 0, ErrFraming},
		{"below zero", tweak("Content-Length", "Content-Length: -1") + next, 0, ErrFraming},
		{"2^32", tweak("Content-Length", "Content-Length: 4294967296") + next, 0, ErrFraming},
		{"two that differ", tweak("", "l: 4") + next, 0, ErrFraming},
		{"two that do not", tweak("", "l: 0") + next, 0, ErrFraming},
		{"5 5", tweak("Content-Length", "Content-Length: 5 5") + next, 0, ErrFraming},
		{"compact", tweak("Content-Length", "l : 2") + "hi" + next, 2, io.EOF},
		{"folded", tweak("Content-Length", "Content-Length:\r\n  2") + "hi" + next, 2, io.EOF},
		{"behind a line feed alone", tweak("Content-Length", "X: a\nContent-Length: 0") + next, 0, ErrFraming},
		{"in a fold of another field", tweak("Content-Length", "Subject: x\r\n Content-Length: 9", "l: 2") + "hi" + next, 2, io.EOF},
		{"smaller than the body", tweak("Content-Length", "Content-Length: 0") + "\r\n\r\n" + next, 2, io.EOF},
		{"larger, then the end", framed(1, "") + tweak("Content-Length", "Content-Length: 99") + "x", 1, io.ErrUnexpectedEOF},
		{"over MaxBody", framed(1, "") + framed(2, strings.Repeat("x", 101)), 1, ErrFraming},
		{"as large as MaxBody", framed(1, strings.Repeat("x", 100)), 1, io.EOF},
		{"end in the header section", framed(1, "") + plain[0], 1, io.ErrUnexpectedEOF},
		{"CR alone between messages", framed(1, "") + "\rx" + next, 1, ErrFraming},
		{"nothing", "", 0, io.EOF},
		{"half a line break", "\r", 0, io.ErrUnexpectedEOF},
	} {
		r := NewReader(strings.NewReader(c.stream), &ReaderConfig{MaxBody: 100})
		got, err := collect(r)
		if len(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %d messages and %v, want %d and %v", c.name, len(got), err, c.want, c.err)
		}
		if _, again := r.ReadMessage(); again == nil {
			t.Errorf("%s: a message came after the end", c.name)
		}
	}
}

// endless gives text for ever and counts it.
type endless struct {
	text  string
	given int
}

func (e *endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		n += copy(b[n:], e.text[(e.given+n)%len(e.text):])
	}
	e.given += n
	return n, nil
}

// A peer that never comes to an end makes the Reader hold no more than a header
// section, or than a body may have.
func TestReaderMemory(t *testing.T) {
	for _, c := range []struct {
		name, start, text string
		limit             int
	}{
		{"header section", "", "x: y\r\n", 3 * maxHead},
		{"one line", "", "x", 3 * maxHead},
		{"folds", "", " y\r\n", 3 * maxHead},
		{"body", tweak("Content-Length", "Content-Length: 1048577"), "b", 3 * maxHead},
	} {
		e := &endless{text: c.text}
		r := NewReader(io.MultiReader(strings.NewReader(c.start), e), nil)
		if _, err := r.ReadMessage(); !errors.Is(err, ErrFraming) {
			t.Errorf("%s: %v, want ErrFraming", c.name, err)
		}
		if e.given > c.limit || cap(r.buf) > c.limit {
			t.Errorf("%s: %d bytes read and %d held, want at most %d", c.name, e.given, cap(r.buf), c.limit)
		}
	}
	// Keepalives for ever take no memory at all.
	ends := errors.New("enough")
	pings := 0
	r := NewReader(io.MultiReader(io.LimitReader(&endless{text: "\r\n"}, 1<<22), iotest.ErrReader(ends)), &ReaderConfig{Ping: func() { pings++ }})
	if _, err := r.ReadMessage(); err != ends || pings != 1<<20 || cap(r.buf) > 1<<13 {
		t.Errorf("keepalives: %v, %d pings, %d bytes held", err, pings, cap(r.buf))
	}
	// What one large message needed is given back.
	r = NewReader(strings.NewReader(framed(1, strings.Repeat("b", 1<<20))+framed(2, "")), nil)
	if got, err := collect(r); len(got) != 2 || err != io.EOF || cap(r.buf) > 1<<16 {
		t.Errorf("after a large message: %d messages, %v, %d bytes held", len(got), err, cap(r.buf))
	}
	// A Content-Length is no reason to make room for it before the body comes.
	r = NewReader(iotest.OneByteReader(strings.NewReader(tweak("Content-Length", "Content-Length: 1000000")+"x")), nil)
	if _, err := r.ReadMessage(); err != io.ErrUnexpectedEOF || cap(r.buf) > 1<<13 {
		t.Errorf("a promised body: %v, %d bytes held", err, cap(r.buf))
	}
}

// idle returns nothing and no error, which io.Reader discourages.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestReaderNoProgress(t *testing.T) {
	if _, err := NewReader(idle{}, nil).ReadMessage(); err != io.ErrNoProgress {
		t.Errorf("ReadMessage() = %v, want %v", err, io.ErrNoProgress)
	}
}

// What was read of a message does not change when the next one is read.
func TestReaderOwnsText(t *testing.T) {
	r := NewReader(bytes.NewReader([]byte(framed(1, "one")+framed(2, "two"))), nil)
	first, _ := r.ReadMessage()
	second, _ := r.ReadMessage()
	if first.Body() != "one" || second.Body() != "two" {
		t.Errorf("bodies %q and %q", first.Body(), second.Body())
	}
}

// Once a large message is consumed its buffer is given back, also if the next
// message has begun behind it: what a silent peer pins is small.
func TestReaderGivesLargeBuffersBack(t *testing.T) {
	for _, begun := range []string{"", "O", strings.Repeat("x", 3000)} {
		var pinned, buffered int
		var r *Reader
		text := strings.NewReader(framed(1, strings.Repeat("a", 1<<20)) + begun)
		r = NewReader(readFunc(func(b []byte) (int, error) {
			if text.Len() == 0 { // the peer is silent
				pinned, buffered = cap(r.buf), r.Buffered()
				return 0, io.EOF
			}
			return text.Read(b)
		}), nil)
		if _, err := r.ReadMessage(); err != nil {
			t.Fatal(err)
		}
		if got := r.Buffered(); got > len(begun) {
			t.Errorf("Buffered() = %d, want at most %d", got, len(begun))
		}
		r.ReadMessage()
		if buffered != len(begun) {
			t.Errorf("Buffered() = %d while the peer is silent, want %d", buffered, len(begun))
		}
		if pinned > 16384 {
			t.Errorf("%d bytes are pinned for %d", pinned, len(begun))
		}
	}
}

type readFunc func(b []byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }
