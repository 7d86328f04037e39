package frame

import (
	"bytes"
	"slices"
)

// A startLine is the first line of a frame, taken apart.
type startLine struct {
	id      []byte
	method  Method
	status  Status
	comment string
	err     error // what is wrong with method or comment
}

// A section is what stands before a body: where the start line and the header fields are, and
// what comes behind.
type section struct {
	start startLine
	lines []byte // of header fields, each with its CRLF
	n     int    // bytes up to the body, or to the end of the frame
	body  bool
	flag  Flag // of a frame without a body
	stray bool // a line that is no header field ran into the end-line
}

// scanHead reads a head from the beginning of data. ok is false if it is not all there.
func scanHead(data []byte) (s section, ok bool, err error) {
	line, ok := cutLine(data)
	if !ok {
		if len(data) >= maxHead {
			return s, false, ErrTooLong
		}
		return s, false, checkBeginning(data)
	}
	if s.start, err = parseStart(line); err != nil {
		return s, false, err
	}
	first := len(line) + 2
	for at := first; ; {
		line, ok := cutLine(data[at:])
		next := at + len(line) + 2
		if !ok && len(data) >= maxHead || ok && next > maxHead {
			return s, false, ErrTooLong
		}
		if !ok {
			return s, false, nil
		}
		if len(line) == 0 {
			s.lines, s.n, s.body = data[first:at], next, true
			return s, true, nil
		}
		if flag, whole := endLine(line, s.start.id); flag != 0 {
			s.lines, s.n, s.flag, s.stray = data[first:at], next, flag, !whole
			return s, true, nil
		}
		at = next
	}
}

// cutLine returns what stands before the first CRLF. A CR or an LF alone ends no line.
func cutLine(data []byte) (line []byte, ok bool) {
	for n := 0; ; n++ {
		i := bytes.IndexByte(data[n:], '\n')
		if i < 0 {
			return nil, false
		}
		if n += i; n > 0 && data[n-1] == '\r' {
			return data[:n-1], true
		}
	}
}

// checkBeginning says early that what comes is no MSRP.
func checkBeginning(data []byte) error {
	const begin = "MSRP "
	if n := min(len(data), len(begin)); string(data[:n]) != begin[:n] {
		return &SyntaxError{Where: "start line", Text: string(data[:min(len(data), 80)]), Msg: "not of MSRP"}
	}
	return nil
}

// endLine reports whether a line is the end-line of a frame, and the flag of it. whole is false if
// something else stands before it that is no header field: Kamailio ends a 423 so.
func endLine(line, id []byte) (flag Flag, whole bool) {
	n := len(hyphens) + len(id) + 1
	if len(line) < n {
		return 0, false
	}
	end := line[len(line)-n:]
	if end[0] != '-' || string(end[:len(hyphens)]) != hyphens || !bytes.Equal(end[len(hyphens):n-1], id) {
		return 0, false
	}
	switch flag = Flag(end[n-1]); flag {
	case Complete, Continued, Aborted:
	default:
		return 0, false
	}
	if len(line) == n {
		return flag, true
	}
	if colon := bytes.IndexByte(line, ':'); colon > 0 && isName(line[:colon]) {
		return 0, false // the value of a header field
	}
	return flag, false
}

// parseStart reads "MSRP id SEND" or "MSRP id 200 OK". There is an error if the identifier cannot be read, or
// nothing is behind it; what else is wrong is in the startLine, for the end of the frame can be told.
func parseStart(line []byte) (s startLine, err error) {
	wrong := func(msg string) error {
		return &SyntaxError{Where: "start line", Text: string(line[:min(len(line), 80)]), Msg: msg}
	}
	rest, ok := bytes.CutPrefix(line, []byte("MSRP "))
	if !ok {
		return s, wrong("not of MSRP")
	}
	space := bytes.IndexByte(rest, ' ')
	if space < 0 || space == len(rest)-1 {
		return s, wrong("no method")
	}
	s.id, rest = rest[:space], rest[space+1:]
	if len(s.id) == 0 || len(s.id) > maxID {
		return s, wrong("a transaction identifier of no, or of too many characters")
	}
	for _, c := range s.id {
		if !isIdent(c) {
			return s, wrong("a character that no transaction identifier has")
		}
	}
	if status, comment, ok := parseStatus(rest); ok {
		s.status = status
		if slices.ContainsFunc(comment, func(c byte) bool { return !isText(c) }) {
			s.err = wrong("a control character in the comment")
			return s, nil
		}
		if s.comment = status.String(); string(comment) != s.comment {
			s.comment = string(comment)
		}
		return s, nil
	}
	switch string(rest) {
	case string(SEND):
		s.method = SEND
		return s, nil
	case string(REPORT):
		s.method = REPORT
		return s, nil
	}
	switch {
	case len(rest) > maxMethod:
		s.err = wrong("a method of too many letters")
	case slices.ContainsFunc(rest, func(c byte) bool { return !isUpper(c) }):
		s.err = wrong("a method that is not of upper-case letters")
	}
	s.method = Method(rest[:min(len(rest), maxMethod)])
	return s, nil
}

// parseStatus reads "200 OK", "200 " or "200".
func parseStatus(text []byte) (status Status, comment []byte, ok bool) {
	if len(text) < 3 || len(text) > 3 && text[3] != ' ' {
		return 0, nil, false
	}
	if status, ok = statusCode(text[:3]); ok && len(text) > 4 {
		comment = text[4:]
	}
	return status, comment, ok
}

// scanBody looks for the end of a body: n bytes of data are of it, and whole says that what
// follows is its end-line, of end bytes with the CRLF before. Otherwise what follows the n
// bytes may be the beginning of it. needle is the end-line without its flag.
func scanBody(data, needle []byte) (n, end int, flag Flag, whole bool) {
	for {
		if n < len(data) && data[n] == '\n' { // behind the CR that was none
			n++
		}
		if n == len(data) || data[n] != '\r' { // to look for one that is there takes longer
			i := bytes.IndexByte(data[n:], '\r')
			if i < 0 {
				return len(data), 0, 0, false
			}
			n += i
		}
		rest := data[n:]
		if len(rest) < len(needle)+3 {
			if couldEnd(rest, needle) {
				return n, 0, 0, false
			}
		} else if rest[2] == '-' && bytes.Equal(rest[:len(needle)], needle) {
			flag, tail := Flag(rest[len(needle)]), rest[len(needle)+1:]
			if (flag == Complete || flag == Continued || flag == Aborted) && tail[0] == '\r' && tail[1] == '\n' {
				return n, len(needle) + 3, flag, true
			}
		}
		n++
	}
}

// couldEnd reports whether data, which is shorter than an end-line, may be the beginning of
// one.
func couldEnd(data, needle []byte) bool {
	n := min(len(data), len(needle))
	if !bytes.Equal(data[:n], needle[:n]) {
		return false
	}
	switch rest := data[n:]; len(rest) {
	case 0:
		return true
	default:
		flag := Flag(rest[0])
		return (flag == Complete || flag == Continued || flag == Aborted) && (len(rest) == 1 || rest[1] == '\r')
	}
}
