package sip

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unsafe"
)

// Each limit of a message to the byte: at the limit it is taken, over it not.
func TestLimits(t *testing.T) {
	uri := func(n int) string { return "sip:" + strings.Repeat("b", n-len("sip:")) }
	phrase := func(n int) string { return "SIP/2.0 200 " + strings.Repeat("x", n-len("SIP/2.0 200 ")) }
	headers := func(n int) string { return "sip:a.example?" + strings.Repeat("a=b&", n-1) + "a=b" }
	short := tweak("Content-Length", "Subject: ")
	for _, h := range []hostile{
		{"Request-URI at its limit", start("OPTIONS " + uri(maxURI) + " SIP/2.0"), "ok"},
		{"Request-URI over it", start("OPTIONS " + uri(maxURI+1) + " SIP/2.0"), "414 Request-URI"},
		{"status line at its limit", start(phrase(maxURI)), "ok"},
		{"status line over it", start(phrase(maxURI + 1)), "dropped, start line"},
		{"name of 255 bytes", tweak("", strings.Repeat("n", 255)+": x"), "ok"},
		{"name of 256 bytes", tweak("", strings.Repeat("n", 256)+": x"), "400 header section"},
		{"500 header fields", tweak("", strings.Repeat("X-A: y\r\n", maxFields-len(plain))+"X-A: y"), "ok"},
		{"501 header fields", tweak("", strings.Repeat("X-A: y\r\n", maxFields-len(plain)+1)+"X-A: y"), "400 header section"},
		{"200 folds", tweak("", "X-A: y"+strings.Repeat("\r\n z", maxFolds)), "ok"},
		{"201 folds in two fields", tweak("", "X-A: y"+strings.Repeat("\r\n z", maxFolds), "X-B: z\r\n z"), "400 header section"},
		{"65535 bytes of header section", tweak("Content-Length", "Subject: "+strings.Repeat("n", maxHead-len(short))), "ok"},
		{"65536 bytes of header section", tweak("Content-Length", "Subject: "+strings.Repeat("n", maxHead-len(short)+1)), "513 header section"},
		{"200 parameters", tweak("To", plain[3]+strings.Repeat(";a", maxParams)), "ok"},
		{"201 parameters", tweak("To", plain[3]+strings.Repeat(";a", maxParams+1)), "400 To"},
		{"100 headers of a URI", start("OPTIONS " + headers(maxURIHeaders) + " SIP/2.0"), "ok"},
		{"101 headers of a URI", start("OPTIONS " + headers(maxURIHeaders+1) + " SIP/2.0"), "400 Request-URI"},
	} {
		h.run(t)
	}
	for what, limit := range map[string][2]int{
		"Request-URI": {maxURI, 16384}, "header section": {maxHead, 65535}, "header fields": {maxFields, 500}, "folds": {maxFolds, 200},
		"parameters": {maxParams, 200}, "headers of a URI": {maxURIHeaders, 100},
	} {
		if limit[0] != limit[1] {
			t.Errorf("limit of the %s = %d, want %d", what, limit[0], limit[1])
		}
	}
}

// With stops where Parse does, to the byte and to the line.
func TestLimitsOfEdits(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	subject := func(n int) Edit { return Subject(strings.Repeat("n", n-len(req.String())-len("Subject: \r\n"))) }
	lines := func(n int) (edits []Edit) {
		for range n - len(plain) + 1 {
			edits = append(edits, Add(Field{"X-A", "y"}))
		}
		return edits
	}
	for _, c := range []struct {
		what  string
		edits []Edit
		want  Status // of the error, 0 for none
	}{
		{"65535 bytes of header section", []Edit{subject(maxHead)}, 0},
		{"65536 bytes of header section", []Edit{subject(maxHead + 1)}, StatusMessageTooLarge},
		{"500 header fields", lines(maxFields), 0},
		{"501 header fields", lines(maxFields + 1), StatusBadRequest},
	} {
		out := req.With(c.edits...)
		if c.want == 0 {
			if out.Err() != nil {
				t.Errorf("%s: %v", c.what, out.Err())
			} else if again := mustParse(t, out.String()); !sameFields(again, out) {
				t.Errorf("%s: parsed to another message", c.what)
			}
			continue
		}
		var bad *SyntaxError
		if !errors.As(out.Err(), &bad) || bad.Where != "header section" || bad.Status != c.want {
			t.Errorf("%s: %v, want %d in header section", c.what, out.Err(), c.want)
		}
	}
}

// A reader that gives nothing and no error does not hold up its caller.
func TestReaderWithoutProgress(t *testing.T) {
	idle := &idleReader{}
	r := NewReader(idle, nil)
	for range 2 {
		if _, err := r.ReadMessage(); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("ReadMessage() = %v, want %v", err, io.ErrNoProgress)
		}
	}
	if idle.reads != 100 {
		t.Errorf("%d reads, want 100", idle.reads)
	}
}

// idleReader never has anything, up to where a test gives up.
type idleReader struct{ reads int }

func (r *idleReader) Read([]byte) (int, error) {
	if r.reads++; r.reads > 1000 {
		return 0, errors.New("read more than 1000 times")
	}
	return 0, nil
}

// A value may have 200 parameters and no more: in a header field, in a URI and
// in a challenge.
func TestParamsLimit(t *testing.T) {
	for name, read := range map[string]func(n int) error{
		"header field": func(n int) error {
			_, err := Get[Contact](mustParse(t, tweak("", "Contact: <sip:a@192.0.2.1>"+strings.Repeat(";p=1", n))))
			return err
		},
		"Via": func(n int) error {
			line := "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1" + strings.Repeat(";p", n-1)
			m, err := Parse(tweak("Via", line))
			if err == nil {
				_, err = Get[Via](m)
			}
			return err
		},
		"URI": func(n int) error {
			_, err := ParseURI("sip:a@192.0.2.1" + strings.Repeat(";p=1", n))
			return err
		},
		"challenge": func(n int) error {
			line := "WWW-Authenticate: Digest " + strings.Repeat("p=1, ", n-1) + "p=1"
			_, err := Get[WWWAuthenticate](mustParse(t, tweak("", line)))
			return err
		},
	} {
		if err := read(200); err != nil {
			t.Errorf("%s: 200 parameters: %v", name, err)
		}
		if err := read(201); err == nil || !strings.Contains(err.Error(), "no more than") {
			t.Errorf("%s: 201 parameters: error %v, want too many", name, err)
		}
	}
}

// A message does not keep what came behind its end.
func TestJunkIsNotKept(t *testing.T) {
	datagram := tweak("") + strings.Repeat("x", 60000)
	m := mustParse(t, datagram)
	if got := m.String(); len(got) > 1000 || unsafe.StringData(got) == unsafe.StringData(datagram) {
		t.Errorf("%d bytes, and the datagram's memory is kept", len(got))
	}
	if got := m.CSeq().Method; got == "" || m.Via().Branch() == "" {
		t.Error("the index does not fit the copy")
	}
}
