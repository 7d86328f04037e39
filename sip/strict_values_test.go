package sip

import (
	"slices"
	"strings"
	"testing"
)

// Who takes nothing says so with an empty Accept, not with a comma too many.
func TestEmptyElementsOfAccept(t *testing.T) {
	m := mustParse(t, tweak("", "Accept: , a/b,,", "Accept: ,\t, c/d ;q=0.5 , \t", "Accept-Encoding: ,gzip", "Accept-Language: en,,de,"))
	if got, want := values[Accept](t, m), []Accept{{Type: "a/b"}, {"c/d", ";q=0.5"}}; !slices.Equal(got, want) {
		t.Errorf("Accept is %v, want %v", got, want)
	}
	if got, err := Get[Accept](m); got.Type != "a/b" || err != nil {
		t.Errorf("the first Accept is %v, %v", got, err)
	}
	if got := values[AcceptEncoding](t, m); len(got) != 1 || got[0].Coding != "gzip" {
		t.Errorf("Accept-Encoding is %v", got)
	}
	if got := values[AcceptLanguage](t, m); len(got) != 2 || got[1].Language != "de" {
		t.Errorf("Accept-Language is %v", got)
	}
	if got, err := Get[Accept](mustParse(t, tweak("", "Accept: ,"))); err == nil || err == ErrMissing {
		t.Errorf("an Accept of a comma is %v, %v, want it refused", got, err)
	}
	if out := with(m, Pop("Accept"), Pop("Accept")); len(values[Accept](t, out)) != 0 {
		t.Errorf("two Pops of two values left\n%s", out)
	}
	for _, e := range []Edit{List(Accept{}, Accept{Type: "a/b"}), List(Accept{Type: "a/b"}, Accept{}), List(Accept{}, Accept{})} {
		if out := with(m, e); out.Err() == nil {
			t.Errorf("With wrote an empty element:\n%s", out)
		}
	}
	if out := with(m, List(Accept{Type: "a/b"}, Accept{Type: "c/d"})); out.Err() != nil || len(values[Accept](t, out)) != 2 {
		t.Errorf("With of two: %v\n%s", out.Err(), out)
	}
}

// RFC 3313 section 5 and RFC 4412 section 3.1 say more than "token".
func TestTokensOfAForm(t *testing.T) {
	for _, text := range []string{"", ",", "zz!", "0g", "00, x"} {
		if got, err := PMediaAuthorization(nil).ParseValue(text); err == nil {
			t.Errorf("P-Media-Authorization: %q is %q, want an error", text, got)
		}
	}
	for _, text := range []string{"", ",", "ets", "ets.", ".0", "ets.0.1", "ets.0, wps"} {
		if got, err := ResourcePriority(nil).ParseValue(text); err == nil {
			t.Errorf("Resource-Priority: %q is %q, want an error", text, got)
		}
		if got, err := AcceptResourcePriority(nil).ParseValue(text); (err == nil) != (len(strings.Trim(text, ",")) == 0) {
			t.Errorf("Accept-Resource-Priority: %q is %q, %v", text, got, err)
		}
	}
	if _, err := ResourcePriority(nil).ParseValue("ets.0, \tets"); placeOf(err) != len("ets.0, \t") {
		t.Errorf("the error is at %d, want it at the second", placeOf(err))
	}
	m := mustParse(t, tweak(""))
	for _, e := range []Edit{
		PMediaAuthorization{"zz!"}, PMediaAuthorization{}, Field{"P-Media-Authorization", "00, x"}, &PMediaAuthorization{"x"},
		ResourcePriority{"ets"}, ResourcePriority{}, Field{"Resource-Priority", "ets"}, AcceptResourcePriority{"ets"},
	} {
		if out := with(m, e); out.Err() == nil {
			t.Errorf("With wrote\n%s", out)
		}
	}
	out := with(m, PMediaAuthorization{"00fF", "01"}, ResourcePriority{"ets.0", "q735.0"}, AcceptResourcePriority{})
	if out.Err() != nil {
		t.Error(out.Err())
	}
}

func TestFormsOfNumbers(t *testing.T) {
	refuses[Date](t, "Sat, 13 Nov 2010 5:04:05 GMT", "Sat, 13 Nov 2010 05:04:05,000 GMT", "Sat, 13 Nov 2010 05:04:05.000 GMT",
		"Sat, 13 Nov 2010 5:04:05,0 GMT", "Sat, 13 Nov 2010 05:04:5 GMT")
	refuses[GeolocationError](t, "0000005", "0005")
	reads(t, reading[GeolocationError]{"005", GeolocationError{Code: 5}, "5"})
}

// No value has more elements than a header field may have values.
func TestElementsOfAValueAreBounded(t *testing.T) {
	challenge := func(n int) error {
		_, err := Challenge{"Digest", AuthParams(`realm="r", nonce="n", qop="` + strings.Repeat("a,", n) + `"`)}.Digest()
		return err
	}
	privacy := func(n int) error {
		_, err := Privacy(nil).ParseValue(strings.Repeat("a;", n))
		return err
	}
	for name, read := range map[string]func(int) error{"qop": challenge, "Privacy": privacy} {
		if err := read(maxValues); err != nil {
			t.Errorf("%s of 200: %v", name, err)
		}
		if read(maxValues+1) == nil {
			t.Errorf("%s of 201 is read", name)
		}
	}
}

// own is a type of another package for a header field of the table.
type own struct{ name, value string }

func (o own) HeaderName() string          { return o.name }
func (o own) AppendValue(b []byte) []byte { return append(b, o.value...) }

func TestOwnTypeIsOneValue(t *testing.T) {
	m := mustParse(t, tweak(""))
	for _, e := range []own{{"In-Reply-To", "a, b"}, {"Accept", "a/b, c/d"}, {"Accept-Encoding", "a, b"}, {"Accept-Language", "a, b"}} {
		if out := with(m, e); out.Err() == nil {
			t.Errorf("With wrote two values as one:\n%s", out)
		}
	}
	if out := with(m, own{"In-Reply-To", `a<"b`}, Add(own{"Accept", "a/b"})); out.Err() != nil {
		t.Errorf("With of one value each: %v", out.Err())
	}
}
