package dialog

import (
	"errors"

	"github.com/goparley/parley/sip"
)

// side is one of the two of a dialog.
type side int8

const (
	nobody side = iota
	local
	remote
)

func (s side) other() side {
	switch s {
	case local:
		return remote
	case remote:
		return local
	}
	return nobody
}

var errOffer = errors.New("dialog: an offer is not answered yet")

// offers tells whether an offer waits for its answer, and whose, without reading
// descriptions: which message may carry what is said by RFC 3261 section 13.2.1,
// RFC 3262 section 5, RFC 3311 section 5 and RFC 6337 table 1. It is a machine: it
// does no I/O.
type offers struct {
	from side     // who has made the offer that is not answered; nobody: there is none
	by   sip.CSeq // of the transaction that it was made in
	due  side     // whose first reliable response to an INVITE is to have the offer
}

// is reports whether the offer that is not answered was made in a transaction. Of
// INVITEs there is one at a time, whose number changes with a challenge.
func (o *offers) is(from side, cseq sip.CSeq) bool {
	return o.from == from && o.by.Method == cseq.Method && (cseq.Method == sip.INVITE || o.by.Seq == cseq.Seq)
}

// opens notes an offer.
func (o *offers) opens(from side, method sip.Method, seq uint32) {
	o.from, o.by = from, sip.CSeq{Seq: seq, Method: method}
}

// request takes a request that is sent or received, from its sender. It is errOffer
// for one that may have no offer now; then nothing has changed.
func (o *offers) request(from side, cseq sip.CSeq, described bool) error {
	switch cseq.Method {
	case sip.INVITE:
		if o.from != nobody {
			return errOffer
		}
		if described {
			o.opens(from, sip.INVITE, cseq.Seq)
		} else {
			o.due = from.other()
		}
	case sip.ACK:
		if o.is(from.other(), sip.CSeq{Method: sip.INVITE}) {
			o.from = nobody
		}
	case sip.PRACK:
		switch {
		case !described:
		case o.is(from.other(), sip.CSeq{Method: sip.INVITE}): // the answer to that of the response
			o.from = nobody
		case o.from == nobody:
			o.opens(from, sip.PRACK, cseq.Seq)
		default:
			return errOffer
		}
	case sip.UPDATE:
		if described && o.from != nobody {
			return errOffer
		}
		if described {
			o.opens(from, sip.UPDATE, cseq.Seq)
		}
	}
	return nil
}

// challenged takes that a PRACK for a response to an INVITE, from its sender, is to come
// again with credentials, before that response is taken: if it had the answer, the offer
// still waits for one.
func (o *offers) challenged(from side, described bool, invite uint32) {
	if described && o.from == nobody {
		o.opens(from.other(), sip.INVITE, invite)
	}
}

// response takes a response, from its sender. reliable says that a provisional one
// is.
func (o *offers) response(from side, cseq sip.CSeq, status sip.Status, described, reliable bool) {
	mine := o.is(from.other(), cseq) // the offer was in the request
	if cseq.Method != sip.INVITE {
		if mine && status.Final() {
			o.from = nobody // also without an answer, or refused
		}
		return
	}
	switch {
	case described && (status.Success() || !status.Final() && reliable):
		o.described(from, mine, cseq.Seq)
	case !status.Final():
	case !status.Success() && o.by.Method == sip.INVITE, mine:
		o.from = nobody // also an offer in a provisional response
	}
	if status.Final() {
		o.due = nobody
	}
}

// answered takes the final response to a request of ours, or that there is none.
func (o *offers) answered(req *sip.Request, resp *sip.Response, err error) {
	if err != nil || resp == nil {
		o.response(remote, req.CSeq(), sip.StatusRequestTimeout, false, true)
		return
	}
	o.response(remote, req.CSeq(), resp.Status(), describes(resp), true)
}

// described takes a description in a reliable response to an INVITE.
func (o *offers) described(from side, answer bool, seq uint32) {
	switch {
	case answer:
		o.from = nobody
	case o.from == nobody && o.due == from:
		o.opens(from, sip.INVITE, seq)
	}
	o.due = nobody
}

// describes reports whether a message has a session description.
func describes(e sip.Entity) bool {
	if e.Body() == "" {
		return false
	}
	_, err := sip.FindBody(e, "application/sdp", "session")
	return err == nil
}
