package sip

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// RFC 3261 sections 18.3 and 20.14: where a body ends in a datagram. A Reader
// has the rules of streams.
func TestContentLength(t *testing.T) {
	for _, c := range []struct {
		length, body, want string
		ok                 bool
	}{
		{"", "hello", "hello", true}, // it goes on to the end
		{"Content-Length: 5", "hello", "hello", true},
		{"l:5", "hello, and more", "hello", true},
		{"Content-Length : 0", "hello", "", true},
		{"Content-Length:\r\n 5", "hello", "hello", true},
		{"Content-Length: 6", "hello", "", false},
		{"Content-Length: 4294967301", "hello", "", false}, // 5 in 32 bits
	} {
		var lines []string
		if c.length != "" {
			lines = []string{c.length}
		}
		m, err := Parse(tweak("Content-Length", lines...) + c.body)
		if (err == nil) != c.ok || c.ok && m.Body() != c.want {
			t.Errorf("%s with %q: %v, %v, want %q", c.length, c.body, m, err, c.want)
		}
	}
}

// RFC 3261 sections 7.3.1 and 7.3.3: white space, folds, case, compact names.
func TestWhitespaceAndNames(t *testing.T) {
	m := mustParse(t, tweak("Max-Forwards",
		"mAX-fORWARDS \t :\t 7  ",
		"S : one\r\n two\r\n\t three ",
		"ROUTE : <sip:p1.example;lr> , <sip:p2.example;lr>",
		"k: a,\r\n  b",
		"Supported: c",
		"r: <sip:carol@example.com>"))
	expect(t, "Max-Forwards", m.(*Request).MaxForwards(), 7)
	subject, _ := m.Value("subject")
	expect(t, "Subject", subject, "one two three")
	options, err := Get[Supported](m)
	if !slices.Equal(options, Supported{"a", "b", "c"}) || err != nil {
		t.Errorf("Supported = %v, %v", options, err)
	}
	refer, _ := m.Value("Refer-To")
	expect(t, "Refer-To", refer, "<sip:carol@example.com>")

	// What reads a field removes it, too, however it is written.
	out := with(m, Del("Route"), Del("Subject"), MaxForwards(6))
	for _, name := range []string{"Route", "s"} {
		if v, ok := out.Value(name); ok {
			t.Errorf("%s is still there after Del: %q", name, v)
		}
	}
	expect(t, "Max-Forwards after With", out.(*Request).MaxForwards(), 6)
	if n := strings.Count(strings.ToLower(out.String()), "max-forwards"); n != 1 {
		t.Errorf("%d Max-Forwards after With, want 1", n)
	}
}

// A fold may stand wherever white space may, in a quoted string as well.
func TestFolds(t *testing.T) {
	m := mustParse(t, tweak("From", "From: \"Alice\r\n Example\"\r\n <sip:alice@example.com>\r\n\t;\r\n tag = 1"))
	expect(t, "display", m.From().Display, "Alice Example")
	expect(t, "tag", m.From().Tag(), "1")
	out := with(m, MaxForwards(1))
	expect(t, "tag after With", out.From().Tag(), "1")
	reply := m.(*Request).Reply(StatusOK)
	expect(t, "tag of a reply", reply.From().Tag(), "1")
	if _, err := Parse(reply.String()); err != nil {
		t.Error(err)
	}
}

// RFC 3261 section 7.3.1: which header fields are lists.
func TestLists(t *testing.T) {
	m := mustParse(t, tweak("Via",
		"Via: SIP/2.0/UDP a.example;x=\"1,2\", SIP/2.0/TCP b.example",
		"v: SIP/2.0/TLS c.example",
		"Contact: \"A, B\" <sip:a,b@a.example>, <sip:c@a.example?Subject=x>;q=0.5",
		`WWW-Authenticate: Digest realm="a", nonce="1", algorithm=MD5`,
		`WWW-Authenticate: Digest realm="b, c", nonce="2"`))
	var hosts []string
	for _, v := range values[Via](t, m) {
		hosts = append(hosts, v.Host)
	}
	expect(t, "Vias", strings.Join(hosts, " "), "a.example b.example c.example")
	contacts := values[Contact](t, m)
	if len(contacts) != 2 || contacts[0].Display != "A, B" || contacts[1].URI.Headers != "Subject=x" {
		t.Errorf("Contacts = %v", contacts)
	}
	var realms []string
	for _, c := range values[WWWAuthenticate](t, m) {
		realm, _ := c.Params.Get("realm")
		realms = append(realms, realm)
	}
	expect(t, "realms", strings.Join(realms, " "), "a b, c")

	star, err := Get[Contact](mustParse(t, tweak("", "Contact: *")))
	expect(t, "star", star.Star, true)
	expect(t, "error of the star", err, nil)

	// One bad value does not hide the next.
	var got []string
	for c, err := range All[Contact](mustParse(t, tweak("", "Contact: <sip:>, <sip:b.example>"))) {
		if err != nil {
			got = append(got, "error")
			continue
		}
		got = append(got, c.URI.Host)
	}
	expect(t, "values behind a bad one", strings.Join(got, " "), "error b.example")
}

