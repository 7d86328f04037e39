package frame_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// naiveHeadLimit is what the start line and the header block may have
// together, up to and with the empty line or the end-line.
const naiveHeadLimit = 16 << 10

// naiveBodyLimit is what the body of anything but a SEND may have (RFC 4975
// section 7.1), and naiveFieldLimit how many header fields a head that says
// more than RFC 4975 knows.
const (
	naiveBodyLimit  = 10240
	naiveFieldLimit = 64
)

// A naiveFrame is a request or response as naiveParse reads it.
type naiveFrame struct {
	TransactionID string
	Method        string // empty in a response
	Status        int    // of a response
	Comment       string // of a response, which may have none
	Headers       [][2]string
	Malformed     bool // the frame can be told, but its start line or its header block is not one, or its body too large
	HasBody       bool // with an empty line: the body may still be empty
	Body          []byte
	Flag          byte // '$', '+' or '#'
}

// naiveParse splits data into frames, in the plainest way that RFC 4975
// sections 7.1 and 9 can be put in Go: it has all of its input before it, and
// looks at it as often as it likes. It is there for another parser to be held
// against, and knows nothing of it. rest is a frame that has not come to its
// end, which is no error; or what follows the frames before an error.
//
// It takes more than the ABNF: transaction ids of 1 to 64 characters, whichever
// comes first; any line in a header block, and anything for a method or a
// comment, which makes the head malformed; a body in a response. It does not take
// an empty line between two frames.
func naiveParse(data []byte) (frames []naiveFrame, rest []byte, err error) {
	for len(data) > 0 {
		f, size, err := naiveOne(data, naiveHeadLimit)
		if err != nil || size == 0 {
			return frames, data, err
		}
		frames = append(frames, f)
		data = data[size:]
	}
	return frames, nil, nil
}

// naiveOne reads the frame that data begins with, and returns its size: 0 when
// its end is missing.
func naiveOne(data []byte, limit int) (f naiveFrame, size int, err error) {
	line, after, whole := strings.Cut(string(data), "\r\n")
	if whole {
		if f, err = naiveStart(line); err != nil {
			return naiveFrame{}, 0, err
		}
	}
	for whole {
		line, after, whole = strings.Cut(after, "\r\n")
		if !whole || len(data)-len(after) > limit {
			break
		}
		if line == "" {
			f.Malformed = f.Malformed || naiveMalformed(f.Headers)
			return naiveBody(f, data, len(data)-len(after))
		}
		// Without a body, the end-line follows the last header field (RFC
		// 4975 section 7.1).
		for _, flag := range "$+#" {
			// A line that is no header field may run into it: so does that of
			// Kamailio's 423, which nothing more will follow.
			before, ends := strings.CutSuffix(line, "-------"+f.TransactionID+string(flag))
			if ends && (before == "" || !naiveIsField(line)) {
				f.Flag = byte(flag)
				f.Malformed = f.Malformed || before != "" || naiveMalformed(f.Headers)
				return f, len(data) - len(after), nil
			}
		}
		// "Name: value" (RFC 4975 section 9); something else is not read, and
		// does no harm.
		if !naiveIsField(line) || !naiveIsText(line) {
			f.Malformed = true
		}
		name, value, colon := strings.Cut(line, ":")
		if colon && !strings.Contains(line, "\x00") {
			f.Headers = append(f.Headers, [2]string{name, strings.Trim(value, " \t")})
		}
	}
	if head := len(data) - len(after); whole && head > limit || !whole && len(data) > limit {
		return naiveFrame{}, 0, errors.New("header block too large")
	}
	return naiveFrame{}, 0, nil
}

// naiveBody reads the body that begins at data[start:]. It ends before the
// first CRLF and end-line (RFC 4975 section 9: "Content-Type 2CRLF data CRLF"
// and then end-line). By the ABNF that CRLF is none of the two, so that behind
// the empty line an empty body is a CRLF and the end-line. But an end-line
// right behind the empty line has a CRLF before it as well, the sender may not
// have it in the body (section 7.1), and who takes it for data waits for ever:
// it is the end of an empty body.
func naiveBody(f naiveFrame, data []byte, start int) (naiveFrame, int, error) {
	f.HasBody = true
	found, size := -1, 0
	for _, flag := range "$+#" {
		end := naiveEnd(f.TransactionID, byte(flag))
		i := bytes.Index(data[start-len("\r\n"):], end)
		if i >= 0 && (found < 0 || i < found) {
			found, size = i, start-len("\r\n")+i+len(end)
			f.Flag = byte(flag)
		}
	}
	body := data[start:]
	if found >= 0 {
		body = body[:max(found-len("\r\n"), 0)]
	}
	if found < 0 {
		return naiveFrame{}, 0, nil
	}
	if f.Method != "SEND" && len(body) > naiveBodyLimit {
		f.Malformed, body = true, nil
	}
	f.Body = body
	return f, size, nil
}

