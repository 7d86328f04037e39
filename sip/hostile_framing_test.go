package sip

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// withBody returns the plain request with a body and a Content-Length that may
// be another one.
func withBody(length, body string) string {
	return tweak("Content-Length", "Content-Length: "+length) + body
}

// Group 7: what a stream may hold. What depends on time and on the number of
// connections is for the transport: see its TestSlowLoris, TestMessageTimeLimit,
// TestMaxConns and TestConnsLimit.
func TestHostileStreams(t *testing.T) {
	next := framed(1, "")
	noLength := tweak("Content-Length")
	for _, h := range []hostile{
		{"pipelined messages", next + next + next, "next | next | next"},
		{"a body that is a message", withBody("400", next+strings.Repeat("x", 400-len(next))) + next, "ok | next"},
		{"Content-Length smaller than the body, the next message behind it", withBody("4", "body and more") + next, "ok | 400 start line, unanswered"},
		{"Content-Length smaller than the body, which ends its header section", withBody("4", "body and more\r\n\r\n") + next, "ok | closed"},
		{"Content-Length larger, then the end", withBody("99", "body"), "waits for more"},
		{"Content-Length larger, then the next message", withBody("10", "body") + next + next, "ok | 400 CSeq | next"},
		{"no Content-Length", noLength + next, "closed"},
		{"no Content-Length, and a body", noLength + "body" + next, "closed"},
		{"Content-Length 2^32+4", withBody("4294967300", "body") + next, "closed"},
		{"Content-Length below zero", withBody("-1", "") + next, "closed"},
		{"two Content-Lengths", tweak("", "l: 4") + "body" + next, "closed"},
		{"Content-Length behind a line feed", tweak("Content-Length", "X-A: a\nContent-Length: 198", "l: 0") + next, "400 header section | closed"},
		{"Content-Length with a NUL", tweak("Content-Length", "Content-Length\x00: 198", "l: 0") + next, "400 header section | closed"},
		{"a fold behind the start line", tweak("Via", " Content-Length: 198", plain[1]) + next, "400 header section | closed"},
		{"a control character in a value", tweak("", "Subject: \x01") + next, "400 header section | next"},
		{"Content-Length behind a carriage return", tweak("Content-Length", "X-A: a\rContent-Length: 4", "l: 0") + next, "400 header section | closed"},
		{"Content-Length of another name", tweak("Content-Length", "Content-Length\u00a0: 4", "l: 0") + next, "400 header section | closed"},
		{"a message that is refused", strings.Replace(next, "CSeq: 1", "CSeq: x", 1) + next, "400 CSeq | next"},
		{"a response that is refused", strings.Replace(next, plain[0], "SIP/2.0 999 ?", 1) + next, "dropped, start line | next"},
		{"keepalives between messages", "\r\n\r\n" + next + "\r\n" + next + "\r\n\r\n", "next | next"},
		{"keepalive in a start line", "OPTI\r\n\r\nONS" + strings.TrimPrefix(next, "OPTIONS"), "closed"},
		{"keepalive in a header section, before its length", plain[0] + "\r\n\r\n" + strings.TrimPrefix(next, plain[0]+"\r\n"), "closed"},
		{"keepalive in a header section, behind its length", plain[0] + "\r\nl: 0\r\n\r\n" + noLength, "400 Via, unanswered | closed"},
		{"keepalive in a body", withBody("8", "bo\r\n\r\ndy") + next, "ok | next"},
		{"keepalive of a line feed", next + "\n\n" + next, "next | 400 start line, unanswered | closed"},
		{"keepalive cut in half", next + "\r", "next | waits for more"},
		{"another protocol", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "closed"},
		{"the hello of TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 154), "waits for more"},
		{"a header section without an end", plain[0] + "\r\n" + strings.Repeat("X-A: y\r\n", 20000), "closed"},
		{"a line without an end", strings.Repeat("x", 100000), "closed"},
		{"a promise of a gigabyte", withBody("1073741824", ""), "closed"},
		{"nothing", "", ""},
	} {
		t.Run(h.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"at once":          strings.NewReader(h.text),
				"a byte at a time": iotest.OneByteReader(strings.NewReader(h.text)),
			} {
				if got := streamVerdicts(t, r, next); got != h.want {
					t.Errorf("%s: %s, want %s", how, got, h.want)
				}
			}
		})
	}
}

