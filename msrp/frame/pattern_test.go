package frame

import (
	"strings"
	"testing"
)

// The pattern of a head is good for heads of the same text, and for no other.
func TestPattern(t *testing.T) {
	const lines = "To-Path: a\r\nFrom-Path: b\r\nX: y\r\nByte-Range: 1-5/9\r\nContent-Type: c\r\n"
	var p pattern
	learn := func(method Method, text string) {
		var h Head
		h.parse(startLine{id: []byte("abcd"), method: method}, []byte(text), &Head{})
		h.HasBody = true
		p.learn(&h, []byte(text))
	}
	for _, none := range []string{
		strings.Replace(lines, "Byte-Range: 1-5/9\r\n", "", 1),
		strings.Replace(lines, "To-Path: a", "To-Path: ", 1),            // malformed
		strings.Replace(lines, "y", strings.Repeat("y", maxPattern), 1), // more than is kept
		strings.Replace(lines, "Byte-Range: ", "Byte-Range:", 1),
	} {
		learn(SEND, none)
		if _, _, n := p.match([]byte("MSRP abcd SEND\r\n" + none + "\r\n")); n != 0 {
			t.Errorf("%.80q has a pattern", none)
		}
	}
	learn(REPORT, lines)
	if _, _, n := p.match([]byte("MSRP abcd SEND\r\n" + lines + "\r\n")); n != 0 {
		t.Error("a SEND follows the pattern of a REPORT")
	}
	learn(SEND, lines)
	learn(SEND, strings.Replace(lines, "Byte-Range", "X-Byte-Range", 1)) // changes nothing
	text := "MSRP abcd SEND\r\n" + lines + "\r\n"
	swap := func(from, to string) string { return strings.Replace(text, from, to, 1) }
	for _, c := range []struct {
		text string
		want Range // the zero Range: no match
	}{
		{text, Range{1, 5, 9}},
		{text + "body", Range{1, 5, 9}},
		{swap("1-5/9", "6-*/*"), Range{6, Unknown, Unknown}},
		{swap("abcd", "-"), Range{1, 5, 9}},
		{swap("abcd", strings.Repeat("a", maxID)), Range{1, 5, 9}},
		{swap("abcd", strings.Repeat("a", maxID+1)), Range{}},
		{swap("abcd", ""), Range{}},
		{swap("abcd", "ab_d"), Range{}},
		{swap("SEND", "REPORT"), Range{}},
		{swap("MSRP", "msrp"), Range{}},
		{swap("To-Path", "to-path"), Range{}},
		{swap("From-Path: b", "From-Path: bb"), Range{}},
		{swap("X: y\r\n", ""), Range{}},
		{swap("Content-Type: c", "Content-Type: d"), Range{}},
		{swap("1-5/9", "1-5/4"), Range{}},
		{swap("1-5/9", "1-5/9\n"), Range{}},
		{swap("1-5/9", strings.Repeat("0", 70)+"1-5/9"), Range{}}, // to be read the long way
		{swap("c\r\n\r\n", "c\r\n-------abcd$\r\n"), Range{}},
		{text[:len(text)-1], Range{}},
		{text[:20], Range{}},
		{"", Range{}},
	} {
		id, at, n := p.match([]byte(c.text))
		if at != c.want || (n != 0) != (c.want != Range{}) {
			t.Errorf("%q: range %v and %d bytes, want %v", c.text, at, n, c.want)
		}
		if n != 0 && (!strings.HasPrefix(c.text, "MSRP "+string(id)+" SEND\r\n") || !strings.HasSuffix(c.text[:n], "\r\n\r\n")) {
			t.Errorf("%q: id %q and %d bytes", c.text, id, n)
		}
	}
}

// The echo of a response is good for responses of the same text, and for no other.
func TestEcho(t *testing.T) {
	const text = "MSRP abcd 200 OK\r\nTo-Path: a\r\nFrom-Path: b\r\nX: y\r\n-------abcd$\r\n"
	var e echo
	learn := func(whole string) {
		s, ok, err := scanHead([]byte(whole))
		if !ok || err != nil {
			t.Fatalf("%q is no head", whole)
		}
		var h Head
		h.parse(s.start, s.lines, &Head{})
		e.learn(&h, []byte(whole))
	}
	for _, none := range []string{
		strings.Replace(text, "200 OK", "REPORT", 1),
		strings.Replace(text, "To-Path: a\r\n", "", 1),                 // malformed
		strings.Replace(text, "y", strings.Repeat("y", maxPattern), 1), // more than is kept
	} {
		learn(none)
		if _, _, n := e.match([]byte(none)); n != 0 {
			t.Errorf("%.80q has an echo", none)
		}
	}
	learn(text)
	for _, c := range []struct {
		text string
		want Flag // 0: no match
	}{
		{text, Complete},
		{text + "MSRP", Complete},
		{strings.ReplaceAll(text, "abcd", "-%=+"), Complete},
		{strings.Replace(text, "$", "#", 1), Aborted},
		{strings.Replace(text, "$", "*", 1), 0},
		{strings.Replace(text, "-------abcd", "-------abce", 1), 0},
		{strings.Replace(text, "-------abcd", "-------abcde", 1), 0},
		{strings.ReplaceAll(text, "abcd", "ab_d"), 0},
		{strings.Replace(text, "200", "413", 1), 0},
		{strings.Replace(text, "X: y", "X: z", 1), 0},
		{text[:len(text)-1], 0},
		{strings.Replace(text, "$\r\n", "$\n\n", 1), 0},
		{text[:20], 0},
	} {
		id, flag, n := e.match([]byte(c.text))
		if flag != c.want || (n > 0) != (c.want != 0) {
			t.Errorf("match(%q) = %q, %q, %d; want the flag %q", c.text, id, flag, n, c.want)
		}
		if n > 0 && n != strings.Index(c.text, "\r\n-------")+2+7+len(id)+3 {
			t.Errorf("match(%q) says %d bytes", c.text, n)
		}
	}
}
