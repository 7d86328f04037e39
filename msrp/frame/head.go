package frame

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Method is what a request asks for: upper-case letters.
type Method string

// The methods of RFC 4975, RFC 4976 and RFC 7701.
const (
	SEND     Method = "SEND"
	REPORT   Method = "REPORT"
	AUTH     Method = "AUTH"
	NICKNAME Method = "NICKNAME"
)

// A FailureReport says what a sender wants to hear of failures (RFC 4975 section 7.1.1).
type FailureReport uint8

const (
	FailureReportYes     FailureReport = iota // every chunk is answered
	FailureReportPartial                      // only what fails is
	FailureReportNo                           // nothing is, and no REPORT of a failure is sent
)

// A Field is a header field.
type Field struct{ Name, Value string }

// A Flag ends a frame (RFC 4975 section 7.1).
type Flag byte

const (
	Complete  Flag = '$' // the end of the message
	Continued Flag = '+' // more is to come
	Aborted   Flag = '#' // no more will come
)

// A Head is the start line of a frame with its header fields. It shares no memory with what
// it was read from.
type Head struct {
	ID string // the transaction identifier: 4 to 32 characters; others may have 1 to 64

	Method Method // of a request; "" in a response. With an Err it may be no method, but what stands there, up to 32 bytes

	Status  Status // of a response: three digits; 0 in a request
	Comment string // of a response, or of the Status of a REPORT; if it is "" that of the code is written

	To   string // To-Path as written; see ParsePath
	From string // From-Path

	MessageID     string // "" none
	Range         Range  // Byte-Range; the zero Range: none
	SuccessReport bool   // Success-Report: yes
	FailureReport FailureReport
	Report        Status  // Status of a REPORT, if it is of the namespace 000; 0 none
	Fields        []Field // other header fields in order, as often as they are there
	ContentType   string  // "" if there is no body

	// HasBody says that a body follows, maybe an empty one.
	HasBody bool

	// Err says what is wrong with the head where the frame can be told nevertheless: a
	// request gets 400.
	Err error
}

