package sip

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

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

// hostile is an input and the status of the error that Parse gives for it,
// 200 if it is accepted, 0 for what gets no answer.
type hostile struct {
	name string
	text string
	want Status
}

func (h hostile) run(t *testing.T) {
	t.Run(h.name, func(t *testing.T) {
		m, err := Parse(h.text)
		got := StatusOK
		if err != nil {
			got = err.(*SyntaxError).Status
		} else {
			readAll(m)
		}
		if got != h.want {
			t.Errorf("Parse() = %d (%v), want %d", got, err, h.want)
		}
	})
}

func start(line string) string { return tweak("OPTIONS", line) }

func TestHostileStartLines(t *testing.T) {
	for _, h := range []hostile{
		{"empty", "", 400},
		{"nothing but line breaks", "\r\n\r\n\r\n", 400},
		{"spaces", start("   "), 400},
		{"line breaks first", "\r\n\r\n" + start(plain[0]), 200},
		{"tabs", start("OPTIONS\tsip:bob@example.com\tSIP/2.0"), 400},
		{"lower case method", start("options sip:bob@example.com SIP/2.0"), 400}, // not that of CSeq
		{"70 kB Request-URI", start("OPTIONS sip:" + strings.Repeat("b", 70000) + " SIP/2.0"), 414},
		{"70 kB without an end", "OPTIONS sip:" + strings.Repeat("b", 70000), 414},
		{"no version", start("OPTIONS sip:bob@example.com"), 400},
		{"version of another protocol", start("OPTIONS sip:bob@example.com HTTP/1.1"), 400},
		{"version in lower case", start("OPTIONS sip:bob@example.com sip/2.0"), 200},
		{"SIP/7.0", start("OPTIONS sip:bob@example.com SIP/7.0"), 505},
		{"line feed alone", strings.ReplaceAll(start(plain[0]), "\r\n", "\n"), 400},
		{"carriage return alone", strings.ReplaceAll(start(plain[0]), "\r\n", "\r"), 400},
		{"NUL", start("OPTIONS sip:bob\x00@example.com SIP/2.0"), 400},
		{"status 0", start("SIP/2.0 0 OK"), 0},
		{"status 99", start("SIP/2.0 099 OK"), 0},
		{"status 700", start("SIP/2.0 700 OK"), 0},
		{"status 1000", start("SIP/2.0 1000 OK"), 0},
		{"status of six digits", start("SIP/2.0 200200 OK"), 0},
		{"status of letters", start("SIP/2.0 2OO OK"), 0},
		{"status of nothing", start("SIP/2.0 "), 0},
		{"response of another version", start("SIP/7.0 200 OK"), 0},
		{"response", start("SIP/2.0 200 OK"), 200},
		{"response with a carriage return", start("SIP/2.0 200 O\rK"), 0},
		{"response with a NUL", start("SIP/2.0 200 O\x00K"), 0},
	} {
		h.run(t)
	}
}

