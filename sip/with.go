package sip

// Edit is one change that With makes. Every typed header field is an edit that
// sets it: the first line of its name is replaced where it stands, further
// ones are removed, and if there was none it is added at the end, before a last
// Content-Type and Content-Length. So of two
// values of one header field in a call the last one stays; List sets several.
// Push, Pop, Add, Del, Body, RequestURI and ReasonPhrase make the other edits.
//
// A header field type of another package needs these two methods to be an
// edit. AppendValue appends the value without name and line end.
type Edit interface {
	HeaderName() string
	AppendValue(b []byte) []byte
}

// Push puts a value in front of the others of its name, as a line of its own.
// A first Via goes to the top, anything else below the Vias. A second one of a
// header field that has one value is refused.
func Push[H Edit](h H) Edit { return &placed[H]{push, h} }

// Add puts a value behind the others of its name, as a line of its own. A second
// one of a header field that has one value is refused.
func Add[H Edit](h H) Edit { return &placed[H]{add, h} }

// Pop removes the first value of a header field: the first of a comma list, or
// a whole line. It has a name and no type, so what is a list it knows only of
// the header fields of the registry; of others it removes the first line.
func Pop(name string) Edit { return popEdit(name) }

// Del removes every line of a header field.
func Del(name string) Edit { return delEdit(name) }

// Body replaces the body and sets Content-Type and Content-Length. Body{} is no
// body and removes Content-Type; other content without a Type is refused, for a
// body must say what it is (RFC 3261 section 20.15). A Content-Encoding and a
// Content-Transfer-Encoding, which told of the body before, are removed: edits
// that tell of this one come after it.
type Body struct {
	Type    string // "application/sdp", with its parameters if it has any
	Content string
}

// HeaderName returns "Content-Type".
func (b Body) HeaderName() string { return "Content-Type" }

// AppendValue appends the media type.
func (b Body) AppendValue(dst []byte) []byte { return append(dst, b.Type...) }

func (b Body) asBody() Body { return b }

// asBody is a Body, a pointer to one, or a type that embeds one.
type asBody interface{ asBody() Body }

// ReasonPhrase replaces the text after the status code. It is an edit of
// responses and changes nothing in a request.
type ReasonPhrase string

// HeaderName returns "": a reason phrase stands in no header field.
func (ReasonPhrase) HeaderName() string { return "" }

// AppendValue appends the phrase.
func (r ReasonPhrase) AppendValue(b []byte) []byte { return append(b, r...) }

// RequestURI replaces the Request-URI by the URI without what may not stand there,
// as NewRequest has it (RFC 3261 section 16.6 step 2). It is an edit of requests
// and changes nothing in a response.
type RequestURI URI

// HeaderName returns "": a Request-URI stands in no header field.
func (RequestURI) HeaderName() string { return "" }

// AppendValue appends the URI.
func (u RequestURI) AppendValue(b []byte) []byte {
	uri := inRequestLine(URI(u))
	return uri.appendTo(b)
}

type editOp uint8

const (
	set editOp = iota
	push
	add
	pop
	del
)

// placed is an edit that does not set its header field. It holds the value and
// not an Edit, which would be one more allocation.
type placed[H Edit] struct {
	op    editOp
	value H
}

// placedEdit is a placed of any type.
type placedEdit interface{ edit() (editOp, Edit) }

func (p *placed[H]) HeaderName() string          { return p.value.HeaderName() }
func (p *placed[H]) AppendValue(b []byte) []byte { return p.value.AppendValue(b) }

// edit returns what to do, and with what: a pointer to the value is an Edit
// unless the value is a pointer or an interface itself.
func (p *placed[H]) edit() (editOp, Edit) {
	if e, ok := any(&p.value).(Edit); ok {
		return p.op, e
	}
	return p.op, p.value
}

// unwrapped returns what to do, and with what: the edit that Push and Add, or a
// pointer that they made, hold.
func unwrapped(e Edit) (editOp, Edit) {
	op := set
	for x, ok := e.(placedEdit); ok; x, ok = e.(placedEdit) {
		op, e = x.edit()
	}
	switch p := e.(type) {
	case *ReasonPhrase:
		e = *p
	case *RequestURI:
		e = *p
	}
	return op, e
}

// The edits that write nothing are names.
type popEdit string

func (e popEdit) HeaderName() string          { return string(e) }
func (e popEdit) AppendValue(b []byte) []byte { return b }

type delEdit string

func (e delEdit) HeaderName() string          { return string(e) }
func (e delEdit) AppendValue(b []byte) []byte { return b }

