package frame_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The rest of a parser that ended with an error, and of one that has not said
// how much is left of a frame whose end is missing.
const (
	judgeRefused    = -1
	judgeUnfinished = -2
)

// judge holds what a parser made of data against naiveParse: its frames, and
// how many bytes it left for a frame whose end is missing, or one of the above.
// What the RFC leaves open is left open:
//
//   - what the header fields of a malformed head are;
//   - white space around values and comments;
//   - whether a head within 1 KiB of naiveHeadLimit is too large;
//   - whether a start line that will never be right is refused before its
//     CRLF.
func judge(t testing.TB, data []byte, got []naiveFrame, rest int) {
	t.Helper()
	if faults := judgeFaults(data, got, rest); len(faults) > 0 {
		t.Errorf("of %d bytes\n%.4000q\n\t%s", len(data), data, strings.Join(faults, "\n\t"))
	}
}

func judgeFaults(data []byte, got []naiveFrame, rest int) (faults []string) {
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	pos := 0
	for i, g := range got {
		if judgeOpen(data[pos:]) {
			return faults
		}
		want, size, err := naiveOne(data[pos:], naiveHeadLimit)
		if size == 0 {
			say("frame %d, byte %d: got %q, want none (error: %v)", i, pos, g.TransactionID, err)
			return faults
		}
		for _, fault := range judgeFrame(g, want) {
			say("frame %d, byte %d: %s", i, pos, fault)
		}
		pos += size
	}
	left := data[pos:]
	if judgeOpen(left) {
		return faults
	}
	_, size, err := naiveOne(left, naiveHeadLimit)
	switch refused := rest == judgeRefused; {
	case refused && err == nil && !judgeHopeless(left):
		say("refused after %d frames, byte %d, want more", len(got), pos)
	case !refused && err != nil:
		say("not refused after %d frames, byte %d, want error: %v", len(got), pos, err)
	case !refused && size != 0:
		say("%d frames and %d bytes left, want another frame of %d bytes at byte %d", len(got), rest, size, pos)
	case rest == judgeUnfinished && len(left) == 0:
		say("something left, want nothing")
	case !refused && rest != judgeUnfinished && rest != len(left):
		say("%d bytes left, want %d", rest, len(left))
	}
	return faults
}

func judgeFrame(got, want naiveFrame) (faults []string) {
	differ := func(what string, got, want any) {
		if got != want {
			faults = append(faults, fmt.Sprintf("%s: got %#v, want %#v", what, got, want))
		}
	}
	differ("transaction id", got.TransactionID, want.TransactionID)
	differ("method", got.Method, want.Method)
	differ("status", got.Status, want.Status)
	differ("comment", strings.Trim(got.Comment, " "), strings.Trim(want.Comment, " "))
	differ("flag", string(rune(got.Flag)), string(rune(want.Flag)))
	differ("Malformed", got.Malformed, want.Malformed)
	differ("HasBody", got.HasBody, want.HasBody)

	var gotHeaders, wantHeaders []string
	if !got.Malformed && !want.Malformed {
		gotHeaders, wantHeaders = judgeHeaders(got), judgeHeaders(want)
	}
	for i := range max(len(gotHeaders), len(wantHeaders)) {
		var g, w string
		if i < len(gotHeaders) {
			g = gotHeaders[i]
		}
		if i < len(wantHeaders) {
			w = wantHeaders[i]
		}
		if g != w {
			faults = append(faults, fmt.Sprintf("header %d: got %.200q, want %.200q", i, g, w))
			break // the others are moved by it
		}
	}
	if g, w := got.Body, want.Body; !bytes.Equal(g, w) {
		at := 0
		for at < len(g) && at < len(w) && g[at] == w[at] {
			at++
		}
		faults = append(faults, fmt.Sprintf("body: got %d bytes, want %d; from byte %d: got %.60q, want %.60q",
			len(g), len(w), at, g[at:], w[at:]))
	}
	return faults
}

