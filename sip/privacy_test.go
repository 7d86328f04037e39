package sip

import (
	"slices"
	"testing"
)

func TestPrivacy(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  Privacy
		wrote string
	}{
		{"id", Privacy{"id"}, "id"},
		{"header;session ; critical", Privacy{"header", "session", "critical"}, "header;session;critical"},
		{"user, id;", Privacy{"user", "id"}, "user;id"},
	} {
		got, err := Privacy(nil).ParseValue(c.text)
		if err != nil || !slices.Equal(got, c.want) || string(got.AppendValue(nil)) != c.wrote {
			t.Errorf("%s is %q, %v, want %q", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", ";", "a b", `"id"`, "id=1"} {
		if got, err := Privacy(nil).ParseValue(text); err == nil {
			t.Errorf("%q is %q, want an error", text, got)
		}
	}
	p := Privacy{"ID", "history"}
	if !p.Has("id") || !p.Has("History") || p.Has("header") || Privacy(nil).Has("") {
		t.Errorf("Has of %q", p)
	}
}

// What one element asks for in a second line counts as well.
func TestPrivacyOfSeveralLines(t *testing.T) {
	req := mustParse(t, tweak("", "Privacy: header", "Privacy: id;critical")).(*Request)
	got, err := Get[Privacy](req)
	if want := (Privacy{"header", "id", "critical"}); err != nil || !slices.Equal(got, want) {
		t.Errorf("Privacy = %q, %v, want %q", got, err, want)
	}
	out := req.With(append(got, "user"))
	if v, _ := out.Value("Privacy"); out.Err() != nil || v != "header;id;critical;user" {
		t.Errorf("With wrote %q, %v", v, out.Err())
	}
	for _, e := range []Edit{Privacy{}, Privacy{"a;b"}, &Privacy{"a,b"}, Field{"Privacy", "a b"}, Field{"Privacy", ""}} {
		if got := req.With(e); got.Err() == nil {
			t.Errorf("With(%#v) wrote\n%s", e, got)
		}
	}
	if err := req.With(Field{"Privacy", "id;user"}).Err(); err != nil {
		t.Error(err)
	}
}
