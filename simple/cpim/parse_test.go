package cpim

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// lines makes a text of lines, each with CRLF behind it.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n" }

// inside is the end of a message: a blank line and its content.
const inside = "\r\nContent-Type: text/plain\r\n\r\nhello"

func parse(t *testing.T, text string) *Message {
	t.Helper()
	m, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return m
}

// printed returns the messages that RFCs print, by their file.
func printed(tb testing.TB) map[string]string {
	files, err := filepath.Glob("testdata/*.cpim")
	if err != nil || len(files) < 7 {
		tb.Fatalf("Glob() = %v, %v, want the messages of RFCs", files, err)
	}
	texts := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		texts[strings.TrimSuffix(filepath.Base(file), ".cpim")] = string(text)
	}
	return texts
}

// RFC 3862 section 5.1.
func TestPrintedMessageIsRead(t *testing.T) {
	got := parse(t, printed(t)["rfc3862-s5.1"])
	at := time.Date(2000, 12, 13, 21, 40, 0, 0, time.UTC)
	if !got.DateTime.Equal(at) {
		t.Errorf("DateTime = %v, want %v", got.DateTime, at)
	}
	got.DateTime = at
	name := func(local string) Name {
		return Name{Namespace: "mid:MessageFeatures@id.foo.com", Prefix: "MyFeatures", Local: local}
	}
	want := &Message{
		From:     Address{"MR SANDERS", "im:piglet@100akerwood.com"},
		To:       []Address{{"Depressed Donkey", "im:eeyore@100akerwood.com"}},
		DateTime: at,
		Subject: []Subject{
			{"", "the weather will be fine today"},
			{"fr", "beau temps prevu pour aujourd'hui"},
		},
		Require: []Name{name("VitalMessageOption")},
		Headers: []Header{
			{Name: name("VitalMessageOption"), Value: "Confirmation-requested"},
			{Name: name("WackyMessageOption"), Value: "Use-silly-font"},
		},
		ContentType:    "text/xml; charset=utf-8",
		ContentHeaders: []Field{{"Content-ID", "<1234567890@foo.com>"}},
		Content:        []byte("<body>\r\nHere is the text of my message.\r\n</body>\r\n"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse() = %+v, want %+v", got, want)
	}
}

// The examples of RFC 4975, 5438, 5547 and 7701 have no blank line before the MIME
// headers, and their lengths say that this is no slip of the printer.
func TestMIMEHeadersWithoutTheBlankLine(t *testing.T) {
	texts := printed(t)
	for _, c := range []struct {
		file, contentType, content string
	}{
		{"rfc4975-s11.4", "text/plain", "ABCD"},
		{"rfc5547-s9.1", "image/jpeg", "... first set of bytes of the JPEG image ..."},
		{"rfc5547-s9.2-photo", "image/jpeg", "...binary JPEG image..."},
		{"rfc5547-s9.2-sunset", "image/jpeg", "...binary JPEG image..."},
		{"rfc7701-s9.3", "text/plain", "Hello guys, how are you today?"},
		{"rfc7701-s9.4", "text/plain", "Hello Bob."},
	} {
		m := parse(t, texts[c.file])
		if m.ContentType != c.contentType || string(m.Content) != c.content {
			t.Errorf("%s: %q with %q, want %q with %q", c.file, m.ContentType, m.Content, c.contentType, c.content)
		}
		if m.From.URI == "" || len(m.To) != 1 || m.DateTime.IsZero() {
			t.Errorf("%s: from %v to %v at %v, want all three", c.file, m.From, m.To, m.DateTime)
		}
	}
	got := parse(t, texts["rfc5547-s9.1"]).ContentHeader("content-disposition")
	want := `render; filename="My cool picture.jpg"; creation-date="Mon, 15 May 2006 15:01:31 +0300"; size=4092`
	if got != want {
		t.Errorf("ContentHeader() = %q, want %q, unfolded", got, want)
	}
}

// RFC 3862 section 2.2: From and from are different headers.
func TestNamesAreCaseSensitive(t *testing.T) {
	m := parse(t, lines("from: <im:a@example.com>", "TO: <im:b@example.com>", "Cc: <im:c@example.com>", "cc: <im:d@example.com>", "cc: <im:e@example.com>")+inside)
	if m.From != (Address{}) || m.To != nil {
		t.Errorf("from %v, to %v, want neither", m.From, m.To)
	}
	if want := []Address{{"", "im:d@example.com"}, {"", "im:e@example.com"}}; !reflect.DeepEqual(m.CC, want) {
		t.Errorf("CC = %v, want %v", m.CC, want)
	}
	if v, ok := m.Header(Namespace, "Cc"); v != "<im:c@example.com>" || !ok {
		t.Errorf("Header(Cc) = %q, %v, want it kept", v, ok)
	}
}

// RFC 3862 section 2.2: a single space follows the colon, all else is the value.
func TestOneSpaceFollowsTheColon(t *testing.T) {
	m := parse(t, lines("Subject:  two", "Subject:", "Subject:;lang=en ")+inside)
	want := []Subject{{"", " two"}, {"", ""}, {"en", ""}}
	if !reflect.DeepEqual(m.Subject, want) {
		t.Errorf("Subject = %q, want %q", m.Subject, want)
	}
	for _, line := range []string{"Subject:none", "Subject:\ttab", "Subject :x", "Subject:;lang x", "Subject:;lang=\"a b\" x", "Subject:;x=\"a x"} {
		if m, err := Parse([]byte(lines(line) + inside)); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", line, m)
		}
	}
}

