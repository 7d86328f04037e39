package frame_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/goparley/parley/msrp/frame"
)

// A transaction identifier has 4 to 32 characters (RFC 4975 section 9), and 1 to 64 are put up
// with. One of 4 kB makes what comes behind it no frame.
func TestTransactionIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "abcd": true, "a.-+%=9Z": true, "-------": true, "$": false, "a_b": false, "": false,
		strings.Repeat("a", 64):   true,
		strings.Repeat("a", 65):   false,
		strings.Repeat("a", 4096): false,
	} {
		for _, what := range []string{"SEND\r\n" + paths + "Content-Type: x\r\n\r\nbody\r\n", "200 OK\r\n" + paths} {
			got, err := readAll(strings.NewReader("MSRP " + id + " " + what + "-------" + id + "$\r\n"))
			var syntax *frame.SyntaxError
			if is := len(got) == 1 && err == nil && got[0].head.ID == id; is != want || !want && (!errors.As(err, &syntax) || len(syntax.Text) > 80) {
				t.Errorf("%.80q: %d frames, %v, want one: %v", id, len(got), err, want)
			}
		}
	}
}

// The comment of a response may be left out (RFC 4975 section 9).
func TestResponseWithoutAComment(t *testing.T) {
	got, err := readAll(strings.NewReader("MSRP abcd 200\r\n" + paths + "-------abcd$\r\nMSRP abcd 481 \r\n" + paths + "-------abcd$\r\n"))
	if err != nil || len(got) != 2 || got[0].head.Status != 200 || got[1].head.Status != 481 || got[0].head.Comment != "" || got[0].head.Method != "" {
		t.Errorf("%+v, %v, want two responses", got, err)
	}
}

// We write header fields in one order and spelling, and read them in any.
func TestHeaderFieldsInAnyOrderAndCase(t *testing.T) {
	h := readHead(t, "content-type: a/b\r\nbyte-range:1-5/5\r\nFAILURE-REPORT: NO\r\nfrom-path:\tb \r\nsuccess-report: Yes\r\nMESSAGE-id: m\r\nX:\r\nTO-PATH: a\r\nstatus: 000 413 Stop\r\n")
	if h.Err != nil || h.To != "a" || h.From != "b" || h.MessageID != "m" || h.ContentType != "a/b" || h.Range != (frame.Range{Start: 1, End: 5, Total: 5}) ||
		!h.SuccessReport || h.FailureReport != frame.FailureReportNo || h.Report != 413 || len(h.Fields) != 1 {
		t.Errorf("%+v", h)
	}
}

// What is not said is the default, and so is what is none of the values (RFC 4975 section 7.1.1).
func TestReportsThatAreAskedFor(t *testing.T) {
	for value, want := range map[string]struct {
		success bool
		failure frame.FailureReport
	}{
		"yes":      {true, frame.FailureReportYes},
		"YES":      {true, frame.FailureReportYes},
		"no":       {false, frame.FailureReportNo},
		"No":       {false, frame.FailureReportNo},
		"partial":  {false, frame.FailureReportPartial},
		"ye\u017f": {false, frame.FailureReportYes},
		"maybe":    {false, frame.FailureReportYes},
		"":         {false, frame.FailureReportYes},
	} {
		h := readHead(t, paths+"Success-Report: "+value+"\r\nFailure-Report: "+value+"\r\n")
		if h.Err != nil || h.SuccessReport != want.success || h.FailureReport != want.failure {
			t.Errorf("%q: %v and %d, %v, want %v and %d", value, h.SuccessReport, h.FailureReport, h.Err, want.success, want.failure)
		}
	}
}

// Unknown methods and header fields are read as well; who gets them answers 501, or passes them on.
func TestUnknownMethodsAndFields(t *testing.T) {
	got, err := readAll(strings.NewReader("MSRP abcd FROBNICATE\r\n" + paths + "Frob: 1\r\n-------abcd$\r\n"))
	if err != nil || len(got) != 1 || got[0].head.Method != "FROBNICATE" || got[0].head.Err != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if value, _ := got[0].head.Get("frob"); value != "1" {
		t.Errorf("Frob is %q, want 1", value)
	}
}

