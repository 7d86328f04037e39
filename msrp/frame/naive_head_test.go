package frame_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// naiveIsField reports whether a line begins as a header field does.
func naiveIsField(line string) bool {
	name, _, colon := strings.Cut(line, ":")
	return colon && name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]`, r)
	})
}

// naiveIsText reports whether a line has no control characters but HTAB.
func naiveIsText(line string) bool {
	return !strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F })
}

// naiveKnown are the header fields that may be there once.
var naiveKnown = []string{"To-Path", "From-Path", "Message-ID", "Byte-Range",
	"Success-Report", "Failure-Report", "Status", "Content-Type"}

// naiveMalformed reports whether header fields do not make a header block: one
// without the paths, with one of the known ones twice, with a Byte-Range that is
// none, or with too many.
func naiveMalformed(headers [][2]string) bool {
	var others int
	once := make(map[string]string)
	for _, h := range headers {
		i := slices.IndexFunc(naiveKnown, func(name string) bool { return strings.EqualFold(name, h[0]) })
		if i < 0 {
			others++
			continue
		}
		if _, twice := once[naiveKnown[i]]; twice {
			return true
		}
		once[naiveKnown[i]] = h[1]
	}
	if value, has := once["Status"]; has && !naiveReport.MatchString(value) {
		others++
	}
	value, has := once["Byte-Range"]
	return once["To-Path"] == "" || once["From-Path"] == "" || has && !naiveIsRange(value) || others > naiveFieldLimit
}

var (
	naiveRange  = regexp.MustCompile(`^0*([0-9]{1,18})-(?:0*([0-9]{1,18})|\*)/(?:0*([0-9]{1,18})|\*)$`)
	naiveReport = regexp.MustCompile(`^000 [1-9][0-9][0-9](?: .*)?$`)
)

// naiveIsRange reports whether a value is a Byte-Range of numbers of up to 18
// digits, which begins at 1 or later, does not end before the byte before its
// first, and does not go beyond its total.
func naiveIsRange(value string) bool {
	m := naiveRange.FindStringSubmatch(value)
	if m == nil {
		return false
	}
	start, _ := strconv.Atoi(m[1])
	end, errEnd := strconv.Atoi(m[2]) // an error: not said
	total, errTotal := strconv.Atoi(m[3])
	return start >= 1 && (errEnd != nil || end >= start-1) &&
		(errTotal != nil || start <= total+1 && (errEnd != nil || end <= total))
}

func TestNaiveParseKnowsMalformedHeads(t *testing.T) {
	const paths = "To-Path: x\r\nfrom-path:y\r\n"
	for head, want := range map[string]bool{
		paths: false,
		paths + "1st: \t\xff\r\nA: b\r\nA: b\r\n":         false,
		paths + "Byte-Range: 001-*/*\r\n":                 false,
		paths + "Byte-Range: 1-0/0\r\n":                   false,
		paths + strings.Repeat("A: b\r\n", 64):            false,
		"":                                                true,
		"To-Path: x\r\n":                                  true,
		"To-Path:\r\nFrom-Path: y\r\n":                    true,
		paths + "TO-PATH: x\r\n":                          true,
		paths + "To-Path : x\r\n":                         true,
		paths + "A\r\n":                                   true,
		paths + ": A\r\n":                                 true,
		paths + "A: \x7f\r\n":                             true,
		paths + "Byte-Range: 0-1/1\r\n":                   true,
		paths + "Byte-Range: 3-1/*\r\n":                   true,
		paths + "Byte-Range: 1-3/2\r\n":                   true,
		paths + "Byte-Range: 4-*/2\r\n":                   true,
		paths + "Byte-Range: 1-*\r\n":                     true,
		paths + "Byte-Range: 1-9223372036854775808/*\r\n": true,
		paths + "Status: 001 200\r\n" + strings.Repeat("A: b\r\n", 64): true,
	} {
		for _, end := range []string{"-------abcd$\r\n", "\r\nbody\r\n-------abcd$\r\n"} {
			frames, _, err := naiveParse([]byte("MSRP abcd SEND\r\n" + head + end))
			if len(frames) != 1 || frames[0].Malformed != want {
				t.Errorf("%q: %+v, %v, want Malformed %v", head, frames, err, want)
			}
		}
	}
}
