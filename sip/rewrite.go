package sip

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

// rewriter makes the text of a message from the lines of another one and from
// new ones, and its index with it: lines that stay were indexed before.
type rewriter struct {
	from    *message // where the lines that stay are; nil for none
	lines   []line
	fresh   []byte       // the text of new lines
	start   []byte       // room for a new start line
	touched [numHot]bool // header fields that edits may have changed
	body    string
	err     *SyntaxError
}

// line is a header line of the message that is made. Offsets are into the text
// of the old message, or into that of new lines.
type line struct {
	start, value int32 // as in field; the same if value is to be looked for
	next         int32 // past the CRLF
	id           headerID
	fresh        bool // it is in the text of new lines
}

// rewriters keeps the memory that every rewriter needs and no message holds on
// to.
var rewriters = sync.Pool{New: func() any { return new(rewriter) }}

func newRewriter(from *message) *rewriter {
	w := rewriters.Get().(*rewriter)
	w.from = from
	return w
}

// free gives the rewriter back, unless one large message made it large.
func (w *rewriter) free() {
	const usual = 16384
	if cap(w.fresh) <= usual {
		*w = rewriter{lines: w.lines[:0], fresh: w.fresh[:0], start: w.start[:0]}
		rewriters.Put(w)
	}
}

// keepAll takes over all lines and the body of the old message.
func (w *rewriter) keepAll() {
	w.body = w.from.Body()
	fields := w.from.fields()
	lines := slices.Grow(w.lines, len(fields)+2)[:len(fields)]
	next := int32(w.from.body) - 2
	for i := len(fields) - 1; i >= 0; i-- {
		f := fields[i]
		start := int32(f.line)
		lines[i] = line{start, start + int32(f.value), next, f.id, false}
		next = start
	}
	w.lines = lines
}

// keep takes over line i of the old message.
func (w *rewriter) keep(i int) {
	fields := w.from.fields()
	f, next := fields[i], w.from.body-2
	if i+1 < len(fields) {
		next = fields[i+1].line
	}
	w.lines = append(w.lines, line{int32(f.line), int32(f.line) + int32(f.value), int32(next), f.id, false})
}

// rewrite makes the edits and a message with that start line, and frees the
// rewriter.
func rewrite[M Request | Response, P pointer[M]](w *rewriter, start string, edits []Edit) (*M, *SyntaxError) {
	defer w.free()
	head, err := w.edit(start, edits)
	if err != nil {
		return nil, err
	}
	m, text := alloc[M, P](head + len(w.body))
	if err := w.write(P(m).base(), start, head, text); err != nil {
		return nil, err
	}
	return m, nil
}

// run does the same for a message that is there already.
func (w *rewriter) run(m *message, start string, edits []Edit) *SyntaxError {
	defer w.free()
	head, err := w.edit(start, edits)
	if err != nil {
		return err
	}
	return w.write(m, start, head, make([]byte, 0, head+len(w.body)))
}

// edit makes the edits and returns how long the start line and the header
// section will be.
func (w *rewriter) edit(start string, edits []Edit) (int, *SyntaxError) {
	for _, e := range edits {
		w.apply(e)
	}
	if w.err != nil {
		return 0, w.err
	}
	if len(start) >= 2*maxURI || len(start) > maxURI && isStatusLine(start) {
		return 0, fail(StatusBadRequest, "start line", 0, "expected up to 16384 bytes")
	}
	size := len(start) + 4
	for i := range w.lines {
		size += int(w.lines[i].next - w.lines[i].start)
	}
	switch {
	case size > maxHead:
		return 0, fail(StatusMessageTooLarge, "header section", maxHead, "expected up to 65535 bytes")
	case len(w.lines) > maxFields:
		return 0, fail(StatusBadRequest, "header section", 0, "expected no more than 500 header fields")
	}
	return size, nil
}

