package frame

import (
	"bytes"
	"slices"
)

// A pattern is the text of a head around what differs between the chunks of a message: the
// transaction identifier and the Byte-Range. A head of the same text says the same, which
// need not be read from it again.
type pattern struct {
	before []byte // from behind the identifier up to the range; empty: there is no pattern
	after  []byte // from behind the range up to the body
	head   Head
}

const (
	maxPattern = 1 << 10 // bytes of header fields that are kept; paths of a few relays fit in
	maxRange   = 64      // characters of a Byte-Range that are looked at, and its CR
)

// learn makes the pattern that of a head and the header fields it was read from.
func (p *pattern) learn(h *Head, lines []byte) {
	const name = "\r\nByte-Range: "
	i := bytes.Index(lines, []byte(name)) // no value has a CR in it, or there would be an Err
	if h.Err != nil || h.Method != SEND || i < 0 || len(lines) > maxPattern {
		return
	}
	i += len(name)
	end := i + bytes.IndexByte(lines[i:], '\r')
	p.before = append(append(p.before[:0], " SEND\r\n"...), lines[:i]...)
	p.after = append(append(p.after[:0], lines[end:]...), "\r\n"...)
	fields := append(p.head.Fields[:0], h.Fields...)
	p.head = *h
	p.head.Fields = fields
}

// match reads a head that follows the pattern, and returns how long it is: 0 if it does not, or is
// not all there.
func (p *pattern) match(data []byte) (id []byte, at Range, n int) {
	rest, ok := bytes.CutPrefix(data, []byte("MSRP "))
	if !ok || len(p.before) == 0 {
		return nil, Range{}, 0
	}
	space := bytes.IndexByte(rest[:min(len(rest), maxID+1)], ' ')
	if space <= 0 || slices.ContainsFunc(rest[:space], func(c byte) bool { return !isIdent(c) }) {
		return nil, Range{}, 0
	}
	id = rest[:space]
	if rest, ok = bytes.CutPrefix(rest[space:], p.before); !ok {
		return nil, Range{}, 0
	}
	if space = bytes.IndexByte(rest[:min(len(rest), maxRange)], '\r'); space < 0 {
		return nil, Range{}, 0
	}
	at, wrong := parseRange(rest[:space])
	if rest, ok = bytes.CutPrefix(rest[space:], p.after); !ok || wrong != "" {
		return nil, Range{}, 0
	}
	return id, at, len(data) - len(rest)
}
