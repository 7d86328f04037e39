package sip

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// printed is a message as an RFC prints it. The README of testdata says how
// they are kept.
type printed struct {
	name   string // "rfc3665 3.1 F1 INVITE": RFC, section, label, method or status
	inPart bool   // it lacks header fields that every message has
	text   string
}

// printedMessages reads testdata/examples.
func printedMessages(t testing.TB) (all []printed) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "examples", "rfc*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of examples, %v", len(files), err)
	}
	for _, file := range files {
		rfc := strings.TrimSuffix(filepath.Base(file), ".txt")
		parts := strings.Split(readFile(t, "examples/"+rfc+".txt"), "\n=== ")
		for _, part := range parts[1:] {
			title, text, _ := strings.Cut(part, "\n")
			name, remark, _ := strings.Cut(title, " (")
			all = append(all, printed{rfc + " " + name, strings.Contains(remark, "in part"), strings.ReplaceAll(text, "\n", "\r\n")})
		}
	}
	return all
}

// whole returns the text with the header fields that a message printed in part
// lacks and Parse asks for, and which of them is missed first.
func (p printed) whole() (text, missing string) {
	head, body, _ := strings.Cut(p.text, "\r\n\r\n")
	start, _, _ := strings.Cut(head, "\r\n")
	method, _, _ := strings.Cut(start, " ")
	if isStatusLine(start) {
		method = "INVITE"
	}
	for _, line := range []string{
		"Via: SIP/2.0/UDP client.example.com;branch=z9hG4bK1", "From: <sip:alice@example.com>;tag=1", "To: <sip:bob@example.com>",
		"Call-ID: 1@client.example.com", "CSeq: 1 " + method,
	} {
		name, _, _ := strings.Cut(line, ":")
		if !hasLine(head, name) {
			if missing == "" {
				missing = name
			}
			head += "\r\n" + line
		}
	}
	return head + "\r\n\r\n" + body, missing
}

func hasLine(head, name string) bool {
	for line := range strings.SplitSeq(head, "\r\n") {
		got, _, ok := strings.Cut(line, ":")
		if ok && lookupHeader(strings.TrimRight(got, " \t")) == lookupHeader(name) {
			return true
		}
	}
	return false
}

// TestPrintedMessages: what the RFCs print is read, every header field of it by
// its type, and survives being written.
func TestPrintedMessages(t *testing.T) {
	for _, p := range printedMessages(t) {
		text, missing := p.whole()
		if p.inPart != (missing != "") {
			t.Errorf("%s: in part is %v, lacks %q", p.name, p.inPart, missing)
		}
		if p.inPart {
			if _, err := Parse(p.text); err == nil || err.(*SyntaxError).Where != missing {
				t.Errorf("%s: Parse() = %v, want no %s", p.name, err, missing)
			}
		}
		m, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		if m.String() != text || with(m).String() != text || with(m).Err() != nil {
			t.Errorf("%s: With() wrote\n%s\nwant\n%s", p.name, with(m), text)
		}
		if again := mustParse(t, m.String()); !sameFields(again, m) {
			t.Errorf("%s: its text is read as another message", p.name)
		}
		readAll(m)
		for _, err := range checkValues(m) {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}

// valueChecks has every type of header field.
var valueChecks = []valueCheck{
	typed[Via]{}, typed[From]{}, typed[To]{}, typed[CallID]{}, typed[CSeq]{}, typed[MaxForwards]{}, typed[ContentLength]{},
	typed[Contact]{}, typed[Route]{}, typed[RecordRoute]{}, typed[ContentType]{}, typed[Allow]{},
	typed[Authorization]{}, typed[Expires]{}, typed[MinExpires]{}, typed[ProxyAuthenticate]{}, typed[ProxyAuthorization]{},
	typed[ProxyRequire]{}, typed[Require]{}, typed[RetryAfter]{}, typed[Supported]{}, typed[Unsupported]{}, typed[UserAgent]{},
	typed[WWWAuthenticate]{},
}

type valueCheck interface{ values(Message) []error }

type typed[H interface {
	Parser[H]
	Edit
}] struct{}

// values reads all values of one type, writes each and reads it again.
func (typed[H]) values(m Message) (errs []error) {
	for h, err := range All[H](m) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		written := string(h.AppendValue(nil))
		again, err := h.ParseValue(written)
		if err != nil || !reflect.DeepEqual(again, h) {
			errs = append(errs, fmt.Errorf("%s: %#v is written as %s and read as %#v, %v", h.HeaderName(), h, written, again, err))
		}
		if out := with(m, Del(h.HeaderName()), Add(h)); out.Err() != nil {
			errs = append(errs, fmt.Errorf("%#v is refused as an edit: %w", h, out.Err()))
		}
	}
	return errs
}

// checkValues reads every header field of m that has a type by its type.
func checkValues(m Message) (errs []error) {
	for _, c := range valueChecks {
		errs = append(errs, c.values(m)...)
	}
	return errs
}
