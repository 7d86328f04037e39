package transaction

import (
	"errors"
	"time"
)

// What ends a transaction, or refuses what its user asked of it.
var (
	// ErrTimeout says that the peer did not answer in time: a client got no
	// response (timer B or F) or no final one in 64*T1 after its CANCEL, or
	// a server got no ACK (timer H).
	ErrTimeout = errors.New("transaction: timed out")

	// ErrTransport says that the transport could not send a message of the
	// transaction. It ends a client. A server stays as it is, to absorb
	// retransmissions of its request (RFC 6026 section 8.8).
	ErrTransport = errors.New("transaction: transport failed")

	// ErrCompleted says that a response was given to a transaction that
	// already has its final one.
	ErrCompleted = errors.New("transaction: already completed")

	// ErrStatus says that a response may not be sent because of its status
	// code: to a non-INVITE request no provisional response but 100 may be
	// sent (RFC 4320 section 4.1).
	ErrStatus = errors.New("transaction: status not allowed for this request")
)

// A machine is one transaction as RFC 3261 section 17 draws it: inviteClient,
// nonInviteClient, inviteServer or nonInviteServer. It does no I/O, reads no
// clock and is not safe for concurrent use.
//
// Its owner calls step for every input, does what the output says, and sets
// its one timer to output.next; when that timer fires it steps inTimer. A
// timer may fire early or late: early does nothing, late does all that is due,
// with missed retransmissions made up for by one.
type machine interface {
	step(now time.Time, in input) output
}

// An input is what happens to a transaction.
type input struct {
	event  event
	status int // the status code, with inResponse and inRespond
}

type event uint8

const (
	inStart          event = iota // client: the user's request; server: the request from the network. First, and once
	inResponse                    // client: a response from the network
	inRequest                     // server: the request again
	inACK                         // INVITE server: an ACK that matches the transaction
	inRespond                     // server: a response from the user
	inCancel                      // INVITE client: the user gives up the call; it may do so at any time
	inTimer                       // the time asked for in output.next has come
	inTransportError              // what the last output said to send could not be sent
	inAbandon                     // terminate now, without a word: the user or the layer goes away
)

// An output is what its owner has to do after a step: first send, then deliver
// or report, then set the timer or forget the transaction.
type output struct {
	// send is what to put on the wire.
	send sendKind

	// deliver says to pass what came in to the user: the request with
	// inStart, the response with inResponse, the ACK with inACK. What is not
	// delivered is a retransmission, or too late to matter.
	deliver bool

	// err is for the user: the answer to inRespond if the response is
	// refused, else what went wrong. The transaction is over only if
	// terminated says so.
	err error

	// terminated says that the transaction is over and is to be forgotten.
	// Every later step repeats it, and asks for nothing else. Should the send
	// of this very output fail, that is for the owner to report.
	terminated bool

	// next is when to step inTimer, never before the now of this step; zero
	// means that no timer runs.
	next time.Time
}

// A sendKind says which message to send. All go where the first one went; a
// repeated one is the same bytes again.
type sendKind uint8

const (
	sendNothing  sendKind = iota
	sendRequest           // the request, for the first time or again
	sendACK               // the ACK to the final response, built from the first (RFC 3261 section 17.1.1.3)
	sendCancel            // a CANCEL, as a transaction of its own (RFC 3261 section 9.1); once at most
	sendResponse          // the response just given with inRespond, to be kept unless a 2xx to INVITE; else the one kept
	sendTrying            // a 100 (Trying) of the layer's own making, to be kept like one given
)

// A state is a box in the figures of RFC 3261 section 17 and RFC 6026.
type state uint8

const (
	stateInitial state = iota // before inStart
	stateCalling
	stateTrying
	stateProceeding
	stateAccepted
	stateCompleted
	stateConfirmed
	stateTerminated
)

// base is what the four machines have in common.
type base struct {
	timers   *Timers       // the layer's, with all defaults set
	deadline time.Time     // when the state ends; zero: not by time
	resend   time.Time     // when to send next; zero: never
	interval time.Duration // what resend was last set to
	state    state
	reliable bool // the transport does not lose messages
}

// enter moves to state s until deadline, with no retransmission due.
func (b *base) enter(s state, deadline time.Time) {
	b.state = s
	b.deadline = deadline
	b.resend = time.Time{}
}

// linger moves to state s, which only exists to absorb retransmissions and
// lasts d. A reliable transport makes none: there the transaction is over.
func (b *base) linger(now time.Time, s state, d time.Duration) {
	if b.reliable {
		b.terminate()
		return
	}
	b.enter(s, now.Add(d))
}

func (b *base) terminate() {
	b.enter(stateTerminated, time.Time{})
}

// fail ends the transaction with err.
func (b *base) fail(err error) output {
	b.terminate()
	return output{err: err}
}

// resendAfter sets the retransmission timer, unless the transport is reliable.
func (b *base) resendAfter(now time.Time, d time.Duration) {
	if !b.reliable {
		b.interval = d
		b.resend = now.Add(d)
	}
}

// settle completes an output with what follows from the state.
func (b *base) settle(now time.Time, out output) output {
	if b.state == stateTerminated {
		out.terminated = true
		return out
	}
	out.next = b.deadline
	if out.next.IsZero() || !b.resend.IsZero() && b.resend.Before(out.next) {
		out.next = b.resend
	}
	// Something else happened while a timer was late: it fires right after.
	if !out.next.IsZero() && out.next.Before(now) {
		out.next = now
	}
	return out
}

// due reports whether a timer set to t has fired.
func due(now, t time.Time) bool {
	return !t.IsZero() && !now.Before(t)
}

// validStatus reports whether code is one a SIP response can have.
func validStatus(code int) bool {
	return 100 <= code && code <= 699
}
