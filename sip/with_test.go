package sip

import (
	"errors"
	"strings"
	"testing"
)

func mustParse(t testing.TB, text string) Message {
	t.Helper()
	m, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A proxy's edits of RFC 3261 section 16.6: everything else stays as it was.
func TestForward(t *testing.T) {
	in := "INVITE sip:bob@example.com SIP/2.0\r\n" +
		"v: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n" +
		"X-Odd :  kept \t\r\n" +
		"Max-Forwards: 70\r\n" +
		"Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n" +
		"From: Alice <sip:alice@example.com>;tag=1\r\n" +
		"To: <sip:bob@example.com>\r\n" +
		"Call-ID: 1@a\r\nCSeq: 1 INVITE\r\nContent-Length: 2\r\n\r\nhi"
	out := mustParse(t, in).(*Request).With(
		MaxForwards(69),
		Pop("Route"),
		Push(RecordRoute{URI: URI{Scheme: "sip", Host: "p1.example", Params: ";lr"}}),
		Push(Via{Transport: "UDP", Host: "p1.example", Params: ";branch=z9hG4bK2"}),
	)
	want := "INVITE sip:bob@example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP p1.example;branch=z9hG4bK2\r\n" +
		"v: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n" +
		"Record-Route: <sip:p1.example;lr>\r\n" +
		"X-Odd :  kept \t\r\n" +
		"Max-Forwards: 69\r\n" +
		"Route: <sip:p2.example;lr>\r\n" +
		"From: Alice <sip:alice@example.com>;tag=1\r\n" +
		"To: <sip:bob@example.com>\r\n" +
		"Call-ID: 1@a\r\nCSeq: 1 INVITE\r\nContent-Length: 2\r\n\r\nhi"
	if out.Err() != nil || out.String() != want {
		t.Errorf("With() = %v\n%s\nwant\n%s", out.Err(), out, want)
	}
}

// What would write another line is refused, and the message stays whole.
func TestWithRefusesInjection(t *testing.T) {
	req := mustParse(t, string(readMessage(t, "invite.sip"))).(*Request)
	for _, e := range []Edit{
		Field{"Subject", "a\r\nRoute: <sip:evil.example>"},
		Field{"Subject: x\r\nRoute", "<sip:evil.example>"},
		Field{"", "x"},
		Add(Contact{Display: "a\nb", URI: URI{Scheme: "sip", Host: "a.example"}}),
		Field{"Subject", "a\x00"},
		Via{Transport: "UDP", Host: "", Params: ""},
	} {
		got := req.With(e)
		if got.Err() == nil {
			t.Errorf("With(%#v) has no error", e)
		}
		if got.String() != req.String() || got.Method() != INVITE || got.CallID() != req.CallID() {
			t.Errorf("With(%#v) changed the message", e)
		}
	}
	evil := NewRequest(OPTIONS, URI{Scheme: "sip", Host: "a SIP/2.0\r\nVia: x\r\n"})
	if evil.Err() == nil || strings.Contains(evil.String(), "Via") {
		t.Errorf("NewRequest with a line break in the host: %v", evil.Err())
	}
	if got := evil.With(MaxForwards(1)).Err(); got == nil {
		t.Error("an edit of a failed request lost its error")
	}
}

func TestReply(t *testing.T) {
	req := mustParse(t, string(readMessage(t, "invite.sip"))).(*Request)
	a, b := req.Reply(StatusRinging), req.Reply(StatusOK, ReasonPhrase("Fine"), Body{"text/plain", "hello"})
	if a.To().Tag() == "" || a.To().Tag() != b.To().Tag() {
		t.Errorf("tags of two replies: %q and %q", a.To().Tag(), b.To().Tag())
	}
	if got := b.ReasonPhrase(); got != "Fine" {
		t.Errorf("ReasonPhrase() = %q", got)
	}
	if got := b.Body(); got != "hello" {
		t.Errorf("Body() = %q", got)
	}
	if a.Status() != 180 || a.ReasonPhrase() != "Ringing" || a.CSeq() != req.CSeq() {
		t.Errorf("reply is\n%s", a)
	}
	if _, err := Parse(b.String()); err != nil {
		t.Error(err)
	}
}

// A retransmission is answered with the same To tag (RFC 3261 section 8.2.7), and
// no other request is, however little tells it from the first.
func TestReplyTag(t *testing.T) {
	from := func(tag string) string { return "From: <sip:alice@example.com>;tag=" + tag }
	via := func(branch string) string { return "Via: SIP/2.0/UDP a.example;branch=" + branch }
	long := strings.Repeat("x", 300)
	seen := map[string]string{}
	for what, text := range map[string]string{
		"the request":                     tweak(""),
		"another Call-ID":                 tweak("Call-ID", "Call-ID: 2@a.example"),
		"another From tag":                tweak("From", from("2")),
		"no From tag":                     tweak("From", "From: <sip:alice@example.com>"),
		"another branch":                  tweak("Via", via("z9hG4bK2")),
		"no branch":                       tweak("Via", "Via: SIP/2.0/UDP a.example"),
		"another CSeq":                    tweak("CSeq", "CSeq: 2 OPTIONS"),
		"a CSeq of two bytes":             tweak("CSeq", "CSeq: 257 OPTIONS"),
		"a longer From tag":               tweak("From", from("11")),
		"its byte in the Call-ID":         tweak("Call-ID", "Call-ID: 1@a.example1"),
		"a byte of the branch in the tag": strings.Replace(tweak("From", from("1z")), "=z9h", "=9h", 1),
		"a long From tag":                 tweak("From", from(long)),
		"another long From tag":           tweak("From", from(long+"1")),
		"a long branch":                   tweak("Via", via(long)),
		"another long branch":             tweak("Via", via(long+"1")),
	} {
		tag := mustParse(t, text).(*Request).Reply(StatusOK).To().Tag()
		if again := mustParse(t, text).(*Request).Reply(StatusRinging).To().Tag(); again != tag {
			t.Errorf("%s: tags of two replies: %q and %q", what, tag, again)
		}
		if other := seen[tag]; other != "" || tag == "" {
			t.Errorf("%s: tag %q is that of %s", what, tag, other)
		}
		seen[tag] = what
	}
}

// What Parse would refuse, With and Reply do not make.
func TestWithMakesWhatParseTakes(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	for _, m := range []Message{
		req.With(CSeq{1, BYE}),
		NewRequest(INVITE, req.URI(), CSeq{1, BYE}),
		NewRequest(Method(strings.Repeat("M", 2*maxURI)), req.URI()),
		req.Reply(StatusOK, ReasonPhrase(strings.Repeat("a", maxURI))),
		req.Reply(StatusOK, ReasonPhrase("a\x01")),
		req.With(Body{Content: "a body of no type"}),
		req.With(nil), req.With(Push[Edit](nil)), req.With(Add[Edit](nil)), req.With(Pop("Via"), nil),
		req.Reply(StatusOK, nil), req.Reply(99),
	} {
		if m.Err() == nil {
			t.Errorf("no error in\n%.200s", m)
		}
		readAll(m)
	}
	for _, m := range []Message{
		req.With(Body{}), req.With(Pop("Via")), req.With(Del("Content-Length")), req.Reply(StatusOK).With(CSeq{1, BYE}),
		req.Reply(StatusOK, ReasonPhrase(strings.Repeat("a", maxURI-len("SIP/2.0 200 ")))),
	} {
		if m.Err() != nil {
			t.Errorf("%v, want none", m.Err())
		}
	}
}

// The zero values are no messages, and say so.
func TestZeroMessages(t *testing.T) {
	var req Request
	var resp Response
	uri := URI{Scheme: "sip", Host: "a.example"}
	for _, m := range []Message{
		&req, &resp, req.With(MaxForwards(1)), req.With(Push(Route{URI: uri})), req.WithURI(uri), req.Reply(StatusOK),
		resp.With(MaxForwards(1)), resp.With(ReasonPhrase("x")), req.Reply(StatusOK).With(MaxForwards(1)),
	} {
		if m.Err() == nil || m.String() != "" || m.Body() != "" {
			t.Errorf("%#v has no error", m)
		}
		readAll(m)
	}
	if req.Method() != "" || req.URI() != (URI{}) || req.MaxForwards() != 70 || resp.Status() != 0 || resp.ReasonPhrase() != "" {
		t.Error("a zero message says something")
	}
}

// A body that is set takes with it what told of the one before, and all of it is
// written.
func TestBodyAlone(t *testing.T) {
	req := mustParse(t, tweak("", "Content-Encoding: gzip", "Content-Transfer-Encoding: base64", "Content-Type: text/plain")).(*Request)
	for _, body := range []Body{{}, {"application/sdp", "v=0\r\n"}} {
		out := req.With(body)
		for _, name := range []string{"Content-Encoding", "Content-Transfer-Encoding"} {
			if value, ok := out.Value(name); ok {
				t.Errorf("%s: %s is still there", name, value)
			}
		}
	}
	if out := req.With(Body{"text/plain", "hello"}, ContentLength(2)); out.Err() == nil {
		t.Errorf("a body is cut:\n%s", out)
	}
}

// A type of another package that returns its value alone, in place of what it
// was given with the value at its end, is written like any other.
func TestAppendValueReturnsItsValue(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	for _, value := range []replacing{"red", "Route: <sip:evil.example;lr>", "red and blue and green and yellow and all the others there are"} {
		out := req.With(MaxForwards(3), value)
		if got, _ := out.Value("X-Bad"); out.Err() != nil || got != string(value) || out.MaxForwards() != 3 {
			t.Errorf("%s: %v\n%s", value, out.Err(), out)
		}
	}
	if out := req.With(replacing("a: b\r\nRoute: <sip:evil.example>")); out.Err() == nil {
		t.Errorf("no error in\n%s", out)
	}
}

type replacing string

func (replacing) HeaderName() string            { return "X-Bad" }
func (r replacing) AppendValue(b []byte) []byte { return append(b[:0:0], r...) }

type embedded struct{ Body }

type source struct{ Body }

func (source) HeaderName() string { return "X-Source-Type" }

// A body is no value of a list.
func TestNoListOfBodies(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	body := Body{"text/plain", "hello"}
	for _, edit := range []Edit{List(body), List(&body), List(embedded{body}), List(&embedded{body})} {
		if out := req.With(edit); out.Err() == nil {
			t.Errorf("%T: no error in\n%s", edit, out)
		}
	}
}

// A type of another header field that embeds a Body is none.
func TestNoBody(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request).With(Body{"text/plain", "old"})
	out := req.With(source{Body{"x/y", "new"}})
	if value, _ := out.Value("X-Source-Type"); out.Err() != nil || out.Body() != "old" || value != "x/y" {
		t.Errorf("%v\n%s", out.Err(), out)
	}
}

