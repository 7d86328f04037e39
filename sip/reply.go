package sip

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
)

// Reply makes the response to a request, by RFC 3261 section 8.2.6: Via, From,
// To, Call-ID and CSeq as in the request, Timestamp in a 100, and Record-Route in
// any other below 300 (section 12.1.1) but that to a REGISTER (section 10.3).
//
// A To without a tag gets one, except in a 100. The tag is a keyed hash of what
// identifies the transaction: every reply to one request, and to its
// retransmissions, has the same tag, as a stateless server needs (section
// 8.2.7), and no one outside the process can guess it.
//
// The reason phrase is the standard one; the edit ReasonPhrase sets another.
// A reply that cannot be made has no text, and Err tells why.
func (r *Request) Reply(status Status, edits ...Edit) *Response {
	if err := r.replyError(status); err != nil {
		return failedResponse(err)
	}
	w := newRewriter(&r.message)
	for i, f := range r.fields() {
		switch f.id {
		case idVia, idFrom, idCallID, idCSeq:
			w.keep(i)
		case idTo:
			if status > StatusTrying && tagOf(&r.to, r.hot(idTo)) == "" {
				var room [tagSize]byte
				w.lines = append(w.lines, w.line("To", r.value(i), ";tag=", view(r.appendTag(room[:0]))))
			} else {
				w.keep(i)
			}
		case idRecordRoute:
			if status > StatusTrying && status < StatusMultipleChoices && r.Method() != REGISTER {
				w.keep(i)
			}
		case idTimestamp:
			if status == StatusTrying {
				w.keep(i)
			}
		}
	}
	w.lines = append(w.lines, w.line("Content-Length", "0"))
	w.start = appendStatusLine(w.start[:0], status, status.Text())
	out, err := rewrite[Response](w, w.statusLine(view(w.start), status, edits), edits)
	if err != nil {
		return failedResponse(err)
	}
	out.status = status
	return out
}

// Refuse makes the response to a request for an error that reading it gave: Get,
// All, FindBody, CheckBody and the like. The status is that of the *SyntaxError,
// and 400 if the error is none or has none that refuses. The reason phrase of a
// 400 names the header field, "Bad Contact", as RFC 3261 section 21.4.1 would
// have it. For the rest it is as Reply is; a 415 wants an Accept or an
// Accept-Encoding among the edits (section 8.2.3).
//
// A request that Parse refused is answered by Reply of its error.
func (r *Request) Refuse(err error, edits ...Edit) *Response {
	status, phrase := StatusBadRequest, StatusBadRequest.Text()
	var bad *SyntaxError
	if errors.As(err, &bad) {
		if bad.Status >= 300 && bad.Status <= 699 {
			status = bad.Status
		}
		phrase = bad.phrase(status)
	}
	return r.Reply(status, append([]Edit{ReasonPhrase(phrase)}, edits...)...)
}

// failedResponse is a response that could not be made at all.
func failedResponse(err *SyntaxError) *Response {
	r := new(Response)
	r.fail(err)
	return r
}

var tagSeed = maphash.MakeSeed()

const tagSize = 13 // digits of 64 bits

// appendTag appends the tag that replies to this request carry. A reply has all
// that it is made of, too.
func (m *message) appendTag(b []byte) []byte {
	var room [256]byte
	key := append(room[:0], m.CallID()...)
	key = append(key, 0)
	key = append(key, tagOf(&m.from, m.hot(idFrom))...)
	key = append(key, 0)
	key = append(key, m.branch()...)
	key = append(key, 0)
	key = binary.LittleEndian.AppendUint32(key, m.CSeq().Seq)
	sum := maphash.Bytes(tagSeed, key)
	for range tagSize {
		b = append(b, "0123456789abcdefghijklmnopqrstuv"[sum&31])
		sum >>= 5
	}
	return b
}

// branch returns that of the topmost Via.
func (m *message) branch() string {
	if m.via.end == 0 {
		return m.Via().Branch()
	}
	branch, _ := Params(m.hot(idVia)[m.via.params:m.via.end]).Get("branch")
	return branch
}

// tagOf returns the tag of a From or To with that value.
func tagOf(x *addressSpan[uint8], value string) string {
	p := Params("")
	if x.uri.scheme != schemeNone {
		p = Params(value[x.params:])
	} else if a, err := parseTagged(value); err == nil {
		p = a.Params
	}
	tag, _ := p.Get("tag")
	return tag
}

// replyError says why a request cannot be answered like that.
func (r *Request) replyError(status Status) *SyntaxError {
	switch {
	case r.failure() != nil:
		return r.failure()
	case status < 100 || status > 699:
		return fail(0, "start line", 0, "expected a status code from 100 to 699")
	}
	return nil
}
