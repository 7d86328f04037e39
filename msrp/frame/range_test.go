package frame_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp/frame"
)

const paths = "To-Path: msrp://bob.example.com:8493/si438ds;tcp\r\nFrom-Path: msrp://alice.example.com:7777/iau39;tcp\r\n"

// readHead reads a frame of some header fields.
func readHead(t *testing.T, fields string) *frame.Head {
	t.Helper()
	h, _, _, err := frame.Parse([]byte("MSRP abcd SEND\r\n" + fields + "-------abcd$\r\n"))
	if err != nil {
		t.Fatalf("%q: %v", fields, err)
	}
	return h
}

// RFC 4975 section 7.1.1. A chunk that does not say where it is gets the zero Range.
func TestByteRange(t *testing.T) {
	const no = frame.Unknown
	for value, want := range map[string]frame.Range{
		"1-25/25":                {Start: 1, End: 25, Total: 25},
		"1-*/*":                  {Start: 1, End: no, Total: no},
		"5-*/8":                  {Start: 5, End: no, Total: 8},
		"5-8/*":                  {Start: 5, End: 8, Total: no},
		"1-0/0":                  {Start: 1, End: 0, Total: 0}, // an empty message
		"9-8/8":                  {Start: 9, End: 8, Total: 8}, // an empty chunk at its end
		"001-02/03":              {Start: 1, End: 2, Total: 3},
		"999999999999999999-*/*": {Start: 1e18 - 1, End: no, Total: no},
	} {
		h := readHead(t, paths+"Byte-Range: "+value+"\r\n")
		if h.Range != want || h.Err != nil {
			t.Errorf("%s: Range = %+v, error %v, want %+v", value, h.Range, h.Err, want)
		}
		if got := readHead(t, paths+"Byte-Range: "+want.String()+"\r\n"); got.Range != want {
			t.Errorf("%s, written %s: Range = %+v, want %+v", value, want, got.Range, want)
		}
	}
	if h := readHead(t, paths); h.Range != (frame.Range{}) || h.Err != nil {
		t.Errorf("without: Range = %+v, error %v, want none", h.Range, h.Err)
	}
}

// What is no range is not guessed at (RFC 4975 section 14.5 warns of large ones): the frame can be
// told, and gets 400.
func TestByteRangeNonsense(t *testing.T) {
	for _, value := range []string{
		"", "1", "1-", "1-2", "1-2/", "-", "-/", "*-*/*", "a-b/c", "1-2/3/4", "1-2/3 4", "1 - 2/3", "1-**/*", "1-*/**", "+1-2/3", "1--2/3", "0x1-2/3",
		"0-0/0", "0-*/*", "2-0/*", "1-3/2", "4-*/2", "1-1/0",
		"9223372036854775808-*/*", "1-9223372036854775807/*", "1-9223372036854775808/*", "1-*/9223372036854775808",
		"1-18446744073709551617/*", "1000000000000000000-*/*", "1-*/" + strings.Repeat("9", 4000),
	} {
		h := readHead(t, paths+"Byte-Range: "+value+"\r\n")
		var syntax *frame.SyntaxError
		if !errors.As(h.Err, &syntax) || h.Range != (frame.Range{}) {
			t.Errorf("%.40q: Range = %+v, error %v, want none and a *SyntaxError", value, h.Range, h.Err)
		}
	}
}
