package sip

import (
	"fmt"
	"strings"
)

// SyntaxError tells where the text of a message is not what it should be, and
// what was expected there.
type SyntaxError struct {
	Where  string // the header field, or "start line", "Request-URI", "header section", "body"; "" for a value that was read by itself
	Offset int    // where in the text, in bytes; in a folded header field where its value begins
	Msg    string // what was expected there: "expected a port from 1 to 65535"
	Status Status // what to answer to a request; 0 if the message was a response

	text string
}

func fail(status Status, where string, offset int, msg string) *SyntaxError {
	return &SyntaxError{Where: where, Offset: offset, Msg: msg, Status: status}
}

// Error returns where it is, what was expected, and at which byte.
func (e *SyntaxError) Error() string {
	where := "sip: "
	if e.Where != "" {
		where += e.Where + ": "
	}
	return fmt.Sprintf("%s%s (byte %d)", where, e.Msg, e.Offset)
}

// unframed reports whether another reader may find a Content-Length where this
// one finds none, or the other way round, so that nothing can be said of where
// the message ends: a bare line feed or carriage return, a NUL or what else ends a
// line or a text for somebody, a line that is no header field, a Content-Length in the place of the start line. Whatever was wrong first, one of these may be behind it.
func (e *SyntaxError) unframed() bool {
	head, _, _ := strings.Cut(e.text, "\r\n\r\n")
	breaks := strings.Count(head, "\r\n")
	if strings.ContainsAny(head, "\x00\v\f") || strings.Count(head, "\n") != breaks || strings.Count(head, "\r") != breaks {
		return true
	}
	start, head, _ := strings.Cut(head, "\r\n")
	start = skipWS(start)
	if n := span(start, charToken); lookupHeader(start[:n]) == idContentLength && strings.HasPrefix(skipWS(start[n:]), ":") {
		return true
	}
	for first := true; head != ""; first = false {
		var line string
		line, head, _ = strings.Cut(head, "\r\n")
		n := span(line, charToken)
		name := n > 0
		for n < len(line) && isWS(line[n]) {
			n++
		}
		if name && (n == len(line) || line[n] != ':') || !name && (n == 0 || first) {
			return true
		}
	}
	return false
}

// Text returns the message that was refused, as it arrived.
func (e *SyntaxError) Text() string { return e.text }

// Reply returns the response that tells the sender of a malformed request
// what is wrong, with a reason phrase that names the header field. It returns
// nil where nothing may be sent: for a response, for an ACK, and for text
// without a Via that says where a response belongs.
//
// The response repeats the header fields that RFC 3261 section 8.2.6.2 asks
// for as far as the request has them, folds undone, even where their values
// are broken: the sender looks for its own. Only the version in a Via becomes
// 2.0 where a request has another. It looks at 250 lines and repeats 75 of
// them, none of more than 2 kB or 50 folds, and stops where they come to 16 kB.
func (e *SyntaxError) Reply() *Response {
	start, rest, _ := strings.Cut(e.text[:min(len(e.text), 2*maxHead)], "\r\n")
	method, _, _ := strings.Cut(start, " ")
	if e.Status == 0 || !isToken(method) || Method(method) == ACK || isStatusLine(start) {
		return nil
	}
	b := append(appendStatusLine(make([]byte, 0, 512), e.Status, e.phrase(e.Status)), "\r\n"...)
	var seen [numHot]bool
	for lines, repeated := 0, 0; len(rest) > 0 && len(b) < maxRepeated && lines < maxRepeatedFrom && repeated < maxRepeatedLines; {
		var line string
		var n int
		line, rest, n = cutLine(rest)
		lines += n
		id := replyField(line)
		if id == 0 || seen[id] && id != idVia {
			continue
		}
		value, ok := repeatable(line, n)
		if id == idVia && e.Status == StatusVersionNotSupported && isStatusLine(value) {
			// The Via of such a request has its version, that of a response ours.
			if version, via, _ := strings.Cut(value[len("SIP/"):], "/"); isVersion(version) {
				value = "SIP/2.0/" + via
			}
		}
		if id == idVia && !seen[id] {
			// Without its Via a response finds no way back.
			first, _ := splitList(value)
			var via viaSpan[uint16]
			if !ok || via.scan(first) != nil {
				return nil
			}
		}
		if !ok {
			continue
		}
		seen[id] = true
		repeated++
		b = append(b, headers[id].name...)
		b = append(b, ": "...)
		b = append(b, value...)
		b = append(b, "\r\n"...)
	}
	if !seen[idVia] {
		return nil
	}
	b = append(b, "Content-Length: 0\r\n\r\n"...)
	resp := new(Response)
	if index(&resp.message, resp, view(b)) != nil {
		return nil
	}
	broken := false
	for id := idVia; id <= idCSeq; id++ {
		err := resp.checkValue(id) // getters know only what is well-formed
		broken = broken || id == idTo && err != nil
	}
	if !broken && seen[idTo] && resp.To().Tag() == "" {
		return resp.With(Field{"To", resp.hot(idTo) + ";tag=" + string(resp.appendTag(nil))})
	}
	return resp
}

