package sip

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// crlfs makes each line end a CRLF.
func crlfs(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// carry returns a request with that body.
func carry(contentType, body string, lines ...string) string {
	return tweak("Content-Length", append(lines, "Content-Type: "+contentType)...) + body
}

// mixed returns a request with a multipart/mixed body whose boundary is "b".
func mixed(body string) string { return carry("multipart/mixed;boundary=b", crlfs(body)) }

func parts(t testing.TB, e Entity) (list []*Part) {
	t.Helper()
	for p, err := range Parts(e) {
		if err != nil {
			t.Fatalf("Parts() = %v", err)
		}
		list = append(list, p)
	}
	return list
}

// outline returns the types and bodies of the parts, and what was wrong.
func outline(e Entity) (list []string) {
	for p, err := range Parts(e) {
		if err != nil {
			bad := err.(*SyntaxError)
			list = append(list, bad.Where+" "+bad.Status.Text())
			continue
		}
		typ, _ := MediaType(p)
		list = append(list, typ.Type+"="+p.Body())
	}
	return list
}

// RFC 4475 section 3.1.1.11: a text and a signature over it, in binary.
func TestPartsRFC4475(t *testing.T) {
	req := mustParse(t, readFile(t, "rfc4475/mpart01.dat"))
	list := parts(t, req)
	if len(list) != 2 {
		t.Fatalf("%d parts, want 2", len(list))
	}
	for i, want := range []struct {
		mediaType string
		length    int
	}{{"text/plain", 5}, {"application/octet-stream", 342}} {
		p := list[i]
		typ, err := Get[ContentType](p)
		encoding, errEncoding := Get[ContentTransferEncoding](p)
		if err != nil || errEncoding != nil || !typ.Is(want.mediaType) || encoding != "binary" || len(p.Body()) != want.length {
			t.Errorf("part %d is %s, %s of %d bytes, want %s, binary of %d", i, typ.Type, encoding, len(p.Body()), want.mediaType, want.length)
		}
	}
	if got := list[0].Body(); got != "Hello" {
		t.Errorf("the text is %q, want Hello", got)
	}
	// What is signed is the whole part, without the line break of the delimiter.
	want := crlfs("Content-Type: text/plain\nContent-Transfer-Encoding: binary\n\nHello")
	if got := list[0].String(); got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	body, err := FindBody(req, "application/octet-stream", "render")
	if err != nil || body.Content != list[1].Body() {
		t.Errorf("FindBody() = %d bytes, %v", len(body.Content), err)
	}
}

// The delimiter line as peers write it.
func TestPartsDelimiters(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       []string
	}{
		{"by the book", "--b\n\none\n--b\nContent-Type: a/b\n\ntwo\n--b--\n", []string{"text/plain=one", "a/b=two"}},
		{"nothing behind the end", "--b\n\none\n--b--", []string{"text/plain=one"}},
		{"preamble and epilogue", "for old readers\n--b\n\none\n--b--\nbye\n--b\n\nno part", []string{"text/plain=one"}},
		{"line break first", "\n--b\n\none\n--b--\n", []string{"text/plain=one"}},
		{"transport padding", "--b \t\n\none\n--b\t\n\ntwo\n--b--  \n", []string{"text/plain=one", "text/plain=two"}},
		{"bodies that end and begin with line breaks", "--b\n\n\none\n\n--b--\n", []string{"text/plain=\r\none\r\n"}},
		{"delimiter within a line", "--b\n\none --b\n x--b\n--b--\n", []string{"text/plain=one --b\r\n x--b"}},
		{"longer words", "--b\n\n--bb\n--b-\n--bb--\n--b---\n--b--x\n--b--\n", []string{"text/plain=--bb\r\n--b-\r\n--bb--\r\n--b---\r\n--b--x"}},
		{"no header fields and no body", "--b\n\n--b--\n", []string{"text/plain="}},
		{"empty body", "--b\nContent-Type: a/b\n\n\n--b--\n", []string{"a/b="}},
		{"header fields alone", "--b\nContent-Type: a/b\n\n--b--\n", []string{"a/b="}},
		{"header fields without their line break", "--b\nContent-Type: a/b\n--b--\n", []string{"a/b="}},
		{"delimiters without anything between", "--b\n--b\n--b--\n", []string{"text/plain=", "text/plain="}},
		{"Content-Length of a part", "--b\nContent-Length: 1\n\none\n--b\nContent-Length: 9\n\ntwo\n--b--\n", []string{"text/plain=one", "text/plain=two"}},
		{"folds and compact names", "--b\nc:\n a/b;\n c=d\n\none\n--b--\n", []string{"a/b=one"}},
		{"no close delimiter", "--b\n\none\n--b\n\ntwo\n", []string{"text/plain=one", "text/plain=two\r\n"}},
		{"close delimiter without its hyphens", "--b\n\none\n--b\n", []string{"text/plain=one"}},
		{"close delimiter without its hyphens and line break", "--b\n\none\n--b", []string{"text/plain=one"}},
		{"broken part", "--b\nno header\n\none\n--b\nContent-Type: a/b\nContent-Type: a/b\n\n--b\n\nthree\n--b--\n",
			[]string{"header section Bad Request", "Content-Type Bad Request", "text/plain=three"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := outline(mustParse(t, mixed(test.body))); !slices.Equal(got, test.want) {
				t.Errorf("Parts() = %q, want %q", got, test.want)
			}
		})
	}
}

