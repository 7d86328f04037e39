package frame

import (
	"bytes"
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
	id, rest := cutID(data, p.before)
	if id == nil {
		return nil, Range{}, 0
	}
	end := bytes.IndexByte(rest[:min(len(rest), maxRange)], '\r')
	if end < 0 {
		return nil, Range{}, 0
	}
	at, wrong := parseRange(rest[:end])
	rest, ok := bytes.CutPrefix(rest[end:], p.after)
	if !ok || wrong != "" {
		return nil, Range{}, 0
	}
	return id, at, len(data) - len(rest)
}

// cutID reads a transaction identifier and the text that is to stand behind it; id is nil if there is another,
// or the text is empty.
func cutID(data, text []byte) (id, rest []byte) {
	rest, ok := bytes.CutPrefix(data, []byte("MSRP "))
	if !ok || len(text) == 0 {
		return nil, nil
	}
	space := bytes.IndexByte(rest[:min(len(rest), maxID+1)], ' ')
	if space <= 0 || !bytes.HasPrefix(rest[space:], text) {
		return nil, nil
	}
	for _, c := range rest[:space] {
		if !isIdent(c) {
			return nil, nil
		}
	}
	return rest[:space], rest[space+len(text):]
}

// An echo is the text of a response around the two places of its transaction identifier. The
// responses to the chunks of a message say the same, too.
type echo struct {
	text []byte // from behind the identifier up to the one in the end-line; empty: there is none
	head Head
}

// learn makes the echo that of a whole response.
func (e *echo) learn(h *Head, whole []byte) {
	text := whole[len("MSRP ")+len(h.ID) : len(whole)-len(h.ID)-3]
	if h.Method != "" || h.Err != nil || len(text) > maxPattern {
		return
	}
	e.text = append(e.text[:0], text...)
	fields := append(e.head.Fields[:0], h.Fields...)
	e.head = *h
	e.head.Fields = fields
}

// match reads a response that follows the echo, and returns how long it is: 0 if it does not, or is not
// all there.
func (e *echo) match(data []byte) (id []byte, flag Flag, n int) {
	id, rest := cutID(data, e.text)
	if id == nil || len(rest) < len(id)+3 || !bytes.HasPrefix(rest, id) {
		return nil, 0, 0
	}
	rest = rest[len(id):]
	flag = Flag(rest[0])
	if flag != Complete && flag != Continued && flag != Aborted || rest[1] != '\r' || rest[2] != '\n' {
		return nil, 0, 0
	}
	return id, flag, len(data) - len(rest) + 3
}
