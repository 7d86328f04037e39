package transaction

import "time"

// inviteServer is the INVITE server transaction of RFC 3261 section 17.2.1,
// figure 7, as amended by RFC 6026 section 7.1. A transport error is reported
// and changes no state, so that retransmissions of the INVITE stay absorbed.
// Proceeding lasts until the user gives a final response.
//
// A refusal is sent again by timer G only after a provisional response: before
// that the client asks again by itself, until it has heard something, and whoever
// has not asked at all, but whose address stands in the INVITE of somebody else,
// gets no more packets than were sent. A challenge is held back even more (RFC
// 3261 section 26.3.2.4).
type inviteServer struct {
	base
	responded bool // a provisional response was sent; in Proceeding it is sent again
	challenge bool // the final one is 401 or 407
}

func newInviteServer(timers *Timers, reliable bool) inviteServer {
	return inviteServer{base: base{timers: timers, reliable: reliable}}
}

func (t *inviteServer) step(now time.Time, in input) output {
	var out output
	switch {
	case in.event == inAbandon:
		t.terminate()
	case t.state == stateInitial:
		out = t.initial(now, in)
	case t.state == stateProceeding:
		out = t.proceeding(now, in)
	case t.state == stateCompleted:
		out = t.completed(now, in)
	case t.state == stateConfirmed:
		out = t.confirmed(now, in)
	case t.state == stateAccepted:
		out = t.accepted(now, in)
	case in.event == inRespond: // in Terminated
		out.err = ErrCompleted
	}
	return t.settle(now, out)
}

func (t *inviteServer) initial(now time.Time, in input) output {
	if in.event != inStart {
		return output{}
	}
	t.enter(stateProceeding, time.Time{})
	if t.timers.Trying < 0 {
		return output{send: t.trying(), deliver: true}
	}
	t.resend = now.Add(t.timers.Trying)
	return output{deliver: true}
}

func (t *inviteServer) proceeding(now time.Time, in input) output {
	switch in.event {
	case inRequest:
		// Before the 100 (Trying) is due there is nothing to send again.
		if t.responded {
			return output{send: sendResponse}
		}
	case inRespond:
		return t.respond(now, in.status)
	case inTimer:
		if due(now, t.resend) { // the user did not respond in 200 ms
			return output{send: t.trying()}
		}
	case inTransportError:
		return output{err: ErrTransport}
	}
	return output{}
}

func (t *inviteServer) trying() sendKind {
	t.responded = true
	t.resend = time.Time{}
	return sendTrying
}

func (t *inviteServer) respond(now time.Time, status int) output {
	switch {
	case !validStatus(status):
		return output{err: ErrStatus}
	case status < 200:
		t.responded = true
		t.resend = time.Time{}
	case status < 300:
		t.enter(stateAccepted, now.Add(t.timers.L)) // timer L
	default:
		t.enter(stateCompleted, now.Add(t.timers.H)) // timer H
		t.challenge = isChallenge(status)
		if t.responded {
			t.resendAfter(now, t.timers.T1) // timer G
		}
	}
	return output{send: sendResponse}
}

func (t *inviteServer) completed(now time.Time, in input) output {
	switch in.event {
	case inRequest:
		return output{send: sendResponse}
	case inACK:
		t.linger(now, stateConfirmed, t.timers.T4) // timer I
	case inRespond:
		return output{err: ErrCompleted}
	case inTimer:
		if due(now, t.deadline) { // timer H
			return t.fail(ErrTimeout)
		}
		if due(now, t.resend) { // timer G
			t.resendAfter(now, min(2*t.interval, t.timers.T2))
			if since := t.timers.H - t.deadline.Sub(now); t.challenge && since >= 3*t.timers.T1 {
				t.resend = time.Time{} // the third and last; RFC 3261 section 26.3.2.4 would have one
			}
			return output{send: sendResponse}
		}
	case inTransportError:
		return output{err: ErrTransport}
	}
	return output{}
}

// confirmed absorbs the ACKs to retransmissions of the final response.
func (t *inviteServer) confirmed(now time.Time, in input) output {
	switch in.event {
	case inRespond:
		return output{err: ErrCompleted}
	case inTimer:
		if due(now, t.deadline) { // timer I
			t.terminate()
		}
	}
	return output{}
}

// accepted absorbs retransmissions of the INVITE, over reliable transports
// too. To repeat the 2xx until its ACK comes is up to the user, and so is that
// ACK, should it have the branch of the INVITE (RFC 6026 sections 6 and 7.1).
func (t *inviteServer) accepted(now time.Time, in input) output {
	switch in.event {
	case inACK:
		return output{deliver: true}
	case inRespond:
		if in.status < 200 || in.status >= 300 {
			return output{err: ErrCompleted}
		}
		return output{send: sendResponse}
	case inTimer:
		if due(now, t.deadline) { // timer L
			t.terminate()
		}
	case inTransportError:
		return output{err: ErrTransport}
	}
	return output{}
}

// isChallenge reports whether a status asks for credentials.
func isChallenge(status int) bool { return status == 401 || status == 407 }
