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

func (e *SyntaxError) Error() string {
	where := "sip: "
	if e.Where != "" {
		where += e.Where + ": "
	}
	return fmt.Sprintf("%s%s (byte %d)", where, e.Msg, e.Offset)
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
// 2.0 where a request has another.
func (e *SyntaxError) Reply() *Response {
	start, rest, _ := strings.Cut(e.text, "\r\n")
	method, _, _ := strings.Cut(start, " ")
	if e.Status == 0 || !isToken(method) || Method(method) == ACK || isStatusLine(start) {
		return nil
	}
	phrase := e.Status.Text()
	if e.Status == StatusBadRequest {
		phrase = "Bad " + e.Where
	}
	b := append(appendStatusLine(make([]byte, 0, 512), e.Status, phrase), "\r\n"...)
	var seen [numHot]bool
	for lines := 0; len(rest) > 0 && len(b) < maxHead/2 && lines < maxFields; lines++ {
		var line string
		line, rest = cutLine(rest)
		name, _, _ := strings.Cut(line, ":")
		id := lookupHeader(strings.TrimRight(name, " \t"))
		if id < idVia || id > idCSeq || seen[id] && id != idVia {
			continue
		}
		value, ok := repeatable(line)
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
	if index(&resp.message, resp, string(b)) != nil {
		return nil
	}
	for id := idVia; id <= idCSeq; id++ {
		_ = resp.checkValue(id) // getters know only what is well-formed
	}
	if to := resp.To(); to.URI.Scheme != "" && to.Tag() == "" {
		return resp.With(Field{"To", resp.hot(idTo) + ";tag=" + string(resp.appendTag(nil))})
	}
	return resp
}

// cutLine takes the first header line off s, with its folds and its line end.
// The empty line is the last one.
func cutLine(s string) (line, rest string) {
	if strings.HasPrefix(s, "\r\n") {
		return "", ""
	}
	end := 0
	for {
		n := strings.Index(s[end:], "\r\n")
		if n < 0 {
			return s, ""
		}
		if end += n + len("\r\n"); end == len(s) || !isWS(s[end]) {
			return s[:end], s[end:]
		}
	}
}

// repeatable returns the value of a header line, folds undone, unless the line
// is cut off or has something in it that must not be sent on.
func repeatable(line string) (value string, ok bool) {
	line, ok = strings.CutSuffix(line, "\r\n")
	if !ok || strings.IndexByte(line, 0) >= 0 || badControl(line) >= 0 {
		return "", false
	}
	_, value, _ = strings.Cut(line, ":")
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
