package frame_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp/frame"
)

// aHead has something in every field that a request with a body can have.
func aHead() frame.Head {
	return frame.Head{ID: "abcd", Method: frame.SEND, To: "msrp://b:1/x;tcp", From: "msrp://a:1/y;tcp", MessageID: "m1",
		Range: frame.Range{Start: 1, End: 5, Total: 5}, SuccessReport: true, FailureReport: frame.FailureReportPartial, Report: 200, Comment: "OK",
		Fields:      []frame.Field{{Name: "Content-Disposition", Value: "render"}, {Name: "X", Value: "y"}, {Name: "content-id", Value: "<1>"}, {Name: "Expires", Value: ""}},
		ContentType: "text/plain", HasBody: true}
}

// The paths first, what is of MIME behind what is not, and Content-Type last (RFC 4975 sections
// 7.1 and 9), in the spelling of the RFC, without which Kamailio drops the connection.
func TestAppendWritesTheCanonicalOrder(t *testing.T) {
	h := aHead()
	const others = "MSRP abcd SEND\r\nTo-Path: msrp://b:1/x;tcp\r\nFrom-Path: msrp://a:1/y;tcp\r\nMessage-ID: m1\r\nSuccess-Report: yes\r\n" +
		"Failure-Report: partial\r\nByte-Range: 1-5/5\r\nStatus: 000 200 OK\r\nX: y\r\nExpires: \r\n"
	want := others + "Content-Disposition: render\r\ncontent-id: <1>\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------abcd+\r\n"
	b, err := h.Append([]byte("before"))
	if got := string(h.AppendEnd(append(b, "hello"...), frame.Continued)); err != nil || got != "before"+want {
		t.Errorf("Append() = %q, %v, want %q", got, err, want)
	}

	// Without a body there is nothing that describes one.
	h.HasBody = false
	want = others + "-------abcd#\r\n"
	b, err = h.Append(nil)
	if got := string(h.AppendEnd(b, frame.Aborted)); err != nil || got != want {
		t.Errorf("without a body, Append() = %q, %v, want %q", got, err, want)
	}
}

// Kamailio 5.6.3 takes a response without a comment for a request.
func TestAppendWritesAComment(t *testing.T) {
	for _, c := range []struct {
		status  frame.Status
		comment string
		want    string
	}{
		{200, "", "200 OK"},
		{481, "", "481 Session Does Not Exist"},
		{999, "", "999 Status 999"},
		{425, "Taken", "425 Taken"},
	} {
		h := frame.Head{ID: "abcd", Status: c.status, Comment: c.comment, To: "x", From: "y"}
		b, err := h.Append(nil)
		if line, _, _ := strings.Cut(string(b), "\r\n"); err != nil || line != "MSRP abcd "+c.want {
			t.Errorf("%d %q: %q, %v, want %q", c.status, c.comment, line, err, c.want)
		}
	}
}

// What would end a line, or a string in C, gets in nowhere.
func TestAppendRefusesInjection(t *testing.T) {
	for name, set := range map[string]func(h *frame.Head, s string){
		"ID":          func(h *frame.Head, s string) { h.ID += s },
		"Method":      func(h *frame.Head, s string) { h.Method += frame.Method(s) },
		"Comment":     func(h *frame.Head, s string) { h.Method, h.Status, h.Comment = "", 200, s },
		"of a report": func(h *frame.Head, s string) { h.Comment += s },
		"To":          func(h *frame.Head, s string) { h.To += s },
		"From":        func(h *frame.Head, s string) { h.From += s },
		"MessageID":   func(h *frame.Head, s string) { h.MessageID += s },
		"ContentType": func(h *frame.Head, s string) { h.ContentType += s },
		"field name":  func(h *frame.Head, s string) { h.Fields[1].Name += s },
		"field value": func(h *frame.Head, s string) { h.Fields[1].Value += s },
	} {
		for _, s := range []string{"\r", "\n", "\x00", "\r\n", "\r\nX: y", "\r\n\r\n", "\x7f"} {
			for _, tail := range []string{"", "z"} {
				h := aHead()
				set(&h, s+tail)
				got, err := h.Append([]byte("before"))
				var syntax *frame.SyntaxError
				if !errors.As(err, &syntax) || string(got) != "before" {
					t.Errorf("%s with %q: %q, %v, want a *SyntaxError", name, s+tail, got, err)
				}
			}
		}
	}
}