// phrase returns the reason phrase of a response with that status to a message
// with this error.
func (e *SyntaxError) phrase(status Status) string {
	if status == StatusBadRequest && e.Where != "" {
		return "Bad " + e.Where
	}
	return status.Text()
}

// What a response to a malformed request repeats is bounded, for it is made
// before anything is known of who sent it.
const (
	maxRepeatedFrom  = 250   // lines that are looked at
	maxRepeatedLines = 75    // of as many hops as a request takes, and what is there once
	maxRepeatedLine  = 2048  // bytes of a line
	maxRepeatedFolds = 50    // lines that a line and its folds are
	maxRepeated      = 16384 // bytes of all lines
)

// cutLine takes the first header line off s, with its folds and its line end,
// and counts the lines that these are. The empty line is the last one.
func cutLine(s string) (line, rest string, n int) {
	if strings.HasPrefix(s, "\r\n") {
		return "", "", 1
	}
	end := 0
	for {
		i := strings.IndexByte(s[end:], '\n')
		if i < 0 {
			return s, "", n
		}
		crlf := i > 0 && s[end+i-1] == '\r'
		end += i + 1
		if n++; crlf && (end == len(s) || !isWS(s[end])) || n == maxRepeatedFrom {
			return s[:end], s[end:], n
		}
	}
}

// replyField returns which of the header fields that a response repeats is on
// this line, 0 for none.
func replyField(line string) headerID {
	if line == "" {
		return 0
	}
	switch line[0] | 0x20 {
	case 'v', 'f', 't', 'c', 'i':
		n := span(line[:min(len(line), len("Call-ID")+1)], charToken)
		if id := lookupHeader(line[:n]); id >= idVia && id <= idCSeq {
			for n < len(line) && isWS(line[n]) {
				n++
			}
			if n < len(line) && line[n] == ':' {
				return id
			}
		}
	}
	return 0
}

// repeatable returns the value of a header line, which are n with its folds,
// these undone, unless it is too long or cut off or has something in it that must not be sent on.
func repeatable(line string, n int) (value string, ok bool) {
	if len(line) > maxRepeatedLine || n > maxRepeatedFolds {
		return "", false
	}
	line, ok = strings.CutSuffix(line, "\r\n")
	if !ok || strings.IndexByte(line, 0) >= 0 || findControl(line) >= 0 && badControl(line) >= 0 {
		return "", false
	}
	value = line[strings.IndexByte(line, ':')+1:]
	if strings.IndexByte(value, '\n') >= 0 {
		value = unfold(value)
	}
	return trimWS(value), true
}

// errorAt is the error of a value that is read by itself.
func errorAt(at int, msg string) error { return fail(StatusBadRequest, "", at, msg) }

func valueError(msg string) error { return errorAt(0, msg) }

// shifted returns the error of a part that begins at that place of the whole.
func shifted(err error, by int) error {
	if bad, ok := err.(*SyntaxError); ok {
		return errorAt(bad.Offset+by, bad.Msg)
	}
	return err
}

// msgOf returns what an error says besides where it is.
func msgOf(err error) string {
	if bad, ok := err.(*SyntaxError); ok {
		return bad.Msg
	}
	return err.Error()
}

// placeOf returns where in its value an error is, 0 if it does not say.
func placeOf(err error) int {
	if bad, ok := err.(*SyntaxError); ok {
		return bad.Offset
	}
	return 0
}