// A line feed alone ends no line, neither of a delimiter nor of a header field.
func TestPartsLineFeeds(t *testing.T) {
	body := "--b\r\n\r\none\n--b\n\ntwo\r\n--b\r\nX: y\n\nthree\r\n--b--"
	want := []string{"text/plain=one\n--b\n\ntwo", "header section Bad Request"}
	if got := outline(mustParse(t, carry("multipart/mixed;boundary=b", body))); !slices.Equal(got, want) {
		t.Errorf("Parts() = %q, want %q", got, want)
	}
	lfs := mustParse(t, carry("multipart/mixed;boundary=b", "--b\n\none\n--b--\n"))
	if got, want := outline(lfs), []string{"body Bad Request"}; !slices.Equal(got, want) {
		t.Errorf("Parts() = %q, want %q", got, want)
	}
}

// What is not multipart has no parts, and asking for them is no error.
func TestPartsOfOthers(t *testing.T) {
	for _, text := range []string{
		tweak(""),
		carry("application/sdp", "v=0\r\n"),
		carry("multipart-x/mixed;boundary=b", "--b\r\n\r\n\r\n--b--\r\n"),
		tweak("Content-Length") + "a body that does not say what it is",
	} {
		if got := outline(mustParse(t, text)); got != nil {
			t.Errorf("Parts of\n%s\nyields %q, want nothing", text, got)
		}
	}
	if got := outline(new(Request)); got != nil {
		t.Errorf("Parts of the zero request yields %q, want nothing", got)
	}
}

// A multipart within a multipart, whose boundary begins with that of the outer
// one.
func TestPartsNested(t *testing.T) {
	req := mustParse(t, mixed("--b\nContent-Type: multipart/alternative;boundary=\"b in\"\n\n"+
		"--b in\n\none\n--b in\n\ntwo\n--b in--\n--b\n\nthree\n--b--\n"))
	outer := parts(t, req)
	if len(outer) != 2 || outer[1].Body() != "three" {
		t.Fatalf("Parts() = %q", outer)
	}
	if got, want := outline(outer[0]), []string{"text/plain=one", "text/plain=two"}; !slices.Equal(got, want) {
		t.Errorf("Parts() of the first = %q, want %q", got, want)
	}
}

// An error says where in the message it is, and the message can be answered.
func TestPartsError(t *testing.T) {
	text := mixed("--b\nContent-Type: multipart/mixed;boundary=c\n\n--c\nContent-Type: text\n\n--c--\n--b--\n")
	inner := parts(t, parts(t, mustParse(t, text))[0])[0]
	_, err := MediaType(inner)
	var bad *SyntaxError
	if !errors.As(err, &bad) || bad.Where != "Content-Type" || bad.Text() != text || bad.Offset < strings.Index(text, "text\r\n") {
		t.Fatalf("MediaType() = %v", err)
	}
	if resp := bad.Reply(); resp == nil || resp.ReasonPhrase() != "Bad Content-Type" {
		t.Errorf("Reply() = %v", resp)
	}
	response := mustParse(t, strings.Replace(text, plain[0], "SIP/2.0 200 OK", 1))
	if _, err = MediaType(parts(t, parts(t, response)[0])[0]); !errors.As(err, &bad) || bad.Status != 0 || bad.Reply() != nil {
		t.Errorf("MediaType() of a response = %v with the status %d, want none", err, bad.Status)
	}
}