func TestAppendRefusesWhatWouldNotBeReadBack(t *testing.T) {
	for name, set := range map[string]func(h *frame.Head){
		"a request with a short ID":             func(h *frame.Head) { h.ID = "abc" },
		"a request with a long ID":              func(h *frame.Head) { h.ID = strings.Repeat("a", 33) },
		"a request with an ID that begins so":   func(h *frame.Head) { h.ID = "-abc" },
		"an ID with a space":                    func(h *frame.Head) { h.ID = "ab cd" },
		"a response with no ID":                 func(h *frame.Head) { h.Method, h.Status, h.ID = "", 200, "" },
		"a response with a longer ID than any":  func(h *frame.Head) { h.Method, h.Status, h.ID = "", 200, strings.Repeat("a", 65) },
		"nothing":                               func(h *frame.Head) { *h = frame.Head{} },
		"neither method nor status":             func(h *frame.Head) { h.Method = "" },
		"both of them":                          func(h *frame.Head) { h.Status = 200 },
		"a method in small letters":             func(h *frame.Head) { h.Method = "send" },
		"a long method":                         func(h *frame.Head) { h.Method = frame.Method(strings.Repeat("A", 33)) },
		"a status of two digits":                func(h *frame.Head) { h.Method, h.Status = "", 99 },
		"a status of four":                      func(h *frame.Head) { h.Method, h.Status = "", 1000 },
		"no To-Path":                            func(h *frame.Head) { h.To = "" },
		"no From-Path":                          func(h *frame.Head) { h.From = "" },
		"a To-Path that ends with a space":      func(h *frame.Head) { h.To += " " },
		"a From-Path that begins with one":      func(h *frame.Head) { h.From = " " + h.From },
		"a Message-ID of spaces":                func(h *frame.Head) { h.MessageID = " \t" },
		"a Content-Type that ends with HTAB":    func(h *frame.Head) { h.ContentType += "\t" },
		"a body of no type":                     func(h *frame.Head) { h.ContentType = "" },
		"a range from 0":                        func(h *frame.Head) { h.Range.Start = 0 },
		"a range that ends before it starts":    func(h *frame.Head) { h.Range.Start = 7 },
		"a range beyond the total":              func(h *frame.Head) { h.Range.End = 6 },
		"a range with a negative total":         func(h *frame.Head) { h.Range.Total = -2 },
		"a range that is too large":             func(h *frame.Head) { h.Range.End, h.Range.Total = 1e18, frame.Unknown },
		"a report whose comment ends with HTAB": func(h *frame.Head) { h.Comment = "x\t" },
		"a failure report of another kind":      func(h *frame.Head) { h.FailureReport = 3 },
		"a report of two digits":                func(h *frame.Head) { h.Report = 99 },
		"a report of four":                      func(h *frame.Head) { h.Report = 1000 },
		"a negative report":                     func(h *frame.Head) { h.Report = -1 },
		"a field without a name":                func(h *frame.Head) { h.Fields[0].Name = "" },
		"a field with a colon in its name":      func(h *frame.Head) { h.Fields[0].Name = "a:" },
		"a field that has one of its own":       func(h *frame.Head) { h.Fields[0].Name = "to-path" },
		"a field that ends with a space":        func(h *frame.Head) { h.Fields[0].Value += " " },
		"a report twice":                        func(h *frame.Head) { h.Fields[0] = frame.Field{Name: "Status", Value: "001 200"} },
		"a report that has a field of its own":  func(h *frame.Head) { h.Report, h.Fields[0] = 0, frame.Field{Name: "Status", Value: "000 200"} },
		"more fields than are read":             func(h *frame.Head) { h.Fields = slices.Repeat(h.Fields[1:2], 65) },
		"a longer head than is read":            func(h *frame.Head) { h.Fields[0].Value = strings.Repeat("x", 16<<10) },
		"a longer head than is read, in pieces": func(h *frame.Head) { h.Fields[0].Value, h.To = strings.Repeat("x", 8<<10), strings.Repeat("x", 8<<10) },
	} {
		h := aHead()
		set(&h)
		got, err := h.Append([]byte("before"))
		var syntax *frame.SyntaxError
		if !errors.As(err, &syntax) && err != frame.ErrTooLong || string(got) != "before" {
			t.Errorf("%s: %.200q, %v, want an error", name, got, err)
		}
	}
}

// The longest head that is written is read.
func TestAppendWritesWhatIsRead(t *testing.T) {
	for _, body := range []bool{false, true} {
		var last []byte
		h := aHead()
		h.HasBody = body
		for n := 16 << 10; last == nil; n-- {
			h.Fields[1].Value = strings.Repeat("x", n)
			if b, err := h.Append(nil); err == nil {
				last = h.AppendEnd(b, frame.Complete)
			}
		}
		if got, _, _, err := frame.Parse(last); err != nil || got.Err != nil {
			t.Errorf("body %v: of the longest, %d bytes, Parse gives %v", body, len(last), err)
		}
		h.Fields[1].Value += "x"
		if _, err := h.Append(nil); err != frame.ErrTooLong {
			t.Errorf("body %v: one byte more: %v, want ErrTooLong", body, err)
		}
	}
}

