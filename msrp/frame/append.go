package frame

import (
	"strconv"
	"strings"
)

// Append writes the head in the order of RFC 4975 section 9: To-Path, From-Path, what is not
// of MIME, and if there is a body what is, Content-Type last, and the blank line. A response
// always gets a comment, without which Kamailio takes it for a request. The error is a
// *SyntaxError for what would not be read back as it is, or ErrTooLong, and then nothing is
// written.
func (h *Head) Append(b []byte) ([]byte, error) {
	if err := h.writable(); err != nil {
		return b, err
	}
	head := h.append(b)
	size := len(head) - len(b)
	if !h.HasBody { // the end-line counts
		size += len(hyphens) + len(h.ID) + len("$\r\n")
	}
	if size > maxHead {
		return b, ErrTooLong
	}
	return head, nil
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
		comment := h.Comment
		if comment == "" || h.Method == "" {
			comment = h.Report.String()
		}
		b = strconv.AppendInt(append(b, "Status: 000 "...), int64(h.Report), 10)
		b = append(append(append(b, ' '), comment...), "\r\n"...)
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
	case !all(h.Comment, isText), request && strings.TrimRight(h.Comment, " \t") != h.Comment:
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