// naiveEnd is the end-line of a body, with the CRLF before it.
func naiveEnd(id string, flag byte) []byte {
	return []byte("\r\n-------" + id + string(flag) + "\r\n")
}

// naiveStart reads a start line:
//
//	req-start  = pMSRP SP transact-id SP method CRLF
//	resp-start = pMSRP SP transact-id SP status-code [SP comment] CRLF
func naiveStart(line string) (naiveFrame, error) {
	words := strings.SplitN(line, " ", 3)
	if len(words) < 3 || words[0] != "MSRP" || words[2] == "" {
		return naiveFrame{}, fmt.Errorf("start line %.40q is not of MSRP", line)
	}
	f := naiveFrame{TransactionID: words[1]}
	if !naiveIdent(f.TransactionID) {
		return naiveFrame{}, fmt.Errorf("transaction id %.80q", f.TransactionID)
	}
	what, comment, _ := strings.Cut(words[2], " ")
	if len(what) == 3 && strings.Trim(what, "0123456789") == "" {
		f.Status, _ = strconv.Atoi(what)
		if f.Malformed = !naiveIsText(comment); !f.Malformed {
			f.Comment = comment
		}
		return f, nil
	}
	f.Method = words[2]
	if len(f.Method) > 32 || strings.Trim(f.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		f.Malformed, f.Method = true, f.Method[:min(len(f.Method), 32)]
	}
	return f, nil
}

func naiveIdent(id string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return len(id) >= 1 && len(id) <= 64 && strings.Trim(id, letters+"0123456789.-+%=") == ""
}

func TestNaiveParseTakesWhatTheRFCsPrint(t *testing.T) {
	files, err := filepath.Glob("testdata/rfc/*.msrp")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 79 {
		t.Errorf("%d files, want 79", len(files))
	}
	var all []byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
		frames, rest, err := naiveParse(data)
		if len(frames) != 1 || len(rest) != 0 || err != nil {
			t.Errorf("%s: %d frames, %d bytes left, error %v, want one frame", file, len(frames), len(rest), err)
			continue
		}
		// The name of the file ends with the method, or the status and the
		// comment.
		_, what, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".msrp"), "-s")
		_, what, _ = strings.Cut(what, "-")
		got := frames[0].Method
		if got == "" {
			got = strings.ReplaceAll(fmt.Sprint(frames[0].Status, " ", frames[0].Comment), " ", "_")
		}
		if !strings.HasPrefix(got, what) {
			t.Errorf("%s is %s, want %s", file, got, what)
		}
	}
	frames, rest, err := naiveParse(all)
	if len(frames) != len(files) || len(rest) != 0 || err != nil {
		t.Errorf("all in one stream: %d frames, %d bytes left, error %v, want %d frames", len(frames), len(rest), err, len(files))
	}
}

