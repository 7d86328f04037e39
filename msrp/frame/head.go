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

	Method Method // of a request; "" in a response

	Status  Status // of a response: three digits; 0 in a request
	Comment string // of a response; if it is "" that of the Status is written

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
	*h = Head{ID: string(start.id), Method: start.method, Status: start.status, Comment: start.comment, Fields: fields}
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
		h.SuccessReport = strings.EqualFold(string(value), "yes")
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

// Append writes the head in the order of RFC 4975 section 9: To-Path, From-Path, what is not
// of MIME, what is, and Content-Type last, with the blank line behind it if there is a body. A response
// always gets a comment, without which Kamailio takes it for a request. The error is a
// *SyntaxError for what would not be read back as it is, or ErrTooLong, and then nothing is
// written.
func (h *Head) Append(b []byte) ([]byte, error) {
	if err := h.writable(); err != nil {
		return b, err
	}
	start := len(b)
	end := len(hyphens) + len(h.ID) + len("$\r\n")
	b, before := h.append(b), b
	if h.HasBody {
		end = 0
	}
	if len(b)-start+end > maxHead {
		return before, ErrTooLong
	}
	return b, nil
}

func (h *Head) append(b []byte) []byte {
	b = append(append(append(b, "MSRP "...), h.ID...), ' ')
	if h.Method != "" {
		b = append(b, h.Method...)
	} else {
		comment := h.Comment
		if comment == "" {
			comment = h.Status.String()
		}
		b = append(append(strconv.AppendInt(b, int64(h.Status), 10), ' '), comment...)
	}
	b = append(b, "\r\n"...)
	b = appendField(b, "To-Path", h.To)
	b = appendField(b, "From-Path", h.From)
	if h.MessageID != "" {
		b = appendField(b, "Message-ID", h.MessageID)
	}
	if h.SuccessReport {
		b = append(b, "Success-Report: yes\r\n"...)
	}
	switch h.FailureReport {
	case FailureReportNo:
		b = append(b, "Failure-Report: no\r\n"...)
	case FailureReportPartial:
		b = append(b, "Failure-Report: partial\r\n"...)
	}
	if h.Range != (Range{}) {
		b = append(h.Range.Append(append(b, "Byte-Range: "...)), "\r\n"...)
	}
	if h.Report != 0 {
		b = strconv.AppendInt(append(b, "Status: 000 "...), int64(h.Report), 10)
		b = append(append(append(b, ' '), h.Report.String()...), "\r\n"...)
	}
	for _, f := range h.Fields {
		if !isMIME(f.Name) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	if !h.HasBody {
		return b
	}
	for _, f := range h.Fields {
		if isMIME(f.Name) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	if h.ContentType != "" {
		b = appendField(b, "Content-Type", h.ContentType)
	}
	return append(b, "\r\n"...)
}

// AppendEnd writes the end of the frame: after a body the CRLF that is not part of it, and the
// end-line.
func (h *Head) AppendEnd(b []byte, flag Flag) []byte {
	if h.HasBody {
		b = append(b, "\r\n"...)
	}
	b = append(append(b, hyphens...), h.ID...)
	return append(b, byte(flag), '\r', '\n')
}

const hyphens = "-------"

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

// isMIME reports whether a field describes the body.
func isMIME(name string) bool { return len(name) > 8 && strings.EqualFold(name[:8], "Content-") }

// writable says what cannot be written.
func (h *Head) writable() error {
	bad := func(where, text string) error {
		return &SyntaxError{Where: where, Text: clip(text), Msg: "cannot be written"}
	}
	request := h.Method != ""
	switch {
	case h.ID == "" || len(h.ID) > maxID || !all(h.ID, isIdent):
		return bad("transaction identifier", h.ID)
	case request && (len(h.ID) < 4 || len(h.ID) > 32 || !isAlphanum(h.ID[0])):
		return bad("transaction identifier", h.ID) // of ours; a response has that of its request
	case request && (len(h.Method) > maxMethod || !all(string(h.Method), isUpper)):
		return bad("method", string(h.Method))
	case request != (h.Status == 0) || !request && (h.Status < 100 || h.Status > 999):
		return bad("status", strconv.Itoa(int(h.Status)))
	case !all(h.Comment, isText):
		return bad("comment", h.Comment)
	case h.To == "" || !isValue(h.To):
		return bad("To-Path", h.To)
	case h.From == "" || !isValue(h.From):
		return bad("From-Path", h.From)
	case !isValue(h.MessageID):
		return bad("Message-ID", h.MessageID)
	case h.Range != (Range{}) && h.Range.wrong() != "":
		return bad("Byte-Range", h.Range.String())
	case h.FailureReport > FailureReportNo:
		return bad("Failure-Report", strconv.Itoa(int(h.FailureReport)))
	case h.Report != 0 && (h.Report < 100 || h.Report > 999):
		return bad("Status", strconv.Itoa(int(h.Report)))
	case !isValue(h.ContentType) || h.HasBody && h.ContentType == "":
		return bad("Content-Type", h.ContentType)
	case len(h.Fields) > maxFields:
		return bad("header fields", strconv.Itoa(len(h.Fields)))
	}
	reports := h.Report != 0
	for _, f := range h.Fields {
		ok := f.Name != "" && all(f.Name, isToken) && isValue(f.Value)
		switch known := knownName([]byte(f.Name)); {
		case known == status: // of another namespace
			_, ours := reportStatus([]byte(f.Value))
			ok = ok && !ours && !reports
			reports = true
		case known != other:
			ok = false
		}
		if !ok {
			return bad("header field", f.Name+": "+f.Value)
		}
	}
	return nil
}

// isValue reports whether a text can be the value of a header field, which has no white space
// around it.
func isValue(s string) bool { return all(s, isText) && strings.Trim(s, " \t") == s }

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

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
