package frame

import "strconv"

// A Range is a Byte-Range (RFC 4975 section 7.1.1): from the byte Start, where the first of a
// message is 1, to End of Total. End and Total are Unknown where an asterisk stands. An empty
// message is 1-0/0.
type Range struct{ Start, End, Total int64 }

// Unknown is an end or a total that is not said.
const Unknown = -1

// parseRange reads a Range; msg says what is wrong.
func parseRange(v []byte) (r Range, msg string) {
	var ok bool
	if r.Start, v, ok = number(v, '-'); !ok {
		return Range{}, "no start"
	}
	if r.End, v, ok = numberOrStar(v, '/'); !ok {
		return Range{}, "no end"
	}
	if r.Total, v, ok = numberOrStar(v, 0); !ok || len(v) > 0 {
		return Range{}, "no total"
	}
	if msg := r.wrong(); msg != "" {
		return Range{}, msg
	}
	return r, ""
}

// wrong says what is wrong with the numbers of a Range, if anything is.
func (r Range) wrong() string {
	switch {
	case r.Start < 1:
		return "no start from 1 on"
	case max(r.Start, r.End, r.Total) >= maxOffset:
		return "too large"
	case r.End != Unknown && r.End < r.Start-1:
		return "ends before it starts"
	case r.Total != Unknown && (r.End > r.Total || r.Start > r.Total+1):
		return "goes beyond the total"
	}
	return ""
}

// maxOffset is more than anybody has bytes.
const maxOffset = 1e18

func numberOrStar(v []byte, end byte) (n int64, rest []byte, ok bool) {
	if len(v) == 0 || v[0] != '*' {
		return number(v, end)
	}
	switch v = v[1:]; {
	case end == 0:
		return Unknown, v, true
	case len(v) == 0 || v[0] != end:
		return 0, v, false
	}
	return Unknown, v[1:], true
}

// number reads digits up to end, or to the end of v if that is 0. ok is false from maxOffset on.
func number(v []byte, end byte) (n int64, rest []byte, ok bool) {
	i := 0
	for i < len(v) && v[i] >= '0' && v[i] <= '9' {
		n = n*10 + int64(v[i]-'0')
		if i++; n >= maxOffset {
			return 0, nil, false
		}
	}
	switch {
	case i == 0:
		return 0, v, false
	case end == 0:
		return n, v[i:], true
	case i == len(v) || v[i] != end:
		return 0, v, false
	}
	return n, v[i+1:], true
}

// String writes the Range as it stands in Byte-Range.
func (r Range) String() string { return string(r.Append(nil)) }

// Append appends the Range as it stands in Byte-Range.
func (r Range) Append(b []byte) []byte {
	b = append(strconv.AppendInt(b, r.Start, 10), '-')
	if r.End == Unknown {
		b = append(b, '*')
	} else {
		b = strconv.AppendInt(b, r.End, 10)
	}
	if r.Total == Unknown {
		return append(b, "/*"...)
	}
	return strconv.AppendInt(append(b, '/'), r.Total, 10)
}