// RFC 3862 sections 2.3 and 2.3.1.
func TestEscapes(t *testing.T) {
	for _, c := range []struct{ line, text string }{
		{`plain`, "plain"},
		{`\\ \" \' \b \t \n \r`, "\\ \" ' \b \t \n \r"},
		{`\u0000\u00e9\u20AC.`, "\x00\u00e9\u20ac."},
		{`\ud83d\ude00`, "\U0001f600"},
		{`\ud83d!\ude00`, "\ufffd!\ufffd"},
		{`\ud83d\u0041`, "\ufffdA"},
		{`\u12g4 \u12`, "u12g4 u12"},
		{"\\q \\\u00e9", "q \u00e9"},
		{`end\`, "end"},
		{`\u005cn`, `\n`},
	} {
		m := parse(t, lines("Subject: "+c.line)+inside)
		if got := m.Subject[0].Text; got != c.text {
			t.Errorf("%s is %q, want %q", c.line, got, c.text)
		}
	}
}

// RFC 3862 sections 3.6 and 4.1.
func TestFormalNames(t *testing.T) {
	for _, c := range []struct {
		value string
		want  Address
	}{
		{"<im:a@example.com>", Address{"", "im:a@example.com"}},
		{"Winnie the Pooh <im:a@example.com>", Address{"Winnie the Pooh", "im:a@example.com"}},
		{"Pooh<im:a@example.com>", Address{"Pooh", "im:a@example.com"}},
		{`"Winnie, the Pooh"<im:a@example.com>`, Address{"Winnie, the Pooh", "im:a@example.com"}},
		{`"Winnie" <sip:a@example.com;transport=tcp>`, Address{"Winnie", "sip:a@example.com;transport=tcp"}},
		{`"a \"b\" <im:x@example.com> \\" <im:a@example.com>`, Address{`a "b" <im:x@example.com> \`, "im:a@example.com"}},
		{`"" <tel:+15551234>`, Address{"", "tel:+15551234"}},
		{"\u00c9ric <im:a@example.com>", Address{"\u00c9ric", "im:a@example.com"}},
	} {
		got, err := ParseAddress(c.value)
		if err != nil || got != c.want {
			t.Errorf("ParseAddress(%q) = %q, %v, want %q", c.value, got, err, c.want)
		}
	}
	for _, value := range []string{
		"", "im:a@example.com", "<>", "<", ">", "a <im:x", "<a@example.com>", "<im:a b>", "<im:a@example.com> x",
		"<im:a><im:b>", `"a <im:a@example.com>`, `"a\"`, "<:a>", "<1m:a>", "<i/m:a>", "<im:\x00>", `<im:"a">`,
	} {
		if got, err := ParseAddress(value); err == nil {
			t.Errorf("ParseAddress(%q) = %q, want an error", value, got)
		}
	}
}

// RFC 3862 section 3.4: what counts is the namespace, not the prefix.
func TestPrefixesMeanNamespaces(t *testing.T) {
	m := parse(t, lines(
		"a.x: before its declaration",
		"NS: a <urn:one>",
		"a.x: 1",
		"NS: a <urn:two>",
		"a.x: 2",
		"NS: c <urn:ietf:params:cpim-headers:>",
		"NS: <urn:three>",
		"To: <im:nobody@example.com>",
		"c.To: <im:b@example.com>",
		"NS: d <urn:four>",
		"c.NS: d <urn:five>",
		"d.x: 5",
	)+inside)
	want := []Header{
		{Name: Name{"urn:one", "a", "x"}, Value: "1"},
		{Name: Name{"urn:two", "a", "x"}, Value: "2"},
		{Name: Name{"urn:three", "", "To"}, Value: "<im:nobody@example.com>"},
		{Name: Name{"urn:three", "", "NS"}, Value: "d <urn:four>"},
		{Name: Name{"urn:five", "d", "x"}, Value: "5"},
	}
	if !reflect.DeepEqual(m.Headers, want) {
		t.Errorf("Headers = %q, want %q", m.Headers, want)
	}
	if want := []Address{{"", "im:b@example.com"}}; !reflect.DeepEqual(m.To, want) {
		t.Errorf("To = %v, want %v", m.To, want)
	}
	if v, ok := m.Header("urn:two", "x"); v != "2" || !ok {
		t.Errorf("Header(urn:two, x) = %q, %v, want 2", v, ok)
	}
	if v, ok := m.Header("urn:two", "X"); ok {
		t.Errorf("Header(urn:two, X) = %q, want none", v)
	}
}

// RFC 3862 section 3.5.
func TestRequiredHeadersMustBeUnderstood(t *testing.T) {
	m := parse(t, lines("NS: f <urn:features>", "Require: f.Vital,From, g.Other", "Require: Unheard", "f.Vital: yes")+inside)
	var missing *RequireError
	if err := m.CheckRequire("urn:features", ""); !errors.As(err, &missing) {
		t.Fatalf("CheckRequire() = %v, want a *RequireError", err)
	}
	want := []Name{{"", "g", "Other"}, {Namespace, "", "Unheard"}}
	if !reflect.DeepEqual(missing.Names, want) {
		t.Errorf("Names = %q, want %q", missing.Names, want)
	}
	if got, want := missing.Error(), `cpim: required and not understood: Other of "", Unheard of "urn:ietf:params:cpim-headers:"`; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if err := parse(t, inside).CheckRequire(); err != nil {
		t.Errorf("CheckRequire() = %v for a message that requires nothing", err)
	}
	// The slip of SIP SIMPLE clients counts like the real thing.
	if err := parse(t, lines("Required: x")+inside).CheckRequire(); err == nil {
		t.Error("CheckRequire() = nil, want an error for Required: x")
	}
}

func TestLinesMayEndWithLF(t *testing.T) {
	want := parse(t, "From: <im:a@example.com>\r\nSubject: x\r\n\r\nContent-Type: a/b\r\nContent-ID: <c>\r\n\r\n1\n2\r\n")
	got := parse(t, "From: <im:a@example.com>\nSubject: x\n\nContent-Type: a/b\nContent-ID: <c>\n\n1\n2\r\n")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse() = %+v, want %+v", got, want)
	}
}

