package sip

import (
	"encoding/base64"
	"io"
	"iter"
	"mime/quotedprintable"
	"strings"
)

// MediaType returns the Content-Type of e. A part that has none is text/plain
// in US-ASCII (RFC 2046 section 5.1). For a message that has none the error is
// ErrMissing.
func MediaType(e Entity) (ContentType, error) {
	t, err := Get[ContentType](e)
	if err == ErrMissing && e.place().depth > 0 {
		return ContentType{"text/plain", ";charset=us-ascii"}, nil
	}
	return t, err
}

// Disposition returns the Content-Disposition of e. If it has none, the body is
// a "session" for application/sdp, and to "render" for all else (RFC 3261
// section 20.11).
func Disposition(e Entity) (ContentDisposition, error) {
	d, err := Get[ContentDisposition](e)
	if err != ErrMissing {
		return d, err
	}
	if t, _ := MediaType(e); t.Is("application/sdp") {
		return ContentDisposition{Type: "session"}, nil
	}
	return ContentDisposition{Type: "render"}, nil
}

// Content returns the body of e with its Content-Transfer-Encoding undone. The
// error is a *SyntaxError with the status 415 for an encoding that is not known,
// and for any Content-Encoding: whoever says in an Accept-Encoding that it
// understands one undoes it.
func Content(e Entity) (string, error) {
	encoding, err := transferEncoding(e)
	if err != nil {
		return "", err
	}
	var b []byte
	at := int(e.base().body)
	switch encoding {
	case base64Encoding:
		text := skipWS(e.Body())
		b, err = base64.StdEncoding.DecodeString(trimWS(text))
		if bad, ok := err.(base64.CorruptInputError); ok {
			at += len(e.Body()) - len(text) + int(bad)
		}
	case quotedPrintable:
		b, err = io.ReadAll(quotedprintable.NewReader(strings.NewReader(e.Body())))
	default:
		return e.Body(), nil
	}
	if err != nil {
		return "", e.place().fault(fail(StatusBadRequest, "body", at, "expected "+encoding))
	}
	return string(b), nil
}

const (
	binaryEncoding  = "binary"
	base64Encoding  = "base64"
	quotedPrintable = "quoted-printable"
)

// transferEncoding returns how the body of e is written, in lower case, if
// Content can tell what it says.
func transferEncoding(e Entity) (string, error) {
	codings, err := Get[ContentEncoding](e)
	if err != nil && err != ErrMissing {
		return "", err
	}
	for _, coding := range codings {
		if !equalFold(coding, "identity") {
			return "", refuse(e, StatusUnsupportedMediaType, "Content-Encoding", "expected no content coding but identity")
		}
	}
	encoding, err := Get[ContentTransferEncoding](e)
	if err != nil && err != ErrMissing {
		return "", err
	}
	switch s := strings.ToLower(string(encoding)); s {
	case "", "7bit", "8bit", binaryEncoding:
		return binaryEncoding, nil
	case base64Encoding, quotedPrintable:
		return s, nil
	}
	return "", refuse(e, StatusUnsupportedMediaType, "Content-Transfer-Encoding", "expected base64, quoted-printable or none")
}

// refuse says what is wrong with a header field of e, or with the lack of it.
func refuse(e Entity, status Status, name, msg string) *SyntaxError {
	m := e.base()
	offset := int(m.head)
	if i := m.find(lookupHeader(name), name, 0); i >= 0 {
		offset, _ = m.valueSpan(i)
	}
	return e.place().fault(fail(status, name, offset, msg))
}

// FindBody returns the body of that media type and disposition type, however e
// wraps it, its transfer encoding undone. The session description of an INVITE
// is
//
//	FindBody(invite, "application/sdp", "session")
//
// A disposition of "" takes any; what a body without a Content-Disposition has
// is said at Disposition.
//
// Of multipart/mixed, and of what is not known, the first such part is taken,
// of multipart/alternative the last (RFC 5621 section 6.1), and of
// multipart/related the root if it is one (section 7.1). Nested ones are
// searched. A message/sip or message/sipfrag is not: it is about another
// message.
//
// The error is ErrMissing if there is no such body or e has none at all,
// whatever its Content-Type says, and a *SyntaxError if something is wrong that
// such a body may be behind.
func FindBody(e Entity, mediaType, disposition string) (Body, error) {
	s := search{left: maxParts}
	if b, ok := s.body(e, mediaType, disposition); ok {
		return b, nil
	}
	return Body{}, s.nothing()
}

