package cpim

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func text(t *testing.T, m *Message) string {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatalf("Append(%+v): %v", m, err)
	}
	return string(b)
}

// sameMessage compares but for the places of times.
func sameMessage(a, b *Message) bool {
	x, y := *a, *b
	x.DateTime, y.DateTime = time.Time{}, time.Time{}
	return a.DateTime.Equal(b.DateTime) && reflect.DeepEqual(x, y)
}

func TestMessageIsWrittenInOrder(t *testing.T) {
	feature := func(local string) Name { return Name{"mid:MessageFeatures@id.foo.com", "MyFeatures", local} }
	got := text(t, &Message{
		From:     Address{"MR SANDERS", "im:piglet@100akerwood.com"},
		To:       []Address{{"Donkey, Depressed", "im:eeyore@100akerwood.com"}, {"", "im:tigger@100akerwood.com"}},
		CC:       []Address{{"Winnie \"the\" Pooh", "im:pooh@100akerwood.com"}},
		DateTime: time.Date(2000, 12, 13, 13, 40, 0, 0, time.FixedZone("", -8*3600)),
		Subject:  []Subject{{"", "the weather \\ will\r\nbe \x00\x7f \"fine\""}, {"fr", "beau temps "}},
		Require:  []Name{feature("VitalMessageOption"), {Namespace, "", "From"}},
		Headers: []Header{
			{Name: feature("VitalMessageOption"), Value: "Confirmation-requested"},
			{Name: Name{Namespace, "", "Own"}, Lang: "de", Value: "a \\u0041"},
		},
		ContentType:    "text/plain; charset=utf-8",
		ContentHeaders: []Field{{"Content-ID", "<1234567890@foo.com>"}},
		Content:        []byte("hello\n"),
	})
	want := lines(
		`From: MR SANDERS <im:piglet@100akerwood.com>`,
		`To: "Donkey, Depressed"<im:eeyore@100akerwood.com>`,
		`To: <im:tigger@100akerwood.com>`,
		`cc: "Winnie \"the\" Pooh"<im:pooh@100akerwood.com>`,
		`DateTime: 2000-12-13T13:40:00-08:00`,
		`Subject: the weather \\ will\r\nbe \u0000\u007f "fine"`,
		`Subject:;lang=fr beau temps`,
		`NS: MyFeatures <mid:MessageFeatures@id.foo.com>`,
		`Require: MyFeatures.VitalMessageOption,From`,
		`MyFeatures.VitalMessageOption: Confirmation-requested`,
		`Own:;lang=de a \u0041`,
		``,
		`Content-Type: text/plain; charset=utf-8`,
		`Content-ID: <1234567890@foo.com>`,
		``) + "hello\n"
	if got != want {
		t.Errorf("Append() =\n%s\nwant\n%s", got, want)
	}
}

// RFC 3862 section 3.4: a prefix is local to a message, and means one namespace.
func TestPrefixesDoNotClash(t *testing.T) {
	m := &Message{ContentType: "a/b"}
	for _, n := range []Name{
		{"urn:1", "p", "x"}, {"urn:2", "p", "x"}, {"urn:3", "", "x"}, {"urn:4", "not one", "x"}, {"urn:5", "ns2", "x"},
		{"urn:1", "q", "y"}, {"urn:6", "Content-Type", "x"},
	} {
		m.Headers = append(m.Headers, Header{Name: n, Value: n.Namespace})
	}
	again := parse(t, text(t, m))
	var prefixes []string
	for i, h := range again.Headers {
		if want := m.Headers[i]; h.Namespace != want.Namespace || h.Local != want.Local || h.Value != want.Value {
			t.Errorf("header %d is %q, want %q", i, h, want)
		}
		prefixes = append(prefixes, h.Prefix)
	}
	if want := []string{"p", "p2", "ns", "ns2", "ns22", "p", "ns3"}; !reflect.DeepEqual(prefixes, want) {
		t.Errorf("prefixes %q, want %q", prefixes, want)
	}
}