// RFC 3261 section 20.10: whose parameters they are.
func TestAddressParameters(t *testing.T) {
	for _, c := range []struct {
		value, display, uri string
		params              Params
	}{
		{"<sip:a@a.example;lr>;tag=1", "", "sip:a@a.example;lr", ";tag=1"},
		{"sip:a@a.example;tag=1", "", "sip:a@a.example", ";tag=1"},
		{"sip:a@a.example ; tag=1", "", "sip:a@a.example", "; tag=1"},
		{`"A \"B\" C" <sip:a.example>`, `A "B" C`, "sip:a.example", ""},
		{"A B <sip:a.example>", "A B", "sip:a.example", ""},
		{"A<sip:a.example>", "A", "sip:a.example", ""},
		{`sip:a.example;x="<>"`, "", "sip:a.example", `;x="<>"`},
		{"<tel:+1-212-555;phone-context=x.example>;a", "", "tel:+1-212-555;phone-context=x.example", ";a"},
	} {
		a, err := ParseAddress(c.value)
		if err != nil || a.Display != c.display || a.URI.String() != c.uri || a.Params != c.params {
			t.Errorf("ParseAddress(%s) = %q, %s, %q, %v", c.value, a.Display, a.URI, a.Params, err)
		}
		b, err := ParseAddress(a.String())
		if err != nil || a != b {
			t.Errorf("ParseAddress(%s) = %v, %v, want %v", a, b, err, a)
		}
	}
	for _, value := range []string{"", "<", ">", "sip:a.example?x=y", "sip:a,b@a.example", "A, B <sip:a.example>", `"A" sip:a.example`} {
		if a, err := ParseAddress(value); err == nil {
			t.Errorf("ParseAddress(%s) = %v, want an error", value, a)
		}
	}
}

// RFC 3261 section 16.6: a proxy changes what it must and nothing else.
func TestWithKeepsBytes(t *testing.T) {
	before := "X-Odd  : \t a ,, b;;c \r\n  folded\t\r\nx-odd:\r\nAuthorization: Digest x=\"1\",y=2\r\n"
	body := "\x00\r\n\xff binary\r\n\r\n"
	m := mustParse(t, tweak("Content-Length", strings.TrimSuffix(before, "\r\n"))+body)
	out := with(m, MaxForwards(69), Push(Via{Transport: "TCP", Host: "p.example"}), Add(Field{"Authorization", "new"}))
	if !strings.Contains(out.String(), before+"Authorization: new\r\n") {
		t.Errorf("lines that no edit touched are not the same:\n%q", out)
	}
	expect(t, "Body", out.Body(), body)
}

// Each edit does what its comment says.
func TestEdits(t *testing.T) {
	base := "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1"
	for _, c := range []struct {
		name  string
		edits []Edit
		lines string // of the fields named below
	}{
		{"set replaces and removes", []Edit{Field{"q", "3"}}, "q: 3|Z: b"},
		{"set of a new field", []Edit{Field{"W", "1"}}, "Q: 1|q: 2|Z: b|W: 1"},
		{"push", []Edit{Push(Field{"Q", "0"})}, "Q: 0|Q: 1|q: 2|Z: b"},
		{"add", []Edit{Add(Field{"Q", "3"})}, "Q: 1|q: 2|Q: 3|Z: b"},
		{"pop", []Edit{Pop("Q")}, "q: 2|Z: b"},
		{"pop twice and once more", []Edit{Pop("Q"), Pop("Q"), Pop("Q")}, "Z: b"},
		{"del", []Edit{Del("Q")}, "Z: b"},
		{"in order", []Edit{Del("Q"), Add(Field{"Q", "9"}), Push(Field{"Q", "8"})}, "Z: b|Q: 8|Q: 9"},
		{"white space around a value", []Edit{Field{"Z", "  c "}}, "Q: 1|q: 2|Z:   c "},
	} {
		m := mustParse(t, tweak("Via", base, "Q: 1", "q: 2", "Z: b"))
		out := with(m, c.edits...)
		var lines []string
		for line := range strings.SplitSeq(out.String(), "\r\n") {
			if name, _, ok := strings.Cut(line, ":"); ok && slices.Contains([]string{"Q", "q", "Z", "W"}, name) {
				lines = append(lines, line)
			}
		}
		if got := strings.Join(lines, "|"); got != c.lines || out.Err() != nil {
			t.Errorf("%s: %s, %v, want %s", c.name, got, out.Err(), c.lines)
		}
		if again := mustParse(t, out.String()); !sameFields(again, out) {
			t.Errorf("%s: the index of With is not that of Parse", c.name)
		}
	}
}