// Get returns the value of the first of the other fields with a name, whatever its case.
func (h *Head) Get(name string) (value string, ok bool) {
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

const (
	maxHead   = 16 << 10 // bytes of a head
	maxFields = 64       // other header fields
	maxID     = 64       // characters of a transaction identifier that are put up with
	maxMethod = 32
)

// parse reads what stands before the body or the end-line: the start line, already taken
// apart into id and rest, and header fields, each with its CRLF. It takes over strings of last
// where they are the same, so that the chunks of a message cost no memory.
func (h *Head) parse(start startLine, lines []byte, last *Head) {
	fields := h.Fields[:0]
	*h = Head{ID: string(start.id), Method: start.method, Status: start.status, Comment: start.comment, Fields: fields, Err: start.err}
	var seen uint // of the known names, by bit
	for len(lines) > 0 {
		line, _ := cutLine(lines)
		lines = lines[len(line)+2:]
		h.field(line, last, &seen)
	}
	h.check()
}

func (h *Head) fail(where, text, msg string) {
	if h.Err == nil {
		h.Err = &SyntaxError{Where: where, Text: clip(text), Msg: msg}
	}
}

// keep returns the bytes as a string: an earlier one if it is the same.
func keep(b []byte, earlier string) string {
	if string(b) == earlier {
		return earlier
	}
	return string(b)
}

// field reads one header field.
func (h *Head) field(line []byte, last *Head, seen *uint) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isName(line[:colon]) {
		h.fail("header field", string(line[:min(len(line), 80)]), "no name")
		return
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	for _, c := range value {
		if !isText(c) {
			h.fail(string(name[:min(len(name), 80)]), "", "a control character")
			return
		}
	}
	known := knownName(name)
	if known != other {
		if *seen&(1<<known) != 0 {
			h.fail(string(name), string(value[:min(len(value), 80)]), "there twice")
			return
		}
		*seen |= 1 << known
	}
	switch known {
	case toPath:
		h.To = keep(value, last.To)
	case fromPath:
		h.From = keep(value, last.From)
	case messageID:
		h.MessageID = keep(value, last.MessageID)
	case contentType:
		h.ContentType = keep(value, last.ContentType)
	case byteRange:
		r, err := parseRange(value)
		if err != "" {
			h.fail("Byte-Range", string(value[:min(len(value), 80)]), err)
			return
		}
		h.Range = r
	case successReport:
		h.SuccessReport = len(value) == len("yes") && strings.EqualFold(string(value), "yes")
	case failureReport:
		switch {
		case strings.EqualFold(string(value), "no"):
			h.FailureReport = FailureReportNo
		case strings.EqualFold(string(value), "partial"):
			h.FailureReport = FailureReportPartial
		}
	case status:
		if code, ok := reportStatus(value); ok {
			h.Report = code
			if h.Method != "" && len(value) > len("000 200 ") {
				h.Comment = keep(value[len("000 200 "):], last.Comment)
			}
		} else {
			h.other(name, value)
		}
	default:
		h.other(name, value)
	}
}

func (h *Head) other(name, value []byte) {
	if len(h.Fields) == maxFields {
		h.fail("header fields", "", "more than "+strconv.Itoa(maxFields))
		return
	}
	h.Fields = append(h.Fields, Field{string(name), string(value)})
}

// check says what is missing (RFC 4975 sections 7.1 and 9).
func (h *Head) check() {
	switch {
	case h.To == "":
		h.fail("To-Path", "", "missing")
	case h.From == "":
		h.fail("From-Path", "", "missing")
	}
}

// reportStatus reads "000 200 OK" (RFC 4975 section 7.1.3); ok is false for another namespace.
func reportStatus(v []byte) (code Status, ok bool) {
	if len(v) < 7 || string(v[:4]) != "000 " || len(v) > 7 && v[7] != ' ' {
		return 0, false
	}
	code, ok = statusCode(v[4:7])
	return code, ok && code >= 100
}

// statusCode reads three digits.
func statusCode(v []byte) (code Status, ok bool) {
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		code = code*10 + Status(c-'0')
	}
	return code, true
}

func isName(b []byte) bool {
	for _, c := range b {
		if !isToken(c) {
			return false
		}
	}
	return true
}

// The header fields that a Head has by name.
const (
	other = iota
	toPath
	fromPath
	messageID
	byteRange
	successReport
	failureReport
	status
	contentType
)

var names = [...]string{
	toPath: "To-Path", fromPath: "From-Path", messageID: "Message-ID", byteRange: "Byte-Range",
	successReport: "Success-Report", failureReport: "Failure-Report", status: "Status", contentType: "Content-Type",
}

// knownName tells a name by its length first: all but two of the known have one of their own.
func knownName(b []byte) int {
	is := func(n int) int {
		if string(b) == names[n] || strings.EqualFold(string(b), names[n]) {
			return n
		}
		return other
	}
	switch len(b) {
	case 6:
		return is(status)
	case 7:
		return is(toPath)
	case 9:
		return is(fromPath)
	case 10:
		if b[0]|0x20 == 'm' {
			return is(messageID)
		}
		return is(byteRange)
	case 12:
		return is(contentType)
	case 14:
		if b[0]|0x20 == 's' {
			return is(successReport)
		}
		return is(failureReport)
	}
	return other
}

// Clone returns a copy that shares no list with h.
func (h *Head) Clone() *Head {
	c := *h
	c.Fields = slices.Clone(h.Fields)
	return &c
}

// Response returns the head of a response to a request (RFC 4975 section 7.2): to the hop
// before alone if it is a SEND, else back the whole way. from is our URI in the session.
func (h *Head) Response(status Status, from string) *Head {
	to := h.From
	if h.Method == SEND {
		to, _, _ = strings.Cut(to, " ")
	}
	return &Head{ID: h.ID, Status: status, To: to, From: from}
}

func (h *Head) String() string {
	if h.Method != "" {
		return fmt.Sprintf("%s %s", h.Method, h.ID)
	}
	return fmt.Sprintf("%d %s", int(h.Status), h.ID)
}