// streamVerdicts says what becomes of each message of a stream, "next" being a
// message that is known to be good, and of the stream at its end: nothing is said
// of one that ends between messages.
func streamVerdicts(t *testing.T, stream io.Reader, next string) string {
	t.Helper()
	r := NewReader(stream, nil)
	var verdicts []string
	for {
		m, err := r.ReadMessage()
		_, broken := errors.AsType[*SyntaxError](err)
		switch {
		case err == nil && m.String() == next:
			verdicts = append(verdicts, "next")
			continue
		case err == nil || broken:
			verdicts = append(verdicts, verdictOf(t, m, err))
			continue
		case errors.Is(err, ErrFraming):
			verdicts = append(verdicts, "closed")
		case err == io.ErrUnexpectedEOF:
			verdicts = append(verdicts, "waits for more")
		case err != io.EOF:
			t.Errorf("the stream ends with %v", err)
		}
		return strings.Join(verdicts, " | ")
	}
}

// Group 8: what a datagram may hold.
var hostileDatagrams = []hostile{
	{"body shorter than Content-Length", withBody("10", "12345"), "400 Content-Length"},
	{"one byte", "x", "400 start line, unanswered"},
	{"two line breaks", "\r\n\r\n", "400 start line, unanswered"},
	{"STUN", "\x00\x01\x00\x00\x21\x12\xa4\x42" + strings.Repeat("x", 12), "400 start line, unanswered"},
	{"as large as UDP carries", tweak("Content-Length", "Subject: x") + strings.Repeat("b", 65507-len(tweak("Content-Length", "Subject: x"))), "ok"},
	{"text of another protocol", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "400 start line, unanswered"},
	{"empty datagram", "", "400 start line, unanswered"},
	{"a zero byte", "\x00", "400 start line, unanswered"},
	{"a line break", "\r\n", "400 start line, unanswered"},
	{"STUN with its first two bits set", "\xc0\x01\x00\x00\x21\x12\xa4\x42" + strings.Repeat("x", 12), "400 start line, unanswered"},
	{"first fragment of a request", withBody("9000", strings.Repeat("x", 1200)), "400 Content-Length"},
	{"second fragment of a request", strings.Repeat("x", 1200), "400 start line, unanswered"},
	{"request cut in its header section", tweak("")[:150], "400 header section"},
	{"response shorter than Content-Length", strings.Replace(withBody("10", "12345"), plain[0], "SIP/2.0 200 OK", 1), "dropped, Content-Length"},
	{"ACK shorter than Content-Length", strings.NewReplacer("OPTIONS sip", "ACK sip", "1 OPTIONS", "1 ACK").Replace(withBody("10", "12345")), "400 Content-Length, unanswered"},
	{"body longer than Content-Length", withBody("3", "123OPTIONS sip:evil.example SIP/2.0\r\n"), "ok"},
	{"two requests", tweak("") + tweak(""), "ok"},
	{"65,507 bytes of line breaks", strings.Repeat("\r\n", 32753), "400 start line, unanswered"},
	{"65,507 bytes of header lines", tweak("", strings.Repeat("x: y\r\n", 10000)), "400 header section"},
}

func TestHostileDatagrams(t *testing.T) {
	for _, h := range hostileDatagrams {
		h.run(t)
	}
	// Of a longer datagram the rest is ignored (RFC 3261 section 18.3).
	m := mustParse(t, withBody("3", "123OPTIONS sip:evil.example SIP/2.0\r\n"))
	if m.Body() != "123" || !strings.HasSuffix(m.String(), "\r\n\r\n123") {
		t.Errorf("Body() = %q, want what Content-Length says", m.Body())
	}
}

