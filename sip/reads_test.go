package sip

import "testing"

// reading is a value as it stands in a header field, what it says, and how With
// writes it again, which is as it was unless it says otherwise.
type reading[H any] struct {
	text  string
	want  H
	wrote string
}

type value[H any] interface {
	Parser[H]
	Edit
	comparable
}

// reads holds each value to what it says, and what is written to that as well.
func reads[H value[H]](t *testing.T, cases ...reading[H]) {
	t.Helper()
	for _, c := range cases {
		var zero H
		got, err := zero.ParseValue(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s: %s is %#v, %v, want %#v", zero.HeaderName(), c.text, got, err, c.want)
			continue
		}
		if c.wrote == "" {
			c.wrote = c.text
		}
		if wrote := string(got.AppendValue(nil)); wrote != c.wrote {
			t.Errorf("%s: %s is written %s, want %s", zero.HeaderName(), c.text, wrote, c.wrote)
		}
		if err := checkOf(got)(single, got, c.wrote); err != nil {
			t.Errorf("%s: With refuses %s: %v", zero.HeaderName(), c.wrote, err)
		}
	}
}

// refuses holds that none of the texts is a value.
func refuses[H value[H]](t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		var zero H
		if got, err := zero.ParseValue(text); err == nil {
			t.Errorf("%s: %q is %#v, want an error", zero.HeaderName(), text, got)
		} else if got != zero {
			t.Errorf("%s: %q is %#v with the error %v", zero.HeaderName(), text, got, err)
		}
	}
}

// wontWrite holds that With makes no header field of values that would say
// something else.
func wontWrite[H value[H]](t *testing.T, values ...H) {
	t.Helper()
	for _, v := range values {
		if s := string(v.AppendValue(nil)); checkOf(v)(single, v, trimWS(s)) == nil {
			t.Errorf("%s: With writes %#v as %s", v.HeaderName(), v, s)
		}
	}
}

// checkOf returns the check of the header field.
func checkOf(e Edit) func(kind, Edit, string) error {
	if check := headers[lookupHeader(e.HeaderName())].check; check != nil {
		return check
	}
	return func(kind, Edit, string) error { return nil }
}

// uriOf reads a URI that is known to be one.
func uriOf(t testing.TB, s string) URI {
	t.Helper()
	uri, err := ParseURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return uri
}
