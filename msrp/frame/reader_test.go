package frame_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/goparley/parley/msrp/frame"
)

// A read is a frame with all of its body.
type read struct {
	head *frame.Head
	body string
	flag frame.Flag
}

// readAll reads frames until the stream ends.
func readAll(src io.Reader) (all []read, err error) {
	r := frame.NewReader(src)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		head := h.Clone()
		body, err := readBody(r)
		if err != nil {
			return all, err
		}
		all = append(all, read{head, string(body), r.Flag()})
	}
}

// The end-line has a CRLF before it, the identifier, a flag, and a CRLF behind it; less is data
// (RFC 4975 section 7.1).
func TestEndLineInTheBodyIsData(t *testing.T) {
	body := "foo\r\n-------abcd not the end\r\n-------abcd$ no\r\n-------abcd*\r\n-------abcde$\r\n-------abcd$\r-------abcd$\n\r\n\r\r\n------"
	text := "MSRP abcd SEND\r\n" + paths + "Message-ID: 1234\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n" + body + "\r\n-------abcd+\r\n" +
		"MSRP efgh 200 OK\r\n" + paths + "-------efgh$\r\n"
	for name, src := range map[string]io.Reader{
		"whole":      strings.NewReader(text),
		"by byte":    iotest.OneByteReader(strings.NewReader(text)),
		"in halves":  iotest.HalfReader(strings.NewReader(text)),
		"with error": iotest.DataErrReader(strings.NewReader(text)),
	} {
		got, err := readAll(src)
		if err != nil || len(got) != 2 {
			t.Errorf("%s: %d frames, %v", name, len(got), err)
			continue
		}
		if got[0].body != body || got[0].flag != frame.Continued {
			t.Errorf("%s: body %q %c, want %q +", name, got[0].body, got[0].flag, body)
		}
		if got[1].head.Status != 200 || got[1].head.HasBody {
			t.Errorf("%s: second frame %v", name, got[1].head)
		}
	}
}

// An empty body is not the same as none (RFC 4975 section 7.1).
func TestEmptyBodyIsABody(t *testing.T) {
	for _, c := range []struct {
		name, tail string
		body       bool
	}{
		{"none", "-------abcd$\r\n", false},
		{"empty", "Content-Type: text/plain\r\n\r\n\r\n-------abcd$\r\n", true},
		{"empty without its CRLF", "Content-Type: text/plain\r\n\r\n-------abcd$\r\n", true},
	} {
		got, err := readAll(iotest.OneByteReader(strings.NewReader("MSRP abcd SEND\r\n" + paths + c.tail)))
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %d frames, %v", c.name, len(got), err)
			continue
		}
		if got[0].head.HasBody != c.body || got[0].body != "" || got[0].flag != frame.Complete {
			t.Errorf("%s: HasBody %v, body %q, flag %c", c.name, got[0].head.HasBody, got[0].body, got[0].flag)
		}
	}
}

// Kamailio 5.6.3 answers an AUTH with Expires by a 423 whose header block has stray bytes before
// the end-line.
func TestStrayBytesBeforeTheEndLine(t *testing.T) {
	got, err := readAll(strings.NewReader("MSRP abcd 423 Interval\r\n" + paths + "Min-Expires\x00\x00 junk-------abcd$\r\nMSRP efgh 200 OK\r\n" + paths + "-------efgh$\r\n"))
	if err != nil || len(got) != 2 {
		t.Fatalf("%d frames, %v", len(got), err)
	}
	var syntax *frame.SyntaxError
	if got[0].head.Status != 423 || !errors.As(got[0].head.Err, &syntax) || got[1].head.Err != nil {
		t.Errorf("got %v with %v, then %v with %v", got[0].head, got[0].head.Err, got[1].head, got[1].head.Err)
	}
}