// There is one reason phrase, however it is set.
func TestReasonPhraseIsSet(t *testing.T) {
	resp := mustParse(t, tweak("")).(*Request).Reply(StatusOK)
	phrase := ReasonPhrase("Gone Fishing")
	for what, edit := range map[string]Edit{"value": phrase, "pointer": &phrase, "Push": Push(phrase), "Add": Add(&phrase)} {
		if out := resp.With(edit); out.Err() != nil || out.ReasonPhrase() != string(phrase) {
			t.Errorf("%s: %v, %q", what, out.Err(), out.ReasonPhrase())
		}
	}
}

// There is one body, however it is set.
func TestBodyIsSet(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	body := Body{"text/plain", "hello"}
	for what, edit := range map[string]Edit{"Body": body, "*Body": &body, "Push": Push(body), "Add": Add(body), "Add of a *Body": Add(&body), "embedded": embedded{body}} {
		out := req.With(edit)
		if typ, _ := Get[ContentType](out); out.Err() != nil || out.Body() != "hello" || !typ.Is("text/plain") {
			t.Errorf("%s: %v\n%s", what, out.Err(), out)
		}
	}
}

// A method may be asked for by a URI, and so be as long as its writer likes. It
// is refused before its length is kept in the 16 bits that are for it.
func TestStartLineTooLong(t *testing.T) {
	long := mustURI(t, "sip:bob@example.com;method="+strings.Repeat("A", 65500))
	method, edits, _ := long.Requested()
	short := mustURI(t, "sip:bob@example.com")
	req := mustParse(t, tweak("")).(*Request)
	wide := short
	wide.User = strings.Repeat("@", 1<<15) // escaped, three times that
	for what, got := range map[string]*Request{
		"a method that a URI asks for": NewRequest(method, long.WithParam("transport", "tcp").WithParam("lr", ""), edits...),
		"a method of 65520 bytes":      NewRequest(Method(strings.Repeat("A", 65520)), short),
		"a method of 65536 bytes":      NewRequest(Method(strings.Repeat("A", 65536)), short),
		"a method of 131079 bytes":     NewRequest(Method(strings.Repeat("A", 131079)), short),
		"a method over the limit":      NewRequest(Method(strings.Repeat("A", 2*maxURI)), short),
		"a URI of 65536 bytes":         NewRequest(INVITE, URI{Scheme: "sip", Host: strings.Repeat("a", 65532)}),
		"a URI that grows":             NewRequest(INVITE, wide),
		"WithURI of 65536 bytes":       req.WithURI(URI{Scheme: "sip", Host: strings.Repeat("a", 65532)}),
		"WithURI that grows":           req.WithURI(wide),
	} {
		var syntax *SyntaxError
		if err := got.Err(); !errors.As(err, &syntax) || syntax.Where != "start line" && syntax.Where != "Request-URI" {
			t.Errorf("%s: Err() = %v, want a *SyntaxError of the start line", what, err)
		}
	}
	for _, n := range []int{1, 255, 256, 1000, maxURI} {
		method := Method(strings.Repeat("A", n))
		if got := NewRequest(method, short); got.Err() != nil || got.Method() != method || got.URI() != short {
			t.Errorf("a method of %d bytes: %v", n, got.Err())
		} else if got = got.WithURI(req.URI()); got.Err() != nil || got.Method() != method || got.URI() != req.URI() {
			t.Errorf("WithURI and a method of %d bytes: %v", n, got.Err())
		}
	}
}