// Who appends to the content does not write into the buffer that the message is in.
func TestContentEndsWhereTheMessageDoes(t *testing.T) {
	buffer := []byte(inside + "the next message")
	m, err := Parse(buffer[:len(inside)])
	if err != nil {
		t.Fatal(err)
	}
	m.Content = append(m.Content, "!"...)
	if got, want := string(buffer[len(inside):]), "the next message"; got != want {
		t.Errorf("behind the message is %q, want %q", got, want)
	}
}

func TestMissingHeadersAreNoError(t *testing.T) {
	for _, text := range []string{inside, "\r\n\r\nhello", "\n\nhello"} {
		m := parse(t, text)
		if string(m.Content) != "hello" || m.From != (Address{}) || !m.DateTime.IsZero() {
			t.Errorf("Parse(%q) = %+v, want nothing but hello", text, m)
		}
	}
}

func TestDateTimeThatCannotBeReadIsKept(t *testing.T) {
	for _, c := range []struct {
		value string
		want  time.Time
	}{
		{"2001-02-01T12:16:49-05:00", time.Date(2001, 2, 1, 17, 16, 49, 0, time.UTC)},
		{"2001-02-01t12:16:49.25z", time.Date(2001, 2, 1, 12, 16, 49, 25e7, time.UTC)},
		{"yesterday", time.Time{}},
		{"2001-02-01 12:16:49", time.Time{}},
		{"", time.Time{}},
	} {
		m := parse(t, lines("DateTime: "+c.value)+inside)
		if !m.DateTime.Equal(c.want) {
			t.Errorf("DateTime = %v, want %v for %q", m.DateTime, c.want, c.value)
		}
		if raw, ok := m.Header(Namespace, "DateTime"); ok != c.want.IsZero() || ok && raw != c.value {
			t.Errorf("Header(DateTime) = %q, %v for %q, want it only if it cannot be read", raw, ok, c.value)
		}
	}
}

