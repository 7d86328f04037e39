package sip

import (
	"strconv"
	"strings"
)

// NewPart makes a part of a multipart body. The edits are those of a message:
//
//	NewPart(Body{"application/pidf+xml", xml}, ContentID("alice@example.com"),
//		ContentDisposition{Type: "by-reference"})
//
// It has no Content-Length, for the delimiters say where it ends. Whether the
// part came out well is asked with Err; Multipart asks.
func NewPart(edits ...Edit) *Part {
	p := &Part{at: place{depth: 1}}
	w := newRewriter(nil)
	all := append(edits[:len(edits):len(edits)], Del("Content-Length"))
	if err := w.run(&p.m, "", all); err != nil {
		p.m = message{}
		p.m.fail(err)
	}
	p.at.text = p.m.text
	return p
}

// Multipart makes a body of parts, which may be new or come out of another
// message, for an edit of a message or a part of yet another multipart:
//
//	body, err := Multipart("multipart/mixed", NewPart(Body{"application/sdp", offer}), part)
//	req := NewRequest(INVITE, uri, body, ...)
//
// The media type may have parameters. A multipart/related must have the type
// of its root, type="application/rlmi+xml" (RFC 2387 section 3.1), and the parts
// of a multipart/alternative stand in the order of rising preference. Whether
// a UA must understand it all is said in a Content-Disposition, for the whole
// and for each part (RFC 5621 section 8.2).
//
// The boundary is one that stands in none of the parts. The same parts make the
// same body. The error is that of the first part that has one, or says that
// there are no parts, or more than 1000, or that the media type is not
// multipart.
func Multipart(mediaType string, parts ...*Part) (Body, error) {
	t, err := ContentType{}.ParseValue(mediaType)
	switch {
	case err == nil && !t.multipart():
		err = valueError("expected a multipart type")
	case len(parts) == 0:
		err = valueError("expected a part")
	case len(parts) > maxParts:
		err = valueError("expected no more than 1000 parts")
	}
	if err != nil {
		return Body{}, fail(StatusBadRequest, "Content-Type", 0, msgOf(err))
	}
	size := 0
	for _, p := range parts {
		if p == nil {
			return Body{}, fail(StatusBadRequest, "body", 0, "expected a part and not nil")
		}
		if err := p.Err(); err != nil {
			return Body{}, err
		}
		size += len(p.m.text)
	}
	boundary := newBoundary(parts)
	var b strings.Builder
	b.Grow(size + (len(parts)+1)*(len(boundary)+6))
	for _, p := range parts {
		b.WriteString("--")
		b.WriteString(boundary)
		b.WriteString(p.m.text)
		b.WriteString("\r\n")
	}
	b.WriteString("--")
	b.WriteString(boundary)
	b.WriteString("--\r\n")
	t.Params = t.Params.With("boundary", boundary)
	return Body{Type: string(t.AppendValue(nil)), Content: b.String()}, nil
}

const (
	boundaryPrefix = "parley-"
	boundaryDigits = 8 // hexadecimal, more than any text has room for
)

// newBoundary returns the first of our boundaries that the parts do not have.
// It is found in one pass, however many of them a part has to make us try: the
// part of a stranger may be written with that in mind.
func newBoundary(parts []*Part) string {
	used := make(map[uint64]bool)
	for _, p := range parts {
		for rest := p.m.text; ; {
			_, after, ok := strings.Cut(rest, boundaryPrefix)
			if !ok {
				break
			}
			if rest = after; len(rest) >= boundaryDigits {
				if n, err := strconv.ParseUint(rest[:boundaryDigits], 16, 32); err == nil {
					used[n] = true
				}
			}
		}
	}
	n := uint64(0)
	for used[n] {
		n++
	}
	digits := strconv.FormatUint(n, 16)
	return boundaryPrefix + strings.Repeat("0", boundaryDigits-len(digits)) + digits
}
