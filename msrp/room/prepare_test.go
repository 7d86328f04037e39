package room

import (
	"strings"
	"testing"
)

// What others see is what is told apart, and what nicknames become is what they stay (RFC 8266 section 2).
func TestPreparedNickname(t *testing.T) {
	for _, c := range []struct{ wanted, name, key string }{
		// RFC 8266 section 3.
		{"Foo", "Foo", "foo"},
		{"foo", "foo", "foo"},
		{"Foo Bar", "Foo Bar", "foo bar"},
		{"\u03a3", "\u03a3", "\u03c3"},
		{"\u03c3", "\u03c3", "\u03c3"},
		{"\u03c2", "\u03c2", "\u03c2"},
		{"\u03d4", "\u03ab", "\u03cb"},
		{"\u221e", "\u221e", "\u221e"},
		{"Richard \u2163", "Richard IV", "richard iv"},
		// U+03F9 is a capital sigma by NFKC. Its own small letter would be a final sigma by that.
		{"\u03f9\u03bf\u03c6\u03af\u03b1", "\u03a3\u03bf\u03c6\u03af\u03b1", "\u03c3\u03bf\u03c6\u03af\u03b1"},
		// Spaces of all kinds, at the end, too.
		{"\u1fb3\u00a0 \u212bngstr\u00f6m ", "\u1fb3 \u00c5ngstr\u00f6m", "\u1fb3 \u00e5ngstr\u00f6m"},
	} {
		name, key, err := prepare(c.wanted)
		if name != c.name || key != c.key || err != nil {
			t.Errorf("prepare(%q) = %q, %q, %v, want %q, %q", c.wanted, name, key, err, c.name, c.key)
		}
	}
	for _, wanted := range []string{"", " ", "\u3000", "a\u2028b", strings.Repeat("\ufdfa", 32)} {
		if name, key, err := prepare(wanted); err == nil {
			t.Errorf("prepare(%q) = %q, %q, want an error", wanted, name, key)
		}
	}
}

// Who asks for the nickname that somebody is shown with asks for the same one.
func FuzzPrepare(f *testing.F) {
	for _, name := range []string{"Foo Bar", "\u03f9\u03bf\u03c6\u03af\u03b1", "\u03d4", "\u1e9e\u0130\u0345\u0307", "\ufb01\u00a8 \u1fd3", "\ua7f2\u3000\u1112"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, wanted string) {
		name, key, err := prepare(wanted)
		if err != nil {
			return
		}
		if len(name) > maxNickname {
			t.Errorf("%q is shown with %d octets", wanted, len(name))
		}
		if n, k, err := prepare(name); n != name || k != key || err != nil {
			t.Errorf("%q is shown as %q, which becomes %q, %q, %v, want the same with %q", wanted, name, n, k, err, key)
		}
		if _, k, err := prepare(key); k != key || err != nil {
			t.Errorf("the key %q of %q has the key %q, %v", key, wanted, k, err)
		}
	})
}
