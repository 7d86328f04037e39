package sip

import (
	"slices"
	"testing"
)

// RFC 3261 sections 20.31 and 20.21.
func TestReplyTo(t *testing.T) {
	bob := uriOf(t, "sip:bob@biloxi.com")
	reads(t,
		reading[ReplyTo]{"Bob <sip:bob@biloxi.com>", ReplyTo{Display: "Bob", URI: bob}, `"Bob" <sip:bob@biloxi.com>`},
		reading[ReplyTo]{"sip:bob@biloxi.com ;x=1", ReplyTo{URI: bob, Params: ";x=1"}, "<sip:bob@biloxi.com>;x=1"},
		reading[ReplyTo]{`"B \"b\"" <sip:bob@biloxi.com>;x`, ReplyTo{`B "b"`, bob, ";x"}, ""},
	)
	refuses[ReplyTo](t, "", "Bob", "sip:bob@biloxi.com?subject=x", "<sip:bob@biloxi.com", "<sip:bob@biloxi.com> x", "Bob; <sip:bob@biloxi.com>")
	wontWrite(t, ReplyTo{}, ReplyTo{URI: bob, Params: "x=1"}, ReplyTo{URI: URI{Scheme: "sip", Host: "a>;tag=1"}})
}

func TestInReplyTo(t *testing.T) {
	reads(t, reading[InReplyTo]{"70710@saturn.bell-tel.com", "70710@saturn.bell-tel.com", ""})
	// In a word, "<" and quotes are characters like others (RFC 3261 section 25.1).
	odd := mustParse(t, tweak("", `In-Reply-To: a<b@c, d@e , a"b@c`, "In-Reply-To: f,<,>"))
	if got, want := values[InReplyTo](t, odd), []InReplyTo{"a<b@c", "d@e", `a"b@c`, "f", "<", ">"}; !slices.Equal(got, want) {
		t.Errorf("In-Reply-To is %q, want %q", got, want)
	}
	if first, err := Get[InReplyTo](odd); first != "a<b@c" || err != nil {
		t.Errorf("the first In-Reply-To is %q, %v", first, err)
	}
	list := []InReplyTo{"a<b@c", `d"e`, "f"}
	out := with(odd, List(list...), Add(Field{"In-Reply-To", "g<, h"}), Pop("In-Reply-To"))
	if got, want := values[InReplyTo](t, out), []InReplyTo{`d"e`, "f", "g<", "h"}; !slices.Equal(got, want) || out.Err() != nil {
		t.Errorf("In-Reply-To is %q, %v, want %q", got, out.Err(), want)
	}
	refuses[InReplyTo](t, "", "a b", "a;b", "a,b")
	wontWrite(t, InReplyTo("a, b"), InReplyTo(""))

	req := mustParse(t, tweak("", "In-Reply-To: 70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com"))
	want := []InReplyTo{"70710@saturn.bell-tel.com", "17320@saturn.bell-tel.com"}
	if got := values[InReplyTo](t, req); !slices.Equal(got, want) {
		t.Errorf("In-Reply-To = %v, want %v", got, want)
	}
}
