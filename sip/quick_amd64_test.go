package sip

import (
	"strings"
	"testing"
)

// What is taken by its marks is what the scanners find.
func FuzzQuick(f *testing.F) {
	if !hasAVX2 {
		f.Log("no vector unit, so nothing is quick")
		return
	}
	seeds(f)
	f.Add(lessUsual)
	f.Fuzz(func(t *testing.T, text string) { quickSaysTheSame(t, text) })
}

// lessUsual is a message whose lines are taken by their marks although they are
// not spelled as nearly all are.
const lessUsual = "REGISTER sip:a.example SIP/2.0\r\n" +
	"v:SIP/2.0/UDP b.example;branch=z9hG4bK1\r\nVIA: SIP/2.0/TCP c\r\n" +
	"f: A <sip:a@a.example>;tag=1\r\nto:<sip:a@a.example>\r\ni: 1\r\n d\r\n" +
	"CSeq:\r\n\t1 REGISTER\r\nX-A: b\r\nk:\r\nm: <sip:b.example>\r\n ;q=1\r\n\r\n"

// One byte more, less or other at every place of a message makes it unusual, and
// often broken. Each place has some of the bytes that mean something, the next
// ones have others.
func TestQuickSaysTheSame(t *testing.T) {
	if !hasAVX2 {
		t.Log("no vector unit, so nothing is quick")
		return
	}
	const some = "\r\n\t \x00\"<>@:;,=?%/\\+[a1*\x7f\x80"
	texts := []string{lessUsual}
	for _, file := range []string{"invite", "register", "ok", "notify"} {
		texts = append(texts, readFile(t, "messages/"+file+".sip"))
	}
	for n, text := range texts {
		head := strings.Index(text, "\r\n\r\n") + 5
		for i := range text[:min(head, len(text))] {
			for j := range 5 {
				c := some[(i*5+j+n)%len(some)]
				quickSaysTheSame(t, text[:i]+string(c)+text[i:])
				quickSaysTheSame(t, text[:i]+string(c)+text[i+1:])
			}
			quickSaysTheSame(t, text[:i]+text[i+1:])
			quickSaysTheSame(t, text[:i])
		}
	}
}

// More lines than the index counts in a byte, than one set of marks is for, and
// than a message may have.
func TestQuickLongMessages(t *testing.T) {
	if !hasAVX2 {
		t.Log("no vector unit, so nothing is quick")
		return
	}
	text := readFile(t, "messages/large.sip")
	for i := 0; i < len(text); i += 17 {
		quickSaysTheSame(t, text[:i]+"\n"+text[i:])
		quickSaysTheSame(t, text[:i]+text[i+1:])
	}
	for _, n := range []int{1, 198, 199, 200, 201, 202} {
		quickSaysTheSame(t, tweak("", "Server: a"+strings.Repeat("\r\n b", n), "x:", " y"))
		quickSaysTheSame(t, tweak("", "x-y: z", "Call-ID: a"+strings.Repeat("\r\n b", n)))
	}
	for _, n := range []int{10, 100, 200, 245, 246, 247, 248, 300, 493, 494, 495, 496, 520} {
		lines := strings.Repeat("Server: a\r\n", n)
		quickSaysTheSame(t, tweak("", lines+"Route: <sip:a.example;lr>\r\nContact: <sip:b.example>"))
		quickSaysTheSame(t, tweak("", lines+"Route: <sip:a.example;lr>, <sip:c.example>\r\nTo: <sip:b.example>"))
		quickSaysTheSame(t, tweak("", strings.Repeat("Subject: "+strings.Repeat("x", n)+"\r\n", n)+"Contact: <sip:b.example>"))
	}
}

func quickSaysTheSame(t *testing.T, text string) {
	t.Helper()
	quick, errQuick := Parse(text)
	quickReads := addresses(quick)
	var slow Message
	var errSlow error
	var slowReads []any
	slowly(func() {
		slow, errSlow = Parse(text)
		slowReads = addresses(slow)
	})
	if (errQuick == nil) != (errSlow == nil) || errSlow != nil && *errQuick.(*SyntaxError) != *errSlow.(*SyntaxError) {
		t.Fatalf("%q\nquick: %v\nslow:  %v", text, errQuick, errSlow)
	}
	if errSlow != nil {
		return
	}
	a, b := *quick.base(), *slow.base()
	a.more, b.more = nil, nil
	a.checked, b.checked = 0, 0
	a.contact, b.contact = addressSpan[uint8]{}, addressSpan[uint8]{}
	if a != b || !sameFields(quick, slow) {
		t.Fatalf("%q\nquick: %+v\nslow:  %+v", text, a, b)
	}
	if r, ok := quick.(*Response); ok && r.status != slow.(*Response).status {
		t.Fatalf("%q\nquick: %v\nslow:  %v", text, r.status, slow.(*Response).status)
	}
	if r, ok := quick.(*Request); ok {
		s := slow.(*Request)
		if r.uri != s.uri || r.methodEnd != s.methodEnd || r.uriEnd != s.uriEnd {
			t.Fatalf("%q\nquick: %+v\nslow:  %+v", text, r.uri, s.uri)
		}
	}
	for i := range quickReads {
		if quickReads[i] != slowReads[i] {
			t.Fatalf("%q\nquick: %v\nslow:  %v", text, quickReads[i], slowReads[i])
		}
	}
}

// slowly calls f while nothing is quick.
func slowly(f func()) {
	defer func(was bool) { hasAVX2 = was }(hasAVX2)
	hasAVX2 = false
	f()
}

// What is as long as a byte counts is read by the scanners, too, where all else
// goes by its marks.
func TestSlowValuesOfAByte(t *testing.T) { slowly(func() { valuesOfAByte(t) }) }

// addresses reads the header fields that are taken by their marks on demand.
func addresses(m Message) (all []any) {
	if m == nil {
		return nil
	}
	contact, err := Get[Contact](m)
	all = append(all, contact, errText(err))
	for route, err := range All[Route](m) {
		all = append(all, route, errText(err))
	}
	for contact, err := range All[Contact](m) {
		all = append(all, contact, errText(err))
	}
	return all
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