// A head that is written and read is the same, what another namespace reports included.
func TestAppendIsReadBack(t *testing.T) {
	other := aHead()
	other.Report, other.Comment, other.Fields[0] = 0, "", frame.Field{Name: "Status", Value: "001 200 OK"}
	for _, want := range []frame.Head{
		aHead(), other,
		{ID: "abcd", Method: "REPORT", To: "x", From: "y", Report: 999, Comment: "Status 999", Fields: []frame.Field{}},
		{ID: "abcd", Method: "REPORT", To: "x", From: "y", Report: 403, Comment: " ask my boss", Fields: []frame.Field{}},
		{ID: "abcd", Status: 200, Comment: "OK", Report: 403, To: "x", From: "y", Fields: []frame.Field{}},
		{ID: strings.Repeat("a", 32), Method: "X", To: "x", From: "y", Range: frame.Range{Start: 1}, Fields: []frame.Field{}},
		{ID: "a", Status: 200, Comment: " OK ", To: "x", From: "y", Fields: []frame.Field{}},
	} {
		slices.SortStableFunc(want.Fields, func(a, b frame.Field) int { // as they are written
			is := func(f frame.Field) int { return len(f.Name) / len("Content-") }
			return is(a) - is(b)
		})
		b, err := want.Append(nil)
		if err != nil {
			t.Errorf("%+v: %v", want, err)
			continue
		}
		got, _, _, err := frame.Parse(want.AppendEnd(b, frame.Complete))
		if err == nil && got.Fields == nil {
			got.Fields = []frame.Field{}
		}
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("read back: %+v, %v, want %+v", got, err, want)
		}
	}
}

// A response to a SEND goes to the hop before, one to another request all the way back (RFC 4975
// section 7.2, RFC 4976 section 5.1). Its identifier is that of the request, even if no request of
// ours would have it.
func TestResponse(t *testing.T) {
	for method, to := range map[frame.Method]string{frame.SEND: "msrp://r:1/z;tcp", frame.AUTH: "msrp://r:1/z;tcp msrp://a:1/y;tcp"} {
		for _, id := range []string{"abcd", "a", "-", strings.Repeat("=", 64)} {
			request := frame.Head{ID: id, Method: method, To: "msrp://b:1/x;tcp", From: "msrp://r:1/z;tcp msrp://a:1/y;tcp", MessageID: "m1"}
			h := request.Response(413, "msrp://b:1/x;tcp")
			b, err := h.Append(nil)
			want := "MSRP " + id + " 413 Stop Sending\r\nTo-Path: " + to + "\r\nFrom-Path: msrp://b:1/x;tcp\r\n-------" + id + "$\r\n"
			if got := string(h.AppendEnd(b, frame.Complete)); err != nil || got != want {
				t.Errorf("%s %s: %q, %v, want %q", method, id, got, err, want)
			}
		}
	}
}

// Transaction identifiers are of 64 random bits or more (RFC 4975 section 7.1).
func TestTransactionIDsAreRandom(t *testing.T) {
	seen := make(map[string]bool)
	var at [13]map[byte]bool
	for range 5000 {
		id := frame.AppendID([]byte("before"))
		id, ok := bytes.CutPrefix(id, []byte("before"))
		if !ok || len(id) != len(at) || seen[string(id)] || !naiveIdent(string(id)) {
			t.Fatalf("AppendID() = %q after %d others, want another one of %d characters", id, len(seen), len(at))
		}
		seen[string(id)] = true
		for i, c := range id {
			if at[i] == nil {
				at[i] = make(map[byte]bool)
			}
			at[i][c] = true
		}
	}
	for i := range at {
		if len(at[i]) != 32 { // of 5 bits each
			t.Errorf("character %d has %d values in 5000, want 32", i, len(at[i]))
		}
	}
}

func TestGetFindsTheFirstOfAName(t *testing.T) {
	h := readHead(t, paths+"use-path: a\r\nUse-Path: b\r\n")
	if got, ok := h.Get("Use-Path"); got != "a" || !ok {
		t.Errorf("Get(Use-Path) = %q, %v, want a", got, ok)
	}
	if got, ok := h.Get("Expires"); ok {
		t.Errorf("Get(Expires) = %q, want none", got)
	}
}

// A copy stays as it is when the Reader goes on.
func TestCloneIsACopy(t *testing.T) {
	r := frame.NewReader(strings.NewReader("MSRP abcd SEND\r\n" + paths + "X: a\r\n-------abcd$\r\n" + "MSRP efgh SEND\r\n" + paths + "Y: b\r\n-------efgh$\r\n"))
	h, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	c := h.Clone()
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if value, _ := c.Get("X"); value != "a" || c.ID != "abcd" {
		t.Errorf("after Next the copy is %v", c)
	}
}
