package sip

import (
	"errors"
	"iter"
	"strings"
)

// Message is a SIP message: a *Request or a *Response.
//
// A message is its text and never changes; With gives a changed copy. It may
// be shared by any number of goroutines. Strings taken from a message are
// views into its text and keep it alive: clone what outlives the handler.
type Message interface {
	// String returns the message as it goes over the wire.
	String() string
	// Body returns the message body, "" if there is none.
	Body() string
	// Err returns the first error of the edits that made this message, nil
	// for a parsed one. A message with an error is never sent.
	Err() error

	// Via returns the topmost Via, the zero Via if there is none.
	Via() Via
	// From returns the From header field.
	From() From
	// To returns the To header field.
	To() To
	// CallID returns the Call-ID.
	CallID() string
	// CSeq returns the CSeq header field.
	CSeq() CSeq

	// Value returns the first field value with this name, whole lines with
	// folds undone and comma lists left together. The name may be in any
	// case, and full or compact.
	Value(name string) (value string, ok bool)
	// Fields yields the header fields in order, one for each line.
	Fields() iter.Seq[Field]

	base() *message
}

// Field is one header line as text: a name as it was written and a value
// without the white space around it. As an edit it sets a header field that
// has no type of its own.
type Field struct{ Name, Value string }

// HeaderName returns the name of the field.
func (f Field) HeaderName() string { return f.Name }

// AppendValue appends the value of the field.
func (f Field) AppendValue(b []byte) []byte { return append(b, f.Value...) }

// field is the index entry of one header line. Offsets are into the text. Four
// parts are as many as the compiler keeps out of memory while it makes one.
type field struct {
	name  uint16 // start of the line
	value uint16 // first byte of the value
	end   uint16 // past the last byte of the value, white space trimmed
	id    headerID
}

// maxInline is how many header lines are indexed without a second allocation.
const maxInline = 24

// message is what requests and responses share.
type message struct {
	text   string
	err    *SyntaxError   // of the edits that made the message
	fields []field        // in order; the array below while it is long enough
	first  [numHot]uint16 // 1 + the index of the first line of these fields, 0 for none
	head   uint16         // length of the start line with its CRLF
	body   uint16         // where the body starts
	folded bool           // some value continues on a further line

	// What the checks of Parse found, for the getters: where the parts are in
	// the first value of these header fields.
	cseq     cseqSpan
	via      viaSpan
	from, to addressSpan

	inline [maxInline]field
}

func (m *message) base() *message { return m }

func (m *message) String() string { return m.text }

func (m *message) Err() error {
	if m.err == nil {
		return nil
	}
	return m.err
}

func (m *message) Body() string { return m.text[m.body:] }

// name returns the name of a line as it was written.
func (m *message) name(f *field) string {
	rest := m.text[f.name:f.value]
	return rest[:span(rest, charToken)]
}

// value returns the value of line i, folds undone (RFC 3261 section 7.3.1).
func (m *message) value(i int) string {
	f := &m.fields[i]
	v := m.text[f.value:f.end]
	if m.folded && strings.IndexByte(v, '\n') >= 0 {
		v = unfold(v)
	}
	return v
}

// unfold replaces each line break and the white space around it by one space.
func unfold(v string) string {
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] != '\r' && v[i] != '\n' {
			b = append(b, v[i])
			continue
		}
		for len(b) > 0 && isWS(b[len(b)-1]) {
			b = b[:len(b)-1]
		}
		for i+1 < len(v) && (isWS(v[i+1]) || v[i+1] == '\r' || v[i+1] == '\n') {
			i++
		}
		b = append(b, ' ')
	}
	return string(b)
}

// find returns the first line at or after from with that name, -1 for none.
// id is zero for a name that is not in the table.
func (m *message) find(id headerID, name string, from int) int {
	if id != 0 && id < numHot && from == 0 {
		return int(m.first[id]) - 1
	}
	for i := from; i < len(m.fields); i++ {
		f := &m.fields[i]
		if f.id == id && (id != 0 || equalFold(m.name(f), name)) {
			return i
		}
	}
	return -1
}

func (m *message) Value(name string) (string, bool) {
	i := m.find(lookupHeader(name), name, 0)
	if i < 0 {
		return "", false
	}
	return m.value(i), true
}

func (m *message) Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for i, f := range m.fields {
			if !yield(Field{m.name(&f), m.value(i)}) {
				return
			}
		}
	}
}

// hot returns the value of a header field that the index keeps at hand.
func (m *message) hot(id headerID) string {
	i := int(m.first[id]) - 1
	if i < 0 {
		return ""
	}
	return m.value(i)
}

func (m *message) Via() (v Via) {
	m.via.fill(&v, m.hot(idVia))
	return v
}

func (m *message) From() (f From) {
	m.from.fill((*Address)(&f), m.hot(idFrom))
	return f
}

func (m *message) To() (t To) {
	m.to.fill((*Address)(&t), m.hot(idTo))
	return t
}

func (m *message) CallID() string { return m.hot(idCallID) }

func (m *message) CSeq() CSeq { return m.cseq.cseq(m.hot(idCSeq)) }

// Request is a SIP request (RFC 3261 section 7.1).
type Request struct {
	message
	methodEnd uint16
	uriEnd    uint16
	uri       uriSpan
}

// Method returns the request's method.
func (r *Request) Method() Method { return Method(r.text[:r.methodEnd]) }

// URI returns the Request-URI.
func (r *Request) URI() (u URI) {
	r.uri.fill(&u, r.text[r.methodEnd+1:r.uriEnd])
	return u
}

// MaxForwards returns how many more hops the request may take, 0 to 255, and
// 70 for a request that does not say (RFC 3261 section 16.6 step 3).
func (r *Request) MaxForwards() int {
	v, err := MaxForwards(0).ParseValue(r.hot(idMaxForwards))
	if err != nil {
		return 70
	}
	return int(v)
}

// Response is a SIP response (RFC 3261 section 7.2).
type Response struct {
	message
	status Status
}

// Status returns the response's status code, 100 to 699.
func (r *Response) Status() Status { return r.status }

// ReasonPhrase returns the text after the status code, which may be empty.
func (r *Response) ReasonPhrase() string {
	const code = len("SIP/2.0 200 ")
	if int(r.head)-2 < code {
		return ""
	}
	return r.text[code : r.head-2]
}

// ErrMissing tells a header field that is not there from one that is broken.
var ErrMissing = errors.New("sip: no such header field")
