package sip

import "strings"

// Limits of a message. Whatever is over one of them is refused with the status
// that the SyntaxError carries.
const (
	maxHead   = 65535 // bytes of the start line and the header section
	maxFields = 500   // header lines
	maxFolds  = 200   // lines that continue one
	maxURI    = 16384 // bytes of a Request-URI
)

// Parse reads one whole message, such as a datagram, and returns a *Request or
// a *Response that shares the memory of s, unless more than 1 kB follows its end.
//
// CRLFs before the start line are skipped. Bytes past Content-Length are
// dropped, and a body that is shorter is an error; without Content-Length the
// body goes on to the end (RFC 3261 section 18.3). The start line, the topmost
// Via, From, To, Call-ID, CSeq, Max-Forwards and Content-Length are checked
// now; everything else is text until Get or All ask for it.
//
// The error is always a *SyntaxError.
func Parse(s string) (Message, error) {
	for strings.HasPrefix(s, "\r\n") {
		s = s[2:]
	}
	if isStatusLine(s) {
		r := newMessage[Response](len(s))
		return parsed(&r.message, r, s)
	}
	r := newMessage[Request](len(s))
	return parsed(&r.message, r, s)
}

// parsed makes the index of m, which is msg, over the text s.
func parsed(m *message, msg Message, s string) (Message, error) {
	err := index(m, msg, s)
	if err == nil {
		err = m.cut()
	}
	if err == nil {
		err = check(m, msg)
	}
	if err != nil {
		err.text = s
		if isStatusLine(s) {
			err.Status = 0
		}
		return nil, err
	}
	return msg, nil
}

// isStatusLine reports whether s starts as responses do.
func isStatusLine(s string) bool { return len(s) >= 4 && equalFold(s[:4], "SIP/") }

// index finds the start line, the header lines and where the body of s starts.
func index(m *message, msg Message, s string) *SyntaxError {
	k := marks{s: s}
	if hasAVX2 {
		k.mark(0)
		quick := false
		switch r := msg.(type) {
		case *Request:
			quick = r.quickStart(&k)
		case *Response:
			quick = r.quickStart(&k)
		}
		if quick {
			m.text = s
			return m.scan(&k)
		}
	}
	eol := strings.IndexByte(s, '\n')
	switch {
	case eol < 0 && len(s) > maxURI, eol > 2*maxURI:
		return fail(StatusRequestURITooLong, "start line", 0, "expected no longer line")
	case eol < 0:
		return fail(StatusBadRequest, "start line", len(s), "expected CRLF")
	case eol < 1 || s[eol-1] != '\r':
		return fail(StatusBadRequest, "start line", eol, "expected CRLF")
	}
	m.text, m.head = s, uint16(eol+1)
	var err *SyntaxError
	switch r := msg.(type) {
	case *Request:
		err = r.startLine(s[:eol-1])
	case *Response:
		err = r.startLine(s[:eol-1])
	}
	if err != nil {
		return err
	}
	return m.scan(&k)
}

func (r *Request) startLine(line string) *SyntaxError {
	n := span(line, charToken)
	if n == 0 || n == len(line) || line[n] != ' ' {
		return fail(StatusBadRequest, "start line", n, "expected a method and a space")
	}
	uri := line[n+1:]
	sp := strings.IndexByte(uri, ' ')
	if sp < 0 {
		return fail(StatusBadRequest, "start line", len(line), "expected a space and SIP/2.0")
	}
	version := uri[sp+1:]
	uri = uri[:sp]
	switch {
	case len(uri) > maxURI:
		return fail(StatusRequestURITooLong, "Request-URI", n+1, "expected up to 16384 bytes")
	case !isStatusLine(version):
		return fail(StatusBadRequest, "start line", n+2+sp, "expected SIP/2.0")
	case !equalFold(version, "SIP/2.0"):
		if isVersion(version[4:]) {
			return fail(StatusVersionNotSupported, "start line", n+2+sp, "expected SIP/2.0")
		}
		return fail(StatusBadRequest, "start line", n+2+sp, "expected SIP/2.0")
	}
	var err error
	if tooLong[uint8](uri) {
		_, err = ParseURI(uri)
	} else {
		err = r.uri.scan(uri)
	}
	if err != nil {
		return fail(StatusBadRequest, "Request-URI", n+1+placeOf(err), msgOf(err))
	}
	r.methodEnd, r.uriEnd = uint16(n), uint16(n+1+sp)
	return nil
}

