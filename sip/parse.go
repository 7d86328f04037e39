package sip

import (
	"math/bits"
	"slices"
	"strings"
)

// Limits of a message. Whatever is over one of them is refused with the status
// that the SyntaxError carries.
const (
	maxHead   = 65535 // bytes of the start line and the header section
	maxFields = 500   // header lines
	maxURI    = 16384 // bytes of a Request-URI
)

// Parse reads one whole message, such as a datagram, and returns a *Request or
// a *Response that shares the memory of s.
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
	m, msg, err := index(s)
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

// index finds the start line, the header lines and the body of s. What it
// returns with an error holds the lines before the mistake.
func index(s string) (*message, Message, *SyntaxError) {
	eol := strings.IndexByte(s, '\n')
	if eol < 0 {
		if len(s) > maxURI {
			return nil, nil, fail(StatusRequestURITooLong, "start line", 0, "too long")
		}
		return nil, nil, fail(StatusBadRequest, "start line", 0, "does not end")
	}
	if eol < 1 || s[eol-1] != '\r' {
		return nil, nil, fail(StatusBadRequest, "start line", eol, "line feed without carriage return")
	}
	if eol > 2*maxURI {
		return nil, nil, fail(StatusRequestURITooLong, "start line", 0, "too long")
	}
	var m *message
	var msg Message
	var err *SyntaxError
	line := s[:eol-1]
	if isStatusLine(line) {
		r := new(Response)
		m, msg = &r.message, r
		err = r.startLine(line)
	} else {
		r := new(Request)
		m, msg = &r.message, r
		err = r.startLine(line)
	}
	if err != nil {
		return nil, nil, err
	}
	m.text, m.head = s, uint16(eol+1)
	return m, msg, m.scan()
}

func (r *Request) startLine(line string) *SyntaxError {
	n := span(line, charToken)
	if n == 0 || n == len(line) || line[n] != ' ' {
		return fail(StatusBadRequest, "start line", n, "method is not a token")
	}
	uri := line[n+1:]
	sp := strings.IndexByte(uri, ' ')
	if sp < 0 {
		return fail(StatusBadRequest, "start line", n, "no SIP version")
	}
	version := uri[sp+1:]
	uri = uri[:sp]
	switch {
	case len(uri) > maxURI:
		return fail(StatusRequestURITooLong, "Request-URI", n+1, "too long")
	case !isStatusLine(version):
		return fail(StatusBadRequest, "start line", n+2+sp, "no SIP version")
	case !equalFold(version, "SIP/2.0"):
		if isVersion(version[4:]) {
			return fail(StatusVersionNotSupported, "start line", n+2+sp, "SIP version is not 2.0")
		}
		return fail(StatusBadRequest, "start line", n+2+sp, "no SIP version")
	}
	if err := r.uri.scan(uri); err != nil {
		return fail(StatusBadRequest, "Request-URI", n+1, err.Error())
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
		return fail(0, "start line", 0, "not a SIP/2.0 status line")
	}
	code, ok := number(line[version:version+3], 699)
	if !ok || code < 100 || len(line) > version+3 && line[version+3] != ' ' {
		return fail(0, "start line", version, "status code is not 100 to 699")
	}
	if len(line) > maxURI {
		return fail(0, "start line", version, "too long")
	}
	if i := strings.IndexAny(line, "\r\x00"); i >= 0 {
		return fail(0, "start line", i, "carriage return or NUL")
	}
	r.status = Status(code)
	return nil
}

// scan indexes the header lines and finds the body.
func (m *message) scan() *SyntaxError {
	s := m.text
	m.fields = m.inline[:0]
	pos := int(m.head)
	for {
		start := pos
		id, n := usualName(s, start)
		colon := start + n
		if id == 0 {
			// The end, a fold, or a name with white space before the colon
			// (HCOLON).
			if start >= len(s) {
				return fail(StatusBadRequest, "header section", start, "no empty line at its end")
			}
			if s[start] == '\r' && start+1 < len(s) && s[start+1] == '\n' {
				pos = start + 2
				break
			}
			n = span(s[start:], charToken)
			colon = start + n
			for colon < len(s) && isWS(s[colon]) {
				colon++
			}
			fold := n == 0 && colon > start && len(m.fields) > 0
			switch {
			case fold:
				colon = start
				m.folded = true
			case n == 0 || colon == len(s) || s[colon] != ':':
				return fail(StatusBadRequest, "header section", start, "line is not a header field")
			case n > 255:
				return fail(StatusBadRequest, "header section", start, "header name too long")
			default:
				id = lookupHeader(s[start : start+n])
			}
		}

		// The value. A NUL is only allowed behind the backslash of a
		// quoted-pair, a CR nowhere but at the end.
		end := nextControl(s, colon)
		for end < len(s)-1 && s[end] != '\r' && s[end] != '\n' {
			if s[end] == 0 && s[end-1] != '\\' {
				return fail(StatusBadRequest, "header section", end, "NUL")
			}
			end = nextControl(s, end+1)
		}
		switch {
		case end >= len(s)-1:
			return fail(StatusBadRequest, "header section", start, "line does not end")
		case s[end] == '\n':
			return fail(StatusBadRequest, "header section", end, "line feed without carriage return")
		case s[end+1] != '\n':
			return fail(StatusBadRequest, "header section", end, "carriage return without line feed")
		}
		if pos = end + 2; pos > maxHead {
			return fail(StatusMessageTooLarge, "header section", maxHead, "too long")
		}
		value := min(afterWS(s, colon+1), end)
		for end > value && isWS(s[end-1]) {
			end--
		}

		if colon == start { // a fold
			last := &m.fields[len(m.fields)-1]
			if value < end {
				if last.value == last.end {
					last.value = uint16(value)
				}
				last.end = uint16(end)
			}
			continue
		}
		if len(m.fields) == maxFields {
			return fail(StatusBadRequest, "header section", start, "too many header fields")
		}
		if err := m.add(field{uint16(start), uint16(value), uint16(end), id}); err != nil {
			return err
		}
	}
	if pos > maxHead {
		return fail(StatusMessageTooLarge, "header section", maxHead, "too long")
	}
	m.body = uint16(pos)
	return m.cut()
}

