package confinfo

import (
	"bytes"
	"testing"
)

// FuzzApply checks that what is read can be written and reads back the same, that it
// can be applied to anything without changing what was known, and that who is told the
// difference knows the same.
func FuzzApply(f *testing.F) {
	rich := read(f, "rfc4575-7.2.xml")
	for _, name := range []string{"rfc4575-7.1.xml", "rfc4575-7.2.xml", "rfc7701-9.6.xml"} {
		f.Add(read(f, name), rich)
	}
	f.Add(doc(Full, 1, alice), doc(Partial, 2, `<users state="partial"><user entity="sip:alice@example.com" state="partial"><endpoint entity="sip:alice@192.0.2.1" state="deleted"/></user></users>`))
	f.Add(doc(Full, 1, `<sidebars-by-val><entry entity="a"><users><user/></users></entry></sidebars-by-val>`),
		doc(Partial, 2, `<sidebars-by-val state="partial"><entry entity="a" state="partial"><users state="deleted"/><x/></entry></sidebars-by-val>`))
	f.Add(doc(Full, 1, ``), doc(Deleted, 2, ``))
	f.Fuzz(func(t *testing.T, first, second string) {
		for _, d := range []string{first, second} {
			c, err := Parse(d)
			if err != nil {
				continue
			}
			text := c.Append(nil)
			again, err := Parse(string(text))
			if err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			if got := again.Append(nil); !bytes.Equal(got, text) {
				t.Errorf("written again:\n%s, want\n%s", got, text)
			}
		}
		before, err := Apply(nil, first)
		if err != nil {
			return
		}
		was := before.Append(nil)
		after, err := Apply(before, second)
		if got := before.Append(nil); !bytes.Equal(got, was) {
			t.Errorf("what was known has changed to\n%s, was\n%s", got, was)
		}
		if err != nil {
			if after != before {
				t.Errorf("Apply returns %p with %v, want %p", after, err, before)
			}
			return
		}
		if after != before && before.State != Deleted {
			reaches(t, before, after)
		}
	})
}