// isVersion reports whether s is 1*DIGIT "." 1*DIGIT.
func isVersion(s string) bool {
	major, minor, ok := strings.Cut(s, ".")
	_, a := number(major, 1<<32)
	_, b := number(minor, 1<<32)
	return ok && a && b
}

func (r *Response) startLine(line string) *SyntaxError {
	const version = len("SIP/2.0 ")
	if len(line) < version+3 || !equalFold(line[:version], "SIP/2.0 ") {
		return fail(0, "start line", 0, "expected SIP/2.0 and a status code")
	}
	code, ok := number(line[version:version+3], 699)
	if !ok || code < 100 || len(line) > version+3 && line[version+3] != ' ' {
		return fail(0, "start line", version, "expected a status code from 100 to 699")
	}
	if len(line) > maxURI {
		return fail(0, "start line", version, "expected up to 16384 bytes")
	}
	if i := findControl(line); i >= 0 {
		return fail(0, "start line", i, "expected text")
	}
	r.status = Status(code)
	return nil
}

// scan indexes the header lines and finds where the body starts. The marks are
// of the whole text.
func (m *message) scan(k *marks) *SyntaxError {
	s := m.text
	fields := m.inline[:0]
	usual, misses, folds := hasAVX2, 0, 0
	for pos := int(m.head); ; {
		var id headerID
		n := 0
		switch {
		case usual:
			fields, pos = m.quickLines(k, fields, pos)
		case hasAVX2 && misses < maxMisses:
			from := pos
			if fields, pos, folds = m.lessUsual(k, fields, pos, folds); folds > maxFolds {
				return fail(StatusBadRequest, "header section", pos, "expected no more than 200 lines that continue one")
			}
			if pos == from {
				misses++
			}
		default:
			id, n = usualName(s, pos)
		}
		// Where the next line starts does not wait for what this one is: the
		// processor works on both at once.
		start := pos
		end, odd := lineEnd(s, start)
		colon := start + n
		if n == 0 {
			if start >= len(s) {
				return fail(StatusBadRequest, "header section", start, "expected an empty line at its end")
			}
			if s[start] == '\r' && start+1 < len(s) && s[start+1] == '\n' {
				if start+2 > maxHead {
					return fail(StatusMessageTooLarge, "header section", maxHead, "expected up to 65535 bytes")
				}
				m.body = uint16(start + 2)
				m.keep(fields)
				return nil
			}
			if usual {
				usual = false
				continue
			}
			n = span(s[start:], charToken)
			colon = start + n
			for colon < len(s) && isWS(s[colon]) {
				colon++ // HCOLON
			}
			switch {
			case n == 0 || colon == len(s) || s[colon] != ':':
				return fail(StatusBadRequest, "header section", start, "expected the name of a header field and ':'")
			case n > 255:
				return fail(StatusBadRequest, "header section", start, "expected a name of up to 255 bytes")
			}
			id = lookupHeader(s[start : start+n])
		}

		// The line and those that it is continued on.
		first := end - 1 // where the line ends
		pairs := false
		for {
			switch {
			case end < pos:
				return fail(StatusBadRequest, "header section", len(s), "expected CRLF")
			case s[end-1] != '\r':
				return fail(StatusBadRequest, "header section", end, "expected CRLF")
			case odd > 0 && s[odd-1] != '\\':
				return fail(StatusBadRequest, "header section", odd, "expected no control character")
			}
			pairs = pairs || odd > 0
			if pos = end + 1; pos > maxHead {
				return fail(StatusMessageTooLarge, "header section", maxHead, "expected up to 65535 bytes")
			}
			if pos == len(s) || !isWS(s[pos]) {
				break
			}
			if folds++; folds > maxFolds {
				return fail(StatusBadRequest, "header section", pos, "expected no more than 200 lines that continue one")
			}
			end, odd = lineEnd(s, pos)
		}
		if len(fields) == maxFields {
			return fail(StatusBadRequest, "header section", start, "expected no more than 500 header fields")
		}
		if pairs {
			if i := badControl(s[start:pos]); i >= 0 {
				return fail(StatusBadRequest, "header section", start+i, "expected no control character")
			}
		}

		f := newField(start, afterWS(s[:first], colon+1), id)
		if first+2 < pos {
			m.folded = true
			if int(f.value) == first-start {
				f.value = 0 // it only begins on a further line, and is looked for when asked
			}
		}
		if id != 0 && id < numHot {
			if err := m.note(f, len(fields)); err != nil {
				return err
			}
		}
		if len(fields) == cap(fields) {
			fields = m.grow(fields)
		}
		fields = append(fields, f)
	}
}