// What somebody else chose, such as a URI from another message, does not end its line.
func TestNothingIsInjected(t *testing.T) {
	for _, s := range []string{"\r\nTo: <im:eve@example.com>", "\n", "\r", "\x00"} {
		for name, m := range map[string]*Message{
			"URI":        {From: Address{"", "im:a" + s}},
			"To":         {To: []Address{{"", "im:a" + s}}},
			"cc":         {CC: []Address{{"", "im:a" + s}}},
			"language":   {Subject: []Subject{{"en" + s, ""}}},
			"namespace":  {Headers: []Header{{Name: Name{"urn:x" + s, "x", "y"}}}},
			"name":       {Headers: []Header{{Name: Name{"urn:x", "x", "y" + s}}}},
			"value":      {Headers: []Header{{Name: Name{"urn:x", "x", "y"}, Value: "a" + s}}},
			"its lang":   {Headers: []Header{{Name: Name{"urn:x", "x", "y"}, Lang: "a" + s}}},
			"feature":    {Require: []Name{{"urn:x", "x", "y" + s}}},
			"type":       {ContentType: "a/b" + s},
			"MIME name":  {ContentHeaders: []Field{{"Content-ID" + s, "x"}}},
			"MIME value": {ContentHeaders: []Field{{"Content-ID", "x" + s}}},
		} {
			if m.ContentType == "" {
				m.ContentType = "text/plain"
			}
			if got, err := m.Append([]byte("as it was")); err == nil || string(got) != "as it was" {
				t.Errorf("%s with %q: Append() = %q, %v, want an error", name, s, got, err)
			}
		}
		m := &Message{
			From:        Address{"Alice" + s, "im:a@example.com"},
			Subject:     []Subject{{"", "x" + s + "y"}},
			Headers:     []Header{{Name: Name{"urn:x", "bad" + s, "y"}}},
			ContentType: "text/plain",
		}
		again := parse(t, text(t, m))
		if again.From != m.From || again.Subject[0] != m.Subject[0] || len(again.To) != 0 || len(again.Headers) != 1 {
			t.Errorf("with %q: read %+v, want %+v", s, again, m)
		}
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	header := func(h Header) *Message { return &Message{Headers: []Header{h}, ContentType: "a/b"} }
	for name, m := range map[string]*Message{
		"no type":          {},
		"a second type":    {ContentType: "a/b", ContentHeaders: []Field{{"content-type", "c/d"}}},
		"no URI":           {From: Address{"Alice", ""}, ContentType: "a/b"},
		"URI not in UTF-8": {From: Address{"Alice", "im:\xff"}, ContentType: "a/b"},
		"year 10000":       {DateTime: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), ContentType: "a/b"},
		"a second From":    header(Header{Name: Name{Namespace, "", "From"}, Value: "<im:a@b>"}),
		"a header of MIME": header(Header{Name: Name{Namespace, "", "content-Type"}, Value: "a/b"}),
		"no namespace":     header(Header{Name: Name{"", "p", "x"}}),
		"not in UTF-8":     header(Header{Name: Name{"urn:x", "p", "x"}, Value: "\xff"}),
	} {
		if got, err := m.Append(nil); err == nil {
			t.Errorf("%s: Append() = %q, want an error", name, got)
		}
	}
	both := header(Header{Name: Name{Namespace, "", "DateTime"}, Value: "yesterday"})
	if got, want := text(t, both), "DateTime: yesterday\r\n\r\nContent-Type: a/b\r\n\r\n"; got != want {
		t.Errorf("Append() = %q, want %q", got, want)
	}
	both.DateTime = time.Unix(0, 0)
	if got, err := both.Append(nil); err == nil {
		t.Errorf("Append() = %q, want an error for two times", got)
	}
}