func TestNaiveParseReadsWhatTheRFCsPrint(t *testing.T) {
	const none = -1 // no body
	for _, c := range []struct {
		file    string
		id      string
		what    string // the method, or the status and the comment
		headers int
		body    int // bytes
		flag    byte
	}{
		{"rfc4975-01-s4-SEND", "a786hjs2", "SEND", 5, len("Hey Bob, are you there?"), '$'},
		{"rfc4975-02-s4-200_OK", "a786hjs2", "200 OK", 2, none, '$'},
		{"rfc4975-03-s5.1-SEND", "dkei38sd", "SEND", 3, 4, '+'},
		{"rfc4975-04-s5.1-SEND", "dkei38ia", "SEND", 3, 4, '$'},
		{"rfc4975-05-s11.1-SEND", "d93kswow", "SEND", 5, 14, '$'},
		{"rfc4975-07-s11.1-SEND", "dkei38sd", "SEND", 5, 20, '$'},
		{"rfc4975-09-s11.2-SEND", "dsdfoe38sd", "SEND", 5 + 3, none, '$'}, // three lines of XHTML have a colon
		{"rfc4975-10-s11.4-SEND", "d93kswow", "SEND", 5, 137, '+'},        // Byte-Range: 1-137/148
		{"rfc4975-11-s11.4-SEND", "op2nc9a", "SEND", 5, 10, '$'},
		{"rfc4975-12-s11.5-SEND", "d93kswow", "SEND", 7, 37, '$'},
		{"rfc4975-13-s11.6-SEND", "d93kswow", "SEND", 7 + 1, none, '$'},
		{"rfc4975-14-s11.6-REPORT", "dkei38sd", "REPORT", 5, none, '$'},
		{"rfc4976-01-s3-SEND", "6aef", "SEND", 6, 39, '$'}, // its REPORT says 1-39/39
		{"rfc4976-02-s3-200_OK", "6aef", "200 OK", 3, none, '$'},
		{"rfc4976-08-s3-REPORT", "yh67", "REPORT", 5, none, '$'},
		{"rfc4976-09-s5.1-AUTH", "49fh", "AUTH", 2, none, '$'},
		{"rfc4976-10-s5.1-401_Unauthorized", "49fh", "401 Unauthorized", 3, none, '$'},
		{"rfc4976-12-s5.1-200_OK", "49fi", "200 OK", 5, none, '$'},
		{"rfc5547-02-s9.1-SEND", "op2nc9a", "SEND", 5, 45, '$'},
		{"rfc5547-08-s9.2-200_OK", "d95ksxox", "200 OK", 3, none, '$'},
		{"rfc7701-01-s9.2-NICKNAME", "d93kswow", "NICKNAME", 3, none, '$'},
		{"rfc7701-02-s9.2-425_Nickname_reserve", "d93kswow", "425 Nickname reserved or already in use", 2, none, '$'},
		{"rfc7701-05-s9.3-SEND", "3490visdm", "SEND", 5, 187, '$'},
		{"rfc7701-12-s9.5-SEND", "7443ruls", "SEND", 5, 56, '$'},
		{"rfc7701-13-s9.5-SEND", "7443ruls", "SEND", 5, 74, '$'},
		{"rfc7977-19-s8.4.2-SEND", "Ycwt", "SEND", 6, 46, '$'},
	} {
		data, err := os.ReadFile("testdata/rfc/" + c.file + ".msrp")
		if err != nil {
			t.Error(err)
			continue
		}
		frames, _, _ := naiveParse(data)
		if len(frames) != 1 {
			t.Errorf("%s: %d frames, want 1", c.file, len(frames))
			continue
		}
		f := frames[0]
		what, body := f.Method, none
		if what == "" {
			what = fmt.Sprintf("%d %s", f.Status, f.Comment)
		}
		if f.HasBody {
			body = len(f.Body)
		}
		if f.TransactionID != c.id || what != c.what {
			t.Errorf("%s: %q %q, want %q %q", c.file, f.TransactionID, what, c.id, c.what)
		}
		if len(f.Headers) != c.headers || body != c.body || f.Flag != c.flag {
			t.Errorf("%s: %d headers, body of %d, flag %c, want %d, %d, %c",
				c.file, len(f.Headers), body, f.Flag, c.headers, c.body, c.flag)
		}
	}
}

