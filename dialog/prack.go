package dialog

import (
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// pracked takes a PRACK, and returns what it is for: the response that waits for one, or
// the one whose PRACK was refused, nil if it is for neither. It is called with s.mu held.
func (s *Session) pracked(prack *sip.Request) *unpracked {
	rack, err := sip.Get[sip.RAck](prack)
	var u *unpracked
	switch {
	case err != nil:
		return nil
	case s.unpracked != nil && s.unpracked.rack == rack:
		u, s.unpracked = s.unpracked, nil
		s.pracking = u
	case s.refused != nil && s.refused.rack == rack:
		u = unprackedFor(rack, false)
		u.late, u.repeat, s.refused = true, s.refused.repeat, nil
	default:
		return nil
	}
	close(u.acked)
	return u
}

// servedPRACK is called when a PRACK has its answer.
func (s *Session) servedPRACK(u *unpracked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(u.served)
	if s.pracking == u {
		s.pracking = nil
	}
}

// refusedPRACK is called before a PRACK is refused, as for an offer that does not fit. The
// response has arrived all the same, and is not sent again. Another PRACK for it may come,
// without the offer (RFC 6337 section 2.3), or with the credentials that one of those was
// asked for. It is called with s.mu held.
func (s *Session) refusedPRACK(u *unpracked) {
	if !u.late || s.refused == nil { // else the next response had its PRACK refused meanwhile
		s.refused = u
	}
}

// latePRACK is a PRACK that may come after the refusal of an INVITE, for a reliable
// provisional response that had none before: the two have crossed.
type latePRACK struct {
	rack   sip.RAck
	expiry *time.Timer
}

// outlive has the PRACK for a response taken whose call is refused, as long as its sender
// may not have heard of that: 64*T1.
func (l *Layer) outlive(id ID, rack sip.RAck) {
	id = id.key()
	late := &latePRACK{rack: rack}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.late[id] != nil {
		return
	}
	l.late[id] = late
	late.expiry = time.AfterFunc(64*l.tl.Timers().T1, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.late[id] == late {
			delete(l.late, id)
		}
	})
}

// replyGone answers a request of a call that there is not any more. RFC 3262 section 3: that
// may be a PRACK which has met the refusal on its way. Nobody is there to answer an offer.
func (l *Layer) replyGone(tx *transaction.Server, req *sip.Request, id ID) {
	status := sip.StatusCallDoesNotExist
	if rack, err := sip.Get[sip.RAck](req); err == nil && req.Method() == sip.PRACK {
		l.mu.Lock()
		switch late := l.late[id.key()]; {
		case late == nil || late.rack != rack:
		case describes(req):
			status = sip.StatusNotAcceptableHere
		default:
			status = sip.StatusOK
			late.expiry.Stop()
			delete(l.late, id.key())
		}
		l.mu.Unlock()
	}
	tx.Reply(status)
}
