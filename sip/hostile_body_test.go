package sip

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// nested returns a request with that many multiparts within each other, the
// innermost of which holds one text.
func nested(depth int) string {
	var head, tail strings.Builder
	for i := range depth {
		if i > 0 {
			fmt.Fprintf(&head, "Content-Type: multipart/mixed;boundary=b%d.\r\n\r\n", i)
		}
		fmt.Fprintf(&head, "--b%d.\r\n", i)
	}
	for i := depth - 1; i >= 0; i-- {
		fmt.Fprintf(&tail, "\r\n--b%d.--", i)
	}
	return carry("multipart/mixed;boundary=b0.", head.String()+"\r\nx"+tail.String())
}

// Group 10: multipart bodies. Each is read to its end by all that looks at
// bodies; want is the status for what a search for text/plain comes to, 404
// where there is no such body, and yields is what Parts of the message yields.
func TestHostileMultiparts(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       Status
		yields     []string
	}{
		{"no closing boundary", mixed("--b\n\nx"), 200, []string{"text/plain=x"}},
		{"no closing boundary and no end of the part's header section", mixed("--b\nContent-Type: text/plain"), 404, []string{"text/plain="}},
		{"boundary absent from Content-Type", carry("multipart/mixed", "--b\r\n\r\nx\r\n--b--\r\n"), 400, []string{"Content-Type Bad Request"}},
		{"boundary without a value", carry("multipart/mixed;boundary", "--\r\n\r\nx\r\n----\r\n"), 400, []string{"Content-Type Bad Request"}},
		{"boundary of nothing in quotes", carry(`multipart/mixed;boundary=""`, "--\r\n\r\nx\r\n----\r\n"), 400, []string{"Content-Type Bad Request"}},
		{"boundary absent from the body", mixed("x\n"), 400, []string{"body Bad Request"}},
		{"boundary absent but for the closing one", mixed("x\n--b--\n"), 400, []string{"body Bad Request"}},
		{"boundary in another case", mixed("--B\n\nx\n--B--\n"), 400, []string{"body Bad Request"}},
		{"boundary of 70 characters", carry("multipart/mixed;boundary="+strings.Repeat("b", 70), "--"+strings.Repeat("b", 70)+"\r\n\r\nx"), 200, []string{"text/plain=x"}},
		{"boundary of 71 characters", carry("multipart/mixed;boundary="+strings.Repeat("b", 71), "--"+strings.Repeat("b", 71)+"\r\n\r\nx"), 400, []string{"Content-Type Bad Request"}},
		{"boundary of 60 kB", carry("multipart/mixed;boundary="+strings.Repeat("b", 60000), "--"+strings.Repeat("b", 60000)+"\r\n\r\nx"), 400, []string{"Content-Type Bad Request"}},
		{"boundary equal to a line break", carry("multipart/mixed;boundary=\"\r\n \"", "--\r\n\r\n\r\nx\r\n--\r\n--\r\n"), 400, []string{"Content-Type Bad Request"}},
		{"boundary with a NUL", carry("multipart/mixed;boundary=\"b\\\x00\"", "--b\x00\r\n\r\nx"), 400, []string{"Content-Type Bad Request"}},
		{"boundary with a space at its end", carry(`multipart/mixed;boundary="b "`, "--b \r\n\r\nx"), 400, []string{"Content-Type Bad Request"}},
		{"boundary of hyphens", carry(`multipart/mixed;boundary=--`, "----\r\n\r\nx\r\n------\r\n"), 200, []string{"text/plain=x"}},
		{"boundary twice", carry(`multipart/mixed;boundary=b;boundary=c`, "--b\r\n\r\nx\r\n--c--\r\n--b--"), 400, []string{"Content-Type Bad Request"}},
		{"empty multipart", mixed("--b--\n"), 400, []string{"body Bad Request"}},
		{"empty multipart with one delimiter", mixed("--b\n"), 400, []string{"body Bad Request"}},
		{"empty multipart with a preamble", mixed("x\n--b--\nx"), 400, []string{"body Bad Request"}},
		{"multipart without a body", mixed(""), 404, []string{"body Bad Request"}},
		{"part without header fields", mixed("--b\n\nx\n--b--\n"), 200, []string{"text/plain=x"}},
		{"part without header fields and empty line", mixed("--b\nx\n--b--\n"), 400, []string{"header section Bad Request"}},
		{"part of nothing", mixed("--b\n--b--\n"), 404, []string{"text/plain="}},
		{"part with 501 header fields", mixed("--b\n" + strings.Repeat("X: y\n", 501) + "\nx\n--b--\n"), 400, []string{"header section Bad Request"}},
		{"part with 64 kB of header fields", mixed("--b\nX: " + strings.Repeat("y", 66000) + "\n\nx\n--b--\n"), 513, []string{"header section Message Too Large"}},
		{"part with a NUL in a header field", mixed("--b\nX: \x00\n\nx\n--b--\n"), 400, []string{"header section Bad Request"}},
		{"Content-Type without subtype", carry("multipart;boundary=b", "--b\r\n\r\nx"), 400, []string{"Content-Type Bad Request"}},
		{"Content-Type with an empty subtype", carry("multipart/;boundary=b", "--b\r\n\r\nx"), 400, []string{"Content-Type Bad Request"}},
		{"Content-Type of a part without subtype", mixed("--b\nContent-Type: text\n\nx\n--b--\n"), 400, []string{"=x"}},
		{"Content-Type of a part twice", mixed("--b\nContent-Type: text/plain\nc: text/plain\n\nx\n--b--\n"), 400, []string{"Content-Type Bad Request"}},
		{"part that says it is as long as 2^31", mixed("--b\nContent-Length: 2147483648\n\nx\n--b--\n"), 200, []string{"text/plain=x"}},
		{"1000 parts", mixed(strings.Repeat("--b\n\n\n", maxParts) + "--b--\n"), 404, slices.Repeat([]string{"text/plain="}, maxParts)},
		{"1001 parts", mixed(strings.Repeat("--b\n\n\n", maxParts+1) + "--b--\n"), 413,
			append(slices.Repeat([]string{"text/plain="}, maxParts), "body Request Entity Too Large")},
		{"100,000 parts of nothing", mixed(strings.Repeat("--b\n", 100000) + "--b--\n"), 413,
			append(slices.Repeat([]string{"text/plain="}, maxParts), "body Request Entity Too Large")},
		{"1001 parts in 500 multiparts", mixed(strings.Repeat("--b\nContent-Type: multipart/mixed;boundary=c\n\n--c\n\n\n--c--\n", 501) + "--b--\n"), 413, nil},
		{"nested 8 deep", nested(8), 200, nil},
		{"nested 9 deep", nested(9), 413, nil},
		{"nested 1000 deep", nested(1000), 413, nil},
		{"nested in itself", mixed(strings.Repeat("--b\nContent-Type: multipart/mixed;boundary=b\n\n", 1000)), 404, slices.Repeat([]string{"multipart/mixed="}, maxParts)},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := mustParse(t, test.text)
			_, err := FindBody(m, "text/plain", "render")
			if got := statusOf(err); got != test.want {
				t.Errorf("FindBody() = %d (%v), want %d", got, err, test.want)
			}
			if e, err := FindID(m, "cid:a@b"); err == nil {
				t.Errorf("FindID() = %v, want an error", e)
			}
			CheckBody(m, func(ContentType, ContentDisposition) bool { return true })
			if got := outline(m); test.yields != nil && !slices.Equal(got, test.yields) {
				t.Errorf("Parts() = %.200q, want %.200q", got, test.yields)
			}
		})
	}
}