// write makes the text, in the room that b has, and the index.
func (w *rewriter) write(m *message, start string, head int, b []byte) *SyntaxError {
	m.head, m.body = uint16(len(start)+2), uint16(head)
	if w.from != nil {
		m.folded = w.from.folded
		m.cseq, m.via, m.from, m.to = w.from.cseq, w.from.via, w.from.from, w.from.to
		if !w.touched[idContact] {
			m.contact = w.from.contact
		}
	}
	fields := m.room(len(w.lines))[:len(w.lines)]
	at := len(start) + 2
	for i := range w.lines {
		l := &w.lines[i]
		fields[i] = newField(at, at+int(l.value-l.start), l.id)
		at += int(l.next - l.start)
		if l.id != 0 && l.id < numHot {
			if err := m.note(fields[i], i); err != nil {
				return err
			}
		}
	}
	m.keep(fields)

	b = append(b, start...)
	b = append(b, "\r\n"...)
	for rest := w.lines; len(rest) > 0; {
		n := 1 // lines that stay together are copied at once
		for n < len(rest) && rest[n].start == rest[n-1].next && rest[n].fresh == rest[0].fresh {
			n++
		}
		b = append(b, w.source(&rest[0])[rest[0].start:rest[n-1].next]...)
		rest = rest[n:]
	}
	b = append(b, "\r\n"...)
	m.text = view(append(b, w.body...))

	// Edits were checked when they were written. Here it is for the getters.
	for id := idVia; id <= idCSeq; id++ {
		if w.touched[id] {
			if err := m.checkValue(id); err != nil {
				return err
			}
		}
	}
	if w.touched[idContentLength] {
		if err := m.cut(); err != nil {
			return err
		}
		if len(m.Body()) < len(w.body) {
			return fail(StatusBadRequest, "Content-Length", m.offset(idContentLength), "expected the length of the body")
		}
	}
	return nil
}

// source returns the text that a line is in.
func (w *rewriter) source(l *line) string {
	if l.fresh {
		return view(w.fresh)
	}
	return w.from.text
}

func (w *rewriter) apply(e Edit) {
	if w.err != nil {
		return
	}
	op, e := unwrapped(e)
	switch e.(type) {
	case nil:
		w.err = fail(StatusBadRequest, "header section", 0, "expected an edit and not nil")
		return
	case popEdit:
		op = pop
	case delEdit:
		op = del
	}
	switch h := e.(type) {
	case ReasonPhrase:
		for i := range len(h) {
			if isControl(h[i]) {
				w.err = fail(StatusBadRequest, "start line", 0, "expected no control character in an edit")
			}
		}
		return
	case RequestURI:
		return // it is checked with the start line
	case asBody:
		if lookupHeader(e.HeaderName()) == idContentType {
			w.setBody(h.asBody(), e)
			return
		}
	case several:
		w.applyList(op, h)
		return
	}
	w.change(op, e)
}

// change makes an edit of one header field.
func (w *rewriter) change(op editOp, e Edit) {
	if w.err != nil {
		return
	}
	name := e.HeaderName()
	id := lookupHeader(name)
	if !isToken(name) || len(name) > 255 {
		w.err = fail(StatusBadRequest, strconv.Quote(name), 0, "expected a token for the name of a header field")
		return
	}
	if id < numHot {
		w.touched[id] = true
	}
	first := w.find(id, name, 0)
	if first >= 0 && (op == push || op == add) && lookupKind(id) == single {
		w.err = fail(StatusBadRequest, headers[id].name, 0, "expected no second one")
		return
	}
	switch op {
	case set:
		l := w.format(id, name, e)
		if first < 0 {
			w.insert(w.end(), l)
			return
		}
		w.lines[first] = l
		w.remove(id, name, first+1)
	case push:
		l := w.format(id, name, e)
		if first < 0 {
			for first = 0; id != idVia && first < len(w.lines) && w.lines[first].id == idVia; {
				first++
			}
		}
		w.insert(first, l)
	case add:
		l := w.format(id, name, e)
		at := w.end()
		for i := first; i >= 0; i = w.find(id, name, i+1) {
			at = i + 1
		}
		w.insert(at, l)
	case pop:
		if first < 0 {
			return
		}
		rest := ""
		if k := lookupKind(id); k != single && k != lines {
			_, rest = k.split(w.value(first))
		}
		if rest == "" {
			w.lines = append(w.lines[:first], w.lines[first+1:]...)
			return
		}
		w.lines[first] = w.line(w.name(first), rest)
	case del:
		w.remove(id, name, 0)
	}
}

// setBody makes the edit e, which is h.
func (w *rewriter) setBody(h Body, e Edit) {
	if w.body = h.Content; h.Type == "" && h.Content != "" {
		w.err = fail(StatusBadRequest, "Content-Type", 0, "expected the type of the body")
		return
	}
	w.setLength(len(h.Content))
	for _, name := range [...]string{"Content-Encoding", "Content-Transfer-Encoding"} {
		w.remove(lookupHeader(name), name, 0) // of the body that was
	}
	if h.Type == "" {
		w.remove(idContentType, "", 0)
		return
	}
	l := w.format(idContentType, "Content-Type", e)
	if i := w.find(idContentType, "", 0); i >= 0 {
		w.lines[i] = l
		return
	}
	w.insert(w.find(idContentLength, "", 0), l)
}

