package sip

import (
	"iter"
	"strings"
)

// Limits of a body that is made of parts. Over one of them is the status 413.
const (
	maxDepth = 8    // multiparts within each other
	maxParts = 1000 // parts of one multipart, and parts that one search looks at
)

// Part is one part of a multipart body (RFC 2046 section 5.1): header fields,
// all of which may be missing, and a body, which may be multipart again. Like
// a message it never changes, and it is a view into the text of the message.
type Part struct {
	m  message // its text begins with the line break of the delimiter line
	at place
}

// String returns the part as it stands between the delimiters, header fields
// and body: what a signature covers (RFC 3261 section 23.3).
func (p *Part) String() string { return p.m.text[p.m.head:] }

// Body returns the body of the part as it stands; Content decodes it.
func (p *Part) Body() string { return p.m.Body() }

// Value returns the first field value with this name, as that of a message.
func (p *Part) Value(name string) (value string, ok bool) { return p.m.Value(name) }

// Fields yields the header fields in order, one for each line.
func (p *Part) Fields() iter.Seq[Field] { return p.m.Fields() }

// Err returns the first error of the edits that NewPart made the part of, nil
// for a parsed one.
func (p *Part) Err() error { return p.m.Err() }

func (p *Part) base() *message { return &p.m }

func (p *Part) place() place { return p.at }

// Parts yields the parts of a multipart body, whatever its subtype, in order.
// What is not multipart has none. Parts of a part are yielded by Parts of that
// part.
//
// A part whose header section is broken is yielded as a *SyntaxError, and the
// next one follows. Other errors are the last thing that is yielded: no usable
// boundary parameter, no delimiter line or no part in the body (400), more
// than 1000 parts, or more than eight multiparts within each other (413), a
// body that is encoded (415).
//
// Preamble and epilogue are skipped. The last part goes on to the end of the
// body if there is no close delimiter, and a delimiter line with nothing behind
// it closes, for there are senders that forget the two hyphens: how long the
// body is says Content-Length. A delimiter stands alone on its line, between
// CRLFs, but for spaces behind it; a line feed alone is content.
func Parts(e Entity) iter.Seq2[*Part, error] {
	return func(yield func(*Part, error) bool) {
		t, err := MediaType(e)
		if err == ErrMissing || err == nil && !t.multipart() {
			return
		}
		var d delimiter
		if err == nil {
			_, err = transferEncoding(e)
		}
		if err == nil {
			d, err = newDelimiter(e, t)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		place := e.place()
		place.depth++
		m := e.base()
		// The line break before a delimiter belongs to it. That of the first
		// may be the one that ends the header section.
		_, pos, end := d.next(m.text, int(m.body)-2)
		if pos < 0 {
			yield(nil, place.fault(fail(StatusBadRequest, "body", int(m.body), "expected a delimiter line")))
			return
		}
		for count := 0; ; count++ {
			if end || len(m.text)-pos <= 2 {
				if count == 0 {
					yield(nil, place.fault(fail(StatusBadRequest, "body", int(m.body), "expected a part")))
				}
				return
			}
			if count == maxParts {
				yield(nil, errTooMany(e))
				return
			}
			stop, next, last := d.next(m.text, pos)
			part, err := parsePart(m.text[pos:stop], place, pos)
			if !yield(part, err) || next < 0 {
				return
			}
			pos, end = next, last
		}
	}
}

// delimiter is what separates the parts: CRLF "--" boundary.
type delimiter string

// newDelimiter makes the delimiter of e, whose Content-Type is t.
func newDelimiter(e Entity, t ContentType) (delimiter, error) {
	boundary, _ := t.Params.Get("boundary")
	switch {
	case e.place().depth >= maxDepth:
		return "", refuse(e, StatusRequestEntityTooLarge, "Content-Type", "expected no more than eight multiparts within each other")
	case boundary == "":
		return "", refuse(e, StatusBadRequest, "Content-Type", "expected a boundary parameter")
	case len(boundary) > 70:
		return "", refuse(e, StatusBadRequest, "Content-Type", "expected a boundary of up to 70 characters")
	case hasControl(boundary), isWS(boundary[len(boundary)-1]):
		return "", refuse(e, StatusBadRequest, "Content-Type", "expected a boundary without control characters and without a space at its end")
	}
	return delimiter("\r\n--" + boundary), nil
}

// next finds the next delimiter line of s from pos on. It begins at start, and
// its own line break, which may be the one that the next delimiter begins with,
// at end. last says that it is a close delimiter. Without one start is the end
// of s, and end is -1.
func (d delimiter) next(s string, pos int) (start, end int, last bool) {
	for {
		n := strings.Index(s[pos:], string(d))
		if n < 0 {
			return len(s), -1, false
		}
		start = pos + n
		end = start + len(d)
		if last = strings.HasPrefix(s[end:], "--"); last {
			end += 2
		}
		for end < len(s) && isWS(s[end]) {
			end++ // transport padding
		}
		if end == len(s) || strings.HasPrefix(s[end:], "\r\n") {
			return start, end, last
		}
		// A longer word, such as the boundary of a multipart within this one.
		// RFC 2046 section 5.1.2 would have it end the part.
		pos = start + len(d)
	}
}

// parsePart makes a part of its text, which begins with the line break of the
// delimiter line, from the place of the entity that it is a part of.
func parsePart(s string, at place, pos int) (*Part, error) {
	at.at += pos
	p := &Part{at: at}
	p.m.text, p.m.head = s, 2
	if !strings.Contains(s, "\r\n\r\n") {
		p.m.text = endHead(s)
	}
	if err := p.m.scan(&marks{s: p.m.text}); err != nil {
		return nil, at.fault(err)
	}
	return p, nil
}

// endHead returns the header section with the empty line that it lacks: nothing
// but header fields need not have one (RFC 2046 section 5.1.1, RFC 3420
// section 2).
func endHead(s string) string {
	if strings.HasSuffix(s, "\r\n") {
		return s + "\r\n"
	}
	return s + "\r\n\r\n"
}

func errTooMany(e Entity) error {
	return e.place().fault(fail(StatusRequestEntityTooLarge, "body", int(e.base().body), "expected no more than 1000 parts"))
}

// place says where the text of an entity stands.
type place struct {
	text    string // of the message that it is, or is part of
	at      int    // where in it
	depth   int    // how many multiparts are around it
	request bool   // that message is a request, which can be answered
}

// fault completes what is said of the text of the entity, to which endHead may
// have added.
func (p place) fault(err *SyntaxError) *SyntaxError {
	err.Offset = min(err.Offset+p.at, len(p.text))
	err.text = p.text
	if !p.request {
		err.Status = 0
	}
	return err
}
