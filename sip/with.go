package sip

import (
	"strconv"
	"strings"
)

// Edit is one change that With makes. Every typed header field is an edit that
// sets it: the first line of its name is replaced where it stands, further
// ones are removed, and if there was none it is added at the end. Push, Pop,
// Add, Del, Body and ReasonPhrase make the other edits.
//
// A header field type of another package needs these two methods to be an
// edit. AppendValue appends the value without name and line end.
type Edit interface {
	HeaderName() string
	AppendValue(b []byte) []byte
}

// Push puts a value in front of the others of its name, as a line of its own.
// A first Via goes to the top, anything else below the Vias.
func Push(h Edit) Edit { return edit{op: push, Edit: h} }

// Add puts a value behind the others of its name, as a line of its own.
func Add(h Edit) Edit { return edit{op: add, Edit: h} }

// Pop removes the first value of a header field: the first of a comma list, or
// a whole line.
func Pop(name string) Edit { return edit{op: pop, Edit: Field{Name: name}} }

// Del removes every line of a header field.
func Del(name string) Edit { return edit{op: del, Edit: Field{Name: name}} }

// Body replaces the body and sets Content-Type and Content-Length. A body with
// an empty Type is no body: it removes Content-Type.
type Body struct {
	Type    string // "application/sdp"
	Content string
}

// HeaderName returns "Content-Type".
func (b Body) HeaderName() string { return "Content-Type" }

// AppendValue appends the media type.
func (b Body) AppendValue(dst []byte) []byte { return append(dst, b.Type...) }

// ReasonPhrase replaces the text after the status code. It is an edit of
// responses and changes nothing in a request.
type ReasonPhrase string

// HeaderName returns "": a reason phrase stands in no header field.
func (ReasonPhrase) HeaderName() string { return "" }

// AppendValue appends the phrase.
func (r ReasonPhrase) AppendValue(b []byte) []byte { return append(b, r...) }

type editOp uint8

const (
	set editOp = iota
	push
	add
	pop
	del
)

type edit struct {
	op editOp
	Edit
}

// NewRequest makes a request. It has a Content-Length and what the edits give
// it; the layers below add Via, and whoever sends it must see to From, To,
// Call-ID, CSeq and Max-Forwards (RFC 3261 section 8.1.1).
//
// Whether the request came out well is asked with Err, as for With.
func NewRequest(method Method, uri URI, edits ...Edit) *Request {
	b := append(make([]byte, 0, 128), method...)
	b = append(b, ' ')
	b = uri.appendTo(b)
	b = append(b, " SIP/2.0"...)
	return newRequest(string(b), nil, edits)
}

// With returns a copy of the request with the edits made in order. Every byte
// that they do not touch stays as it is.
//
// An edit that would break the message is refused: one that would write CR, LF
// or NUL, or a name that is no token, or a value that a parser of this package
// refuses. The result is then a copy of r whose Err tells what was wrong.
func (r *Request) With(edits ...Edit) *Request {
	return newRequest(r.text[:r.head-2], &r.message, edits)
}

// WithURI returns a copy of the request with another Request-URI.
func (r *Request) WithURI(uri URI) *Request {
	b := append(make([]byte, 0, 128), r.text[:r.methodEnd+1]...)
	b = uri.appendTo(b)
	b = append(b, " SIP/2.0"...)
	return newRequest(string(b), &r.message, nil)
}

func newRequest(start string, from *message, edits []Edit) *Request {
	_, msg, err := rewrite(start, from, edits)
	if err == nil {
		return msg.(*Request)
	}
	failed := new(Request)
	if from != nil {
		failed.adopt(from)
	}
	n := strings.IndexByte(failed.text, ' ')
	if n > 0 {
		failed.methodEnd = uint16(n)
		failed.uriEnd = uint16(n + 1 + strings.IndexByte(failed.text[n+1:], ' '))
	} else {
		failed.text, failed.methodEnd, failed.uriEnd = " ", 0, 1
		failed.body = 1
	}
	if failed.err == nil {
		failed.err = err
	}
	return failed
}

// With returns a copy of the response with the edits made in order, as With of
// a request does.
func (r *Response) With(edits ...Edit) *Response {
	start := r.text[:r.head-2]
	for _, e := range edits {
		if p, ok := e.(ReasonPhrase); ok {
			b := appendStatusLine(nil, r.status, string(p))
			start = string(b[:len(b)-2])
		}
	}
	_, msg, err := rewrite(start, &r.message, edits)
	if err == nil {
		return msg.(*Response)
	}
	failed := &Response{status: r.status}
	failed.adopt(&r.message)
	if failed.err == nil {
		failed.err = err
	}
	return failed
}