func TestNaiveParseFindsTheEndLine(t *testing.T) {
	for _, c := range []struct {
		name string
		text string // after the start line, with id "abcd"
		want string // headers, body and flag; "": unfinished
	}{
		{"no header at all", "-------abcd$\r\n", "[] $"},
		{"no body", "A: 1\r\n-------abcd+\r\n", "[[A 1]] +"},
		{"a body", "A: 1\r\n\r\nhello\r\n-------abcd#\r\n", "[[A 1]] hello #"},
		{"an empty body", "A: 1\r\n\r\n\r\n-------abcd$\r\n", "[[A 1]]  $"},
		{"a body that is a CRLF", "\r\n\r\n\r\n-------abcd$\r\n", "[] \r\n $"},
		{"an end-line right behind the empty line", "\r\n-------abcd+\r\nx\r\n-------abcd$\r\n", "[]  +"},
		{"nearly one there", "\r\n-------abcd+\nx\r\n-------abcd$\r\n", "[] -------abcd+\nx $"},
		{"no header field that runs into it", "A: 1\r\nB\x00\x00 -------abcd#\r\n", "[[A 1]] #"},
		{"a header field that does", "A: -------abcd#\r\n-------abcd$\r\n", "[[A -------abcd#]] $"},
		{"any header name, no value, no space", "aBc:1\r\nb:\r\nA: \t2:3 \r\n-------abcd$\r\n", "[[aBc 1] [b ] [A 2:3]] $"},
		{"no colon", "A: 1\r\nsomething\r\nB: 2\r\n-------abcd$\r\n", "[[A 1] [B 2]] $"},
		{"NUL", "A: \x00\r\n\x00: 2\r\nB: 2\r\n-------abcd$\r\n", "[[B 2]] $"},
		{"bare CR and LF", "A: 1\n-------abcd$\rB: 2\r\n-------abcd$\r\n", "[[A 1\n-------abcd$\rB: 2]] $"},
		{"another's end-line in the headers", "-------abce$\r\n-------abcd$\r\n", "[] $"},

		{"no flag", "\r\na\r\n-------abcd\r\n-------abcd$\r\n", "[] a\r\n-------abcd $"},
		{"another flag", "\r\na\r\n-------abcd*\r\n\r\n-------abcd$\r\n", "[] a\r\n-------abcd*\r\n $"},
		{"text after the flag", "\r\na\r\n-------abcd$ \r\n-------abcd+\r\n", "[] a\r\n-------abcd$  +"},
		{"two flags", "\r\na\r\n-------abcd+$\r\n-------abcd+\r\n", "[] a\r\n-------abcd+$ +"},
		{"LF after the flag", "\r\na\r\n-------abcd$\n\r\n-------abcd$\r\n", "[] a\r\n-------abcd$\n $"},
		{"LF before", "\r\na\n-------abcd$\r\n-------abcd$\r\n", "[] a\n-------abcd$ $"},
		{"eight hyphens", "\r\na\r\n--------abcd$\r\n-------abcd$\r\n", "[] a\r\n--------abcd$ $"},
		{"a longer id", "\r\na\r\n-------abcde$\r\n-------abcd$\r\n", "[] a\r\n-------abcde$ $"},
		{"a shorter id", "\r\na\r\n-------abc$\r\n-------abcd$\r\n", "[] a\r\n-------abc$ $"},
		{"the id in capitals", "\r\na\r\n-------ABCD$\r\n-------abcd$\r\n", "[] a\r\n-------ABCD$ $"},
		{"the first of two", "\r\na\r\n-------abcd#\r\n-------abcd$\r\n", "[] a #"},
		{"CRs before", "\r\na\r\r\r\n-------abcd$\r\n", "[] a\r\r $"},

		{"no CRLF yet", "\r\na\r\n-------abcd$\r", ""},
		{"no flag yet", "A: 1\r\n-------abcd", ""},
		{"no headers yet", "", ""},
	} {
		data := []byte("MSRP abcd SEND\r\n" + c.text)
		frames, rest, err := naiveParse(data)
		if err != nil && len(frames) == 0 {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got string
		if len(frames) > 0 {
			f := frames[0]
			got = fmt.Sprint(f.Headers)
			if f.HasBody {
				got += " " + string(f.Body)
			}
			got += " " + string(f.Flag)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if c.want == "" && !bytes.Equal(rest, data) {
			t.Errorf("%s: %q is left, want all", c.name, rest)
		}
	}
}

func TestNaiveParseKnowsStartLines(t *testing.T) {
	id := strings.Repeat("a.-+%=9Z", 8) // 64 characters
	for line, want := range map[string]string{
		"MSRP a SEND":             "a SEND 0 ",
		"MSRP " + id + " SEND":    id + " SEND 0 ",
		"MSRP -= FROBNICATE":      "-= FROBNICATE 0 ",
		"MSRP a 200":              "a  200 ",
		"MSRP a 200 ":             "a  200 ",
		"MSRP a 200 OK, then":     "a  200 OK, then",
		"MSRP a 999 \xc3\xa9":     "a  999 \xc3\xa9",
		"":                        "",
		"MSRP":                    "",
		"MSRP a":                  "",
		"MSRP a ":                 "",
		"MSRP  SEND":              "",
		"msrp a SEND":             "",
		" MSRP a SEND":            "",
		"MSRP  a SEND":            "",
		"MSRP a  SEND":            "a  SEND 0  malformed",
		"MSRP a send":             "a send 0  malformed",
		"MSRP a SEND ":            "a SEND  0  malformed",
		"MSRP a SEND now":         "a SEND now 0  malformed",
		"MSRP a 20":               "a 20 0  malformed",
		"MSRP a 2000":             "a 2000 0  malformed",
		"MSRP a 200 O\x01K":       "a  200  malformed",
		"MSRP a 200 OK\t":         "a  200 OK\t",
		"MSRP a_b SEND":           "",
		"MSRP a" + id + " SEND":   "",
		"MSRP a SEND\nTo-Path: x": "a SEND\nTo-Path: x 0  malformed",
		"SIP/2.0 200 OK":          "",
	} {
		id := strings.Split(line+"  ", " ")[1]
		frames, _, _ := naiveParse([]byte(line + "\r\nTo-Path: x\r\nFrom-Path: y\r\n-------" + id + "$\r\n"))
		var got string
		if len(frames) > 0 {
			f := frames[0]
			got = fmt.Sprintf("%s %s %d %s", f.TransactionID, f.Method, f.Status, f.Comment)
			if f.Malformed {
				got += " malformed"
			}
		}
		if got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}

func TestNaiveParseRefusesALargeHead(t *testing.T) {
	frame := func(n int) string {
		text := "MSRP abcd SEND\r\nX: "
		return text + strings.Repeat("x", n-len(text)-len("\r\n-------abcd$\r\n")) + "\r\n-------abcd$\r\n"
	}
	for _, c := range []struct {
		name string
		data string
		want int // frames
		err  bool
	}{
		{"all there is", frame(naiveHeadLimit), 1, false},
		{"one byte more", frame(naiveHeadLimit + 1), 0, true},
		{"without an end", strings.Repeat(frame(100), 3) + frame(2 * naiveHeadLimit)[:naiveHeadLimit+1], 3, true},
		{"without an end yet", frame(2 * naiveHeadLimit)[:naiveHeadLimit], 0, false},
		{"a start line without an end", "MSRP abcd 200 " + strings.Repeat("x", naiveHeadLimit), 0, true},
		{"in many lines", "MSRP abcd 200\r\n" + strings.Repeat("A: 1\r\n", naiveHeadLimit/6), 0, true},
	} {
		frames, _, err := naiveParse([]byte(c.data))
		if len(frames) != c.want || (err != nil) != c.err {
			t.Errorf("%s: %d frames, error %v, want %d, %v", c.name, len(frames), err, c.want, c.err)
		}
	}
}

// All but a SEND is small (RFC 4975 section 7.1).
func TestNaiveParseDropsALargeBody(t *testing.T) {
	for _, c := range []struct {
		what string
		body int
		end  string
		want int // frames
		drop bool
	}{
		{"REPORT", naiveBodyLimit, "\r\n-------abcd$\r\n", 1, false},
		{"REPORT", naiveBodyLimit + 1, "\r\n-------abcd$\r\n", 1, true},
		{"200 OK", naiveBodyLimit + 1, "\r\n-------abcd$\r\n", 1, true},
		{"SEND", naiveBodyLimit + 1, "\r\n-------abcd$\r\n", 1, false},
		{"REPORT", naiveBodyLimit + 101, "", 0, false},
		{"SEND", naiveBodyLimit + 101, "", 0, false},
	} {
		frames, _, err := naiveParse([]byte("MSRP abcd " + c.what + "\r\nTo-Path: x\r\nFrom-Path: y\r\n\r\n" + strings.Repeat("x", c.body) + c.end))
		if len(frames) != c.want || err != nil || c.want > 0 && (frames[0].Malformed != c.drop || (frames[0].Body == nil) != c.drop) {
			t.Errorf("%s with %d bytes and %q: %d frames, error %v, want %d, dropped: %v", c.what, c.body, c.end, len(frames), err, c.want, c.drop)
		}
	}
}
