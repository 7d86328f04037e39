package file

import (
	"strconv"
	"strings"
)

// A Range is the part of a file that is transferred (RFC 5547 section 6). It
// counts in the file, whatever the messages that carry it count. The zero
// Range is the whole file.
type Range struct {
	Start int64 // the first octet, counted from 1; beyond 1 something is resumed
	Stop  int64 // the last octet; 0: that of the file
}

// String returns the value of a=file-range: "1-32349" or "2049-*", "" for the
// zero Range.
func (r Range) String() string {
	switch {
	case r == Range{}:
		return ""
	case r.Stop == 0:
		return strconv.FormatInt(r.Start, 10) + "-*"
	}
	return strconv.FormatInt(r.Start, 10) + "-" + strconv.FormatInt(r.Stop, 10)
}

func parseRange(text string) (r Range, ok bool) {
	start, stop, _ := strings.Cut(text, "-")
	from, err1 := strconv.ParseUint(start, 10, 63)
	to, err2 := strconv.ParseUint(stop, 10, 63)
	if stop == "*" {
		to, err2 = 0, nil
	} else if to == 0 {
		return Range{}, false
	}
	r = Range{int64(from), int64(to)}
	if err1 != nil || err2 != nil || !r.valid() {
		return Range{}, false
	}
	return r, true
}

func (r Range) valid() bool { return r.Start > 0 && (r.Stop == 0 || r.Stop >= r.Start) }

// in reports whether a file of this size has the range. An empty one has all of it, "1-*".
func (r Range) in(size int64) bool { return r.Start <= max(size, 1) && r.Stop <= size }

// fits is in, for a size that a peer has said; 0 is one that is not known.
func (r Range) fits(size int64) bool { return size == 0 || r.in(size) }

// agrees reports whether an answer with the range r is about what was offered
// of a file of this size: the same, or its end where the offer left that open
// and nobody knew (RFC 5547 sections 8.3.1 and 8.3.2). All of a file can be said
// in three ways.
func (r Range) agrees(offered Range, size int64) bool {
	r, offered = r.normal(size), offered.normal(size)
	return r == offered || r.Start == offered.Start && offered.Stop == 0 && size == 0
}

func (r Range) normal(size int64) Range {
	r.Start = max(r.Start, 1)
	if r.Stop == size {
		r.Stop = 0
	}
	return r
}
