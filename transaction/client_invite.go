package transaction

import "time"

// inviteClient is the INVITE client transaction of RFC 3261 section 17.1.1,
// figure 5, as amended by RFC 6026 section 7.2, and the sending of its CANCEL
// (RFC 3261 section 9.1). Proceeding lasts as long as the callee rings: only
// a final response, inCancel or, for a proxy, timer C ends it.
type inviteClient struct {
	base
	cancelled bool // in Calling: CANCEL with the first provisional; later: CANCEL sent
}

func newInviteClient(timers *Timers, reliable bool) inviteClient {
	return inviteClient{base: base{timers: timers, reliable: reliable}}
}

func (t *inviteClient) step(now time.Time, in input) output {
	var out output
	switch {
	case in.event == inAbandon:
		t.terminate()
	case t.state == stateInitial:
		out = t.initial(now, in)
	case t.state == stateCalling:
		out = t.calling(now, in)
	case t.state == stateProceeding:
		out = t.proceeding(now, in)
	case t.state == stateCompleted:
		out = t.completed(now, in)
	case t.state == stateAccepted:
		out = t.accepted(now, in)
	}
	return t.settle(now, out)
}

func (t *inviteClient) initial(now time.Time, in input) output {
	if in.event != inStart {
		return output{}
	}
	t.enter(stateCalling, now.Add(t.timers.B)) // timer B
	t.resendAfter(now, t.timers.T1)            // timer A
	return output{send: sendRequest}
}

func (t *inviteClient) calling(now time.Time, in input) output {
	switch in.event {
	case inResponse:
		return t.response(now, in.status)
	case inCancel:
		// A CANCEL must not overtake its INVITE: it waits for a provisional
		// response (RFC 3261 section 9.1).
		t.cancelled = true
	case inTimer:
		if due(now, t.deadline) { // timer B
			return t.fail(ErrTimeout)
		}
		if due(now, t.resend) { // timer A
			t.resendAfter(now, 2*t.interval)
			return output{send: sendRequest}
		}
	case inTransportError:
		return t.fail(ErrTransport)
	}
	return output{}
}

// A transport error has no arrow in figure 5 here: the INVITE has arrived, and
// nothing of this transaction is being sent. The CANCEL is a transaction of
// its own, with errors of its own.
func (t *inviteClient) proceeding(now time.Time, in input) output {
	switch in.event {
	case inResponse:
		return t.response(now, in.status)
	case inCancel:
		if !t.cancelled {
			return output{send: t.cancelNow(now)}
		}
	case inTimer:
		switch {
		case !due(now, t.deadline):
		case !t.cancelled:
			// Timer C (RFC 3261 section 16.8). Nobody waits for what comes of the
			// CANCEL: it may be nothing, and only a 2xx would count.
			return output{send: t.cancelNow(now), err: ErrTimeout}
		default:
			// The server may be of RFC 2543 and never answer a cancelled
			// INVITE (RFC 3261 section 9.1).
			return t.fail(ErrTimeout)
		}
	}
	return output{}
}

// response takes a response in Calling or Proceeding. A final one drops a
// CANCEL that still waits, which would be without effect.
func (t *inviteClient) response(now time.Time, status int) output {
	switch {
	case !validStatus(status):
		return output{}
	case status < 200:
		out := output{deliver: true}
		if t.state == stateCalling {
			// Timers A and B stop with the first provisional response
			// (RFC 3261 section 17.1.1.2).
			t.enter(stateProceeding, time.Time{})
			if t.cancelled {
				out.send = t.cancelNow(now)
			} else {
				t.restartC(now)
			}
		} else if status > 100 && !t.cancelled { // RFC 3261 section 16.7 step 2
			t.restartC(now)
		}
		return out
	case status < 300:
		// The user acknowledges a 2xx. The transaction stays for its
		// retransmissions, and for the 2xx of other branches, over reliable
		// transports too (RFC 6026 section 7.2).
		t.enter(stateAccepted, now.Add(t.timers.M)) // timer M
		return output{deliver: true}
	default:
		t.linger(now, stateCompleted, t.timers.D) // timer D
		return output{send: sendACK, deliver: true}
	}
}

// restartC starts timer C, if there is one.
func (t *inviteClient) restartC(now time.Time) {
	if t.timers.C > 0 {
		t.deadline = now.Add(t.timers.C)
	}
}

// cancelNow has the CANCEL sent, and gives the server 64*T1 to end the INVITE.
func (t *inviteClient) cancelNow(now time.Time) sendKind {
	t.cancelled = true
	t.deadline = now.Add(64 * t.timers.T1)
	return sendCancel
}

// Only 3xx to 6xx are acknowledged. A 2xx after them has no arrow in figure 5 of RFC
// 6026, but a proxy that has forked passes on one that comes behind its refusal (RFC 3261
// section 16.7 step 5): it is the user's, who has a call to end.
func (t *inviteClient) completed(now time.Time, in input) output {
	switch in.event {
	case inResponse:
		switch {
		case !validStatus(in.status):
		case in.status >= 300:
			return output{send: sendACK}
		case in.status >= 200:
			return output{deliver: true}
		}
	case inTimer:
		if due(now, t.deadline) { // timer D
			t.terminate()
		}
	case inTransportError:
		return t.fail(ErrTransport)
	}
	return output{}
}

// Nothing is sent in Accepted, so that a transport error here is about a
// message of another state and without consequence.
func (t *inviteClient) accepted(now time.Time, in input) output {
	switch in.event {
	case inResponse:
		if 200 <= in.status && in.status < 300 {
			return output{deliver: true}
		}
	case inTimer:
		if due(now, t.deadline) { // timer M
			t.terminate()
		}
	}
	return output{}
}
