package sip

import (
	"errors"
	"strings"
	"testing"
)

// hop is a header field type as another package would write it, of a comma list
// that is in no registry.
type hop string

func (hop) HeaderName() string { return "X-Hop" }
func (hop) CommaList()         {}
func (hop) ParseValue(s string) (hop, error) {
	if s == "bad" {
		return "", errors.New("a bad hop")
	}
	return hop(s), nil
}
func (h hop) AppendValue(b []byte) []byte { return append(b, h...) }

// note is one that has commas and is no list, and topic one whose name is in the
// table, which says that it is none.
type (
	note  string
	topic string
)

func (note) HeaderName() string                  { return "X-Note" }
func (note) ParseValue(s string) (note, error)   { return note(s), nil }
func (topic) HeaderName() string                 { return "Subject" }
func (topic) CommaList()                         {}
func (topic) ParseValue(s string) (topic, error) { return topic(s), nil }

const foreign = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n" +
	"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nX-Hop: one, \"two, or\r\n three\" , bad\r\nX-Note: so, so\r\ns: this, that\r\nx-hop:four\r\n\r\n"

func TestTypesOfOtherPackages(t *testing.T) {
	m := mustParse(t, foreign).(*Request)
	var got []string
	for h, err := range All[hop](m) {
		if bad := new(SyntaxError); errors.As(err, &bad) {
			h = hop("error in " + bad.Where)
		}
		got = append(got, string(h))
	}
	if got, want := strings.Join(got, "|"), `one|"two, or three"|error in X-Hop|four`; got != want {
		t.Errorf("All = %s, want %s", got, want)
	}
	if h, err := Get[hop](m); h != "one" || err != nil {
		t.Errorf("Get = %q, %v, want the first of the list", h, err)
	}
	if n, err := Get[note](m); n != "so, so" || err != nil {
		t.Errorf("Get = %q, %v, want the whole line", n, err)
	}
	if s, err := Get[topic](m); s != "this, that" || err != nil {
		t.Errorf("Get = %q, %v, want the whole line", s, err)
	}

	out := m.With(Push(hop("zero")), Add(List(hop("five"), hop("six"))))
	if m.With(Add(hop("five, six"))).Err() == nil {
		t.Error("one value is two")
	}
	got = nil
	for h := range All[hop](out) {
		got = append(got, string(h))
	}
	if got, want := strings.Join(got, "|"), `zero|one|"two, or three"||four|five|six`; got != want {
		t.Errorf("All after edits = %s, want %s", got, want)
	}
	if out = m.With(Pop("X-Hop")); out.Err() != nil {
		t.Fatal(out.Err())
	}
	if h, err := Get[hop](out); h != "four" || err != nil {
		t.Errorf("Get after Pop = %q, %v, want what is on the next line", h, err)
	}
	if out = m.With(hop("only")); strings.Count(strings.ToLower(out.String()), "x-hop") != 1 {
		t.Errorf("set left something behind:\n%s", out)
	}

	text := mustParse(t, strings.Replace(foreign, "\r\n three", " three", 1))
	allocs(t, "Get and All of a foreign list", 0, func() {
		if h, err := Get[hop](text); h != "one" || err != nil {
			t.Fatal(h, err)
		}
		for range All[hop](text) {
			break
		}
	})
}