// nextControl returns where the first control character of s at or behind i is,
// len(s) if there is none.
func nextControl(s string, i int) int {
	const ones = 0x0101010101010101
	for ; i+8 <= len(s); i += 8 {
		w := load(s, i)
		if below := (w - ' '*ones) &^ w & (0x80 * ones); below != 0 {
			return i + bits.TrailingZeros64(below)/8
		}
	}
	for i < len(s) && s[i] >= ' ' {
		i++
	}
	return i
}

// add indexes a line.
func (m *message) add(f field) *SyntaxError {
	if len(m.fields) == cap(m.fields) {
		m.fields = slices.Grow(m.fields, 3*len(m.fields)) // once is nearly always enough
	}
	m.fields = append(m.fields, f)
	if f.id == 0 || f.id >= numHot {
		return nil
	}
	if m.first[f.id] == 0 {
		m.first[f.id] = uint16(len(m.fields))
	} else if headers[f.id].kind == single {
		return fail(StatusBadRequest, headers[f.id].name, int(f.name), "more than one")
	}
	return nil
}

// cut ends the body where Content-Length says (RFC 3261 section 18.3).
func (m *message) cut() *SyntaxError {
	if m.first[idContentLength] == 0 {
		return nil
	}
	n, err := ContentLength(0).ParseValue(m.hot(idContentLength))
	end := int(m.body) + int(n)
	switch {
	case err != nil:
		return fail(StatusBadRequest, "Content-Length", m.offset(idContentLength), err.Error())
	case end > len(m.text):
		return fail(StatusBadRequest, "Content-Length", m.offset(idContentLength), "longer than the body")
	}
	m.text = m.text[:end]
	return nil
}

// offset returns where the value of a header field starts.
func (m *message) offset(id headerID) int {
	if i := int(m.first[id]) - 1; i >= 0 {
		return int(m.fields[i].value)
	}
	return int(m.head)
}

// check looks at the header fields without which a message cannot be routed or
// matched (RFC 3261 section 8.1.1).
func check(m *message, msg Message) *SyntaxError {
	for _, id := range [...]headerID{idVia, idFrom, idTo, idCallID, idCSeq} {
		if m.first[id] == 0 {
			return fail(StatusBadRequest, headers[id].name, int(m.head), "missing")
		}
	}
	for id := idVia; id <= idMaxForwards; id++ {
		if err := m.checkValue(id); err != nil {
			return err
		}
	}
	if r, ok := msg.(*Request); ok && m.CSeq().Method != r.Method() {
		return fail(StatusBadRequest, "CSeq", m.offset(idCSeq), "method is not that of the request")
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
	var err error
	switch id {
	case idVia:
		value, _ = splitList(value)
		err = m.via.scan(value)
	case idFrom:
		err = m.from.scan(value)
	case idTo:
		err = m.to.scan(value)
	case idCallID:
		_, err = CallID("").ParseValue(value)
	case idCSeq:
		err = m.cseq.scan(value)
	case idMaxForwards:
		_, err = MaxForwards(0).ParseValue(value)
	}
	if err != nil {
		m.forget(id)
		return fail(StatusBadRequest, headers[id].name, m.offset(id), err.Error())
	}
	return nil
}

// forget makes the getter of a header field return the zero value.
func (m *message) forget(id headerID) {
	switch id {
	case idVia:
		m.via = viaSpan{}
	case idFrom:
		m.from = addressSpan{}
	case idTo:
		m.to = addressSpan{}
	case idCSeq:
		m.cseq = cseqSpan{}
	}
}

// headerName returns the full name of a header field as errors show it.
func headerName(name string) string {
	if id := lookupHeader(name); id != 0 {
		return headers[id].name
	}
	return name
}