// One message that is refused does not end the stream for others where its lines
// are what they should be.
func TestRefusedMessagesEndNoStream(t *testing.T) {
	for _, text := range []string{
		strings.Replace(tweak(""), "SIP/2.0", "SIP/7.0", 1),
		strings.Replace(tweak(""), "sip:bob@example.com", "sip:[x", 1),
		tweak("", "X: a\x01"),
		tweak("", "Call-ID: 2"),
		tweak("CSeq", "CSeq: 1\r\n x"),
		tweak("", strings.Repeat("X: a\r\n", 500)+"X: a"),
		strings.Replace(tweak(""), plain[0], "SIP/2.0 999 x", 1),
	} {
		r := NewReader(strings.NewReader(text+framed(9, "")), nil)
		var bad *SyntaxError
		if m, err := r.ReadMessage(); !errors.As(err, &bad) {
			t.Errorf("%.99q: %v and %v, want it refused", text, m, err)
		}
		if m, err := r.ReadMessage(); err != nil || m.CSeq().Seq != 9 && m.CallID() == "" {
			t.Errorf("%.99q: then %v and %v, want the next message", text, m, err)
		}
	}
}

// Whatever is wrong first, a line behind it that hides a Content-Length from one
// reader and not from another ends the stream: what one takes for a body must
// not be the next request for another.
func TestHostileDecoys(t *testing.T) {
	inner := framed(9, "")
	decoys := map[string]func(string) string{
		"Request-URI":      func(s string) string { return strings.Replace(s, "sip:bob@example.com", "sip:[x", 1) },
		"long Request-URI": func(s string) string { return strings.Replace(s, "bob", strings.Repeat("x", 17000), 1) },
		"version":          func(s string) string { return strings.Replace(s, "SIP/2.0", "SIP/3.0", 1) },
		"status":           func(s string) string { return strings.Replace(s, plain[0], "SIP/2.0 999 x", 1) },
		"second Call-ID":   func(s string) string { return strings.Replace(s, "Call-ID", "Call-ID: 1\r\nCall-ID", 1) },
		"control":          func(s string) string { return strings.Replace(s, "Call-ID", "X: a\x01\r\nCall-ID", 1) },
		"lines": func(s string) string {
			return strings.Replace(s, "Call-ID", strings.Repeat("X: a\r\n", 500)+"Call-ID", 1)
		},
		"folds": func(s string) string {
			return strings.Replace(s, "Call-ID", "X: a"+strings.Repeat("\r\n a", 300)+"\r\nCall-ID", 1)
		},
	}
	for _, line := range []string{"Content-Length: 100", "l:100", " l : 100"} {
		r := NewReader(strings.NewReader(strings.Replace(tweak(""), plain[0], line, 1)+inner), nil)
		if m, err := r.ReadMessage(); err == nil {
			t.Errorf("%q for the start line: %v", line, m)
		}
		if m, err := r.ReadMessage(); !errors.Is(err, ErrFraming) {
			t.Errorf("%q for the start line: then %v and %v, want ErrFraming", line, m, err)
		}
	}
	for decoy, spoil := range decoys {
		for _, line := range []string{"X: a\nContent-Length: 100", "X: a\rContent-Length: 100", "X: a\x00", "X: a\\\x00Content-Length: 100", "X: \"\\\\\x00\"", "X: a\vContent-Length: 100", "Content-Length\v: 100", "Content-Length 100", ": 100"} {
			stream := spoil(tweak("Content-Length", line, "Content-Length: 0")) + inner
			r := NewReader(strings.NewReader(stream), nil)
			_, err := r.ReadMessage()
			var bad *SyntaxError
			if !errors.As(err, &bad) && !errors.Is(err, ErrFraming) {
				t.Errorf("%s, %q: %v, want it refused", decoy, line, err)
			}
			if m, err := r.ReadMessage(); !errors.Is(err, ErrFraming) {
				t.Errorf("%s, %q: then %v and %v, want ErrFraming", decoy, line, m, err)
			}
		}
	}
}
