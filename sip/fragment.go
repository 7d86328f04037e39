package sip

import (
	"iter"
	"strings"
)

// Fragment is part of a SIP message, as a message/sipfrag body has it (RFC
// 3420): a start line or none, any of the header fields, a body or none. What is
// there of them is well-formed. Get and All read the header fields. Like a
// message it never changes, and it is a view into its text.
type Fragment struct {
	msg Message // a *Response for a status line, otherwise a *Request
}

// ParseFragment reads a message/sipfrag body. In the NOTIFY of a transfer it
// tells how far the call has come (RFC 3515 section 2.4.5), and Status is what
// to look at:
//
//	SIP/2.0 180 Ringing
//
// The line end of the last line may be missing, and the empty line where there is
// no body. The first line is a header field if a colon follows its first word,
// and otherwise has to be a start line. The body goes on to the end, or as far
// as Content-Length if that is less; where the body was left out it may be more.
// The error is always a *SyntaxError, with the Status 0: nothing is answered to
// a fragment.
func ParseFragment(s string) (*Fragment, error) {
	text := s
	switch {
	case s == "":
		text = "\r\n"
	case !strings.HasPrefix(s, "\r\n") && !strings.Contains(s, "\r\n\r\n"):
		text = endHead(s)
	}
	var f *Fragment
	var err *SyntaxError
	switch {
	case isStatusLine(s):
		r := new(Response)
		f, err = &Fragment{r}, index(&r.message, r, text)
	case startsWithField(s):
		r := new(Request)
		r.text = text
		f, err = &Fragment{r}, r.scan(&marks{s: r.text})
	default:
		r := new(Request)
		f, err = &Fragment{r}, index(&r.message, r, text)
	}
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return nil, place{text: s}.fault(err)
	}
	return f, nil
}

// startsWithField reports whether s has no start line.
func startsWithField(s string) bool {
	if s == "" || strings.HasPrefix(s, "\r\n") {
		return true
	}
	colon := span(s, charToken)
	for colon < len(s) && isWS(s[colon]) {
		colon++
	}
	return colon < len(s) && s[colon] == ':'
}

// check looks at the header fields that Parse looks at, and cuts the body.
func (f *Fragment) check() *SyntaxError {
	m := f.base()
	for id := idVia; id <= idMaxForwards; id++ {
		if err := m.checkValue(id); err != nil {
			return err
		}
	}
	if r, ok := f.msg.(*Request); ok && r.methodEnd > 0 {
		if err := r.checkMethod(); err != nil {
			return err
		}
	}
	n, err := Get[ContentLength](f)
	switch {
	case err == nil:
		m.text = m.text[:int(m.body)+min(int(n), len(m.Body()))]
	case err != ErrMissing:
		return err.(*SyntaxError)
	}
	return nil
}

// Status returns the status code, 0 if the fragment does not begin with a
// status line.
func (f *Fragment) Status() Status {
	if r, ok := f.msg.(*Response); ok {
		return r.Status()
	}
	return 0
}

// ReasonPhrase returns the text after the status code, "" if there is none.
func (f *Fragment) ReasonPhrase() string {
	if r, ok := f.msg.(*Response); ok {
		return r.ReasonPhrase()
	}
	return ""
}

// Method returns the method, "" if the fragment does not begin with a request
// line.
func (f *Fragment) Method() Method {
	if r, ok := f.msg.(*Request); ok {
		return r.Method()
	}
	return ""
}

// URI returns the Request-URI, the zero URI if the fragment does not begin with
// a request line.
func (f *Fragment) URI() URI {
	if r, ok := f.msg.(*Request); ok {
		return r.URI()
	}
	return URI{}
}

// Body returns the body of the fragment, "" if there is none.
func (f *Fragment) Body() string { return f.base().Body() }

// Value returns the first field value with this name, as that of a message.
func (f *Fragment) Value(name string) (value string, ok bool) { return f.base().Value(name) }

// Fields yields the header fields in order, one for each line.
func (f *Fragment) Fields() iter.Seq[Field] { return f.base().Fields() }

func (f *Fragment) base() *message {
	if f.msg == nil {
		return new(message) // the zero Fragment has nothing
	}
	return f.msg.base()
}

func (f *Fragment) place() place { return place{text: f.base().text} }
