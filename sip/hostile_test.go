package sip

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The must-survive list: bad input by groups, each with its verdict. Groups 1 and
// 2, start lines and header lines, are in this file, 3 and 4 in
// hostile_fields_test.go, 5 and 6 in hostile_values_test.go, 7 and 8, what the
// network cuts, in hostile_framing_test.go. What older stacks paid for, and is in
// no group, is in hostile_lessons_test.go.

// plain is a request with every header field that must be there.
var plain = []string{
	"OPTIONS sip:bob@example.com SIP/2.0",
	"Via: SIP/2.0/UDP a.example;branch=z9hG4bK1",
	"From: <sip:alice@example.com>;tag=1",
	"To: <sip:bob@example.com>",
	"Call-ID: 1@a.example",
	"CSeq: 1 OPTIONS",
	"Max-Forwards: 70",
	"Content-Length: 0",
}

// tweak returns the plain request with other lines in place of the one that
// starts with a name, or with all lines at the end if the name is "".
func tweak(name string, lines ...string) string {
	var all []string
	for _, line := range plain {
		if name != "" && strings.HasPrefix(line, name) {
			all = append(all, lines...)
			continue
		}
		all = append(all, line)
	}
	if name == "" {
		all = append(all, lines...)
	}
	return strings.Join(all, "\r\n") + "\r\n\r\n"
}

func start(line string) string { return tweak("OPTIONS", line) }

// hostile is an input and what becomes of it, in the words of verdictOf.
type hostile struct{ name, text, want string }

func (h hostile) run(t *testing.T) {
	t.Run(h.name, func(t *testing.T) {
		m, err := Parse(h.text)
		if got := verdictOf(t, m, err); got != h.want {
			t.Errorf("Parse() = %s (%v), want %s", got, err, h.want)
		}
	})
}

// hostiles are all of them, for fuzzing to begin with.
func hostiles() []hostile {
	return slices.Concat(hostileStartLines, hostileHeaderLines, hostileDuplicates, hostileVias, hostileNumbers,
		hostileValues, hostileURIFields, hostileDatagrams, hostileLessons)
}

// verdictOf says what becomes of what Parse returned:
//
//	ok                      a message, and its header fields are good
//	ok; Contact refused     a message, and Get or All refuse this header field
//	400 From                refused; Reply answers 400 and names the field
//	400 Via, unanswered     refused, and there is nothing to answer, or no way back
//	dropped, start line     refused; it was a response, or meant to be one
func verdictOf(t *testing.T, m Message, err error) string {
	t.Helper()
	if e, ok := errors.AsType[*SyntaxError](err); ok {
		replySafe(t, err)
		switch {
		case e.Status == 0:
			return "dropped, " + e.Where
		case e.Reply() == nil:
			return fmt.Sprintf("%d %s, unanswered", e.Status, e.Where)
		}
		return fmt.Sprintf("%d %s", e.Status, e.Where)
	}
	if err != nil {
		t.Fatal(err)
	}
	readAll(m)
	if same := with(m); same.String() != m.String() {
		t.Errorf("With() without edits wrote\n%q\nfor\n%q", same, m)
	}
	verdict := "ok"
	for _, h := range typedHeaders {
		err := h.read(m)
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[*SyntaxError](err); !ok || e.Where != h.name() {
			t.Errorf("reading a %s: %v", h.name(), err)
		}
		verdict += "; " + h.name() + " refused"
	}
	if c, err := Get[Contact](m); err == nil && c.Params.Has("expires") {
		if _, ok := c.Expires(); !ok {
			verdict += "; Contact says no Expires"
		}
	}
	return verdict
}

