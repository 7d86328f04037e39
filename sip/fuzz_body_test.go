package sip

import (
	"strings"
	"testing"
)

// FuzzParts reads all there is in a body. Each part is a piece of the text, in
// order, and what can be read can be written and read again.
func FuzzParts(f *testing.F) {
	req := mustParse(f, readFile(f, "rfc4475/mpart01.dat"))
	typ, _ := req.Value("Content-Type")
	f.Add(typ, req.Body())
	for _, body := range []string{
		"--b\r\n\r\none\r\n--b \r\nContent-Type: multipart/related;boundary=\"b c\";start=\"<a@b>\"\r\n\r\n--b c\r\nContent-ID: <a@b>\r\n\r\n\r\n--b c--\r\n--b--\r\n",
		"x\r\n--b\r\n--b\r\nContent-Type: a/b\r\n--b\r\nx\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n",
		"--b\r\nContent-Disposition: session;handling=optional\r\nContent-Encoding: gzip\r\n\r\n--parley-00000000",
	} {
		f.Add("multipart/mixed;boundary=b", body)
		f.Add("multipart/alternative;boundary=b", body)
	}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		m, err := Parse(carry(contentType, body))
		if err != nil {
			return
		}
		walkParts(t, m, m.String())
		FindBody(m, "text/plain", "")
		FindBody(m, "application/sdp", "session")
		FindID(m, "cid:a@b")
		CheckBody(m, func(t ContentType, _ ContentDisposition) bool { return t.Is("text/plain") })
	})
}

func walkParts(t *testing.T, e Entity, text string) {
	var list []*Part
	at := 0
	for p, err := range Parts(e) {
		if err != nil {
			bad := err.(*SyntaxError)
			if bad.Text() != text || bad.Offset > len(text) {
				t.Fatalf("%v is not about the message", err)
			}
			continue
		}
		n := strings.Index(text[at:], p.Body())
		if n < 0 {
			t.Fatalf("the body of part %d, %q, is not where it should be", len(list), p.Body())
		}
		at += n
		list = append(list, p)
		Content(p)
		Disposition(p)
		for range p.Fields() {
		}
		walkParts(t, p, text)
	}
	if len(list) == 0 {
		return
	}
	made, err := Multipart("multipart/mixed", list...)
	if err != nil {
		t.Fatal(err)
	}
	again := parts(t, mustParse(t, carry(made.Type, made.Content)))
	if len(again) != len(list) {
		t.Fatalf("%d parts were written and %d read", len(list), len(again))
	}
	for i, p := range list {
		if again[i].String() != p.String() || again[i].Body() != p.Body() {
			t.Fatalf("part %d is %q, was %q", i, again[i], p)
		}
	}
}

// FuzzFragment reads all there is in a fragment. What is a message is a
// fragment, too, and says the same.
func FuzzFragment(f *testing.F) {
	for _, s := range []string{"", "SIP/2.0 200 OK", "SIP/2.0 180\r\n", "To: <sip:a@b>\r\n\r\nx", "REFER sip:a@b SIP/2.0\r\nl: 1\r\n\r\nxy", tweak("")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseFragment(s)
		m, errMessage := Parse(s)
		if err != nil {
			if errMessage == nil && !strings.HasPrefix(s, "\r\n") {
				t.Fatalf("a message but no fragment: %v", err)
			}
			return
		}
		got.URI()
		got.ReasonPhrase()
		lines := 0
		for field := range got.Fields() {
			if v, ok := got.Value(field.Name); lines == 0 && (!ok || v != field.Value) {
				t.Fatalf("Value(%s) = %q, want %q", field.Name, v, field.Value)
			}
			lines++
		}
		for range All[Via](got) {
		}
		for range Parts(got) {
		}
		if !strings.HasSuffix(s, got.Body()) && got.Body() != "" && !strings.Contains(s, "\r\n\r\n"+got.Body()) && !strings.HasPrefix(s, "\r\n"+got.Body()) {
			t.Fatalf("the body %q is from nowhere", got.Body())
		}
		if errMessage != nil || strings.HasPrefix(s, "\r\n") {
			return
		}
		if m.Body() != got.Body() {
			t.Fatalf("the body is %q, of the message %q", got.Body(), m.Body())
		}
		switch m := m.(type) {
		case *Request:
			if got.Method() != m.Method() || got.URI() != m.URI() || got.Status() != 0 {
				t.Fatalf("%s %s is not %s %s", got.Method(), got.URI(), m.Method(), m.URI())
			}
		case *Response:
			if got.Status() != m.Status() || got.ReasonPhrase() != m.ReasonPhrase() || got.Method() != "" {
				t.Fatalf("%d %s is not %d %s", got.Status(), got.ReasonPhrase(), m.Status(), m.ReasonPhrase())
			}
		}
	})
}