func TestWhatIsNoMessage(t *testing.T) {
	for _, c := range []struct {
		name, text string
		offset     int
	}{
		{"no colon", lines("From: <im:a@b>", "hello") + inside, 16},
		{"two senders", lines("From: <im:a@b>", "From: <im:c@d>") + inside, 16},
		{"two times", lines("DateTime: x", "DateTime: y") + inside, 13},
		{"a tab", lines("Subject: a\tb") + inside, 0},
		{"a lone CR", lines("Subject: a\rb") + inside, 0},
		{"a NUL", lines("Subject: \x00") + inside, 0},
		{"not UTF-8", lines("Subject: \xff") + inside, 0},
		{"folding", lines("Subject: a", " b") + inside, 12},
		{"no name", lines(": x") + inside, 0},
		{"two dots", lines("a.b.c: x") + inside, 0},
		{"no prefix", lines(".c: x") + inside, 0},
		{"bad prefix", lines("a@.c: x") + inside, 0},
		{"bad declaration", lines("NS: a b <urn:x>") + inside, 0},
		{"no URI", lines("To: bob") + inside, 0},
		{"bad feature", lines("Require: a b") + inside, 0},
		{"content without MIME", "\r\nhello\r\n\r\n", 2},
		{"MIME without a name", "\r\n: x\r\n\r\n", 2},
		{"MIME of two types", "\r\nContent-Type:\r\ncontent-type: a/b\r\n\r\n", 17},
		{"a sender behind a Content- line", lines("From: <im:a@b>", "Content-Foo: x", "From: <im:c@d>") + inside, 32},
		{"a feature behind a Content- line", lines("content-type: a/b", "imdn.Message-ID: x") + "\r\nhello", 19},
		{"MIME that starts folded", "\r\n a\r\n\r\n", 2},
		{"MIME with NUL", "\r\nContent-Type: \x00\r\n\r\n", 2},
		{"MIME with a lone CR", "\r\nContent-Type: a\rb\r\n\r\n", 2},
	} {
		m, err := Parse([]byte(c.text))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != c.offset {
			t.Errorf("%s: Parse() = %+v, %v, want a *SyntaxError at %d", c.name, m, err, c.offset)
		}
	}
	text := lines("From: <im:a@b>") + inside
	for n := range len(text) - len("hello") {
		if m, err := Parse([]byte(text[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Parse(%q) = %+v, %v, want io.ErrUnexpectedEOF", text[:n], m, err)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	for _, c := range []struct {
		name, text string
		fits       bool
	}{
		{"16 KiB", "Subject: " + strings.Repeat("x", maxHead-len("Subject: \r\n\r\n\r\n")) + "\r\n\r\n\r\n", true},
		{"more", "Subject: " + strings.Repeat("x", maxHead+1-len("Subject: \r\n\r\n\r\n")) + "\r\n\r\n\r\n", false},
		{"one line", strings.Repeat("x", maxHead+1), false},
		{"256 lines", strings.Repeat("x: \r\n", maxLines-2) + "\r\n\r\n", true},
		{"257 lines", strings.Repeat("x: \r\n", maxLines-1) + "\r\n\r\n", false},
		{"a large content", inside + strings.Repeat("x", 2*maxHead), true},
	} {
		if _, err := Parse([]byte(c.text)); errors.Is(err, ErrTooLarge) == c.fits {
			t.Errorf("%s: Parse() = %v, fits: %v", c.name, err, c.fits)
		}
		if _, _, err := ReadHeader(strings.NewReader(c.text)); errors.Is(err, ErrTooLarge) == c.fits {
			t.Errorf("%s: ReadHeader() = %v, fits: %v", c.name, err, c.fits)
		}
	}
	// What never ends is not read for longer than that.
	endless := &counter{Reader: endless{}}
	if _, _, err := ReadHeader(endless); err != ErrTooLarge {
		t.Errorf("ReadHeader(endless) = %v, want ErrTooLarge", err)
	}
	if limit := int64(2 * maxHead); endless.n > limit {
		t.Errorf("%d bytes were read, want at most %d", endless.n, limit)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// A file comes in pieces of any size, and is never in memory.
func TestHeaderIsReadAndTheContentLeft(t *testing.T) {
	for file, text := range printed(t) {
		want := parse(t, text)
		for name, r := range map[string]io.Reader{
			"at once":      strings.NewReader(text),
			"byte by byte": iotest.OneByteReader(strings.NewReader(text)),
			"with EOF":     iotest.DataErrReader(strings.NewReader(text)),
		} {
			got, content, err := ReadHeader(r)
			if err != nil {
				t.Fatalf("%s, %s: %v", file, name, err)
			}
			if got.Content != nil {
				t.Errorf("%s, %s: Content = %q, want nil", file, name, got.Content)
			}
			body, err := io.ReadAll(content)
			if err != nil || !bytes.Equal(body, want.Content) {
				t.Errorf("%s, %s: content %q, %v, want %q", file, name, body, err, want.Content)
			}
			if got.Content = want.Content; !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: %+v, want %+v", file, name, got, want)
			}
		}
	}
	if _, _, err := ReadHeader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(inside)))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("ReadHeader() = %v, want the error of the reader", err)
	}
	if _, _, err := ReadHeader(strings.NewReader("From: <im:a@b>\r\n")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadHeader() = %v, want io.ErrUnexpectedEOF", err)
	}
	if _, _, err := ReadHeader(strings.NewReader("From\r\n" + inside)); !errors.As(err, new(*SyntaxError)) {
		t.Errorf("ReadHeader() = %v, want a *SyntaxError", err)
	}
}
