package sip

import "testing"

// reading is a value as it stands in a header field, what it says, and how With
// writes it again, which is as it was unless it says otherwise.
type reading[H any] struct {
	text  string
	want  H
	wrote string
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
		if err := readBack[H](single, got, c.wrote); err != nil {
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
		if s := string(v.AppendValue(nil)); readBack[H](single, v, trimWS(s)) == nil {
			t.Errorf("%s: With writes %#v as %s", v.HeaderName(), v, s)
		}
	}
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

// White space around the parameters of a value that is written counts for
// nothing, and all else counts.
func TestParamsWithWhiteSpace(t *testing.T) {
	const p = " ;x=1 "
	sp := URI{Scheme: "sip", User: "a b", Host: "h"} // needs an escape
	writes(t, AlertInfo{sp, p})
	writes(t, CallInfo{sp, p})
	writes(t, ErrorInfo{sp, p})
	writes(t, Geolocation{sp, p})
	writes(t, GeolocationError{1, p})
	writes(t, ReplyTo{"", sp, p})
	writes(t, ReferTo{"", sp, p})
	writes(t, ReferredBy{"", sp, p})
	writes(t, ReferSub{true, p})
	writes(t, Path{"", sp, p})
	writes(t, ServiceRoute{"", sp, p})
	writes(t, PAssertedIdentity{"", sp, p})
	writes(t, PPreferredIdentity{"", sp, p})
	writes(t, HistoryInfo{"", sp, p})
	writes(t, Diversion{"", sp, p})
	writes(t, Replaces{"a", "1", "2", false, p})
	writes(t, Join{"a", "1", "2", p})
	writes(t, TargetDialog{"a", "1", "2", p})
	writes(t, AcceptContact{p})
	writes(t, RejectContact{p})
	writes(t, FeatureCaps{p})
	writes(t, AnswerMode{"Auto", p})
	writes(t, PrivAnswerMode{"Auto", p})
}

// writes holds that With takes v.
func writes[H value[H]](t *testing.T, v H) {
	t.Helper()
	if err := mustParse(t, tweak("")).(*Request).With(v).Err(); err != nil {
		t.Errorf("With(%#v): %v", v, err)
	}
}
