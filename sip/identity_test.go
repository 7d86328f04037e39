package sip

import (
	"strings"
	"testing"
	"time"
)

// RFC 8224 sections 4.1.1 and 5, and as calls with a verified number come.
func TestIdentity(t *testing.T) {
	const compact = "..rq3pjT1hoRwakEGjHCnWSwUnshd0-zJ6F1VOgFWSjHBr8Qjpjlk-cpFYpFYsojNCpTzO3QfPOlckGaS6hEck7w"
	biloxi := mustURI(t, "https://biloxi.example.org/biloxi.cert")
	reads(t,
		reading[Identity]{compact + ";info=<https://biloxi.example.org/biloxi.cert>", Identity{compact, biloxi, ""}, ""},
		reading[Identity]{"eyJh_+/.e30=.c2ln ; INFO = <https://biloxi.example.org/biloxi.cert>\t;alg=ES256; ppt=\"shaken\"",
			Identity{"eyJh_+/.e30=.c2ln", biloxi, ";alg=ES256; ppt=\"shaken\""},
			"eyJh_+/.e30=.c2ln;info=<https://biloxi.example.org/biloxi.cert>;alg=ES256; ppt=\"shaken\""},
		reading[Identity]{`a.b.c;alg=ES256;x="<;info=";info=<https://biloxi.example.org/biloxi.cert>;ppt=div`, Identity{"a.b.c", biloxi, `;alg=ES256;x="<;info=";ppt=div`},
			`a.b.c;info=<https://biloxi.example.org/biloxi.cert>;alg=ES256;x="<;info=";ppt=div`},
		reading[Identity]{"a;info=<https://c.example/?a=b;c,d>", Identity{"a", mustURI(t, "https://c.example/?a=b;c,d"), ""}, ""},
	)
	refuses[Identity](t, "", "a.b.c", ";info=<https://a>", "a b;info=<https://a>", "a;info=https://a", "a;info=<>", "a;info=<https://a", "ainfo=<https://a>",
		"a;info<https://a>", "a;info=<https://a>b", "a;xinfo=<https://a>", "a;=<https://a>", "a;;info=<https://a>", "a;info=<https://a>;info=<https://b>",
		"a;info=<https://a>;info=b", "a;info=b;info=<https://a>", "a;alg;info=<https://a> x", "<https://a>", "=<https://a>", "info=<https://a>", `"`, `a;x="<`,
		// RFC 4474.
		`"ZYNBbHC00VMZr2kZt6VmCvPonWJMGvQTBDqghoWeLxJfzB2a1pxAr3VgrB0SsSAa"`)
	wontWrite(t, Identity{}, Identity{Digest: "a"}, Identity{"a;x", biloxi, ""}, Identity{"a", biloxi, ", b;info=<https://c>"}, Identity{"a", URI{Scheme: "https", Opaque: "//a>;x=<b"}, ""})
	writes(t, Identity{"a", biloxi, " ;ppt=div "})

	id, _ := Identity{}.ParseValue("a;info=<https://a>;ppt=div")
	if id.Alg() != "ES256" || id.PPT() != "div" {
		t.Errorf("algorithm %q, extension %q, want ES256 and div", id.Alg(), id.PPT())
	}
	id.Params = ";ALG=ES512"
	if id.Alg() != "ES512" || id.PPT() != "" {
		t.Errorf("algorithm %q, extension %q, want ES512 and none", id.Alg(), id.PPT())
	}
	two := mustParse(t, tweak("", "y: a;info=<https://a>;ppt=shaken", "Identity: b;info=<https://b>;ppt=div"))
	if got := values[Identity](t, two); len(got) != 2 || got[1].PPT() != "div" {
		t.Errorf("Identities are %v", got)
	}
}

// What looks like many quoted strings, none of which ends, is read once, and not
// once for each of them.
func TestIdentityOfQuotes(t *testing.T) {
	read := func(text string) time.Duration {
		return fastest(func() {
			if _, err := (Identity{}).ParseValue(text); err == nil {
				t.Errorf("%.20q was read", text)
			}
		})
	}
	for _, begin := range []string{`"`, `a"`, `a;x="`} {
		text := begin + strings.Repeat(`\"`, 16<<10)
		if took, plain := read(text), read(strings.Repeat("a", len(text))); took > 10*plain+time.Millisecond {
			t.Errorf("%.20q took %v, and as many letters %v", text, took, plain)
		}
	}
}
