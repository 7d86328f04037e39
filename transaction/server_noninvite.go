package transaction

import "time"

// nonInviteServer is the server transaction of every request but INVITE and
// ACK, of RFC 3261 section 17.2.2, figure 8, as amended by RFC 4320. A
// transport error is reported and changes no state (RFC 6026 section 8.8).
// Trying and Proceeding last until the user gives a final response.
type nonInviteServer struct {
	base
	silent bool // in Completed: there is no response
}

func newNonInviteServer(timers *Timers, reliable bool) nonInviteServer {
	return nonInviteServer{base: base{timers: timers, reliable: reliable}}
}

func (t *nonInviteServer) step(now time.Time, in input) output {
	var out output
	switch {
	case in.event == inAbandon:
		t.terminate()
	case t.state == stateInitial:
		out = t.initial(now, in)
	case t.state == stateTrying:
		out = t.trying(now, in)
	case t.state == stateProceeding:
		out = t.proceeding(now, in)
	case t.state == stateCompleted:
		out = t.completed(now, in)
	case in.event == inRespond: // in Terminated
		out.err = ErrCompleted
	}
	return t.settle(now, out)
}

func (t *nonInviteServer) initial(now time.Time, in input) output {
	if in.event != inStart {
		return output{}
	}
	t.enter(stateTrying, time.Time{})
	t.resend = now.Add(t.timers.untilT2())
	return output{deliver: true}
}

// trying discards retransmissions of the request.
func (t *nonInviteServer) trying(now time.Time, in input) output {
	switch in.event {
	case inRespond:
		// The 100 that is too early over an unreliable transport would slow
		// down the client's retransmissions; the machine sends one in time
		// (RFC 4320 section 4.1).
		if in.status == 100 && !t.reliable && !due(now, t.resend) {
			return output{}
		}
		return t.respond(now, in.status)
	case inTimer:
		// Required over every transport (RFC 4320 section 4.1).
		if due(now, t.resend) {
			t.enter(stateProceeding, time.Time{})
			return output{send: sendTrying}
		}
	}
	return output{}
}

func (t *nonInviteServer) proceeding(now time.Time, in input) output {
	switch in.event {
	case inRequest:
		return output{send: sendResponse}
	case inRespond:
		return t.respond(now, in.status)
	case inTransportError:
		return output{err: ErrTransport}
	}
	return output{}
}

func (t *nonInviteServer) respond(now time.Time, status int) output {
	switch {
	case !validStatus(status), 100 < status && status < 200:
		return output{err: ErrStatus}
	case status == 100:
		t.enter(stateProceeding, time.Time{})
	case status == 408:
		// The client knows that its time is over: the request stays without
		// an answer (RFC 4320 section 4.2), retransmissions too.
		t.silent = true
		t.complete(now)
		return output{}
	default:
		t.complete(now)
	}
	return output{send: sendResponse}
}

// complete keeps the response for retransmissions of the request. Over a reliable
// transport there are none (RFC 3261 section 17.2.2), but for one: who has lost the
// connection before the response came sends the request again on another.
func (t *nonInviteServer) complete(now time.Time) {
	t.enter(stateCompleted, now.Add(t.timers.keptFor(t.reliable))) // timer J
}

func (t *nonInviteServer) completed(now time.Time, in input) output {
	switch in.event {
	case inRequest:
		if !t.silent {
			return output{send: sendResponse}
		}
	case inRespond:
		return output{err: ErrCompleted}
	case inTimer:
		if due(now, t.deadline) { // timer J
			t.terminate()
		}
	case inTransportError:
		return output{err: ErrTransport}
	}
	return output{}
}