// NewRequest makes a request. It has a Content-Length and what the edits give
// it; the layers below add Via, and whoever sends it must see to From, To,
// Call-ID, CSeq and Max-Forwards (RFC 3261 section 8.1.1).
//
// The Request-URI is the URI without what may not stand there: its headers and
// its method parameter (section 19.1.1, table 1), also if it was set by Opaque.
// What they ask for is got from Requested of the URI.
//
// Whether the request came out well is asked with Err, as for With.
func NewRequest(method Method, uri URI, edits ...Edit) *Request {
	r := new(Request)
	if given, ok := requestURIOf(edits).(RequestURI); ok {
		uri = URI(given)
	}
	uri = inRequestLine(uri)
	start := string(appendRequestLine(make([]byte, 0, 128), method, uri))
	if err := r.setStart(start, method, uri); err != nil {
		return failedRequest(err)
	}
	w := newRewriter(nil)
	w.insert(0, w.line("Content-Length", "0"))
	err := w.run(&r.message, start, edits)
	if err == nil {
		err = r.checkMethod()
	}
	if err != nil {
		return failedRequest(err)
	}
	return r
}

// failedRequest is a request that could not be made at all.
func failedRequest(err *SyntaxError) *Request {
	r := new(Request)
	r.fail(err)
	return r
}

func appendRequestLine(b []byte, method Method, uri URI) []byte {
	b = append(append(b, method...), ' ')
	b = uri.appendTo(b)
	return append(b, " SIP/2.0"...)
}

// setStart takes a request line that was made of a method and a URI, if that is
// what it says. The method may come from a URI, so it may be longer than the
// places of a start line can tell.
func (r *Request) setStart(start string, method Method, uri URI) *SyntaxError {
	if len(method) >= 2*maxURI {
		return fail(StatusBadRequest, "start line", 0, "expected a shorter method")
	}
	if err := r.startLine(start); err != nil {
		return err
	}
	var got URI
	if s := start[r.methodEnd+1 : r.uriEnd]; r.uri.scheme != schemeNone {
		r.uri.fill(&got, s)
	} else {
		got, _ = ParseURI(s)
	}
	if Method(start[:r.methodEnd]) != method || !likeURI(&got, &uri) {
		return fail(StatusBadRequest, "start line", 0, msgOf(errOther))
	}
	return nil
}

// With returns a copy of the request with the edits made in order. Every byte
// that they do not touch stays as it is.
//
// An edit that would break the message is refused: one that would write a
// control character, or a name that is no token, or a value that a parser of
// this package refuses or reads as something else than it was: a Contact whose
// Host holds a ">" and more, say. Only a Field or a List may be a comma
// list. The method
// of a CSeq must be that of the request. The result is then a copy of r whose
// Err tells what was wrong.
//
// Err does not say that the message is complete: a request that is not yet
// sent has no Via, and a proxy takes its own out of a response.
func (r *Request) With(edits ...Edit) *Request {
	if r.failure() != nil {
		return r
	}
	w := newRewriter(&r.message)
	w.keepAll()
	start, uri := w.requestLine(r, edits)
	out, err := rewrite[Request](w, start, edits)
	switch {
	case err != nil:
	case uri == nil:
		out.methodEnd, out.uriEnd, out.uri = r.methodEnd, r.uriEnd, r.uri
		err = out.checkMethod()
	default:
		if err = out.setStart(out.text[:out.head-2], r.Method(), *uri); err == nil {
			err = out.checkMethod()
		}
	}
	if err != nil {
		return r.failed(err)
	}
	return out
}

// WithURI returns a copy of the request with another Request-URI: With of a
// RequestURI.
func (r *Request) WithURI(uri URI) *Request { return r.With(RequestURI(uri)) }

// requestLine returns the start line, and the URI in it if one of the edits sets
// it.
func (w *rewriter) requestLine(r *Request, edits []Edit) (start string, uri *URI) {
	given, ok := requestURIOf(edits).(RequestURI)
	if !ok {
		return r.text[:r.head-2], nil
	}
	set := inRequestLine(URI(given))
	w.start = appendRequestLine(w.start[:0], r.Method(), set)
	return view(w.start), &set
}

// requestURIOf returns the last RequestURI among edits, which is the one that
// counts; nil if there is none.
func requestURIOf(edits []Edit) (last Edit) {
	for _, e := range edits {
		if _, e = unwrapped(e); e != nil {
			if _, ok := e.(RequestURI); ok {
				last = e
			}
		}
	}
	return last
}

// failed returns a copy with an error. The index is shared, for it never
// changes.
func (r *Request) failed(err *SyntaxError) *Request {
	out := *r
	out.fail(err)
	return &out
}

// With returns a copy of the response with the edits made in order, as With of
// a request does.
func (r *Response) With(edits ...Edit) *Response {
	if r.failure() != nil {
		return r
	}
	w := newRewriter(&r.message)
	w.keepAll()
	out, err := rewrite[Response](w, w.statusLine(r.text[:r.head-2], r.status, edits), edits)
	if err != nil {
		failed := *r
		failed.fail(err)
		return &failed
	}
	out.status = r.status
	return out
}

// statusLine returns the start line, with another reason phrase if one of the
// edits sets it.
func (w *rewriter) statusLine(start string, status Status, edits []Edit) string {
	for _, e := range edits {
		if _, e = unwrapped(e); e == nil {
			continue
		}
		if p, ok := e.(ReasonPhrase); ok {
			w.start = appendStatusLine(w.start[:0], status, string(p))
			start = view(w.start)
		}
	}
	return start
}