// A registrar puts no Record-Route into its responses (RFC 3261 section 10.3).
func TestReplyRecordRoute(t *testing.T) {
	for _, c := range []struct {
		method Method
		status Status
		want   bool
	}{{INVITE, 180, true}, {INVITE, 200, true}, {SUBSCRIBE, 202, true}, {INVITE, 100, false}, {INVITE, 302, false}, {REGISTER, 200, false}} {
		text := strings.ReplaceAll(tweak("", "Record-Route: <sip:p.example;lr>"), "OPTIONS", string(c.method))
		resp := mustParse(t, text).(*Request).Reply(c.status)
		if _, err := Get[RecordRoute](resp); (err == nil) != c.want {
			t.Errorf("%v to %s: Record-Route: %v, want one: %v", c.status, c.method, err, c.want)
		}
	}
}

// A Field may be a comma list, whichever edit it makes.
func TestFieldIsAList(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	routes := Field{"Route", "<sip:p1.example;lr>, <sip:p2.example;lr>"}
	for what, edit := range map[string]Edit{"Field": routes, "*Field": &routes, "Push": Push(routes), "Add": Add(routes), "Add of a *Field": Add(&routes)} {
		out, n := req.With(Del("Route"), edit), 0
		for range All[Route](out) {
			n++
		}
		if out.Err() != nil || n != 2 {
			t.Errorf("%s: %v, %d routes, want 2", what, out.Err(), n)
		}
	}
}

