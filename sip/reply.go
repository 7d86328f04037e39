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
func (r *Request) Reply(status Status, edits ...Edit) *Response {
	b := appendStatusLine(make([]byte, 0, len(r.text[:r.body])+64), status, status.Text())
	for i, f := range r.fields {
		switch f.id {
		case idVia, idFrom, idCallID, idCSeq:
		case idTo:
			if status > StatusTrying && r.To().Tag() == "" {
				b = append(b, "To: "...)
				b = append(b, r.value(i)...)
				b = append(b, ";tag="...)
				b = r.appendTag(b)
				b = append(b, "\r\n"...)
				continue
			}
		case idRecordRoute:
			if status <= StatusTrying || status >= StatusMultipleChoices {
				continue
			}
		case idTimestamp:
			if status != StatusTrying {
				continue
			}
		default:
			continue
		}
		end := int(r.body) - 2
		if i+1 < len(r.fields) {
			end = int(r.fields[i+1].name)
		}
		b = append(b, r.text[f.name:end]...)
	}
	b = append(b, "Content-Length: 0\r\n\r\n"...)

	_, msg, err := index(string(b))
	resp, ok := msg.(*Response)
	if !ok {
		resp = new(Response)
		resp.text, resp.head, resp.status = string(b), uint16(len("SIP/2.0 000 ")), status
	}
	if err != nil {
		resp.err = err
	}
	if r.err != nil {
		resp.err = r.err
	}
	if len(edits) > 0 {
		resp = resp.With(edits...)
	}
	return resp
}

var tagSeed = maphash.MakeSeed()

// appendTag appends the tag that replies to this request carry.
func (r *Request) appendTag(b []byte) []byte {
	var h maphash.Hash
	h.SetSeed(tagSeed)
	h.WriteString(r.CallID())
	h.WriteByte(0)
	h.WriteString(r.From().Tag())
	h.WriteByte(0)
	h.WriteString(r.Via().Branch())
	h.WriteByte(0)
	h.WriteString(strconv.Itoa(int(r.CSeq().Seq)))
	return strconv.AppendUint(b, h.Sum64(), 36)
}