// judgeHeaders returns what header fields say: the known ones in the order of
// naiveKnown and in one spelling, unless they say nothing or what is so without
// them, and then the others as they come.
func judgeHeaders(f naiveFrame) []string {
	known := make([]string, len(naiveKnown))
	var others []string
	for _, h := range f.Headers {
		name, value := h[0], strings.Trim(h[1], " \t")
		i := slices.IndexFunc(naiveKnown, func(known string) bool { return strings.EqualFold(known, name) })
		if i < 0 {
			others = append(others, name+": "+value)
			continue
		}
		name = naiveKnown[i]
		switch name {
		case "Status":
			if !naiveReport.MatchString(value) {
				others = append(others, h[0]+": "+value)
				continue
			}
			if f.Method == "" { // which has a comment of its own
				value = value[:7]
			}
		case "Byte-Range":
			value = judgeZeros.ReplaceAllString(value, "$1")
		case "Success-Report":
			if value = strings.ToLower(value); value != "yes" {
				value = ""
			}
		case "Failure-Report":
			if value = strings.ToLower(value); value != "no" && value != "partial" {
				value = ""
			}
		}
		if value != "" {
			known[i] = name + ": " + value
		}
	}
	return append(slices.DeleteFunc(known, func(text string) bool { return text == "" }), others...)
}

var judgeZeros = regexp.MustCompile(`\b0+([0-9])`)

// judgeOpen reports whether the head that data begins with is of about the
// largest size: what is part of it is counted in more than one way.
func judgeOpen(data []byte) bool {
	_, _, strict := naiveOne(data, naiveHeadLimit-1<<10)
	_, _, lax := naiveOne(data, naiveHeadLimit+1<<10)
	return strict != nil && lax == nil
}

// judgeHopeless reports whether the start line, as far as it is there, is not
// one whatever may follow.
func judgeHopeless(data []byte) bool {
	line, _, whole := strings.Cut(string(data), "\r\n")
	if !whole {
		var cr bool
		line, cr = strings.CutSuffix(line, "\r")
		whole = cr
	}
	if whole {
		_, err := naiveStart(line)
		return err != nil
	}
	for _, model := range []string{"MSRP a SEND", "MSRP a 200"} {
		for i := range len(model) + 1 {
			if _, err := naiveStart(line + model[i:]); err == nil {
				return false
			}
		}
	}
	return true
}

func TestJudgeFindsFaults(t *testing.T) {
	const data = "MSRP abcd SEND\r\nTo-Path: x\r\nFrom-Path: y\r\nContent-Type: z\r\n\r\nhello\r\n-------abcd$\r\n" +
		"MSRP efgh 200 OK\r\nTo-Path: y\r\nFrom-Path: x\r\n-------efgh$\r\n"
	const begun = "MSRP ijkl SEND\r\n"
	for _, c := range []struct {
		name  string
		more  string // after data
		rest  int
		wrong func(frames []naiveFrame) []naiveFrame // nil: nothing
		want  string                                 // in the one fault; empty: none
	}{
		{name: "right"},
		{name: "right with a rest", more: begun, rest: len(begun)},
		{name: "right to refuse", more: "HTTP/1.1\r\n", rest: judgeRefused},
		{name: "right to refuse early", more: "M!", rest: judgeRefused},
		{name: "right to refuse late", more: "M!", rest: 2},

		{"id", "", 0, change(func(f *naiveFrame) { f.TransactionID = "abce" }), `transaction id: got "abce", want "abcd"`},
		{"white space", "", 0, change(func(f *naiveFrame) { f.Comment, f.Headers[0][1] = " ", " x\t" }), ""},
		{"method", "", 0, change(func(f *naiveFrame) { f.Method = "REPORT" }), `method: got "REPORT", want "SEND"`},
		{"status", "", 0, change(func(f *naiveFrame) { f.Status = 1 }), "status: got 1, want 0"},
		{"comment", "", 0, change(func(f *naiveFrame) { f.Comment = "a" }), `comment: got "a", want ""`},
		{"flag", "", 0, change(func(f *naiveFrame) { f.Flag = '+' }), `flag: got "+", want "$"`},
		{"header value", "", 0, change(func(f *naiveFrame) { f.Headers[1][1] = "w" }), `header 1: got "From-Path: w", want "From-Path: y"`},
		{"header order", "", 0, change(func(f *naiveFrame) { slices.Reverse(f.Headers) }), ""},
		{"header more", "", 0, change(func(f *naiveFrame) { f.Headers = append(f.Headers, [2]string{"a", "b"}) }), `header 3: got "a: b", want ""`},
		{"header of no effect", "", 0, change(func(f *naiveFrame) { f.Headers = append(f.Headers, [2]string{"Success-Report", "no"}) }), ""},
		{"header lost", "", 0, change(func(f *naiveFrame) { f.Headers = f.Headers[:2] }), `header 2: got "", want "Content-Type: z"`},
		{"malformed", "", 0, change(func(f *naiveFrame) { f.Malformed = true }), "Malformed: got true, want false"},
		{"no body", "", 0, change(func(f *naiveFrame) { f.HasBody = false }), "HasBody: got false, want true"},
		{"body", "", 0, change(func(f *naiveFrame) { f.Body = []byte("help!!") }), `body: got 6 bytes, want 5; from byte 3: got "p!!", want "lo"`},

		{"one frame less", "", 0, func(f []naiveFrame) []naiveFrame { return f[:1] }, "want another frame of 58 bytes at byte 82"},
		{"one frame more", "", 0, func(f []naiveFrame) []naiveFrame { return append(f, f[0]) }, `frame 2, byte 140: got "abcd", want none`},
		{"unfinished", begun, judgeUnfinished, nil, ""},
		{"not unfinished", "", judgeUnfinished, nil, "something left"},
		{"rest", begun, 3, nil, "3 bytes left, want 16"},
		{"no rest", begun, 0, nil, "0 bytes left, want 16"},
		{"refused", begun, judgeRefused, nil, "refused after 2 frames, byte 140"},
		{"refused too early", "MSRP ijkl 2", judgeRefused, nil, "refused after 2 frames"},
		{"refused at the end", "", judgeRefused, nil, "refused after 2 frames"},
		{"not refused", "HTTP/1.1\r\n", 10, nil, "not refused after 2 frames, byte 140"},
	} {
		frames, _, _ := naiveParse([]byte(data))
		if c.wrong != nil {
			frames = c.wrong(frames)
		}
		faults := judgeFaults([]byte(data+c.more), frames, c.rest)
		if c.want == "" && len(faults) != 0 {
			t.Errorf("%s: faults %q, want none", c.name, faults)
		}
		if c.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], c.want)) {
			t.Errorf("%s: faults %q, want one that says %q", c.name, faults, c.want)
		}
	}
}