// cut ends the body where Content-Length says (RFC 3261 section 18.3).
func (m *message) cut() *SyntaxError {
	if m.first[idContentLength] == 0 {
		return nil
	}
	n, err := ContentLength(0).ParseValue(m.hot(idContentLength))
	switch {
	case err != nil:
		return fail(StatusBadRequest, "Content-Length", m.placeOf(idContentLength, err), msgOf(err))
	case int(n) > len(m.text)-int(m.body): // the sum may be more than an int holds
		return fail(StatusBadRequest, "Content-Length", m.offset(idContentLength), "expected the length of the body at most")
	}
	end := int(m.body) + int(n)
	// What a sender puts behind the end must not be kept as long as the message.
	if junk := len(m.text) - end; junk > maxJunk {
		m.text = strings.Clone(m.text[:end])
	} else {
		m.text = m.text[:end]
	}
	return nil
}

// maxJunk is how many bytes behind the end of a message are kept with it rather
// than copied away from.
const maxJunk = 1024

// check looks at the header fields without which a message cannot be routed or
// matched (RFC 3261 section 8.1.1).
func check(m *message, msg Message) *SyntaxError {
	const must = 1<<idVia | 1<<idFrom | 1<<idTo | 1<<idCallID | 1<<idCSeq
	if m.checked&must != must {
		for _, id := range [...]headerID{idVia, idFrom, idTo, idCallID, idCSeq} {
			if m.first[id] == 0 {
				return fail(StatusBadRequest, headers[id].name, int(m.head), "expected such a header field")
			}
		}
	}
	const all = must | 1<<idMaxForwards
	if m.checked&all != all {
		for id := idVia; id <= idMaxForwards; id++ {
			if m.checked&(1<<id) != 0 {
				continue
			}
			if err := m.checkValue(id); err != nil {
				return err
			}
		}
	}
	if r, ok := msg.(*Request); ok {
		return r.checkMethod()
	}
	return nil
}

// checkMethod holds the CSeq, if there is one, to the method of the request
// (RFC 3261 section 8.1.1.5).
func (r *Request) checkMethod() *SyntaxError {
	if r.first[idCSeq] != 0 && r.CSeq().Method != r.Method() {
		return fail(StatusBadRequest, "CSeq", r.offset(idCSeq), "expected the method of the request")
	}
	return nil
}

// checkValue looks at one of the checked header fields, if it is there, and
// keeps what the getters need of it.
func (m *message) checkValue(id headerID) *SyntaxError {
	m.forget(id)
	if m.first[id] == 0 {
		return nil
	}
	value := m.hot(id)
	if id == idVia {
		value, _ = splitList(value)
	}
	var err error
	switch {
	case tooLong[uint8](value):
		err = checkLong(id, value)
	case id == idVia:
		err = m.via.scan(value)
	case id == idFrom:
		err = m.from.scan(value, "tag")
	case id == idTo:
		err = m.to.scan(value, "tag")
	case id == idCSeq:
		err = m.cseq.scan(value)
	default:
		err = checkLong(id, value)
	}
	if err != nil {
		m.forget(id)
		return fail(StatusBadRequest, headers[id].name, m.placeOf(id, err), msgOf(err))
	}
	return nil
}

// checkLong looks at the value of a header field of which nothing is kept.
func checkLong(id headerID, value string) (err error) {
	switch id {
	case idVia:
		_, err = Via{}.ParseValue(value)
	case idFrom, idTo:
		_, err = parseTagged(value)
	case idCallID:
		_, err = CallID("").ParseValue(value)
	case idCSeq:
		_, err = CSeq{}.ParseValue(value)
	case idMaxForwards:
		_, err = MaxForwards(0).ParseValue(value)
	}
	return err
}

// forget drops what is kept of a header field.
func (m *message) forget(id headerID) {
	switch id {
	case idVia:
		m.via = viaSpan[uint8]{}
	case idFrom:
		m.from = addressSpan[uint8]{}
	case idTo:
		m.to = addressSpan[uint8]{}
	case idCSeq:
		m.cseq = cseqSpan[uint8]{}
	}
}

// headerName returns the full name of a header field as errors show it.
func headerName(name string) string {
	if id := lookupHeader(name); id != 0 {
		return headers[id].name
	}
	return name
}
