package frame_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp/frame"
)

// seeds are streams that are worth changing.
func seeds(f *testing.F, add func(data []byte)) {
	frames := printed(f)
	for _, data := range frames {
		add(data)
	}
	add(slices.Concat(frames[:4]...))
	chunk := "MSRP abcd SEND\r\n" + paths + "Message-ID: 1\r\nByte-Range: 1-4/*\r\nContent-Type: x\r\n\r\nbody\r\n-------abcd+\r\n"
	add([]byte(chunk + strings.ReplaceAll(chunk, "abcd", "efgh") + strings.Replace(chunk, "1-4", "5-*", 1)))
	add([]byte("MSRP a 423 Interval\r\n" + paths + "Min-Expires\x00\x00 junk-------a$\r\nMSRP abcd SEND\r\n" + paths + "Content-Type: x\r\n\r\n-------abcd#\r\n"))
	add([]byte("MSRP abcd SEND\r\n\r\nfoo\r\n-------abcd not the end\r\n-------abcd*\r\n-------abcd$\n\r\n-------abcd$\r\n"))
	add([]byte("MSRP abcd REPORT\r\n" + paths + "\r\n" + strings.Repeat("x", 10241) + "\r\n-------abcd$\r\n"))
	add([]byte("MSRP abcd SEND\r\nX: " + strings.Repeat("x", 17000) + "\r\n"))
}

// The Reader makes of a stream what the naive parser makes of it, in whatever pieces it comes,
// and what it has read can be written and read again.
func FuzzReader(f *testing.F) {
	seeds(f, func(data []byte) { f.Add(data, []byte{0, 1, 9, 255}) })
	f.Fuzz(func(t *testing.T, data, cuts []byte) {
		sizes := make([]int, len(cuts))
		for i, c := range cuts {
			sizes[i] = 1 + int(c)
		}
		judgeReader(t, data, sizes)
		r := frame.NewReader(bytes.NewReader(data))
		for {
			h, err := r.Next()
			if err != nil {
				return
			}
			writeAgain(t, h.Clone(), r)
		}
	})
}

// writeAgain writes the frame that a Reader is in, and compares what is read from that.
func writeAgain(t *testing.T, h *frame.Head, r *frame.Reader) {
	body, err := readBody(r)
	if h.Err != nil || err != nil {
		return
	}
	head, err := h.Append(nil)
	if err != nil {
		strict := naiveIdent(h.ID) && len(h.ID) >= 4 && len(h.ID) <= 32 && !strings.ContainsAny(h.ID[:1], ".-+%=")
		if (strict || h.Method == "") && (h.ContentType != "" || !h.HasBody) && (h.Method != "" || h.Status >= 100) && len(h.Fields) < 40 {
			if err != frame.ErrTooLong {
				t.Errorf("%+v cannot be written: %v", h, err)
			}
		}
		return
	}
	// What was not needed is not written, and what is left out of a response is.
	want := *h
	isMIME := func(f frame.Field) bool { return len(f.Name) > 8 && strings.EqualFold(f.Name[:8], "Content-") }
	mime := slices.DeleteFunc(slices.Clone(h.Fields), func(f frame.Field) bool { return !isMIME(f) })
	want.Fields = slices.DeleteFunc(slices.Clone(h.Fields), isMIME)
	if h.HasBody {
		want.Fields = append(want.Fields, mime...)
	} else {
		want.ContentType = ""
	}
	if h.Method == "" && h.Comment == "" {
		want.Comment = h.Status.String()
	} else if h.Report != 0 && h.Comment == "" {
		want.Comment = h.Report.String()
	}
	text := h.AppendEnd(append(head, body...), r.Flag())
	got, gotBody, flag, err := frame.Parse(text)
	if err != nil || !bytes.Equal(gotBody, body) || flag != r.Flag() {
		t.Errorf("%q, written: %v, %d bytes, %c, want %d, %c", text, err, len(gotBody), flag, len(body), r.Flag())
		return
	}
	if len(got.Fields) == 0 {
		got.Fields = nil
	}
	if len(want.Fields) == 0 {
		want.Fields = nil
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("%q is %+v, want %+v", text, *got, want)
	}
}

func FuzzParse(f *testing.F) {
	seeds(f, func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) { judgeParse(t, data) })
}

// A URI that was read and is written is the same.
func FuzzURI(f *testing.F) {
	for _, s := range []string{
		"msrp://host.example.com:8493/asfd34;tcp", "MSRPS://a:b@[2001:db8::1]:9/a+b=/c;ws;x=y;z", "msrp://2001:db8::1:54111/s;dc",
		"msrp://h%6fst;tcp", "msrp://[::ffff:192.0.2.1]:1;t", "msrp://@x:1/a;tcp;",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := frame.ParseURI(s)
		if err != nil {
			if !isSyntax(err) {
				t.Errorf("ParseURI(%q): %v, want a *SyntaxError", s, err)
			}
			return
		}
		text := u.String()
		if len(text) > 2048 {
			return // with brackets that were not there
		}
		again, err := frame.ParseURI(text)
		if err != nil || again != u || !again.Equal(u) {
			t.Errorf("ParseURI(%q) = %+v, written %q, read again %+v, %v", s, u, text, again, err)
		}
	})
}

// A path that was read and is written is the same.
func FuzzPath(f *testing.F) {
	f.Add("msrps://relay.example.com:2855/x;tcp msrp://192.0.2.1:7654/y;ws")
	f.Add(" msrp://a;t  msrp://[::1]:1/b;t ")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := frame.ParsePath(s)
		if err != nil {
			if !isSyntax(err) {
				t.Errorf("ParsePath(%q): %v, want a *SyntaxError", s, err)
			}
			return
		}
		text := p.String()
		if len(s) > 2000 {
			return
		}
		again, err := frame.ParsePath(text)
		if err != nil || !slices.Equal(again, p) || !again.Equal(p) || len(p) > 16 {
			t.Errorf("ParsePath(%q) = %+v, written %q, read again %+v, %v", s, p, text, again, err)
		}
	})
}