// What is built is read as the same, also when it is built of what was read.
func TestMultipart(t *testing.T) {
	inner, err := Multipart("multipart/alternative", NewPart(Body{"application/sdp", "v=0\r\n"}), NewPart(Body{"text/plain", ""}))
	if err != nil {
		t.Fatal(err)
	}
	photo := NewPart(Body{"image/png", "\x89PNG\r\n\x1a\n\r\n--parley-00000001\r\n"}, ContentID("photo@a.example"), ContentDisposition{"icon", ";handling=optional"})
	outer, err := Multipart(`multipart/related;type="application/sdp";boundary=old`, NewPart(inner), photo, NewPart())
	if err != nil {
		t.Fatal(err)
	}
	if inner.Type != "multipart/alternative;boundary=parley-00000000" ||
		outer.Type != `multipart/related;type="application/sdp";boundary=parley-00000002` {
		t.Errorf("the types are %s and %s", inner.Type, outer.Type)
	}
	req := mustParse(t, mustParse(t, tweak("")).(*Request).With(outer).String())
	list := parts(t, req)
	if len(list) != 3 || list[1].String() != photo.String() || list[1].Body() != photo.Body() || list[2].String() != "\r\n" {
		t.Fatalf("Parts() = %q", list)
	}
	if got, want := outline(list[0]), []string{"application/sdp=v=0\r\n", "text/plain="}; !slices.Equal(got, want) {
		t.Errorf("the parts of the first are %q, want %q", got, want)
	}
	again, err := Multipart(outer.Type, list...)
	if err != nil || again != outer {
		t.Errorf("Multipart() of its parts = %q, %v, want %q", again, err, outer)
	}
	if want := crlfs("Content-ID: <photo@a.example>\nContent-Disposition: icon;handling=optional\nContent-Type: image/png\n\n"); !strings.HasPrefix(photo.String(), want) {
		t.Errorf("NewPart() = %q, want %q", photo, want)
	}
}

// A part that lacked its empty line gets one when it is sent on.
func TestMultipartCompletesParts(t *testing.T) {
	list := parts(t, mustParse(t, mixed("--b\nContent-Type: a/b\n--b\n--b--\n")))
	body, err := Multipart("multipart/mixed", list...)
	want := crlfs("--parley-00000000\nContent-Type: a/b\n\n\n--parley-00000000\n\n\n--parley-00000000--\n")
	if err != nil || body.Content != want {
		t.Errorf("Multipart() = %q, %v, want %q", body.Content, err, want)
	}
}

func TestMultipartErrors(t *testing.T) {
	good := NewPart(Body{"text/plain", "x"})
	for _, test := range []struct {
		name, mediaType string
		parts           []*Part
	}{
		{"no parts", "multipart/mixed", nil},
		{"not multipart", "text/plain", []*Part{good}},
		{"no subtype", "multipart", []*Part{good}},
		{"too many parts", "multipart/mixed", slices.Repeat([]*Part{good}, maxParts+1)},
		{"the zero part", "multipart/mixed", []*Part{new(Part)}},
		{"line break in an edit", "multipart/mixed", []*Part{good, NewPart(Field{"X", "a\r\nY: b"})}},
		{"body without a type", "multipart/mixed", []*Part{NewPart(Body{Content: "x"})}},
		{"bad type", "multipart/mixed", []*Part{NewPart(Body{"text", "x"})}},
	} {
		var bad *SyntaxError
		if body, err := Multipart(test.mediaType, test.parts...); !errors.As(err, &bad) || body != (Body{}) {
			t.Errorf("%s: Multipart() = %v, %v, want an error", test.name, body, err)
		}
	}
}