// sameFields reports whether two messages show the same to all getters.
func sameFields(a, b Message) bool {
	return a.String() == b.String() && a.Body() == b.Body() &&
		slices.Equal(slices.Collect(a.Fields()), slices.Collect(b.Fields())) &&
		a.Via() == b.Via() && a.From() == b.From() && a.To() == b.To() && a.CallID() == b.CallID() && a.CSeq() == b.CSeq()
}

// What would make a message that Parse refuses is refused by With.
func TestWithChecks(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	for _, e := range []Edit{
		Field{"CSeq", "x"},
		Field{"Max-Forwards", "256"},
		Field{"Call-ID", ""},
		Field{"Via", ""},
		Field{"To", "<sip:>"},
		Field{"From", `"`},
		Field{"Content-Length", "5"}, // there is no body
		Add(From{URI: URI{Scheme: "sip", Host: "a.example"}}),
		Add(Field{"Content-Length", "0"}),
		Field{"Subject", strings.Repeat("x", maxHead)},
		Field{strings.Repeat("x", 256), "y"},
	} {
		out := req.With(e)
		var syntax *SyntaxError
		if !errors.As(out.Err(), &syntax) || out.String() != req.String() {
			t.Errorf("With(%.60v) = %v, want an error and the same text", e, out.Err())
		}
	}
	if out := req.With(Del("Via"), Del("To")); out.Via() != (Via{}) || out.To() != (To{}) || out.Err() != nil {
		t.Errorf("Via and To that are gone = %v, %v, %v", out.Via(), out.To(), out.Err())
	}
	if err := req.Reply(42).Err(); err == nil {
		t.Error("Reply(42) has no error")
	}
	if out := req.WithURI(URI{Scheme: "sip", Host: "a b"}); out.Err() == nil || out.URI() != req.URI() {
		t.Errorf("WithURI of a host with a space = %v, %v", out.URI(), out.Err())
	}
	if out := req.WithURI(URI{Scheme: "sip", Host: "c.example"}); out.URI().Host != "c.example" || out.Err() != nil {
		t.Errorf("WithURI = %v, %v", out.URI(), out.Err())
	}
}

// A body comes and goes with its type and length.
func TestBody(t *testing.T) {
	req := mustParse(t, tweak("Content-Length"))
	out := with(req, Body{"text/plain", "hi"})
	typ, _ := Get[ContentType](out)
	length, _ := Get[ContentLength](out)
	if !typ.Is("Text/Plain") || length != 2 || out.Body() != "hi" {
		t.Errorf("With(Body) =\n%s", out)
	}
	out = with(out, Body{})
	if _, ok := out.Value("Content-Type"); ok || out.Body() != "" {
		t.Errorf("With(Body{}) =\n%s", out)
	}
}

// Replies have what RFC 3261 section 8.2.6 asks for.
func TestReplyFields(t *testing.T) {
	req := mustParse(t, tweak("Via", "Via: SIP/2.0/UDP a.example, SIP/2.0/UDP b.example", "Via: SIP/2.0/UDP c.example",
		"Record-Route: <sip:p.example;lr>", "Timestamp: 54", "Subject: x")).(*Request)
	for _, c := range []struct {
		status             Status
		route, time, toTag bool
	}{{100, false, true, false}, {180, true, false, true}, {200, true, false, true}, {302, false, false, true}, {404, false, false, true}} {
		resp := req.Reply(c.status)
		_, route := resp.Value("Record-Route")
		_, time := resp.Value("Timestamp")
		_, subject := resp.Value("Subject")
		if route != c.route || time != c.time || subject || (resp.To().Tag() != "") != c.toTag || len(values[Via](t, resp)) != 3 {
			t.Errorf("Reply(%d) =\n%s", c.status, resp)
		}
		if again := mustParse(t, resp.String()); !sameFields(again, resp) {
			t.Errorf("Reply(%d): the index is not that of Parse", c.status)
		}
	}
	tagged := mustParse(t, tweak("To", "To: sip:bob@example.com;tag=7")).(*Request)
	expect(t, "tag that was there", tagged.Reply(200).To().Tag(), "7")
}
