package sip

import (
	"slices"
	"strings"
	"testing"
)

func fromValue(value string) string { return tweak("From", "From: "+value) }

// Group 5.
var hostileValues = []hostile{
	{"quotes do not end", fromValue(`"Alice <sip:alice@example.com>;tag=1`), "400 From"},
	{"backslash at the end", fromValue(`"Alice\" <sip:alice@example.com>;tag=1`), "400 From"},
	{"quote of a parameter does not end", fromValue(`<sip:alice@example.com>;tag=1;x="a`), "400 From"},
	{"bracket does not end", fromValue(`<sip:alice@example.com;tag=1`), "400 From"},
	{"bracket in quotes", fromValue(`"<sip:eve@example.com>" <sip:alice@example.com>;tag=1`), "ok"},
	{"empty parameters", fromValue(`<sip:alice@example.com>;a;;b=;=c`), "400 From"},
	{"no value", fromValue(`<sip:alice@example.com>;tag=`), "400 From"},
	{"text behind the bracket", fromValue(`<sip:alice@example.com> tag=1`), "400 From"},
	{"10,000 parameters", fromValue(`<sip:alice@example.com>` + strings.Repeat(";a", 10000)), "400 From"},
	{"10,000 URI parameters", fromValue(`<sip:alice@example.com` + strings.Repeat(";a", 10000) + `>`), "400 From"},
	{"two values", fromValue(`<sip:alice@example.com>;tag=1, <sip:eve@example.com>;tag=2`), "400 From"},
	{"60,000 commas", tweak("", "Contact: "+strings.Repeat(",", 60000)), "ok; Contact refused"},
	{"60,000 brackets", tweak("", "Contact: "+strings.Repeat("<", 60000)), "ok; Contact refused"},
	{"60,000 parentheses", tweak("", "Retry-After: 1"+strings.Repeat("(", 60000)), "ok; Retry-After refused"},
	{"backslash and NUL", fromValue("\"\\\x00\" <sip:alice@example.com>;tag=1"), "ok"},
	{"backslash and the end", fromValue(`"Alice\`), "400 From"},
	{"a quote and nothing else", fromValue(`"`), "400 From"},
	{"30,000 quotes", fromValue(strings.Repeat(`"`, 30000)), "400 From"},
	{"30,000 backslashes", fromValue(`"` + strings.Repeat(`\`, 30000) + `" <sip:alice@example.com>;tag=1`), "ok"},
	{"name without quotes", fromValue(`Alice, Bob <sip:alice@example.com>;tag=1`), "400 From"},
	{"semicolons", fromValue(`<sip:alice@example.com>;tag=1;;;`), "400 From"},
	{"tag of an equals sign", fromValue(`<sip:alice@example.com>;tag==1`), "ok"}, // as any that is no token
	{"no name", fromValue(`<sip:alice@example.com>;=1`), "400 From"},
	{"10,000 parameters of a Contact", tweak("", "Contact: <sip:a.example>"+strings.Repeat(";a", 10000)), "ok; Contact refused"},
	{"10,000 parameters of a Digest", tweak("", "WWW-Authenticate: Digest a=1"+strings.Repeat(",a=1", 10000)), "ok; WWW-Authenticate refused"},
	{"Digest with a value that needs quotes", tweak("", "Authorization: Digest username=<a>, realm=b"), "ok; Authorization refused"},
	{"Digest with bytes over 127", tweak("", "Authorization: Digest username=caf\u00e9"), "ok; Authorization refused"},
	{"Digest with quotes that do not end", tweak("", `Authorization: Digest username="a, realm="b"`), "ok; Authorization refused"},
	{"two challenges in one line", tweak("", `WWW-Authenticate: Digest realm="a", nonce="1", Digest realm="b", nonce="2"`), "ok"}, // and read apart
	{"10,000 challenges in one line", tweak("", "WWW-Authenticate: a b"+strings.Repeat(", a b", 10000)), "ok; WWW-Authenticate refused"},
	{"60,000 commas of an Authorization", tweak("", "Authorization: a "+strings.Repeat(",", 60000)), "ok"},
	{"60,000 commas of a Digest", tweak("", "Authorization: Digest "+strings.Repeat(",", 60000)), "ok; Authorization refused"},
	{"60,000 commas of an Authentication-Info", tweak("", "Authentication-Info: "+strings.Repeat(",", 60000)), "ok; Authentication-Info refused"},
	{"60,000 brackets of an Identity", tweak("", "Identity: a;info="+strings.Repeat("<", 60000)), "ok; Identity refused"},
	{"60,000 quotes of an Identity", tweak("", "Identity: a;x="+strings.Repeat(`"`, 59999)+"<a:b>"), "ok; Identity refused"},
	{"10,000 parameters of a P-Charging-Vector", tweak("", "P-Charging-Vector: a"+strings.Repeat(";a", 10000)), "ok; P-Charging-Vector refused"},
	{"100,000 commas", tweak("", "Contact: "+strings.Repeat(",", 100000)), "513 header section"},
	{"100,000 commas in many lines", tweak("", strings.TrimSuffix(strings.Repeat("m:"+strings.Repeat(",", 1000)+"\r\n", 100), "\r\n")), "513 header section"},
	{"60,000 commas of a token list", tweak("", "Supported: "+strings.Repeat(",", 60000)), "ok; Supported refused"},
	{"199 commas of a token list", tweak("", "Supported: "+strings.Repeat(",", 199)), "ok"},
	{"60,000 commas of an unknown field", tweak("", "X-A: "+strings.Repeat(",", 60000)), "ok"},
	{"60,000 commas of a Via", tweak("Via", "Via: "+strings.Repeat(",", 60000)), "400 Via, unanswered"},
	{"60,000 commas behind a Via", tweak("Via", plain[1]+strings.Repeat(",", 60000)), "ok; Via refused"},
	{"60,000 parentheses of a Warning", tweak("", "Warning: 399 a.example \"x\" "+strings.Repeat("(", 60000)), "ok; Warning refused"},
	{"60,000 parentheses of a Timestamp", tweak("", "Timestamp: 1"+strings.Repeat("(", 60000)), "ok; Timestamp refused"},
	{"60,000 parentheses of a User-Agent", tweak("", "User-Agent: x "+strings.Repeat("(", 60000)), "ok"},
	{"30,000 nested comments", tweak("", "Retry-After: 1"+strings.Repeat("(", 30000)+strings.Repeat(")", 30000)), "ok"},
	{"comment that does not end", tweak("", "Retry-After: 1 (()"), "ok; Retry-After refused"},
	{"comment that ends in a backslash", tweak("", `Retry-After: 1 (\)`), "ok; Retry-After refused"},
	{"two comments", tweak("", `Retry-After: 1 (a)(b);duration=2`), "ok"},
	{"comment that was not begun", tweak("", `Retry-After: 1 )`), "ok; Retry-After refused"},
}

func TestHostileValues(t *testing.T) {
	for _, h := range hostileValues {
		h.run(t)
	}
	if got := mustParse(t, fromValue(`"<sip:eve@example.com>" <sip:alice@example.com>;tag=1`)).From().URI.User; got != "alice" {
		t.Errorf("user = %q, want alice", got)
	}
	if r, err := (RetryAfter{}).ParseValue(`18 (a (nested \) one)) ;duration=3600`); err != nil || r.Seconds != 18 || r.Params != ";duration=3600" {
		t.Errorf("Retry-After = %v, %v, want 18 s and a duration", r, err)
	}
}

// Group 6: a scheme that is not known is for who routes to refuse, with 416; a
// URI that is none is refused here.
var hostileURIFields = []hostile{
	{"unknown scheme of the Request-URI", start("OPTIONS nobody:knows SIP/2.0"), "ok"},
	{"unknown scheme of From", fromValue("<nobody:knows>;tag=1"), "ok"},
	{"unknown scheme of To", tweak("To", "To: nobody:knows"), "ok"},
	{"unknown scheme of a Contact", tweak("", "Contact: <nobody:knows>"), "ok"},
	{"unknown scheme of a Route", tweak("", "Route: <nobody:knows>"), "ok"},
	{"Route without brackets", tweak("", "Route: sip:p.example;lr"), "ok; Route refused"},
	{"Request-URI in brackets", start("OPTIONS <sip:bob@example.com> SIP/2.0"), "400 Request-URI"},
	{"100 headers of a Contact", tweak("", "Contact: <sip:a.example?"+strings.Repeat("a=b&", 99)+"a=b>"), "ok"},
	{"101 headers of a Contact", tweak("", "Contact: <sip:a.example?"+strings.Repeat("a=b&", 100)+"a=b>"), "ok; Contact refused"},
	{"Route and Via in a Contact", tweak("", "Contact: <sip:a.example?Route=%3Csip:evil.example%3E&Via=SIP%2F2.0%2FUDP%20evil.example>"), "ok"},
	{"line break in a header of a Contact", tweak("", "Contact: <sip:a.example?Subject=x%0D%0AVia:%20SIP%2F2.0%2FUDP%20evil.example>"), "ok"},
	{"headers without brackets", tweak("", "Contact: sip:a.example?Subject=x"), "ok; Contact refused"},
	{"escapes of escapes", start("OPTIONS sip:%252525252541@example.com SIP/2.0"), "ok"},
	{"5,000 escapes", start("OPTIONS sip:" + strings.Repeat("%41", 5000) + "@example.com SIP/2.0"), "ok"},
	{"escape cut by the end", start("OPTIONS sip:bob@example.com;x=%4 SIP/2.0"), "400 Request-URI"},
	{"escape in the host", start("OPTIONS sip:bob@ex%61mple.com SIP/2.0"), "400 Request-URI"},
	{"Contact of a star and more", tweak("", "Contact: *, <sip:a.example>"), "ok"}, // the registrar says 400 (RFC 3261 section 10.3)
	{"star with parameters", tweak("", "Contact: *;expires=0"), "ok; Contact refused"},
}

func TestHostileURIFields(t *testing.T) {
	for _, h := range hostileURIFields {
		h.run(t)
	}
}

// Group 6: the same URI as a Request-URI, where it is refused with 400 or, being
// too long, 414, and in a Contact, where it harms no other field.
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
		// The request line of those that could break it is another one.
		if m, err := Parse(start("OPTIONS " + h.uri + " SIP/2.0")); !h.ok || err != nil {
			got := verdictOf(t, m, err)
			if !slices.Contains([]string{"400 Request-URI", "414 start line", "400 start line", "400 start line, unanswered"}, got) || h.ok {
				t.Errorf("OPTIONS %.40q: %s (%v), want ok %v", h.uri, got, err, h.ok)
			}
		}
		line := "Contact: <" + h.uri + ">"
		if strings.ContainsAny(h.uri, "\r\n\x00") || len(h.uri) > 60000 {
			continue
		}
		if _, err := Get[Contact](mustParse(t, tweak("", line))); (err == nil) != h.ok {
			t.Errorf("%.40q: %v, want ok %v", line, err, h.ok)
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

// A comma list may have 200 values and no more, 20 of them broken: what a peer
// puts in one must not make its reader work for long.
func TestValuesLimit(t *testing.T) {
	read := func(lines ...string) (good, bad int, last error) {
		for _, err := range All[Contact](mustParse(t, tweak("", lines...))) {
			if last = err; err == nil {
				good++
				continue
			}
			bad++
		}
		return good, bad, last
	}
	hundred := "m: " + strings.TrimSuffix(strings.Repeat("<a:b>, ", 100), ", ")
	if good, bad, _ := read(hundred, hundred); good != 200 || bad != 0 {
		t.Errorf("200 values: %d and %d broken, want all and none", good, bad)
	}
	if good, bad, err := read(hundred, hundred, "m: <a:b>, <a:b>"); good != 200 || bad != 1 || err == nil {
		t.Errorf("202 values: %d and %d broken (%v), want 200 and an error", good, bad, err)
	}
	if good, bad, _ := read("m: a,<a:b>", "m: a,<a:b>"); good != 2 || bad != 2 {
		t.Errorf("every other value broken: %d and %d broken, want 2 and 2", good, bad)
	}
	if good, bad, _ := read("m: " + strings.Repeat("a,", 100) + "<a:b>"); good != 0 || bad != maxBroken {
		t.Errorf("100 broken values: %d and %d broken, want none and %d", good, bad, maxBroken)
	}
	if list, err := Get[Supported](mustParse(t, tweak("", "k: "+strings.Repeat("a,", 199)+"a"))); len(list) != 200 || err != nil {
		t.Errorf("200 tokens: %d, %v, want all", len(list), err)
	}
	if list, err := Get[Supported](mustParse(t, tweak("", "k: "+strings.Repeat("a,", 200)+"a"))); err == nil {
		t.Errorf("201 tokens: %d, want an error", len(list))
	}
}