func TestHostileHeaderLines(t *testing.T) {
	for _, h := range []hostile{
		{"white space before the colon", tweak("", "Subject \t: x"), 200},
		{"NUL before the colon", tweak("", "Subject\x00: x"), 400},
		{"control before the colon", tweak("", "Subject\x01: x"), 400},
		{"UTF-8 before the colon", tweak("", "Subj\u00e9ct: x"), 400},
		{"white space in the name", tweak("", "Sub ject: x"), 400},
		{"no colon", tweak("", "Subject"), 400},
		{"empty name", tweak("", ": x"), 400},
		{"name of 64 kB", tweak("", strings.Repeat("n", 64000)+": x"), 400},
		{"value of 64 kB", tweak("", "Subject: "+strings.Repeat("n", 66000)), 513},
		{"folds to 1 MB", tweak("", "Subject: x"+strings.Repeat("\r\n x", 1<<18)), 513},
		{"501 header fields", tweak("", strings.Repeat("X: y\r\n", 494)), 400},
		{"fold before any field", strings.Join(plain[:1], "") + "\r\n " + strings.Join(plain[1:], "\r\n") + "\r\n\r\n", 400},
		{"fold after the last field", tweak("Content-Length", "Content-Length: 0", " "), 200},
		{"line of white space before the body", tweak("", "Subject: x\r\n  \r\n"), 200},
		{"no empty line", strings.Join(plain, "\r\n") + "\r\n", 400},
		{"no end of the last line", strings.Join(plain, "\r\n"), 400},
		{"start line alone", plain[0] + "\r\n\r\n", 400},
		{"NUL in a value", tweak("", "Subject: a\x00b"), 400},
		{"NUL behind a backslash without quotes", tweak("", "X: a\\\x00b"), 400},
		{"NUL behind a backslash after quotes", tweak("", "X: \"a\"\\\x00b"), 400},
		{"quotes of one field and a NUL of the next", tweak("", "X: \"", "Y: \\\x00"), 400},
		{"quoted-pair in a fold", tweak("", "X: \"a", " \\\x00\""), 200},
		{"control behind two backslashes", tweak("", "X: \"\\\\\x01\""), 400},
		{"controls in a value", tweak("", "X: a\x01\x08\x1b"), 400},
		{"control at the end", tweak("", "X: a\x1f"), 400},
		{"tabs in a value", tweak("", "X:\ta\tb\t"), 200},
		{"many lines with a control at their end", tweak("", strings.Repeat("X: abcdefghijklmnopqrstuvwxyz\r\n", 400)+"Y: \x02"), 400},
		{"NUL behind a backslash", tweak("From", `From: "a\`+"\x00"+`" <sip:a@a.example>;tag=1`), 200},
		{"CR in a value", tweak("", "Subject: a\rb"), 400},
		{"LF in a value", tweak("", "Subject: a\nRoute: <sip:evil.example>"), 400},
		{"UTF-8 in a value", tweak("", "Subject: caf\u00e9"), 200},
	} {
		h.run(t)
	}
}

func TestHostileDuplicatesAndVias(t *testing.T) {
	for _, h := range []hostile{
		{"tag twice", tweak("From", plain[2]+";TAG=2"), 400},
		{"tag of To twice", tweak("To", plain[3]+";tag=2;x;tag=2"), 400},
		{"tag without a value", tweak("To", plain[3]+";tag"), 400}, // a reply would add another
		{"branch without a value", tweak("Via", "Via: SIP/2.0/UDP a.example;branch"), 400},
		{"tag in quotes", tweak("From", `From: <sip:alice@example.com>;tag="a b"`), 400},
		{"tag that is no token", tweak("From", `From: <sip:alice@example.com>;tag=a/b@c`), 200},
		{"tag in the URI, too", tweak("From", `From: <sip:alice@example.com;tag=2>;tag=1`), 200},
		{"branch twice", tweak("Via", plain[1]+";branch=z9hG4bK2"), 400},
		{"branch in quotes", tweak("Via", `Via: SIP/2.0/UDP a.example;branch="z9hG4bK1"`), 400},
		{"branch twice in a long Via", tweak("Via", plain[1]+";x="+strings.Repeat("y", 300)+";branch=z9hG4bK2"), 400},
		{"bracket in a parameter", tweak("To", plain[3]+";x=<y>"), 400},
		{"second Via is garbage", tweak("Via", plain[1]+", garbage"), 200}, // All tells
		{"From twice", tweak("", plain[2]), 400},
		{"To twice, one compact", tweak("", "t: <sip:eve@example.com>"), 400},
		{"Call-ID twice", tweak("", plain[4]), 400},
		{"CSeq twice", tweak("", "CSeq: 2 OPTIONS"), 400},
		{"Max-Forwards twice", tweak("", "Max-Forwards: 70"), 400},
		{"Content-Length twice, the same", tweak("", "l: 0"), 400},
		{"Content-Length twice, not the same", tweak("", "Content-Length: 5"), 400},
		{"no Via", tweak("Via"), 400},
		{"no From", tweak("From"), 400},
		{"no To", tweak("To"), 400},
		{"no Call-ID", tweak("Call-ID"), 400},
		{"no CSeq", tweak("CSeq"), 400},
		{"no Max-Forwards", tweak("Max-Forwards"), 200},
		{"no branch", tweak("Via", "Via: SIP/2.0/UDP a.example"), 200},
		{"branch is the cookie", tweak("Via", "Via: SIP/2.0/UDP a.example;branch=z9hG4bK"), 200},
		{"empty Via", tweak("Via", "Via:"), 400},
		{"no sent-by", tweak("Via", "Via: SIP/2.0/UDP ;branch=z9hG4bK1"), 400},
		{"no transport", tweak("Via", "Via: SIP/2.0/ a.example;branch=z9hG4bK1"), 400},
		{"two semicolons", tweak("Via", "Via: SIP/2.0/UDP a.example;;branch=z9hG4bK1"), 400},
		{"empty first value", tweak("Via", "Via: , SIP/2.0/UDP a.example"), 400},
		{"IPv6 without brackets", tweak("Via", "Via: SIP/2.0/UDP 2001:db8::1;branch=z9hG4bK1"), 400},
		{"port 0", tweak("Via", "Via: SIP/2.0/UDP a.example:0;branch=z9hG4bK1"), 400},
		{"port 99999", tweak("Via", "Via: SIP/2.0/UDP a.example:99999;branch=z9hG4bK1"), 400},
		{"port of 20 digits", tweak("Via", "Via: SIP/2.0/UDP a.example:"+strings.Repeat("1", 20)), 400},
		{"forged received and rport", tweak("Via", "Via: SIP/2.0/UDP a.example;received=not-an-address;rport=99999"), 200},
		{"other protocol", tweak("Via", "Via: HTTP/1.1/UDP a.example"), 400},
		{"white space around the slashes", tweak("Via", "Via: sip / 2.0 / UDP a.example : 5060 ; branch = z9hG4bK1"), 200},
	} {
		h.run(t)
	}
	var errs []error
	for _, err := range All[Via](mustParse(t, tweak("Via", plain[1]+", garbage"))) {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || errs[1] == nil {
		t.Errorf("All of a Via and garbage: %v, want an error for the second", errs)
	}
	forged := mustParse(t, tweak("Via", "Via: SIP/2.0/UDP a.example;received=evil;rport=99999")).Via()
	if port, asked := forged.RPort(); port != 0 || !asked || forged.Received().IsValid() {
		t.Errorf("forged Via: rport %d, received %v", port, forged.Received())
	}
}

func TestHostileNumbers(t *testing.T) {
	for _, h := range []hostile{
		{"CSeq 2^31-1", tweak("CSeq", "CSeq: 2147483647 OPTIONS"), 200},
		{"CSeq 2^31", tweak("CSeq", "CSeq: 2147483648 OPTIONS"), 400},
		{"CSeq 2^32-1", tweak("CSeq", "CSeq: 4294967295 OPTIONS"), 400},
		{"CSeq 2^32", tweak("CSeq", "CSeq: 4294967296 OPTIONS"), 400},
		{"CSeq 2^64+1", tweak("CSeq", "CSeq: 18446744073709551617 OPTIONS"), 400},
		{"CSeq with zeros first", tweak("CSeq", "CSeq: 0000000000000000000001 OPTIONS"), 200},
		{"CSeq below zero", tweak("CSeq", "CSeq: -1 OPTIONS"), 400},
		{"CSeq without a number", tweak("CSeq", "CSeq: OPTIONS"), 400},
		{"CSeq without a method", tweak("CSeq", "CSeq: 1"), 400},
		{"CSeq in one word", tweak("CSeq", "CSeq: 1OPTIONS"), 400},
		{"Content-Length below zero", tweak("Content-Length", "Content-Length: -1"), 400},
		{"Content-Length 2^31", tweak("Content-Length", "Content-Length: 2147483648"), 400},
		{"Content-Length 2^32+32", tweak("Content-Length", "Content-Length: 4294967328"), 400},
		{"Content-Length 5 5", tweak("Content-Length", "Content-Length: 5 5"), 400},
		{"Content-Length 0x0", tweak("Content-Length", "Content-Length: 0x0"), 400},
		{"Content-Length +0", tweak("Content-Length", "Content-Length: +0"), 400},
		{"empty Content-Length", tweak("Content-Length", "Content-Length:"), 400},
		{"Max-Forwards 255", tweak("Max-Forwards", "Max-Forwards: 255"), 200},
		{"Max-Forwards 256", tweak("Max-Forwards", "Max-Forwards: 256"), 400},
		{"Max-Forwards 300", tweak("Max-Forwards", "Max-Forwards: 300"), 400},
		{"Max-Forwards below zero", tweak("Max-Forwards", "Max-Forwards: -1"), 400},
	} {
		h.run(t)
	}
	m := mustParse(t, tweak("", "Expires: 4294967296", "Retry-After: 99999999999", "Min-Expires: -1",
		"Contact: <sip:a.example>;expires=4294967296;q=1.0001"))
	_, expires := Get[Expires](m)
	_, retry := Get[RetryAfter](m)
	_, least := Get[MinExpires](m)
	for _, err := range []error{expires, retry, least} {
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Status != 400 {
			t.Errorf("number over its limit: %v, want 400", err)
		}
	}
	contact, err := Get[Contact](m)
	if _, ok := contact.Expires(); err != nil || ok {
		t.Errorf("Contact with an expires over the limit: %v, %v", ok, err)
	}
}

func TestHostileQuotesAndParameters(t *testing.T) {
	from := func(value string) string { return tweak("From", "From: "+value) }
	for _, h := range []hostile{
		{"quotes do not end", from(`"Alice <sip:alice@example.com>;tag=1`), 400},
		{"backslash at the end", from(`"Alice\" <sip:alice@example.com>;tag=1`), 400},
		{"quote of a parameter does not end", from(`<sip:alice@example.com>;tag=1;x="a`), 400},
		{"bracket does not end", from(`<sip:alice@example.com;tag=1`), 400},
		{"bracket in quotes", from(`"<sip:eve@example.com>" <sip:alice@example.com>;tag=1`), 200},
		{"empty parameters", from(`<sip:alice@example.com>;a;;b=;=c`), 400},
		{"no value", from(`<sip:alice@example.com>;tag=`), 400},
		{"text behind the bracket", from(`<sip:alice@example.com> tag=1`), 400},
		{"10,000 parameters", from(`<sip:alice@example.com>` + strings.Repeat(";a", 10000)), 400},
		{"10,000 URI parameters", from(`<sip:alice@example.com` + strings.Repeat(";a", 10000) + `>`), 400},
		{"two values", from(`<sip:alice@example.com>;tag=1, <sip:eve@example.com>;tag=2`), 400},
		{"60,000 commas", tweak("", "Contact: "+strings.Repeat(",", 60000)), 200},
		{"60,000 brackets", tweak("", "Contact: "+strings.Repeat("<", 60000)), 200},
		{"60,000 parentheses", tweak("", "Retry-After: 1"+strings.Repeat("(", 60000)), 200},
	} {
		h.run(t)
	}
	if got := mustParse(t, from(`"<sip:eve@example.com>" <sip:alice@example.com>;tag=1`)).From().URI.User; got != "alice" {
		t.Errorf("user = %q, want alice", got)
	}
	for _, comment := range []string{"(", "(()", `(\)`} {
		if _, err := (RetryAfter{}).ParseValue("1 " + comment); err == nil {
			t.Errorf("Retry-After with the comment %s was accepted", comment)
		}
	}
	if r, err := (RetryAfter{}).ParseValue(`18 (a (nested \) one)) ;duration=3600`); err != nil || r.Seconds != 18 || r.Params != ";duration=3600" {
		t.Errorf("Retry-After = %v, %v", r, err)
	}
}

func TestHostileURIs(t *testing.T) {
	for _, h := range []struct {
		uri string
		ok  bool
	}{
		{"sip:", false},
		{"sip:@", false},
		{"sip:@example.com", false},
		{"sip:alice@", false},
		{"sip:%@example.com", false},
		{"sip:%4@example.com", false},
		{"sip:%zz@example.com", false},
		{"sip:%00@example.com", true},
		{"sip:%2525@example.com", true},
		{"sip:a@b@example.com", false},
		{"sip:a;b@example.com", true},
		{"sip:a%40b@example.com", true},
		{"sip:[::", false},
		{"sip:[::]", true},
		{"sip:[fe80::1%25eth0]", false},
		{"sip:[fe80::1%eth0]", false},
		{"sip:[192.0.2.1]", false},
		{"sip:[]", false},
		{"sip:2001:db8::1", false},
		{"sip:example.com:", false},
		{"sip:example.com:0", false},
		{"sip:example.com:65536", false},
		{"sip:example.com:5060x", false},
		{"sip:example.com;", false},
		{"sip:example.com;=x", false},
		{"sip:example.com;x=", false},
		{"sip:example.com?", false},
		{"sip:example.com?a", false},
		{"sip:example.com?Route=%3Csip:evil.example%3E", true},
		{"sip:example.com?" + strings.Repeat("a=b&", 99) + "a=b", true},
		{"sip:example.com?" + strings.Repeat("a=b&", 100) + "a=b", false},
		{"sip:exa mple.com", false},
		{"sip:example.com\r\nVia: x", false},
		{"sip:example.com\x00", false},
		{"sip:\u00fc.example", false},
		{"nobody:knows", true},
		{"nobody:", false},
		{"no body:knows", false},
		{"1x:y", false},
		{":x", false},
		{"", false},
		{"tel:", false},
		{"tel:+", false},
		{"sip:" + strings.Repeat("a", 70000), false},
	} {
		u, err := ParseURI(h.uri)
		if (err == nil) != h.ok {
			t.Errorf("ParseURI(%.40q) = %v, %v, want ok %v", h.uri, u, err, h.ok)
		}
		// The same as the URI of a Contact: it never harms another field.
		m := "Contact: <" + h.uri + ">"
		if strings.ContainsAny(h.uri, "\r\n\x00") || len(h.uri) > 60000 {
			continue
		}
		if _, err := Get[Contact](mustParse(t, tweak("", m))); (err == nil) != h.ok {
			t.Errorf("%.40q: %v, want ok %v", m, err, h.ok)
		}
	}
}

// Headers of a URI are text that its reader may look at. No request is made of
// them here (RFC 3261 section 19.1.5).
func TestHostileURIHeaders(t *testing.T) {
	u, err := ParseURI("sip:a.example?Via=SIP%2F2.0%2FUDP%20evil.example&Route=%3Csip:evil.example%3E&body=%0D%0AVia:%20x")
	if err != nil {
		t.Fatal(err)
	}
	req := NewRequest(OPTIONS, u)
	if _, ok := req.Value("Via"); ok || req.Err() != nil {
		t.Errorf("a request to that URI has a Via: %v\n%s", req.Err(), req)
	}
	for name, value := range u.Header() {
		if name == "body" && req.With(Field{"Subject", value}).Err() == nil {
			t.Error("With wrote a line break of the URI")
		}
	}
}

// Group 8: what a datagram may hold.
func TestHostileDatagrams(t *testing.T) {
	body := func(length int, body string) string {
		return tweak("Content-Length", fmt.Sprintf("Content-Length: %d", length)) + body
	}
	big := tweak("Content-Length", "Subject: x") // no Content-Length
	for _, h := range []hostile{
		{"body shorter than Content-Length", body(10, "12345"), 400},
		{"one byte", "x", 400},
		{"two line breaks", "\r\n\r\n", 400},
		{"STUN", "\x00\x01\x00\x00\x21\x12\xa4\x42" + strings.Repeat("x", 12), 400},
		{"as large as UDP carries", big + strings.Repeat("b", 65507-len(big)), 200},
		{"text of another protocol", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 400},
	} {
		h.run(t)
	}
	// Of a longer datagram the rest is ignored (RFC 3261 section 18.3).
	m := mustParse(t, body(3, "123OPTIONS sip:evil.example SIP/2.0\r\n"))
	if m.Body() != "123" || !strings.HasSuffix(m.String(), "\r\n\r\n123") {
		t.Errorf("Body() = %q, want what Content-Length says", m.Body())
	}
}
