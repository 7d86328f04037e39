package sip

import (
	"errors"
	"strings"
	"testing"
)

func syntaxError(t *testing.T, text string) *SyntaxError {
	t.Helper()
	_, err := Parse(text)
	var e *SyntaxError
	if !errors.As(err, &e) {
		t.Fatalf("Parse() = %v, want a syntax error", err)
	}
	return e
}

// A broken Max-Forwards: the sender learns which field it was, and gets a
// response that it can match.
func TestSyntaxErrorReply(t *testing.T) {
	e := syntaxError(t, "OPTIONS sip:bob@example.com SIP/2.0\r\n"+
		"v: SIP/2.0/UDP a.example;branch=z9hG4bK1,\r\n SIP/2.0/UDP b.example;branch=z9hG4bK2\r\n"+
		"Via: SIP/2.0/UDP c.example\r\n"+
		"f: <sip:alice@example.com>\r\n ;tag=1\r\n"+
		"t: <sip:bob@example.com>\r\n"+
		"i: 1@a.example\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 300\r\nSubject: x\r\n\r\n")
	resp := e.Reply()
	if resp == nil {
		t.Fatal("Reply() = nil")
	}
	tag := resp.To().Tag()
	want := "SIP/2.0 400 Bad Max-Forwards\r\n" +
		"Via: SIP/2.0/UDP a.example;branch=z9hG4bK1, SIP/2.0/UDP b.example;branch=z9hG4bK2\r\n" +
		"Via: SIP/2.0/UDP c.example\r\n" +
		"From: <sip:alice@example.com> ;tag=1\r\n" +
		"To: <sip:bob@example.com>;tag=" + tag + "\r\n" +
		"Call-ID: 1@a.example\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
	if resp.String() != want || tag == "" {
		t.Errorf("Reply() =\n%s\nwant\n%s", resp, want)
	}
	if _, err := Parse(resp.String()); err != nil {
		t.Errorf("the reply does not parse: %v", err)
	}
	if resp.Via().Branch() != "z9hG4bK1" || resp.From().Tag() != "1" || resp.CSeq().Method != OPTIONS {
		t.Errorf("getters of the reply: %v, %v, %v", resp.Via(), resp.From(), resp.CSeq())
	}
}

// What nobody may answer, and what nobody could.
func TestSyntaxErrorNoReply(t *testing.T) {
	for _, text := range []string{
		"",
		"x",
		strings.ReplaceAll(tweak("Max-Forwards", "Max-Forwards: 300"), "OPTIONS", "ACK"),
		tweak("OPTIONS", "SIP/2.0 200 OK", "Max-Forwards: 300"),
		tweak("OPTIONS", "SIP/2.0 999 OK"),
		tweak("OPTIONS", "sip/2.0 999 OK"),
		tweak("Via"),
		tweak("Via", "Via: SIP/2.0/UDP"),
		tweak("Via", "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\x00", "Max-Forwards: 300"),
		tweak("Via", "Via: SIP/2.0/UDP a.example;branch=\n z9hG4bK1"),
		tweak("Via", "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r"),
		strings.ReplaceAll(tweak(""), "\r\n", "\n"),
	} {
		if resp := syntaxError(t, text).Reply(); resp != nil {
			t.Errorf("a reply to\n%q\nis\n%q", text, resp)
		}
	}
}

// Nothing that a field holds becomes a line of the reply.
func TestSyntaxErrorReplySmugglesNothing(t *testing.T) {
	for _, line := range []string{
		"Subject: x\r\n Via: SIP/2.0/UDP evil.example",
		"Subject:\r\n\tRoute: <sip:evil.example>\r\n To: <sip:evil.example>",
		"X: a\nVia: SIP/2.0/UDP evil.example",
		"X: a\rVia: SIP/2.0/UDP evil.example",
		"Contact: a\nRecord-Route: <sip:evil.example>",
		"Call-ID: x\nVia: SIP/2.0/UDP evil.example",
		"From: x\rVia: SIP/2.0/UDP evil.example",
		"Via : SIP/2.0/UDP b.example;x=\"\nevil.example\"",
	} {
		resp := syntaxError(t, tweak("Max-Forwards", line, "Max-Forwards: 300")).Reply()
		if resp == nil {
			continue
		}
		for f := range resp.Fields() {
			if strings.Contains(f.Value, "evil") || f.Name == "Route" {
				t.Errorf("%q became %s: %q", line, f.Name, f.Value)
			}
		}
	}
}