// Group 1.
var hostileStartLines = []hostile{
	{"empty", "", "400 start line, unanswered"},
	{"nothing but line breaks", "\r\n\r\n\r\n", "400 start line, unanswered"},
	{"spaces", start("   "), "400 start line, unanswered"},
	{"line breaks first", "\r\n\r\n" + start(plain[0]), "ok"},
	{"tabs", start("OPTIONS\tsip:bob@example.com\tSIP/2.0"), "400 start line, unanswered"},
	{"lower case method", start("options sip:bob@example.com SIP/2.0"), "400 CSeq"}, // not that of CSeq
	{"70 kB Request-URI", start("OPTIONS sip:" + strings.Repeat("b", 70000) + " SIP/2.0"), "414 start line"},
	{"70 kB without an end", "OPTIONS sip:" + strings.Repeat("b", 70000), "414 start line, unanswered"},
	{"no version", start("OPTIONS sip:bob@example.com"), "400 start line"},
	{"version of another protocol", start("OPTIONS sip:bob@example.com HTTP/1.1"), "400 start line"},
	{"version in lower case", start("OPTIONS sip:bob@example.com sip/2.0"), "ok"},
	{"SIP/7.0", start("OPTIONS sip:bob@example.com SIP/7.0"), "505 start line"},
	{"line feed alone", strings.ReplaceAll(start(plain[0]), "\r\n", "\n"), "400 start line, unanswered"},
	{"carriage return alone", strings.ReplaceAll(start(plain[0]), "\r\n", "\r"), "400 start line, unanswered"},
	{"NUL", start("OPTIONS sip:bob\x00@example.com SIP/2.0"), "400 Request-URI"},
	{"status 0", start("SIP/2.0 0 OK"), "dropped, start line"},
	{"status 99", start("SIP/2.0 099 OK"), "dropped, start line"},
	{"status 700", start("SIP/2.0 700 OK"), "dropped, start line"},
	{"status 1000", start("SIP/2.0 1000 OK"), "dropped, start line"},
	{"status of six digits", start("SIP/2.0 200200 OK"), "dropped, start line"},
	{"status of letters", start("SIP/2.0 2OO OK"), "dropped, start line"},
	{"status of nothing", start("SIP/2.0 "), "dropped, start line"},
	{"response of another version", start("SIP/7.0 200 OK"), "dropped, start line"},
	{"response", start("SIP/2.0 200 OK"), "ok"},
	{"response with a carriage return", start("SIP/2.0 200 O\rK"), "dropped, start line"},
	{"response with a NUL", start("SIP/2.0 200 O\x00K"), "dropped, start line"},
	{"spaces and nothing else", "      ", "400 start line, unanswered"},
	{"two spaces", start("OPTIONS  sip:bob@example.com SIP/2.0"), "400 start line"},
	{"a space behind the version", start(plain[0] + " "), "400 start line"},
	{"a space before the method", start(" " + plain[0]), "400 start line, unanswered"},
	{"method of 40 kB", start(strings.Repeat("M", 40000) + " sip:bob@example.com SIP/2.0"), "414 start line"},
	{"no Request-URI", start("OPTIONS SIP/2.0"), "400 start line"},
	{"empty Request-URI", start("OPTIONS  SIP/2.0"), "400 Request-URI"},
	{"SIP/2.00", start("OPTIONS sip:bob@example.com SIP/2.00"), "505 start line"},
	{"SIP/2", start("OPTIONS sip:bob@example.com SIP/2"), "400 start line"},
	{"SIP/2.0.0", start("OPTIONS sip:bob@example.com SIP/2.0.0"), "400 start line"},
	{"SIP/99999999999.0", start("OPTIONS sip:bob@example.com SIP/99999999999.0"), "400 start line"},
	{"line feed alone behind the start line", strings.Replace(start(plain[0]), "\r\n", "\n", 1), "400 start line, unanswered"},
	{"carriage return alone behind the start line", strings.Replace(start(plain[0]), "\r\n", "\r", 1), "400 start line, unanswered"},
	{"line feeds first", "\n\n" + start(plain[0]), "400 start line, unanswered"},
	{"NUL first", "\x00" + start(plain[0]), "400 start line, unanswered"},
	{"NUL in the method", start("OPT\x00IONS sip:bob@example.com SIP/2.0"), "400 start line, unanswered"},
	{"NUL in the version", start("OPTIONS sip:bob@example.com SIP/2.0\x00"), "400 start line"},
	{"status of two digits", start("SIP/2.0 99 OK"), "dropped, start line"},
	{"status 699", start("SIP/2.0 699 No"), "ok"},
	{"status below zero", start("SIP/2.0 -200 OK"), "dropped, start line"},
	{"status without a phrase and its space", start("SIP/2.0 200"), "ok"},
	{"response with a tab", start("SIP/2.0\t200\tOK"), "dropped, start line"},
	{"response in lower case", start("sip/2.0 200 OK"), "ok"},
	{"response with a line feed", start("SIP/2.0 200 OK\nVia: SIP/2.0/UDP evil.example"), "dropped, start line"},
}

func TestHostileStartLines(t *testing.T) {
	for _, h := range hostileStartLines {
		h.run(t)
	}
}

