package sip

import (
	"errors"
	"iter"
)

// Message is a SIP message: a *Request or a *Response.
//
// A message is its text and never changes; With gives a changed copy. It may
// be shared by any number of goroutines. Strings taken from a message are
// views into its text and keep it alive: clone what outlives the handler.
type Message interface {
	Entity
	// String returns the message as it goes over the wire.
	String() string
	// Err returns the first error of the edits that made this message, nil
	// for a parsed one. The zero Request and Response have one, too. A
	// message with an error is never sent.
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
}

// Entity is a header section and the body that it describes, as MIME calls it
// (RFC 2045 section 2.4): a Message, a *Part of a multipart body, or a
// *Fragment of a message.
type Entity interface {
	// Body returns the body, "" if there is none.
	Body() string
	// Value returns the first field value with this name, whole lines with
	// folds undone and comma lists left together. The name may be in any
	// case, and full or compact.
	Value(name string) (value string, ok bool)
	// Fields yields the header fields in order, one for each line.
	Fields() iter.Seq[Field]

	base() *message
	place() place
}

// Field is one header line as text: a name as it was written and a value
// without the white space around it. As an edit it sets a header field that
// has no type of its own.
type Field struct{ Name, Value string }

// HeaderName returns the name of the field.
func (f Field) HeaderName() string { return f.Name }

// AppendValue appends the value of the field.
func (f Field) AppendValue(b []byte) []byte { return append(b, f.Value...) }

func (m *message) base() *message { return m }

func (m *message) place() place { return place{text: m.text, request: !isStatusLine(m.text)} }

// String returns the message as it goes over the wire.
func (m *message) String() string { return m.text }

// Err returns the first error of the edits that made this message, nil for a
// parsed one. A message with an error is never sent.
func (m *message) Err() error {
	if err := m.failure(); err != nil {
		return err
	}
	return nil
}

// Body returns the body, "" if there is none.
func (m *message) Body() string { return m.text[m.body:] }

// Value returns the first field value with this name, whole lines with folds
// undone and comma lists left together. The name may be in any case, and full or
// compact.
func (m *message) Value(name string) (string, bool) {
	i := m.find(lookupHeader(name), name, 0)
	if i < 0 {
		return "", false
	}
	return m.value(i), true
}

// Fields yields the header fields in order, one for each line.
func (m *message) Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for i, f := range m.fields() {
			if !yield(Field{m.name(f), m.value(i)}) {
				return
			}
		}
	}
}

// The getters of what Parse checks. Where there are no spans, the value is
// broken, which is the zero value, or so long that they would not fit.

func (m *message) Via() (v Via) {
	if m.via.end > 0 {
		m.via.fill(&v, m.hot(idVia))
		return v
	}
	value, _ := splitList(m.hot(idVia))
	v, _ = v.ParseValue(value)
	return v
}

// From returns the From header field.
func (m *message) From() (f From) {
	if m.from.uri.scheme != schemeNone {
		m.from.fill((*Address)(&f), m.hot(idFrom))
		return f
	}
	f, _ = f.ParseValue(m.hot(idFrom))
	return f
}

// To returns the To header field.
func (m *message) To() (t To) {
	if m.to.uri.scheme != schemeNone {
		m.to.fill((*Address)(&t), m.hot(idTo))
		return t
	}
	t, _ = t.ParseValue(m.hot(idTo))
	return t
}

// CallID returns the Call-ID.
func (m *message) CallID() string { return m.hot(idCallID) }

// CSeq returns the CSeq header field.
func (m *message) CSeq() CSeq {
	if m.cseq.method > 0 {
		return m.cseq.cseq(m.hot(idCSeq))
	}
	c, _ := CSeq{}.ParseValue(m.hot(idCSeq))
	return c
}

// Request is a SIP request (RFC 3261 section 7.1).
type Request struct {
	message
	methodEnd uint16
	uriEnd    uint16
	uri       uriSpan[uint8] // of a Request-URI that is short enough
}

// Method returns the request's method.
func (r *Request) Method() Method { return Method(r.text[:r.methodEnd]) }

// URI returns the Request-URI.
func (r *Request) URI() (u URI) {
	if r.uriEnd == 0 {
		return u // no message
	}
	s := r.text[r.methodEnd+1 : r.uriEnd]
	if r.uri.scheme != schemeNone {
		r.uri.fill(&u, s)
		return u
	}
	u, _ = ParseURI(s)
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
