package sip

import (
	"slices"
	"strings"
)

// message is what requests and responses share: the text and its index. The
// index is small, for making it is a good part of what a message costs: most
// messages have no more, and less of everything than a byte can count.
type message struct {
	text   string
	more   *moreIndex       // nil for most messages
	inline [maxInline]field // the first of the header lines
	lines  uint16           // how many there are; with more than maxInline all are in more
	head   uint16           // length of the start line with its CRLF
	body   uint16           // where the body starts

	// What the checks of Parse found, for the getters: where the parts are in
	// the first value of these header fields, if it is shorter than 256 bytes.
	via      viaSpan[uint8]
	from, to addressSpan[uint8]
	contact  addressSpan[uint8] // only if it was taken quickly
	cseq     cseqSpan[uint8]

	// 1 + the index of the first line of these header fields; 0 for none, and
	// farLine for one that is to be looked for from there on.
	first  [numHot]uint8
	folded bool // some value continues on a further line

	// A bit for each header field whose value was taken quickly.
	checked uint16
}

// maxInline is how many header lines are indexed without more.
const maxInline = 20

const farLine = 255

// moreIndex is what only some messages need.
type moreIndex struct {
	err    *SyntaxError // of the edits that made the message
	fields []field      // all header lines, in the array below or a longer one
	room   [4 * maxInline]field
}

// field is the index entry of one header line.
type field struct {
	line  uint16 // where it starts
	value uint8  // how much further its value does; 0 if that is to be looked for
	id    headerID
}

func newField(line, value int, id headerID) field {
	if value-line > 255 {
		value = line
	}
	return field{uint16(line), uint8(value - line), id}
}

// fields returns the header lines in order.
func (m *message) fields() []field {
	if m.lines <= maxInline {
		return m.inline[:m.lines]
	}
	return m.more.fields
}

// room returns an empty list with room for n header lines, to be kept with
// keep.
func (m *message) room(n int) []field {
	if n <= maxInline {
		return m.inline[:0]
	}
	if m.more == nil {
		m.more = new(moreIndex)
	}
	return slices.Grow(m.more.room[:0], n)
}

// grow returns a list of the same lines with room for many more.
func (m *message) grow(fields []field) []field {
	if len(fields) <= maxInline {
		return append(m.room(maxInline+1), fields...)
	}
	return slices.Grow(fields, 3*len(fields))
}

// keep makes these the header lines of the message.
func (m *message) keep(fields []field) {
	if m.lines = uint16(len(fields)); m.lines > maxInline {
		m.more.fields = fields
	}
}

// note remembers f, line i, if it is the first of a header field that routing
// needs.
func (m *message) note(f field, i int) *SyntaxError {
	if m.first[f.id] == 0 {
		m.first[f.id] = uint8(min(i+1, farLine))
	} else if headers[f.id].kind == single {
		return fail(StatusBadRequest, headers[f.id].name, int(f.line), "expected no second one")
	}
	return nil
}

// failure returns the error of the edits that made the message.
func (m *message) failure() *SyntaxError {
	switch {
	case m.more != nil && m.more.err != nil:
		return m.more.err
	case m.head == 0:
		return fail(0, "start line", 0, "expected a message")
	}
	return nil
}

// fail gives the message an error. Its index may be shared with another one.
func (m *message) fail(err *SyntaxError) {
	more := &moreIndex{err: err}
	if m.more != nil {
		more.fields = m.more.fields
	}
	m.more = more
}

// find returns the first line at or after from with that name, -1 for none.
// id is zero for a name that is not in the table.
func (m *message) find(id headerID, name string, from int) int {
	if id != 0 && id < numHot && from == 0 {
		if m.first[id] < farLine {
			return int(m.first[id]) - 1
		}
		from = farLine - 1
	}
	fields := m.fields()
	if from >= len(fields) {
		return -1
	}
	for i, f := range fields[from:] {
		if f.id == id && (id != 0 || equalFold(m.name(f), name)) {
			return from + i
		}
	}
	return -1
}

// name returns the name of a line as it was written.
func (m *message) name(f field) string {
	rest := m.text[f.line:]
	return rest[:span(rest, charToken)]
}

// valueSpan returns where the value of line i is, without the white space
// around it.
func (m *message) valueSpan(i int) (start, end int) {
	fields := m.fields()
	f := fields[i]
	end = int(m.body) - 2
	if i+1 < len(fields) {
		end = int(fields[i+1].line)
	}
	end -= 2 // the line end
	start = int(f.line) + int(f.value)
	if f.value == 0 {
		start = farValue(m.text[:end], start)
	}
	for end > start && m.text[end-1] <= ' ' && isSpace(m.text[end-1]) {
		end--
	}
	return start, end
}

// farValue returns where the value begins of the line that begins at start.
func farValue(s string, start int) int {
	return afterWS(s, start+strings.IndexByte(s[start:], ':')+1)
}

// value returns the value of line i, folds undone (RFC 3261 section 7.3.1).
func (m *message) value(i int) string {
	start, end := m.valueSpan(i)
	v := m.text[start:end]
	if m.folded && strings.IndexByte(v, '\n') >= 0 {
		v = unfold(v)
	}
	return v
}

// hot returns the value of a header field that the index keeps at hand.
func (m *message) hot(id headerID) string {
	i := int(m.first[id]) - 1
	if i < 0 {
		return ""
	}
	if i+1 == farLine {
		i = m.find(id, "", 0)
	}
	return m.value(i)
}

// offset returns where the value of a header field starts.
func (m *message) offset(id headerID) int {
	if i := m.find(id, "", 0); i >= 0 {
		start, _ := m.valueSpan(i)
		return start
	}
	return int(m.head)
}

// placeOf returns where the error of a header field's first value is. Folds move
// what follows them, so there it is where the value begins.
func (m *message) placeOf(id headerID, err error) int {
	i := m.find(id, "", 0)
	if i < 0 {
		return int(m.head)
	}
	start, end := m.valueSpan(i)
	if at := start + placeOf(err); at <= end && !(m.folded && strings.IndexByte(m.text[start:end], '\n') >= 0) {
		return at
	}
	return start
}

// unfold replaces each line break and the white space around it by one space.
func unfold(v string) string {
	b := make([]byte, 0, len(v))
	for {
		i := strings.IndexByte(v, '\n')
		if i < 0 {
			return view(append(b, v...))
		}
		end := i
		for end > 0 && isSpace(v[end-1]) {
			end--
		}
		b = append(append(b, v[:end]...), ' ')
		v = skipWS(v[i+1:])
	}
}
