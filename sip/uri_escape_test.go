package sip

import "testing"

// A User is text that may hold escapes: they are undone once when it is read,
// and what may not stand there is escaped when it is written.
func TestURIEscapes(t *testing.T) {
	expect(t, "Username", mustURI(t, "sip:a%20b%2540@a.example").Username(), "a b%40")
	for user, want := range map[string]string{
		"alice":            "sip:alice@a.example",
		"a b@c":            "sip:a%20b%40c@a.example",
		"j\u00fcrgen":      "sip:j%C3%BCrgen@a.example",
		"100%":             "sip:100%25@a.example",
		"a%20b":            "sip:a%20b@a.example", // as ParseURI keeps it
		"a:b":              "sip:a%3Ab@a.example",
		"\r\nVia: x":       "sip:%0D%0AVia%3A%20x@a.example",
		"1;phone-context=": "sip:1;phone-context=@a.example",
	} {
		u := URI{Scheme: "sip", User: user, Host: "a.example"}
		expect(t, "URI of "+user, u.String(), want)
		if _, err := ParseURI(u.String()); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	// Other parts are the caller's to get right; what is wrong is refused by
	// With, never written.
	for _, u := range []URI{
		{Scheme: "sip", Host: "a b"},
		{Scheme: "sip", Host: "a.example>", Params: ";x"},
		{Scheme: "sip", Host: "a.example", Params: ";x\r\nVia: y"},
		{Scheme: "x", Opaque: "a\nb"},
		{Scheme: "tel", User: "+1 2"},
		{Scheme: "tel", User: "+1;ext=2"},
		{},
	} {
		if req := NewRequest(OPTIONS, u); req.Err() == nil {
			t.Errorf("NewRequest(%q) has no error", u.String())
		}
	}
	bad := URI{Scheme: "sip", Host: "a.example", Headers: "a=\x00"}
	if req := NewRequest(OPTIONS, mustURI(t, "sip:a.example"), Contact{URI: bad}); req.Err() == nil {
		t.Errorf("a Contact of %q has no error", bad)
	}
}

// Whatever a user, a parameter or a header is called, it comes back the same
// from the other end (RFC 3261 section 19.1.2).
func TestURITextBothWays(t *testing.T) {
	for _, text := range []string{
		"alice", "j@s0n", "a b", "100%", "50%41", "%", "%%41", "%2541", "a:b", "a/b?c;d=e&f", "+1-212", "#31#",
		"j\u00fcrgen \u540d", "\x00\r\n\x7f\xff", "<sip:x>", `"quoted" \`, "[::1]", ",", "",
	} {
		uri := URI{Scheme: "sip", Host: "a.example", Params: ";X=old;lr", Headers: "a=b"}.
			WithUsername(text).WithParam("x", text).WithParam("y", text).WithHeader("Subject", text)
		got, err := ParseURI(uri.String())
		if err != nil || got != uri {
			t.Errorf("%q makes %s, %v", text, uri, err)
			continue
		}
		x, _ := got.Param("x")
		y, hasY := got.Param("Y")
		var header string
		for name, value := range got.Header() {
			if name == "Subject" {
				header = value
			}
		}
		if got.Username() != text || x != text || y != text || !hasY || header != text || !got.Params.Has("lr") {
			t.Errorf("%q came back as %q, %q, %q and %q", text, got.Username(), x, y, header)
		}
		if req := NewRequest(OPTIONS, uri); req.Err() != nil {
			t.Errorf("a request to %s: %v", uri, req.Err())
		}
	}

	base := URI{Scheme: "sip", Host: "a.example"}
	// What need not be escaped is not: the reserved characters of a number or of
	// a GRUU would not compare equal any more.
	expect(t, "number", base.WithUsername("+1-2;ext=3").String(), "sip:+1-2;ext=3@a.example")
	expect(t, "gr", base.WithParam("gr", "urn:uuid:f8").String(), "sip:a.example;gr=urn:uuid:f8")
	expect(t, "push", base.WithParam("pn-prid", "a=b;c").String(), "sip:a.example;pn-prid=a%3Db%3Bc")
	expect(t, "no value", base.WithParam("ob", "").String(), "sip:a.example;ob")
	expect(t, "Replaces", base.WithHeader("Replaces", "1@a;to-tag=2").String(), "sip:a.example?Replaces=1%40a%3Bto-tag%3D2")
	expect(t, "two headers", base.WithHeader("a", "1 + 1").WithHeader("b", "").String(), "sip:a.example?a=1%20%2B%201&b=")
	// "+" is itself and no space, and an escape of an escape is undone once.
	for _, value := range mustURI(t, "sip:a.example?a=1+%2541").Header() {
		expect(t, "header", value, "1+%41")
	}
	_, ok := base.Param("x")
	expect(t, "a parameter that is not there", ok, false)
	// Names that nothing can have are refused, not written.
	for _, u := range []URI{base.WithParam("", "x"), base.WithHeader("", "x")} {
		if req := NewRequest(OPTIONS, base, Contact{URI: u}); req.Err() == nil {
			t.Errorf("a Contact of %s has no error", u)
		}
	}
}