// The Request-URI is an edit like others: the last one stays, and one that cannot be
// written is refused. To a response it does nothing.
func TestRequestURIIsSet(t *testing.T) {
	req := mustParse(t, string(readMessage(t, "invite.sip"))).(*Request)
	a, b := URI{Scheme: "sip", User: "a", Host: "a.example"}, URI{Scheme: "sip", User: "b", Host: "b.example", Headers: "subject=x"}
	bare := b
	bare.Headers = ""
	out := req.With(MaxForwards(7), RequestURI(a), RequestURI(b))
	if out.Err() != nil || out.URI() != bare || out.MaxForwards() != 7 || out.Body() != req.Body() || out.Method() != req.Method() {
		t.Errorf("With a Request-URI: %v, %v", out, out.Err())
	}
	if made := NewRequest(OPTIONS, a, RequestURI(b)); made.Err() != nil || made.URI() != bare {
		t.Errorf("NewRequest with a Request-URI: %v, %v", made, made.Err())
	}
	bad := RequestURI{Scheme: "sip", Host: "a\r\nVia: b"}
	if out := req.With(MaxForwards(7), bad); out.Err() == nil || out.String() != req.String() {
		t.Errorf("With a line end in the Request-URI: %v, %v", out, out.Err())
	}
	resp := req.Reply(StatusOK)
	if out := resp.With(RequestURI(a)); out.Err() != nil || out.String() != resp.String() {
		t.Errorf("a response With a Request-URI: %v, %v", out, out.Err())
	}
}
