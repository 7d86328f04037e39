package sip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
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

// cut gives a text that came in two reads.
func cut(text string, at int) io.Reader {
	return io.MultiReader(strings.NewReader(text[:at]), strings.NewReader(text[at:]))
}

// Wherever a real message is cut, it and what follows it come out as they were
// sent, and so do the keepalives between.
func TestReaderSplitsAtEveryByte(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "messages", "*.sip"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d messages, %v", len(files), err)
	}
	next := framed(2, "next")
	for _, file := range files {
		msg := readFile(t, "messages/"+filepath.Base(file))
		stream := "\r\n\r\n" + msg + "\r\n" + next
		want := msg + "|" + next
		for at := range len(stream) + 1 {
			var pings, pongs int
			r := NewReader(cut(stream, at), &ReaderConfig{Ping: func() { pings++ }, Pong: func() { pongs++ }})
			if got, err := collect(r); err != io.EOF || strings.Join(got, "|") != want || pings != 1 || pongs != 3 {
				t.Fatalf("%s cut at %d: %d messages, %v, %d pings, %d line breaks", file, at, len(got), err, pings, pongs)
			}
		}
	}
}

// RFC 5626 sections 3.5.1 and 4.4.1: a double CRLF between messages is a ping
// and asks for a CRLF at once; RFC 3261 section 7.5 has any number of them
// ignored. Within a message they are part of it.
func TestReaderKeepalives(t *testing.T) {
	msg := framed(1, "\r\n\r\n\r\n\r\n")
	for _, c := range []struct {
		name, stream string
		want         string // m for a message, . for a CRLF, p for a ping
		err          error
	}{
		{"none", msg + msg, "mm", io.EOF},
		{"a ping", "\r\n\r\n", "..p", io.EOF},
		{"a pong", "\r\n", ".", io.EOF},
		{"a ping first", "\r\n\r\n" + msg, "..pm", io.EOF},
		{"a pong between", msg + "\r\n" + msg, "m.m", io.EOF},
		{"a ping between", msg + "\r\n\r\n" + msg, "m..pm", io.EOF},
		{"two pings", msg + "\r\n\r\n\r\n\r\n", "m..p..p", io.EOF},
		{"a ping and a half", "\r\n\r\n\r\n" + msg, "..p.m", io.EOF},
		{"halves of two", "\r\n" + msg + "\r\n" + msg, ".m.m", io.EOF},
		{"a line feed alone begins a message", "\n" + msg, "x", ErrFraming},
		{"the end within one", "\r\n\r", ".", io.ErrUnexpectedEOF},
		{"CR alone", "\r\r\n", "", ErrFraming},
	} {
		for at := range len(c.stream) + 1 {
			var events strings.Builder
			r := NewReader(cut(c.stream, at), &ReaderConfig{Ping: func() { events.WriteByte('p') }, Pong: func() { events.WriteByte('.') }})
			var end error
			for end == nil {
				_, err := r.ReadMessage()
				var syntax *SyntaxError
				switch {
				case err == nil:
					events.WriteByte('m')
				case errors.As(err, &syntax):
					events.WriteByte('x')
				default:
					end = err
				}
			}
			if got := events.String(); got != c.want || !errors.Is(end, c.err) {
				t.Errorf("%s, cut at %d: %s and %v, want %s and %v", c.name, at, got, end, c.want, c.err)
			}
		}
	}
}

// A ping is told of at once, not when the next message comes.
func TestReaderPingIsNotHeldBack(t *testing.T) {
	pinged := false
	text := strings.NewReader("\r\n\r\n")
	r := NewReader(readFunc(func(b []byte) (int, error) {
		if text.Len() == 0 && !pinged {
			t.Error("the Reader reads on before it tells of a ping")
		}
		return text.Read(b)
	}), &ReaderConfig{Ping: func() { pinged = true }})
	if _, err := r.ReadMessage(); err != io.EOF {
		t.Errorf("ReadMessage() = %v, want EOF", err)
	}
}

// A header section may have 65535 bytes, however it comes.
func TestReaderHeaderSectionLimit(t *testing.T) {
	for over := -1; over <= 2; over++ {
		msg := framed(1, "")
		msg = strings.Replace(msg, "\r\n\r\n", "\r\nX: "+strings.Repeat("x", maxHead+over-len(msg)-5)+"\r\n\r\n", 1)
		stream := msg + framed(2, "")
		want, wantErr := 2, error(io.EOF)
		if over > 0 {
			want, wantErr = 0, ErrFraming
		}
		for name, r := range map[string]io.Reader{
			"at once":          strings.NewReader(stream),
			"a byte at a time": iotest.OneByteReader(strings.NewReader(stream)),
			"with the next":    cut(stream, maxHead),
		} {
			got, err := collect(NewReader(r, nil))
			if len(msg) != maxHead+over || len(got) != want || !errors.Is(err, wantErr) {
				t.Errorf("%d bytes %s: %d messages and %v, want %d and %v", len(msg), name, len(got), err, want, wantErr)
			}
		}
	}
}