// Group 2.
var hostileHeaderLines = []hostile{
	{"white space before the colon", tweak("", "Subject \t: x"), "ok"},
	{"NUL before the colon", tweak("", "Subject\x00: x"), "400 header section"},
	{"control before the colon", tweak("", "Subject\x01: x"), "400 header section"},
	{"UTF-8 before the colon", tweak("", "Subj\u00e9ct: x"), "400 header section"},
	{"white space in the name", tweak("", "Sub ject: x"), "400 header section"},
	{"no colon", tweak("", "Subject"), "400 header section"},
	{"empty name", tweak("", ": x"), "400 header section"},
	{"name of 64 kB", tweak("", strings.Repeat("n", 64000)+": x"), "400 header section"},
	{"value of 64 kB", tweak("", "Subject: "+strings.Repeat("n", 66000)), "513 header section"},
	{"folds to 1 MB", tweak("", "Subject: x"+strings.Repeat("\r\n x", 1<<18)), "400 header section"},
	{"501 header fields", tweak("", strings.Repeat("X-A: y\r\n", 494)), "400 header section"},
	{"fold before any field", strings.Join(plain[:1], "") + "\r\n " + strings.Join(plain[1:], "\r\n") + "\r\n\r\n", "400 header section, unanswered"},
	{"fold after the last field", tweak("Content-Length", "Content-Length: 0", " "), "ok"},
	{"line of white space before the body", tweak("", "Subject: x\r\n  \r\n"), "ok"},
	{"no empty line", strings.Join(plain, "\r\n") + "\r\n", "400 header section"},
	{"no end of the last line", strings.Join(plain, "\r\n"), "400 header section"},
	{"start line alone", plain[0] + "\r\n\r\n", "400 Via, unanswered"},
	{"NUL in a value", tweak("", "Subject: a\x00b"), "400 header section"},
	{"NUL behind a backslash without quotes", tweak("", "X-A: a\\\x00b"), "400 header section"},
	{"NUL behind a backslash after quotes", tweak("", "X-A: \"a\"\\\x00b"), "400 header section"},
	{"quotes of one field and a NUL of the next", tweak("", "X-A: \"", "Y: \\\x00"), "400 header section"},
	{"quoted-pair in a fold", tweak("", "X-A: \"a", " \\\x00\""), "ok"},
	{"control behind two backslashes", tweak("", "X-A: \"\\\\\x01\""), "400 header section"},
	{"controls in a value", tweak("", "X-A: a\x01\x08\x1b"), "400 header section"},
	{"control at the end", tweak("", "X-A: a\x1f"), "400 header section"},
	{"tabs in a value", tweak("", "X-A:\ta\tb\t"), "ok"},
	{"many lines with a control at their end", tweak("", strings.Repeat("X-A: abcdefghijklmnopqrstuvwxyz\r\n", 400)+"Y: \x02"), "400 header section"},
	{"NUL behind a backslash", tweak("From", `From: "a\`+"\x00"+`" <sip:a@a.example>;tag=1`), "ok"},
	{"CR in a value", tweak("", "Subject: a\rb"), "400 header section"},
	{"LF in a value", tweak("", "Subject: a\nRoute: <sip:evil.example>"), "400 header section"},
	{"UTF-8 in a value", tweak("", "Subject: caf\u00e9"), "ok"},
	{"no-break space before the colon", tweak("", "Subject\u00a0: x"), "400 header section"},
	{"DEL before the colon", tweak("", "Subject\x7f: x"), "400 header section"},
	{"vertical tab before the colon", tweak("", "Subject\v: x"), "400 header section"},
	{"NUL in the name", tweak("", "Sub\x00ject: x"), "400 header section"},
	{"fold between name and colon", tweak("", "Subject\r\n : x"), "400 header section"},
	{"quotes for a name", tweak("", `"Subject": x`), "400 header section"},
	{"a colon and nothing else", tweak("", ":"), "400 header section"},
	{"folds of white space to 1 MB", tweak("", "Subject: x"+strings.Repeat("\r\n \t ", 1<<18)), "400 header section"},
	{"folds to 60 kB", tweak("", "Subject: x"+strings.Repeat("\r\n x", 15000)), "400 header section"},
	{"a fold and no end", strings.Join(plain, "\r\n") + "\r\n ", "400 header section"},
	{"the empty line cut in half", strings.Join(plain, "\r\n") + "\r\n\r", "400 header section"},
	{"an empty line of a line feed", strings.Join(plain, "\r\n") + "\r\n\n", "400 header section"},
	{"empty line behind the start line", plain[0] + "\r\n\r\n" + strings.Join(plain[1:], "\r\n") + "\r\n\r\n", "400 Via, unanswered"},
	{"Via behind 500 other lines", tweak("Via", strings.Repeat("X-A: y\r\n", maxFields)+plain[1]), "400 header section, unanswered"},
	{"two line breaks and nothing else", "\r\n\r\n", "400 start line, unanswered"},
}

func TestHostileHeaderLines(t *testing.T) {
	for _, h := range hostileHeaderLines {
		h.run(t)
	}
}