// Over a limit the answer says which.
func TestSyntaxErrorReplyStatus(t *testing.T) {
	for _, h := range []struct {
		text, want string
	}{
		{tweak("OPTIONS", "OPTIONS sip:bob@example.com SIP/7.0"), "505 Version Not Supported"},
		{tweak("OPTIONS", "OPTIONS sip:"+strings.Repeat("b", 40000)+" SIP/2.0"), "414 Request-URI Too Long"},
		{tweak("", "Subject: "+strings.Repeat("s", 66000)), "513 Message Too Large"},
		{tweak("OPTIONS", "OPTIONS <sip:bob@example.com> SIP/2.0"), "400 Bad Request-URI"},
		{tweak("From", "From: \"<sip:a.example>"), "400 Bad From"},
		{tweak("Call-ID"), "400 Bad Call-ID"},
		{tweak("", "no colon"), "400 Bad header section"},
	} {
		resp := syntaxError(t, h.text).Reply()
		if resp == nil || !strings.HasPrefix(resp.String(), "SIP/2.0 "+h.want+"\r\n") {
			t.Errorf("Reply() = %v, want %s", resp, h.want)
		}
	}
}

// A field that only Get looks at can be answered, too.
func TestGetErrorReply(t *testing.T) {
	_, err := Get[Contact](mustParse(t, tweak("", "Contact: <sip:>")))
	var e *SyntaxError
	if !errors.As(err, &e) || e.Where != "Contact" {
		t.Fatalf("Get() = %v, want an error of Contact", err)
	}
	if resp := e.Reply(); resp == nil || resp.ReasonPhrase() != "Bad Contact" {
		t.Errorf("Reply() = %v", resp)
	}
	_, err = Get[Contact](mustParse(t, tweak("OPTIONS", "SIP/2.0 200 OK", "Contact: <sip:>")))
	if !errors.As(err, &e) || e.Status != 0 || e.Reply() != nil {
		t.Errorf("Get() of a response = %v with status %d, want one without", err, e.Status)
	}
}

// What is repeated to the sender of a malformed request is bounded: so many
// lines, and of a line so much. A first Via over that leaves no way back.
func TestSyntaxErrorReplyLimits(t *testing.T) {
	broken := "Max-Forwards: 300"
	vias := func(n int) string {
		return tweak("Max-Forwards", broken, strings.Repeat("v: SIP/2.0/UDP b\r\n", n)+"x: y")
	}
	for n, want := range map[int]int{1: 2, 69: 70, 70: 71, 71: 71, 400: 71} {
		got := 0
		for _, err := range All[Via](syntaxError(t, vias(n)).Reply()) {
			if got++; err != nil {
				t.Error(err)
			}
		}
		if got != want {
			t.Errorf("of %d Vias %d are repeated, want %d", n+1, got, want)
		}
	}
	long := func(line string, n int) string { return line + strings.Repeat("x", n-len(line)) }
	folds := func(line string, n int) string { return line + strings.Repeat("\r\n x", n) }
	for _, h := range []struct {
		name, text string
		via, from  bool
	}{
		{"From of 2 kB", tweak("From", long("From: ", maxRepeatedLine-2)), true, true},
		{"From over 2 kB", tweak("From", long("From: ", maxRepeatedLine-1)), true, false},
		{"From with 49 folds", tweak("From", folds("From: x", maxRepeatedFolds-1)), true, true},
		{"From with 50 folds", tweak("From", folds("From: x", maxRepeatedFolds)), true, false},
		{"Via of 2 kB", tweak("Via", long(plain[1], maxRepeatedLine-2), broken), true, true},
		{"Via over 2 kB", tweak("Via", long(plain[1], maxRepeatedLine-1), broken), false, false},
		{"Via in line 250", tweak("Via", strings.Repeat("x: y\r\n", maxRepeatedFrom-1)+plain[1], broken), true, true},
		{"Via in line 251", tweak("Via", strings.Repeat("x: y\r\n", maxRepeatedFrom)+plain[1], broken), false, false},
	} {
		resp := syntaxError(t, h.text).Reply()
		if (resp != nil) != h.via {
			t.Errorf("%s: Reply() = %v, want one: %v", h.name, resp, h.via)
			continue
		}
		if resp == nil || strings.HasPrefix(h.name, "Via") {
			continue
		}
		if _, ok := resp.Value("From"); ok != h.from {
			t.Errorf("%s: repeated: %v, want %v", h.name, ok, h.from)
		}
	}
}

