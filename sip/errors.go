package sip

import (
	"fmt"
	"strings"
)

// SyntaxError tells what is wrong with the text of a message.
type SyntaxError struct {
	Where  string // the header field, or "start line", "Request-URI", "header section"
	Offset int    // where in the text, in bytes
	Msg    string // what is wrong there
	Status Status // what to answer to a request; 0 if the message was a response

	text string
}

func fail(status Status, where string, offset int, msg string) *SyntaxError {
	return &SyntaxError{Where: where, Offset: offset, Msg: msg, Status: status}
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("sip: %s: %s (byte %d)", e.Where, e.Msg, e.Offset)
}

// Reply returns the response that tells the sender of a malformed request
// what is wrong, with a reason phrase that names the header field. It returns
// nil where nothing may be sent: for a response, for an ACK, and for text
// without a Via that says where a response belongs.
//
// The response repeats the header fields that RFC 3261 section 8.2.6.2 asks
// for as far as the request has them.
func (e *SyntaxError) Reply() *Response {
	if e.Status == 0 || len(e.text) > maxHead && strings.IndexByte(e.text[:maxHead], '\n') < 0 {
		return nil
	}
	start, rest, _ := strings.Cut(e.text, "\r\n")
	method, _, _ := strings.Cut(start, " ")
	if Method(method) == ACK || !isToken(method) || len(start) >= 4 && equalFold(start[:4], "SIP/") {
		return nil
	}
	b := appendStatusLine(make([]byte, 0, 512), e.Status, "Bad "+e.Where)
	if e.Status != StatusBadRequest {
		b = appendStatusLine(b[:0], e.Status, e.Status.Text())
	}
	b = append(b, "\r\n"...)
	var seen [numHot]bool
	for line := range strings.SplitSeq(rest, "\r\n") {
		if line == "" || len(b) > maxHead/2 {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		id := lookupHeader(trimWS(name))
		value = trimWS(value)
		if !ok || strings.ContainsAny(value, "\x00\r\n") {
			continue
		}
		switch id {
		case idVia:
			if first, _ := splitList(value); !seen[id] {
				if _, err := (Via{}).ParseValue(first); err != nil {
					return nil
				}
			}
		case idFrom, idTo, idCallID, idCSeq:
			if seen[id] {
				continue
			}
		default:
			continue
		}
		seen[id] = true
		b = appendField(b, headers[id].name, value)
	}
	if !seen[idVia] {
		return nil
	}
	b = append(b, "Content-Length: 0\r\n\r\n"...)
	m, msg, err := index(string(b))
	if m == nil || err != nil {
		return nil
	}
	return msg.(*Response)
}

// valueError is what is wrong with the value of a header field or a URI.
type valueError string

func (e valueError) Error() string { return string(e) }

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}