// Headers are in UTF-8 (RFC 3862 section 2.2), whatever a program has a name from.
func TestNamesThatAreNotInUTF8(t *testing.T) {
	for name, want := range map[string]string{
		"Caf\u00e9":     "Caf\u00e9 <im:a@b>", // with no need for quotes
		"Caf\xe9":       "\"Caf\ufffd\"<im:a@b>",
		"Caf\xe9, Nice": "\"Caf\ufffd, Nice\"<im:a@b>",
	} {
		m := &Message{From: Address{name, "im:a@b"}, Subject: []Subject{{"", name}}, ContentType: "a/b"}
		if got := m.From.String(); got != want {
			t.Errorf("%q is written as %q, want %q", name, got, want)
		}
		again := parse(t, text(t, m))
		if valid := strings.ToValidUTF8(name, "\ufffd"); again.From.Name != valid || again.Subject[0].Text != valid {
			t.Errorf("%q is read as %q and %q, want %q", name, again.From.Name, again.Subject[0].Text, valid)
		}
	}
}

func TestPrintedMessagesAreWrittenAndReadAgain(t *testing.T) {
	for file, printed := range printed(t) {
		m := parse(t, printed)
		if again := parse(t, text(t, m)); !sameMessage(again, m) {
			t.Errorf("%s: read %+v, want %+v", file, again, m)
		}
	}
}

// chat is a message as it comes in a chat room, with a request for notifications.
var chat = []byte(lines(
	"From: Alice <sip:alice@example.com>",
	"To: <sip:chatroom22@chat.example.com;transport=tcp>",
	"DateTime: 2026-03-02T15:02:31-03:00",
	"NS: imdn <urn:ietf:params:imdn>",
	"imdn.Message-ID: AF3XQZ7R5TJXO2L6GQHB4NBWUE",
	"imdn.Disposition-Notification: positive-delivery, display",
	"",
	"Content-Type: text/plain; charset=utf-8",
	"",
	"Hello guys, how are you today?"))

func TestAllocations(t *testing.T) {
	if got, limit := testing.AllocsPerRun(100, func() { Parse(chat) }), 5.0; got > limit {
		t.Errorf("Parse: %v allocations, want at most %v", got, limit)
	}
	m := parse(t, string(chat))
	b := make([]byte, 0, 1024)
	if got, limit := testing.AllocsPerRun(100, func() { m.Append(b) }), 1.0; got > limit {
		t.Errorf("Append: %v allocations, want at most %v", got, limit)
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(chat)))
	for b.Loop() {
		Parse(chat)
	}
}

func BenchmarkAppend(b *testing.B) {
	m, err := Parse(chat)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		m.Append(buf)
	}
}

// FuzzParse checks that both readers read the same, and that what is read can be
// written and is read back the same.
func FuzzParse(f *testing.F) {
	for _, text := range printed(f) {
		f.Add([]byte(text))
	}
	f.Add(chat)
	f.Add([]byte(lines("NS: <urn:x>", "a: b", "NS: c <urn:ietf:params:cpim-headers:>", "c.Required: a.b,c.d", `c.Subject:;lang=en;x="\"" \u0041\`, "c.DateTime: x") + inside))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(text)
		head, _, headErr := ReadHeader(strings.NewReader(string(text)))
		if (err == nil) != (headErr == nil) {
			t.Fatalf("Parse: %v, ReadHeader: %v", err, headErr)
		}
		if err != nil {
			return
		}
		if head.Content = m.Content; !sameMessage(head, m) {
			t.Errorf("ReadHeader() = %+v, Parse() = %+v", head, m)
		}
		if m.ContentType == "" {
			m.ContentType = "text/plain"
		}
		// A feature of no namespace cannot be written. Prefixes may become others.
		for _, n := range m.Require {
			if n.Namespace == "" {
				return
			}
		}
		written, err := m.Append(nil)
		if err != nil {
			t.Fatalf("Append(%+v): %v", m, err)
		}
		again, err := Parse(written)
		if err == ErrTooLarge {
			return // escapes, spaces and CRs may have come in
		}
		if err != nil {
			t.Fatalf("Parse(%q): %v", written, err)
		}
		for _, m := range []*Message{m, again} {
			for i := range m.Headers {
				m.Headers[i].Prefix = ""
			}
			for i := range m.Require {
				m.Require[i].Prefix = ""
			}
		}
		if !sameMessage(again, m) {
			t.Errorf("read %+v, want %+v", again, m)
		}
	})
}
