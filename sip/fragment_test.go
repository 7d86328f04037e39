package sip

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// What the NOTIFY of a transfer says, as peers write it (RFC 3515 section
// 2.4.5).
func TestFragmentOfTransfer(t *testing.T) {
	for _, test := range []struct {
		text   string
		status Status
		phrase string
	}{
		{"SIP/2.0 100 Trying", 100, "Trying"},
		{"SIP/2.0 180 Ringing\r\n", 180, "Ringing"},
		{"SIP/2.0 200 OK\r\n\r\n", 200, "OK"},
		{"SIP/2.0 503 Service Unavailable", 503, "Service Unavailable"},
		{"sip/2.0 603 ", 603, ""},
		{"SIP/2.0 202", 202, ""},
		{"SIP/2.0 400 Bad Request\r\nWarning: 399 atlanta.com Your Event header field was malformed", 400, "Bad Request"},
	} {
		f, err := ParseFragment(test.text)
		if err != nil {
			t.Errorf("ParseFragment(%q) = %v", test.text, err)
			continue
		}
		if f.Status() != test.status || f.ReasonPhrase() != test.phrase || f.Method() != "" || f.URI() != (URI{}) || f.Body() != "" {
			t.Errorf("%q is %d %q, want %d %q", test.text, f.Status(), f.ReasonPhrase(), test.status, test.phrase)
		}
	}
}

// Each message is a fragment, and so is what is left of it without its start
// line or without its body.
func TestFragmentOfMessages(t *testing.T) {
	for _, printed := range printedMessages(t) {
		text := printed.text
		m, err := Parse(text)
		if err != nil {
			continue
		}
		want := slices.Collect(m.Fields())
		start, rest, _ := strings.Cut(text, "\r\n")
		head, _, _ := strings.Cut(text, "\r\n\r\n")
		for _, part := range []string{text, start, head, head + "\r\n", rest} {
			f, err := ParseFragment(part)
			if err != nil {
				t.Errorf("%s: ParseFragment(%.60q) = %v", printed.name, part, err)
				continue
			}
			if got := slices.Collect(f.Fields()); part != start && !slices.Equal(got, want) || part == start && got != nil {
				t.Errorf("%s: the fields are %q, want %q", printed.name, got, want)
			}
			if body := f.Body(); body != m.Body() && (part == text || part == rest || body != "") {
				t.Errorf("%s: Body() = %q, want %q", printed.name, body, m.Body())
			}
			var method Method
			var uri URI
			var status Status
			if r, ok := m.(*Request); ok && part != rest {
				method, uri = r.Method(), r.URI()
			} else if r, ok := m.(*Response); ok && part != rest {
				status = r.Status()
			}
			if f.Method() != method || f.URI() != uri || f.Status() != status {
				t.Errorf("%s: %s %s %d, want %s %s %d", printed.name, f.Method(), f.URI(), f.Status(), method, uri, status)
			}
		}
	}
}

// Header fields alone (RFC 3420 section 3.1), read as those of a message.
func TestFragmentOfHeaderFields(t *testing.T) {
	f, err := ParseFragment("From: Alice <sip:alice@atlanta.com>\r\nt : Bob\r\n  <sip:bob@biloxi.com>\r\n" +
		"Contact: <sip:alice@pc33.atlanta.com>;q=0.9,\r\n <sip:alicemobile@atlanta.com>;q=0.1\r\nCall-ID: a84b4c76e66710\r\nCseq: 314159 INVITE\r\n")
	if err != nil {
		t.Fatal(err)
	}
	from, err1 := Get[From](f)
	to, err2 := Get[To](f)
	cseq, err3 := Get[CSeq](f)
	if err1 != nil || err2 != nil || err3 != nil || from.Display != "Alice" || to.URI.User != "bob" || cseq.Method != INVITE {
		t.Errorf("From %v, To %v, CSeq %v; %v, %v, %v", from, to, cseq, err1, err2, err3)
	}
	n := 0
	for _, err := range All[Contact](f) {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if n != 2 {
		t.Errorf("%d contacts, want 2", n)
	}
	if _, err := Get[Via](f); err != ErrMissing {
		t.Errorf("Get[Via]() = %v, want %v", err, ErrMissing)
	}
}

func TestFragmentBody(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"\r\n", ""},
		{"\r\nx", "x"},
		{"\r\n\r\nx", "\r\nx"},
		{"SIP/2.0 200 OK\r\n\r\nx", "x"},
		{"Content-Type: text/plain\r\nContent-Length: 11\r\n\r\nHi There!\r\n", "Hi There!\r\n"},
		{"Content-Type: text/plain\r\nContent-Length: 9\r\n\r\nHi There!\r\n", "Hi There!"},
		{"Content-Type: text/plain\r\nContent-Length: 11\r\n\r\nHi There!", "Hi There!"}, // the delimiter of a part took the rest
		{"Content-Length: 247", ""}, // the body was left out
	} {
		f, err := ParseFragment(test.text)
		if err != nil {
			t.Errorf("ParseFragment(%q) = %v", test.text, err)
			continue
		}
		if f.Body() != test.want {
			t.Errorf("ParseFragment(%q) has the body %q, want %q", test.text, f.Body(), test.want)
		}
	}
}

// A fragment may be multipart, as a message may.
func TestFragmentMultipart(t *testing.T) {
	f, err := ParseFragment("Content-Type: multipart/mixed;boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n")
	if err != nil {
		t.Fatal(err)
	}
	list := parts(t, f)
	if len(list) != 1 || list[0].Body() != "one" {
		t.Errorf("Parts() = %q", list)
	}
	f, err = ParseFragment("Content-Type: text\r\n\r\nx")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MediaType(f); statusOf(err) != 0 || err == nil {
		t.Errorf("MediaType() = %v, want an error that is not answered", err)
	}
}

// What is zero has nothing, and says so.
func TestZeroValues(t *testing.T) {
	var f Fragment
	if _, err := Get[Via](&f); err != ErrMissing || f.Body() != "" || f.Status() != 0 || f.Method() != "" {
		t.Errorf("the zero Fragment: %v, %q, %v, %q", err, f.Body(), f.Status(), f.Method())
	}
	if _, err := Multipart("multipart/mixed", nil); err == nil {
		t.Error("Multipart() of a nil part: no error")
	}
	if _, err := new(Reader).ReadMessage(); err != io.EOF {
		t.Errorf("the zero Reader: %v, want EOF", err)
	}
}