// setLength sets the Content-Length to what is known to be right.
func (w *rewriter) setLength(n int) {
	var room [20]byte
	l := w.line("Content-Length", view(strconv.AppendInt(room[:0], int64(n), 10)))
	if i := w.find(idContentLength, "", 0); i >= 0 {
		w.lines[i] = l
	} else {
		w.insert(w.end(), l)
	}
}

// format writes a header line for an edit.
func (w *rewriter) format(id headerID, name string, e Edit) line {
	b := w.fresh
	start := len(b)
	b = append(b, name...)
	b = append(b, ": "...)
	value := len(b)
	if l, ok := e.(several); ok {
		b = w.appendValues(b, id, name, l)
	} else {
		b = w.appendValue(b, id, name, e)
	}
	if w.err != nil {
		return line{}
	}
	return w.finish(b, start, value, id)
}

// appendValue appends what an edit writes and checks it. It is the only place
// where text from outside becomes part of a message, so it is where injection
// is refused.
func (w *rewriter) appendValue(b []byte, id headerID, name string, e Edit) []byte {
	// It gets no more than room, for a type may return its value alone.
	at := len(b)
	b = append(b, e.AppendValue(b[at:])...)
	v := view(b[at:])
	switch {
	case len(v) > 4*maxHead:
		w.err = fail(StatusMessageTooLarge, "header section", maxHead, "expected up to 65535 bytes")
	case hasControl(v) && (strings.ContainsAny(v, "\r\n\x00") || badControl(v) >= 0):
		w.err = fail(StatusBadRequest, name, 0, "expected no control character in an edit")
	case tooMany(id, e, v):
		w.err = fail(StatusBadRequest, headerName(name), 0, msgOf(errOther))
	case id != 0:
		if err := checkEdit(id, e, trimWS(v)); err != nil {
			w.err = fail(StatusBadRequest, headers[id].name, 0, msgOf(err))
		}
	}
	return b
}

// line writes a header line of text that is already known to be good.
func (w *rewriter) line(name string, value ...string) line {
	b := w.fresh
	start := len(b)
	b = append(b, name...)
	b = append(b, ": "...)
	at := len(b)
	for _, v := range value {
		b = append(b, v...)
	}
	return w.finish(b, start, at, lookupHeader(name))
}

// finish ends the line that was begun in the text of new lines.
func (w *rewriter) finish(b []byte, start, value int, id headerID) line {
	for value < len(b) && isWS(b[value]) {
		value++
	}
	w.fresh = append(b, "\r\n"...)
	if len(w.fresh) > 4*maxHead {
		w.err = fail(StatusMessageTooLarge, "header section", maxHead, "expected up to 65535 bytes")
		return line{}
	}
	return line{int32(start), int32(value), int32(len(w.fresh)), id, true}
}

// text returns line i.
func (w *rewriter) text(i int) string {
	l := &w.lines[i]
	return w.source(l)[l.start:l.next]
}

func (w *rewriter) value(i int) string {
	text := w.text(i)
	return trimWS(text[strings.IndexByte(text, ':')+1:])
}

func (w *rewriter) name(i int) string {
	text := w.text(i)
	return text[:span(text, charToken)]
}

func (w *rewriter) find(id headerID, name string, from int) int {
	for i := from; i < len(w.lines); i++ {
		if w.lines[i].id == id && (id != 0 || equalFold(w.name(i), name)) {
			return i
		}
	}
	return -1
}

func (w *rewriter) remove(id headerID, name string, from int) {
	for i := w.find(id, name, from); i >= 0; i = w.find(id, name, i) {
		w.lines = append(w.lines[:i], w.lines[i+1:]...)
	}
}

func (w *rewriter) insert(at int, l line) {
	w.lines = append(w.lines, line{})
	copy(w.lines[at+1:], w.lines[at:])
	w.lines[at] = l
}

// end is where a new header field goes: to the end, but before a last
// Content-Type and Content-Length, where a reader looks for them.
func (w *rewriter) end() int {
	at := len(w.lines)
	for at > 0 && (w.lines[at-1].id == idContentLength || w.lines[at-1].id == idContentType) {
		at--
	}
	return at
}