// An error tells the byte that was not as expected; it is behind the "^".
func TestErrorOffsets(t *testing.T) {
	for _, line := range []string{
		"Via: SIP/^3.0/UDP a.example;branch=z9hG4bK1",
		"Via: SIP/2.0/UDP^",
		"Via: SIP/2.0/UDP ^;branch=z9hG4bK1",
		"Via: SIP/2.0/UDP a.example:^0;branch=z9hG4bK1",
		"Via: SIP/2.0/UDP [^::1%eth0];branch=z9hG4bK1",
		"Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;^;rport",
		"Via: SIP/2.0/UDP a.example;branch=^\"z\"",
		"From: \"Alice\" ^sip:a.example;tag=1",
		"From: Alice^, B <sip:a.example>;tag=1",
		"From: <^a.example>;tag=1",
		"From: <sip:a^<b@a.example>;tag=1",
		"From: <sip:a@^>;tag=1",
		"From: <sip:a@a.example;lr=^>;tag=1",
		"From: <sip:a@a.example;lr?^a>;tag=1",
		"From: <sip:a@a.example>;tag^",
		"From: <sip:a@a.example>;tag=1 ^tag=2",
		"To: <tel:+12^x>",
		"To: <urn:a^<b>",
		"Call-ID: a^,b",
		"CSeq: ^4294967296 OPTIONS",
		"CSeq: 1^OPTIONS",
		"Max-Forwards: ^256",
		"Content-Length: ^-1",
		"Contact: <sip:a@a.example>, <sip:b@^>",
		"Contact: <sip:a@a.example>;q=^,<sip:b@b.example>",
		"Session-Expires: ^x",
		"Subscription-State: active;expires=^",
		"Route: <sip:a.example>,\r\n <sip:b.example>, sip:c.example",
	} {
		name, _, _ := strings.Cut(line, ":")
		text := tweak(name, line)
		if !strings.Contains(text, line) {
			text = tweak("", line)
		}
		want := strings.IndexByte(text, '^')
		if want < 0 {
			want = strings.Index(text, name) + len(name) + 2 // a fold: where the value begins
		}
		text = strings.Replace(text, "^", "", 1)
		m, err := Parse(text)
		if err == nil {
			switch name {
			case "Contact":
				err = firstError[Contact](m)
			case "Route":
				err = firstError[Route](m)
			case "Session-Expires":
				err = firstError[SessionExpires](m)
			case "Subscription-State":
				err = firstError[SubscriptionState](m)
			}
		}
		var bad *SyntaxError
		if !errors.As(err, &bad) || bad.Where != name || bad.Offset != want || bad.Status != StatusBadRequest ||
			!strings.HasPrefix(bad.Msg, "expected ") {
			t.Errorf("%s\n%v, want one at byte %d", line, err, want)
		}
	}
}

func firstError[H Parser[H]](m Message) error {
	for _, err := range All[H](m) {
		if err != nil {
			return err
		}
	}
	return nil
}

// What a terminal or a log takes for commands is in no reason phrase.
func TestReasonPhraseControls(t *testing.T) {
	resp := mustParse(t, tweak("")).(*Request).Reply(StatusOK).String()
	for phrase, ok := range map[string]bool{"OK": true, "": true, "\u00c7a va": true, "a\tb": true, "\x1b[2J": false, "a\x07": false, "\x00": false, "a\rb": false} {
		if _, err := Parse(strings.Replace(resp, "200 OK", "200 "+phrase, 1)); (err == nil) != ok {
			t.Errorf("%q: %v", phrase, err)
		}
	}
}
