package sip

import (
	"hash/maphash"
	"strconv"
)

// Reply makes the response to a request, by RFC 3261 section 8.2.6: Via, From,
// To, Call-ID and CSeq as in the request, Record-Route too in what may set up a
// dialog (section 12.1.1), Timestamp in a 100.
//
// A To without a tag gets one, except in a 100. The tag is a keyed hash of what
// identifies the transaction: every reply to one request, and to its
// retransmissions, has the same tag, as a stateless server needs (section
// 8.2.7), and no one outside the process can guess it.
//
// The reason phrase is the standard one; the edit ReasonPhrase sets another.
// A reply that cannot be made has no text, and Err tells why.
func (r *Request) Reply(status Status, edits ...Edit) *Response {
	out := &Response{status: status}
	if err := r.replyError(status); err != nil {
		out.fail(err)
		return out
	}
	w := newRewriter(&r.message)
	for i, f := range r.fields() {
		switch f.id {
		case idVia, idFrom, idCallID, idCSeq:
			w.keep(i)
		case idTo:
			if status > StatusTrying && r.To().Tag() == "" {
				w.lines = append(w.lines, w.line("To", r.value(i), ";tag=", r.tag()))
			} else {
				w.keep(i)
			}
		case idRecordRoute:
			if status > StatusTrying && status < StatusMultipleChoices {
				w.keep(i)
			}
		case idTimestamp:
			if status == StatusTrying {
				w.keep(i)
			}
		}
	}
	w.lines = append(w.lines, w.line("Content-Length", "0"))
	var room [64]byte
	start := string(appendStatusLine(room[:0], status, status.Text()))
	if err := w.run(&out.message, statusLine(start, status, edits), edits); err != nil {
		out.message = message{}
		out.fail(err)
	}
	return out
}

var tagSeed = maphash.MakeSeed()

// tag returns the tag that replies to this request carry. A reply has all that
// it is made of, too.
func (m *message) tag() string {
	var h maphash.Hash
	h.SetSeed(tagSeed)
	h.WriteString(m.CallID())
	h.WriteByte(0)
	h.WriteString(m.From().Tag())
	h.WriteByte(0)
	h.WriteString(m.Via().Branch())
	h.WriteByte(0)
	seq := m.CSeq().Seq
	h.Write([]byte{byte(seq), byte(seq >> 8), byte(seq >> 16), byte(seq >> 24)})
	return strconv.FormatUint(h.Sum64(), 36)
}

// replyError says why a request cannot be answered like that.
func (r *Request) replyError(status Status) *SyntaxError {
	switch {
	case r.failure() != nil:
		return r.failure()
	case status < 100 || status > 699:
		return fail(0, "start line", 0, "status code is not 100 to 699")
	}
	return nil
}
