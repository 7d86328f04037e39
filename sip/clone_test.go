package sip

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// A clone is equal to what it was made of and shares none of its memory,
// whatever fields a type may get.
func TestClone(t *testing.T) {
	text := strings.Repeat("0123456789", 100) // the message
	used := 0
	var fill, check func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		case reflect.String:
			used += 10
			v.SetString(text[used-10 : used])
		case reflect.Int:
			used++
			v.SetInt(int64(used))
		case reflect.Bool:
			v.SetBool(true)
		default:
			t.Fatalf("a %v, which this test does not know to fill", v.Type())
		}
	}
	check = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				check(v.Field(i))
			}
		case reflect.String:
			from, at := uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(unsafe.Pointer(unsafe.StringData(v.String())))
			if at >= from && at < from+uintptr(len(text)) {
				t.Errorf("%q of a clone is a part of the message", v)
			}
		}
	}
	var uri URI
	var address Address
	var contact Contact
	for _, whole := range []any{&uri, &address, &contact} {
		fill(reflect.ValueOf(whole).Elem())
	}
	for _, pair := range [][2]any{{uri, uri.Clone()}, {address, address.Clone()}, {contact, contact.Clone()}} {
		if pair[0] != pair[1] {
			t.Errorf("the clone is\n%#v\nof\n%#v", pair[1], pair[0])
		}
		check(reflect.ValueOf(pair[1]))
	}
	for _, zero := range []bool{URI{}.Clone() == URI{}, Address{}.Clone() == Address{}, Contact{}.Clone() == Contact{}} {
		if !zero {
			t.Error("the clone of nothing is something")
		}
	}
	if got := testing.AllocsPerRun(10, func() { uri.Clone(); address.Clone(); contact.Clone() }); got > 3 {
		t.Errorf("three clones cost %v allocations, want one each", got)
	}
}

// A tag is given, replaced and taken away; one that would be more than a tag is
// refused.
func TestWithTag(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	to := To{URI: URI{Scheme: "sip", Host: "a.example"}, Params: ";x=1"}
	for _, test := range []struct{ tag, want string }{
		{"1928", "<sip:a.example>;x=1;tag=1928"},
		{"a/b=c@d", "<sip:a.example>;x=1;tag=a/b=c@d"}, // as some peers have them
		{"", "<sip:a.example>;x=1"},
	} {
		out := req.With(to.WithTag("old").WithTag(test.tag), From(to).WithTag("old").WithTag(test.tag))
		if out.Err() != nil || out.To().Tag() != test.tag || out.From().Tag() != test.tag {
			t.Errorf("with the tag %q: %v\n%s", test.tag, out.Err(), out)
		}
		if got, _ := out.Value("To"); got != test.want {
			t.Errorf("To = %q, want %q", got, test.want)
		}
		if got, _ := out.Value("From"); got != test.want {
			t.Errorf("From = %q, want %q", got, test.want)
		}
	}
	for _, tag := range []string{"a;b", "a b", `"`, `"a"`, "a,b", "a>", "\r\nX: y", "\x00", "\u00fc"} {
		for _, e := range []Edit{to.WithTag(tag), From(to).WithTag(tag)} {
			if out := req.With(e); out.Err() == nil {
				t.Errorf("the tag %q was written as\n%s", tag, out)
			}
		}
	}
}

// A registrar says how long each binding lasts (RFC 3261 section 10.3 step 8).
func TestWithExpires(t *testing.T) {
	c := Contact{URI: URI{Scheme: "sip", Host: "a.example"}, Params: ";q=0.5;EXPIRES=7;x"}
	for _, want := range []uint32{0, 3600, 1<<32 - 1} {
		got, err := Get[Contact](mustParse(t, tweak("")).(*Request).With(c.WithExpires(want)))
		if seconds, ok := got.Expires(); seconds != want || !ok || err != nil || !got.Params.Has("x") {
			t.Errorf("WithExpires(%d) is read as %+v, %v", want, got, err)
		}
	}
}