// change makes the first frame wrong.
func change(wrong func(*naiveFrame)) func([]naiveFrame) []naiveFrame {
	return func(frames []naiveFrame) []naiveFrame {
		wrong(&frames[0])
		return frames
	}
}

// How large a head is depends on what is part of it, and one that is far too
// large does not.
func TestJudgeLeavesTheLargestHeadOpen(t *testing.T) {
	for _, c := range []struct {
		size           int
		taken, refused bool // allowed
	}{
		{naiveHeadLimit - 1<<10, true, false},
		{naiveHeadLimit, true, true},
		{naiveHeadLimit + 1, true, true},
		{naiveHeadLimit + 1<<10 + 1, false, true},
	} {
		const begin, end = "MSRP abcd SEND\r\nX: ", "\r\n-------abcd$\r\n"
		value := strings.Repeat("x", c.size-len(begin+end))
		frame := naiveFrame{TransactionID: "abcd", Method: "SEND", Headers: [][2]string{{"X", value}}, Malformed: true, Flag: '$'}
		data := []byte(begin + value + end)
		if faults := judgeFaults(data, []naiveFrame{frame}, 0); (len(faults) == 0) != c.taken {
			t.Errorf("head of %d taken: faults %q, want that allowed: %v", c.size, faults, c.taken)
		}
		if faults := judgeFaults(data, nil, judgeRefused); (len(faults) == 0) != c.refused {
			t.Errorf("head of %d refused: faults %q, want that allowed: %v", c.size, faults, c.refused)
		}
	}
}

func TestJudgeKnowsHopelessStartLines(t *testing.T) {
	for line, want := range map[string]bool{
		"":                                false,
		"MS":                              false,
		"MSRP a":                          false,
		"MSRP a ":                         false,
		"MSRP a S":                        false,
		"MSRP a 4":                        false,
		"MSRP a 404":                      false,
		"MSRP a 404 x\r":                  false,
		"MSRP a SEND\r\nX":                false,
		"MSRP a Sx":                       false,
		"MSRP a 4040":                     false,
		"MSRP a SEND ":                    false,
		"MSRP a 404 x\n":                  false,
		"msrp":                            true,
		"MSRP  ":                          true,
		"MSRP a!":                         true,
		"MSRP a\r":                        true,
		"MSRP a \r":                       true,
		"MSRP " + strings.Repeat("a", 65): true,
	} {
		if got := judgeHopeless([]byte(line)); got != want {
			t.Errorf("judgeHopeless(%q) = %v, want %v", line, got, want)
		}
	}
}