// The error of a connection is told as it is.
func TestReaderErrors(t *testing.T) {
	reset := errors.New("reset by peer")
	for _, c := range []struct {
		begun     string
		err, want error
	}{
		{"", io.EOF, io.EOF},
		{"OPT", io.EOF, io.ErrUnexpectedEOF},
		{tweak("Content-Length", "Content-Length: 5") + "1234", io.EOF, io.ErrUnexpectedEOF},
		{"", io.ErrUnexpectedEOF, io.ErrUnexpectedEOF}, // TLS that was cut
		{"", reset, reset},
		{"OPT", reset, reset},
	} {
		stream := io.MultiReader(strings.NewReader(framed(1, "")+"\r\n"+c.begun), iotest.ErrReader(c.err))
		if got, err := collect(NewReader(stream, nil)); len(got) != 1 || err != c.want {
			t.Errorf("%v behind %q: %d messages and %v, want 1 and %v", c.err, c.begun, len(got), err, c.want)
		}
	}
}

// RFC 7118 section 5: a WebSocket message is a SIP message, like a datagram
// (RFC 3261 section 18.3), and needs no Content-Length.
func TestOneMessageAFrame(t *testing.T) {
	for _, c := range []struct {
		name, frame string
		body        string
		status      Status // of the error, 200 for none
	}{
		{"no Content-Length: up to the end", tweak("Content-Length") + "hello", "hello", 200},
		{"no body", tweak("Content-Length"), "", 200},
		{"Content-Length that fits", framed(1, "hello"), "hello", 200},
		{"more than it says is dropped", framed(1, "hello") + "junk", "hello", 200},
		{"and so is a second message", framed(1, "hello") + framed(2, "other"), "hello", 200},
		{"less than it says is an error", tweak("Content-Length", "Content-Length: 6") + "hello", "", 400},
		{"line breaks first", "\r\n\r\n" + framed(1, "hello"), "hello", 200},
		{"binary", tweak("Content-Length") + "\x00\xff\r\n", "\x00\xff\r\n", 200},
		{"UTF-8", tweak("Content-Length", "Subject: \u540d") + "\u540d", "\u540d", 200},
		{"half a message", framed(1, "")[:100], "", 400},
		{"a ping is no message", "\r\n\r\n", "", 400},
		{"nothing", "", "", 400},
	} {
		m, err := ParseBytes([]byte(c.frame))
		var syntax *SyntaxError
		switch {
		case err == nil:
			if c.status != 200 || m.Body() != c.body {
				t.Errorf("%s: body %q, want %q and status %d", c.name, m.Body(), c.body, c.status)
			}
		case !errors.As(err, &syntax) || syntax.Status != c.status:
			t.Errorf("%s: %v, want status %d", c.name, err, c.status)
		}
	}
	// A response that does not fit gets no answer.
	short := tweak("OPTIONS", "SIP/2.0 200 OK")
	_, err := ParseBytes([]byte(strings.Replace(short, "Content-Length: 0", "Content-Length: 6", 1)))
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Status != 0 || syntax.Reply() != nil {
		t.Errorf("a response that is cut short: %v", err)
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
		{"in another case", tweak("Content-Length", "cONTENT-lENGTH:2") + "hi" + next, 2, io.EOF},
		{"compact and in upper case", tweak("Content-Length", "L:2") + "hi" + next, 2, io.EOF},
		{"a fold that goes on", tweak("Content-Length", "Content-Length: 1\r\n 0") + next, 0, ErrFraming},
		{"a folded second one", tweak("", "l:\r\n 0") + next, 0, ErrFraming},
		{"leading zeros", tweak("Content-Length", "Content-Length: 0000000002") + "hi" + next, 2, io.EOF},
		{"a sign", tweak("Content-Length", "Content-Length: +2") + "hi" + next, 0, ErrFraming},
		{"empty", tweak("Content-Length", "Content-Length: ") + next, 0, ErrFraming},
		{"in the place of the start line", tweak("OPTIONS", "Content-Length: 4") + next, 1, ErrFraming},
		{"like another name", tweak("", "Content-Lengthy: 9") + next, 2, io.EOF},
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
