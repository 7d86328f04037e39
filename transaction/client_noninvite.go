package transaction

import "time"

// nonInviteClient is the client transaction of every request but INVITE and
// ACK, of RFC 3261 section 17.1.2, figure 6.
type nonInviteClient struct {
	base
}

func newNonInviteClient(timers *Timers, reliable bool) nonInviteClient {
	return nonInviteClient{base{timers: timers, reliable: reliable}}
}

func (t *nonInviteClient) step(now time.Time, in input) output {
	var out output
	switch {
	case in.event == inAbandon:
		t.terminate()
	case t.state == stateInitial:
		out = t.initial(now, in)
	case t.state == stateTrying || t.state == stateProceeding:
		out = t.pending(now, in)
	case t.state == stateCompleted:
		t.completed(now, in)
	}
	return t.settle(now, out)
}

func (t *nonInviteClient) initial(now time.Time, in input) output {
	if in.event != inStart {
		return output{}
	}
	t.enter(stateTrying, now.Add(t.timers.F)) // timer F
	t.resendAfter(now, t.timers.T1)           // timer E
	return output{send: sendRequest}
}

// pending is Trying and Proceeding, which differ in the pace of timer E only.
func (t *nonInviteClient) pending(now time.Time, in input) output {
	switch in.event {
	case inResponse:
		return t.response(now, in.status)
	case inTimer:
		if due(now, t.deadline) { // timer F
			return t.fail(ErrTimeout)
		}
		if due(now, t.resend) { // timer E
			e := t.timers.T2
			if t.state == stateTrying {
				e = min(2*t.interval, e)
			}
			t.resendAfter(now, e)
			return output{send: sendRequest}
		}
	case inTransportError:
		return t.fail(ErrTransport)
	}
	return output{}
}

func (t *nonInviteClient) response(now time.Time, status int) output {
	switch {
	case !validStatus(status):
		return output{}
	case status < 200:
		// Neither timer changes: E runs out, and then lasts T2; F goes on
		// (RFC 3261 section 17.1.2.2, RFC 4321 section 1.2).
		t.state = stateProceeding
	default:
		t.linger(now, stateCompleted, t.timers.T4) // timer K
	}
	return output{deliver: true}
}

// completed absorbs retransmissions of the final response.
func (t *nonInviteClient) completed(now time.Time, in input) {
	if in.event == inTimer && due(now, t.deadline) { // timer K
		t.terminate()
	}
}