// What is malformed in a frame that can be told is for a 400, and the next frame is read.
func TestMalformedHeads(t *testing.T) {
	for _, fields := range []string{
		"", "To-Path: x\r\n", "From-Path: x\r\n", paths + paths, paths + "no colon\r\n", paths + ": x\r\n", paths + "a b: x\r\n",
		paths + "X: \x00\r\n", paths + "X: a\nTo-Path: b\r\n", paths + "X: a\rb\r\n", paths + "Message-ID: 1\r\nmessage-id: 1\r\n",
		paths + strings.Repeat("X: y\r\n", 65), paths + "Byte-Range: x\r\n",
	} {
		got, err := readAll(strings.NewReader("MSRP abcd SEND\r\n" + fields + "-------abcd$\r\nMSRP efgh 200 OK\r\n" + paths + "-------efgh$\r\n"))
		if err != nil || len(got) != 2 {
			t.Errorf("%.80q: %d frames, %v, want 2", fields, len(got), err)
			continue
		}
		var syntax *frame.SyntaxError
		if !errors.As(got[0].head.Err, &syntax) || len(syntax.Text) > 80 || got[0].head.ID != "abcd" || got[1].head.Err != nil {
			t.Errorf("%.80q: errors %v and %v, want a *SyntaxError and none", fields, got[0].head.Err, got[1].head.Err)
		}
	}
}

// A start line whose identifier can be read is malformed and no more than that, and its frame is passed over: a
// connection is of many sessions.
func TestMalformedStartLines(t *testing.T) {
	for what, want := range map[string]struct {
		method frame.Method
		status frame.Status
	}{
		"send": {"send", 0}, "SEND2": {"SEND2", 0}, "SEND ": {"SEND ", 0}, " SEND": {" SEND", 0}, "SEND now": {"SEND now", 0}, "\x00": {"\x00", 0},
		"20": {"20", 0}, "2000 OK": {"2000 OK", 0}, "200OK": {"200OK", 0}, "200 O\x01K": {"", 200}, "200 \x7f": {"", 200},
		strings.Repeat("S", 33): {frame.Method(strings.Repeat("S", 32)), 0},
	} {
		for _, end := range []string{"-------abcd$\r\n", "Content-Type: x\r\n\r\nbody\r\n-------abcd$\r\n"} {
			got, err := readAll(strings.NewReader("MSRP abcd " + what + "\r\n" + paths + end + "MSRP efgh 200 OK\r\n" + paths + "-------efgh$\r\n"))
			if err != nil || len(got) != 2 {
				t.Errorf("%q: %d frames, %v, want 2", what, len(got), err)
				continue
			}
			h := got[0].head
			if !isSyntax(h.Err) || h.ID != "abcd" || h.Method != want.method || h.Status != want.status || h.Comment != "" || got[1].head.Err != nil {
				t.Errorf("%q: %q, %d, %q, %v and then %v", what, h.Method, h.Status, h.Comment, h.Err, got[1].head.Err)
			}
		}
	}
}

// A list of 1000 URIs is framed if it fits into a head, and is no path.
func TestToPathOfAThousandURIs(t *testing.T) {
	for uri, want := range map[string]error{"msrp://a;t ": nil, "msrp://bob.example.com:8493/si438ds;tcp ": frame.ErrTooLong} {
		list := strings.TrimSpace(strings.Repeat(uri, 1000))
		got, err := readAll(strings.NewReader("MSRP abcd SEND\r\nTo-Path: " + list + "\r\nFrom-Path: x\r\n-------abcd$\r\n"))
		if err != want {
			t.Errorf("of %q: %v, want %v", uri, err, want)
		}
		if want != nil {
			continue
		}
		if len(got) != 1 || got[0].head.To != list {
			t.Errorf("of %q: %d frames, want one with the list", uri, len(got))
		}
		if p, err := frame.ParsePath(list); err == nil {
			t.Errorf("of %q: a path of %d", uri, len(p))
		}
	}
}

// Only a SEND has a large body (RFC 4975 section 7.1), however it comes. What else has one is passed over.
func TestOnlySENDHasALargeBody(t *testing.T) {
	for what, limit := range map[string]int{"REPORT": 10240, "NICKNAME": 10240, "200 OK": 10240, "SEND": 1 << 30} {
		for _, size := range []int{0, 10240, 10241, 30000} {
			text := "MSRP abcd " + what + "\r\n" + paths + "Content-Type: x\r\n\r\n" + strings.Repeat("x", size) + "\r\n-------abcd$\r\n" + "MSRP efgh 200 OK\r\n" + paths + "-------efgh$\r\n"
			for name, src := range map[string]io.Reader{"whole": strings.NewReader(text), "in halves": iotest.HalfReader(strings.NewReader(text)), "by byte": iotest.OneByteReader(strings.NewReader(text))} {
				want, n := error(nil), 2
				if size > limit {
					want, n = frame.ErrTooLong, 0
				}
				if got, err := readAll(src); err != want || len(got) != n {
					t.Errorf("%s with %d bytes, %s: %d frames, %v, want %d, %v", what, size, name, len(got), err, n, want)
				}
			}
		}
	}
	r := frame.NewReader(strings.NewReader("MSRP abcd REPORT\r\n" + paths + "\r\n" + strings.Repeat("x", 10241) + "\r\n-------abcd$\r\n" + "MSRP efgh 200 OK\r\n" + paths + "-------efgh$\r\n"))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if body, err := readBody(r); err != frame.ErrTooLong || r.Flag() != frame.Complete {
		t.Errorf("%d bytes, %v, flag %c, want ErrTooLong and $", len(body), err, r.Flag())
	}
	if h, err := r.Next(); err != nil || h.ID != "efgh" {
		t.Errorf("after a body that is too long, Next: %v, %v, want the response", h, err)
	}
}

