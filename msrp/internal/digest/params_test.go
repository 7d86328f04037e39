package digest

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want params
	}{
		{``, params{}},
		{` , ,`, params{}},
		{`realm="a", nonce="b"`, params{{"realm", "a"}, {"nonce", "b"}}},
		{`nonce="b",realm="a"`, params{{"nonce", "b"}, {"realm", "a"}}},
		{"\trealm = \"a\" ,\tnonce=b ", params{{"realm", "a"}, {"nonce", "b"}}},
		{`realm=a,,nonce=b,`, params{{"realm", "a"}, {"nonce", "b"}}},
		{`x-new="y", qop=auth`, params{{"x-new", "y"}, {"qop", "auth"}}},
		{`realm=""`, params{{"realm", ""}}},
		{`realm="a, b=\"c\" \\ \d"`, params{{"realm", `a, b="c" \ d`}}},
		{`nonce=UvtfpVL7+dd4A==`, params{{"nonce", "UvtfpVL7+dd4A=="}}},
		{"realm=\"J\xc3\xa4s\xc3\xb8n\"", params{{"realm", "J\xc3\xa4s\xc3\xb8n"}}},
	} {
		got, err := parse(c.text)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("parse(%q) = %q, %v, want %q", c.text, got, err, c.want)
		}
	}
}

// Cut, garbled, of two minds, or too much.
func TestMalformed(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("p" + strconv.Itoa(i) + "=v,")
		}
		return b.String()
	}
	for _, text := range []string{
		`realm`,
		`realm=`,
		`realm=,nonce=n`,
		`="a"`,
		`realm="a`,
		`realm="a\`,
		`realm="a\"`,
		`realm="a" nonce="b"`,
		`realm="a"b`,
		`realm=a"b"`,
		`re alm="a"`,
		`realm="a", Digest realm="b"`, // two challenges on one line
		`realm="a", Realm="b"`,
		"realm=\"a\r\n b\"",
		"realm=\"a\x00\"",
		"realm=\"a\\\x00\"",
		"realm=a\x7f",
		"\xff=a",
		many(maxParams + 1),
		`nonce="` + strings.Repeat("n", maxValue) + `"`,
	} {
		if got, err := parse(text); !errors.Is(err, ErrMalformed) {
			t.Errorf("parse(%.60q) = %q, %v, want ErrMalformed", text, got, err)
		}
	}
	if got, err := parse(many(maxParams)); len(got) != maxParams || err != nil {
		t.Errorf("parse() = %d parameters, %v, want %d", len(got), err, maxParams)
	}
	if _, err := parse(`n="` + strings.Repeat("n", maxValue-4) + `"`); err != nil {
		t.Errorf("parse() of %d bytes: %v", maxValue, err)
	}
}

func TestScheme(t *testing.T) {
	for value, want := range map[string]bool{
		`Digest realm="a"`:  true,
		` DIGEST	realm="a"`: true,
		`Digest`:            true,
		`Digestrealm="a"`:   false,
		`Basic realm="a"`:   false,
		`Dig`:               false,
		``:                  false,
	} {
		if _, got := cutScheme(value); got != want {
			t.Errorf("cutScheme(%q) = %v, want %v", value, got, want)
		}
	}
}