// FindID returns what a reference points to: e, or the part of it at any depth
// that has that Content-ID. The reference may be a cid URI, as in Geolocation
// or Refer-To, or the identifier with or without angle brackets, as in the
// start parameter of a multipart/related or the cid parameter of Referred-By.
//
// The error is ErrMissing if nothing has it, and a *SyntaxError if something is
// wrong that it may be behind.
func FindID(e Entity, reference string) (Entity, error) {
	s := search{left: maxParts}
	if id := parseReference(reference); id != "" {
		if found := s.id(e, id); found != nil {
			return found, nil
		}
	}
	return nil, s.nothing()
}

// CheckBody returns nil if a request can be processed as far as its body goes:
// understood says yes to every body whose handling is required, for its type
// and for what it is for, and to one of each multipart/alternative (RFC 5621
// section 8). Otherwise the error is a *SyntaxError with the status to answer:
// 415 for what is not understood, 400 for what is broken.
//
// It does not say that there is a body.
func CheckBody(e Entity, understood func(ContentType, ContentDisposition) bool) error {
	s := search{left: maxParts}
	err := s.check(e, understood)
	if err == nil && s.fault != nil {
		return s.fault
	}
	return err
}

// search is a walk through a body.
type search struct {
	left  int   // how many more parts it may look at
	fault error // the first thing that was wrong
}

func (s *search) note(err error) {
	if s.fault == nil && err != ErrMissing {
		s.fault = err
	}
}

// nothing is the error of a search that found nothing.
func (s *search) nothing() error {
	if s.fault != nil {
		return s.fault
	}
	return ErrMissing
}

// parts yields the parts of e that can be read.
func (s *search) parts(e Entity) iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		for p, err := range Parts(e) {
			if s.left--; s.left < 0 {
				s.note(errTooMany(e))
				return
			}
			if err != nil {
				s.note(err)
			} else if !yield(p) {
				return
			}
		}
	}
}

func (s *search) body(e Entity, mediaType, disposition string) (found Body, ok bool) {
	if e.Body() == "" {
		return Body{}, false
	}
	t, err := MediaType(e)
	if err != nil {
		s.note(err)
		return Body{}, false
	}
	switch {
	case t.Is(mediaType):
		d, err := Disposition(e)
		if err == nil && disposition != "" && !d.Is(disposition) {
			return Body{}, false
		}
		if err == nil {
			found = Body{Type: t.Type + string(t.Params)}
			found.Content, err = Content(e)
		}
		if err != nil {
			s.note(err)
			return Body{}, false
		}
		return found, true
	case t.Is("multipart/related"):
		if root := s.root(e, t); root != nil {
			return s.body(root, mediaType, disposition)
		}
		return Body{}, false
	}
	for p := range s.parts(e) {
		if b, is := s.body(p, mediaType, disposition); is {
			if found, ok = b, true; !t.Is("multipart/alternative") {
				break
			}
		}
	}
	return found, ok
}

// root returns the part of a multipart/related that is to be processed first:
// the one that the start parameter refers to, or the first.
func (s *search) root(e Entity, t ContentType) (root *Part) {
	start, ok := t.Params.Get("start")
	id := parseReference(start)
	for p := range s.parts(e) {
		if root == nil {
			root = p
		}
		if !ok {
			break
		}
		if got, err := Get[ContentID](p); err == nil && got == id {
			return p
		}
	}
	return root
}

func (s *search) id(e Entity, id ContentID) Entity {
	if got, err := Get[ContentID](e); err == nil && got == id {
		return e
	}
	for p := range s.parts(e) {
		if found := s.id(p, id); found != nil {
			return found
		}
	}
	return nil
}

// check is CheckBody for a part at any depth.
func (s *search) check(e Entity, understood func(ContentType, ContentDisposition) bool) error {
	if e.Body() == "" {
		return nil
	}
	d, err := Disposition(e)
	if err != nil || !d.Required() {
		return err
	}
	return s.checkRequired(e, d, understood)
}

func (s *search) checkRequired(e Entity, d ContentDisposition, understood func(ContentType, ContentDisposition) bool) error {
	t, err := MediaType(e)
	if err == ErrMissing {
		return refuse(e, StatusBadRequest, "Content-Type", "expected the type of the body")
	}
	if err != nil {
		return err
	}
	switch {
	case !t.multipart():
		if !understood(t, d) {
			return refuse(e, StatusUnsupportedMediaType, "Content-Type", "expected a type and disposition that is understood")
		}
		_, err = Content(e)
	case t.Is("multipart/alternative"):
		// What its parts say of their handling counts for nothing (section 8.3).
		err = refuse(e, StatusUnsupportedMediaType, "Content-Type", "expected an alternative that is understood")
		for p := range s.parts(e) {
			if d, bad := Disposition(p); bad == nil && s.checkRequired(p, d, understood) == nil {
				err = nil
			}
		}
	default:
		for p := range s.parts(e) {
			if err = s.check(p, understood); err != nil {
				break
			}
		}
	}
	return err
}