// adopt makes m a copy of another message. The index is shared, for it never
// changes.
func (m *message) adopt(from *message) {
	m.text, m.err, m.fields = from.text, from.err, from.fields
	m.first, m.head, m.body, m.folded = from.first, from.head, from.body, from.folded
	m.cseq, m.via, m.from, m.to = from.cseq, from.via, from.from, from.to
}

// line is a header line while a message is edited.
type line struct {
	text string // with its CRLF
	id   headerID
}

func (l line) name() string {
	name, _, _ := strings.Cut(l.text, ":")
	return trimWS(name)
}

// rewriter edits the lines of a message.
type rewriter struct {
	lines []line
	body  string
	err   *SyntaxError
}

// rewrite makes the text of the edited message and indexes it.
func rewrite(start string, from *message, edits []Edit) (*message, Message, error) {
	var room [40]line
	w := rewriter{lines: room[:0]}
	if from == nil {
		w.lines = append(w.lines, line{"Content-Length: 0\r\n", idContentLength})
	} else {
		if from.err != nil {
			return nil, nil, from.err
		}
		w.body = from.Body()
		for i := range from.fields {
			end := int(from.body) - 2
			if i+1 < len(from.fields) {
				end = int(from.fields[i+1].name)
			}
			w.lines = append(w.lines, line{from.text[from.fields[i].name:end], from.fields[i].id})
		}
	}
	for _, e := range edits {
		w.apply(e)
	}
	if strings.ContainsAny(start, "\r\n\x00") {
		w.err = fail(StatusBadRequest, "start line", 0, "CR, LF or NUL in an edit")
	}
	if w.err != nil {
		return nil, nil, w.err
	}

	n := len(start) + 4 + len(w.body)
	for _, l := range w.lines {
		n += len(l.text)
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteString(start)
	b.WriteString("\r\n")
	for _, l := range w.lines {
		b.WriteString(l.text)
	}
	b.WriteString("\r\n")
	b.WriteString(w.body)
	m, msg, err := index(b.String())
	if err == nil {
		err = m.checkValues()
	}
	if err != nil {
		return nil, nil, err
	}
	return m, msg, nil
}

func (w *rewriter) apply(e Edit) {
	op := set
	if x, ok := e.(edit); ok {
		op, e = x.op, x.Edit
	}
	switch h := e.(type) {
	case ReasonPhrase:
		return
	case Body:
		w.setBody(h)
		return
	}
	name := e.HeaderName()
	id := lookupHeader(name)
	if !isToken(name) || len(name) > 255 {
		w.err = fail(StatusBadRequest, strconv.Quote(name), 0, "header name is not a token")
		return
	}
	first := w.find(id, name, 0)
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
		if k := lookupKind(id); k == list || k == tokens {
			_, value, _ := strings.Cut(w.lines[first].text, ":")
			_, rest = splitList(trimWS(value))
		}
		if rest == "" {
			w.lines = append(w.lines[:first], w.lines[first+1:]...)
			return
		}
		w.lines[first].text = w.lines[first].name() + ": " + rest + "\r\n"
	case del:
		w.remove(id, name, 0)
	}
}

func (w *rewriter) setBody(h Body) {
	w.body = h.Content
	w.apply(ContentLength(len(h.Content)))
	if h.Type == "" {
		w.remove(idContentType, "", 0)
		return
	}
	l := w.format(idContentType, "Content-Type", h)
	if i := w.find(idContentType, "", 0); i >= 0 {
		w.lines[i] = l
		return
	}
	w.insert(w.find(idContentLength, "", 0), l)
}

// format writes a header line. It is the only place where text from outside
// becomes part of a message, so it is where injection is refused.
func (w *rewriter) format(id headerID, name string, e Edit) line {
	var room [256]byte
	b := append(room[:0], name...)
	b = append(b, ": "...)
	b = e.AppendValue(b)
	for _, c := range b {
		if c == '\r' || c == '\n' || c == 0 {
			w.err = fail(StatusBadRequest, name, 0, "CR, LF or NUL in an edit")
			return line{}
		}
	}
	return line{string(append(b, "\r\n"...)), id}
}

func (w *rewriter) find(id headerID, name string, from int) int {
	for i := from; i < len(w.lines); i++ {
		if w.lines[i].id == id && (id != 0 || equalFold(w.lines[i].name(), name)) {
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

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}