// A head has up to 16 KB, and one without an end is not waited for.
func TestHeadsAreBounded(t *testing.T) {
	for name, text := range map[string]string{
		"a start line":   "MSRP abcd 200 ",
		"a header field": "MSRP abcd SEND\r\nX: ",
		"paths":          "MSRP abcd SEND\r\n" + paths + "X: ",
	} {
		for _, fill := range []string{"x", "\r", "\n", "y\r\nX: "} {
			src := &counted{src: io.MultiReader(strings.NewReader(text), &repeat{text: []byte(fill)})}
			if _, err := frame.NewReader(src).Next(); err != frame.ErrTooLong && !isSyntax(err) || src.n > 64<<10 {
				t.Errorf("%s of %q: %v after %d bytes, want an error within 64 KB", name, fill, err, src.n)
			}
		}
	}
}

// What is too long is so however it comes.
func TestTheLongestHead(t *testing.T) {
	for end, tail := range map[string]string{"\r\n": "body\r\n-------abcd$\r\n", "-------abcd$\r\n": ""} {
		for size, want := range map[int]error{16 << 10: nil, 16<<10 + 1: frame.ErrTooLong} {
			head := "MSRP abcd SEND\r\n" + paths + "X: "
			text := head + strings.Repeat("x", size-len(head)-len("\r\n"+end)) + "\r\n" + end + tail
			for name, src := range map[string]io.Reader{"whole": strings.NewReader(text), "by byte": iotest.OneByteReader(strings.NewReader(text))} {
				if _, err := readAll(src); err != want {
					t.Errorf("%d bytes with %q, %s: %v, want %v", size, end, name, err, want)
				}
			}
		}
	}
}

func isSyntax(err error) bool {
	var syntax *frame.SyntaxError
	return errors.As(err, &syntax)
}

type counted struct {
	src io.Reader
	n   int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += n
	return n, err
}