// A stranger who knows how boundaries are made cannot make one stand in what a
// program sends on, and cannot make it expensive.
func TestHostileBoundary(t *testing.T) {
	var b strings.Builder
	for i := range 50000 {
		fmt.Fprintf(&b, "\r\n--parley-%08x", i)
	}
	text := b.String()
	body, err := Multipart("multipart/mixed", NewPart(Body{"text/plain", text}))
	if err != nil || body.Type != "multipart/mixed;boundary=parley-0000c350" {
		t.Fatalf("Multipart() = %s, %v", body.Type, err)
	}
	list := parts(t, mustParse(t, carry(body.Type, body.Content)))
	if len(list) != 1 || list[0].Body() != text {
		t.Fatalf("%d parts, want what was put in", len(list))
	}
}

// Group 10 again, of fragments: RFC 3420 section 3.2 and worse.
func TestHostileFragments(t *testing.T) {
	for _, text := range []string{
		"INVITE",
		"INVITE ",
		"INVITE sip:alice@atlanta.com",
		"INVITE sip:alice@atlanta.com SIP/1.09",
		"INVITE alice SIP/2.0",
		"SIP/2.0",
		"SIP/2.0 ",
		"SIP/2.0 99 x",
		"SIP/2.0 700 x",
		"SIP/2.0 2OO OK",
		"404 Not Found",
		"INVITE sip:alice@atlanta.com SIP/2.0\r\nVia: SIP/2.0/UDP ;branch=z9hG4bK29342a\r\nTo: <>;tag=39234",
		"To: sip:alice@atlanta.com\r\nFrom: sip:bob@biloxi.com;tag=1992312\r\nCall-ID: this is invalid",
		"INVITE sip:alice@atlanta.com SIP/2.0\r\nFrom: <sip:bob@biloxi.com>;tag=z9hG4bK2912;tag=z9hG4bK99234",
		"MESSAGE sip:alice@atlanta.com SIP/2.0\r\nHi There!",
		"INVITE sip:alice@atlanta.com SIP/2.0\r\nCSeq: 1 BYE",
		"SIP/2.0 200 OK\n",
		"SIP/2.0 200 OK\nTo: sip:a@b\n",
		"To: sip:alice@atlanta.com\r\nTo: sip:alice@atlanta.com",
		"Content-Length: -1\r\n\r\nx",
		"SIP/2.0 200 OK\x00",
		"x",
		" ",
		" To: sip:a@b",
		": x",
		"To\r\n: sip:a@b",
		"SIP/2.0 200 OK\r\nX: \x01",
		strings.Repeat("X: y\r\n", 501),
		strings.Repeat("x", 70000),
		"INVITE sip:" + strings.Repeat("x", 70000) + " SIP/2.0",
		"X: " + strings.Repeat("y", 70000),
	} {
		f, err := ParseFragment(text)
		var bad *SyntaxError
		if bad, _ = err.(*SyntaxError); bad == nil || f != nil {
			t.Errorf("ParseFragment(%.60q) = %v, %v, want a syntax error", text, f, err)
			continue
		}
		if bad.Status != 0 || bad.Reply() != nil || bad.Text() != text {
			t.Errorf("the error of %.60q can be answered", text)
		}
	}
}