// A chunk without an end-line is given out as it comes, and kept nowhere.
func TestAChunkWithoutEndTakesNoMemory(t *testing.T) {
	for _, fill := range []string{"x", "\r", "\n", "\r\n", "\r\n-------abcd", "\r\n-------abcd$\n", "\r\n-------abcd$\r", "-"} {
		const size = 4 << 20
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := frame.NewReader(io.MultiReader(strings.NewReader("MSRP abcd SEND\r\n"+paths+"Content-Type: x\r\n\r\n"), io.LimitReader(&repeat{text: []byte(fill)}, size)))
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		var n int
		var err error
		for err == nil {
			var piece []byte
			piece, err = r.Body()
			n += len(piece)
		}
		runtime.ReadMemStats(&after)
		if err != io.ErrUnexpectedEOF || n < size-20 {
			t.Errorf("of %q: %d bytes, %v, want about %d, ErrUnexpectedEOF", fill, n, err, size)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 512<<10 {
			t.Errorf("of %q: %d bytes of memory, want 512 KB at most", fill, got)
		}
	}
}

// An idle connection has 4 KB, whatever has come before.
func TestAnIdleReaderHasASmallBuffer(t *testing.T) {
	chunks := chunksOf(t, make([]byte, 2048))
	var largest int
	for range 3 {
		src := &asked{src: bytes.NewReader(bytes.Repeat(chunks, 20))}
		r := frame.NewReader(src)
		for range 20 * 64 {
			readOne(t, r)
			largest = max(largest, src.last)
		}
		if r.Buffered() != 0 {
			t.Errorf("%d bytes are left", r.Buffered())
		}
		if _, err := r.Next(); err != io.EOF || src.last > 4<<10 {
			t.Errorf("with nothing left: %v, asked for %d bytes, want EOF, 4 KB at most", err, src.last)
		}
	}
	if largest < 64<<10 {
		t.Errorf("while much came, asked for up to %d bytes, want more", largest)
	}
}

// asked is a stream that knows for how much it was asked last.
type asked struct {
	src  io.Reader
	last int
}

func (a *asked) Read(p []byte) (int, error) {
	a.last = len(p)
	return a.src.Read(p)
}

// Errors of the stream are what they are, and reading goes on where it was if there is more.
func TestErrorsOfTheStream(t *testing.T) {
	text := "MSRP abcd SEND\r\n" + paths + "Byte-Range: 1-4/4\r\nContent-Type: x\r\n\r\nbody\r\n-------abcd$\r\n"
	for cut := range text {
		r := frame.NewReader(io.MultiReader(strings.NewReader(text[:cut]), iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(text[cut:]+text)))))
		var bodies, timeouts int
		for bodies < 2 {
			_, err := r.Next()
			if err == nil {
				for err == nil {
					_, err = r.Body()
					if err == iotest.ErrTimeout {
						timeouts, err = timeouts+1, nil
					}
				}
				bodies++
			}
			if err == iotest.ErrTimeout {
				timeouts++
			} else if err != io.EOF {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
		if timeouts != 1 {
			t.Errorf("cut at %d: %d timeouts, want 1", cut, timeouts)
		}
	}
	if _, err := frame.NewReader(silent{}).Next(); err != io.ErrNoProgress {
		t.Errorf("of a stream that gives nothing: %v, want ErrNoProgress", err)
	}
	for cut := range text {
		if _, err := readAll(strings.NewReader(text[:cut])); cut == 0 && err != nil || cut > 0 && err != io.ErrUnexpectedEOF {
			t.Errorf("of %d bytes: %v", cut, err)
		}
	}
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

// Next passes over what was not read of a body.
func TestNextPassesOverTheBody(t *testing.T) {
	r := frame.NewReader(iotest.HalfReader(bytes.NewReader(chunksOf(t, make([]byte, 5000)))))
	for i := range 64 {
		h, err := r.Next()
		if err != nil || h.Range.Start != int64(i)*5000+1 {
			t.Fatalf("frame %d: %v, %v", i, h, err)
		}
		if i%2 == 0 {
			if _, err := r.Body(); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %v, want EOF", err)
	}
}

// What is done to a Head does not come again with the next chunk.
func TestAHeadIsForItsReaderToChange(t *testing.T) {
	chunk := "MSRP abcd SEND\r\n" + paths + "X: y\r\nByte-Range: 1-*/*\r\nContent-Type: x\r\n\r\nbody\r\n-------abcd$\r\n"
	r := frame.NewReader(strings.NewReader(strings.Repeat(chunk, 3)))
	for range 3 {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if value, _ := h.Get("X"); h.To != "msrp://bob.example.com:8493/si438ds;tcp" || value != "y" || len(h.Fields) != 1 {
			t.Errorf("got %+v", h)
		}
		h.To, h.Fields[0].Value, h.Fields = "changed", "changed", append(h.Fields, frame.Field{Name: "Z"})
	}
}

// A message on a WebSocket is a frame, with nothing before or behind it (RFC 7977 section 5.1).
func TestParseTakesOneFrame(t *testing.T) {
	const start, end = "MSRP abcd SEND\r\n" + paths, "-------abcd$\r\n"
	for text, want := range map[string]bool{
		start + end: true,
		start + "Content-Type: x\r\n\r\nbody\r\n" + end: true,
		start + "Content-Type: x\r\n\r\n" + end:         true,
		start + end + "\r\n":                            false,
		start + end + start + end:                       false,
		"\r\n" + start + end:                            false,
		start:                                           false,
		start + "Content-Type: x\r\n\r\nbody\r\n":       false,
		"": false,
		start + strings.Repeat("X: y\r\n", 3000) + end: false,
	} {
		_, _, flag, err := frame.Parse([]byte(text))
		if (err == nil) != want || want && flag != frame.Complete || !want && err != frame.ErrTooLong && !isSyntax(err) {
			t.Errorf("Parse(%.200q): %v, want success: %v", text, err, want)
		}
	}
	large := strings.Replace(start, "SEND", "REPORT", 1) + "\r\n" + strings.Repeat("x", 10241) + "\r\n" + end
	if h, body, flag, err := frame.Parse([]byte(large)); err != nil || !isSyntax(h.Err) || body != nil || flag != frame.Complete {
		t.Errorf("Parse() of a REPORT with a large body: %v, %d bytes, %c, %v; want an Err", h.Err, len(body), flag, err)
	}
}
