package transaction

import "time"

// Timers are the timers of the four transaction machines, under the names of
// table 4 of RFC 3261, as extended by RFC 6026 section 8.11. The zero value
// is what the RFCs prescribe. A field that is zero or negative has its
// default; only Trying gives negative values a meaning.
//
// Each may be late by a hundredth of itself, so that those of many transactions
// ring together.
//
// Timers A, E and G start at T1, timers I and K last T4. Over a reliable
// transport A, E and G never run, and D, I and K are zero whatever is set here.
type Timers struct {
	// T1 is the estimate of the round-trip time. Zero means 500 ms. Less is
	// not recommended outside closed networks (RFC 3261 section 17.1.1.2).
	T1 time.Duration

	// T2 is the longest interval between retransmissions of a non-INVITE
	// request, and of the final response to an INVITE. Zero means 4 s.
	T2 time.Duration

	// T4 is how long a message may stay in the network. Zero means 5 s.
	T4 time.Duration

	// B is how long an INVITE client waits for the first response.
	// Zero means 64*T1.
	B time.Duration

	// C is how long an INVITE client goes on after a provisional response
	// without another of 101 to 199. Then it sends a CANCEL by itself, and
	// gives the peer 64*T1 for a final response. Zero means for ever, as a
	// user agent wants it, which can hang up; a proxy must set more than three
	// minutes (RFC 3261 sections 16.6 step 11, 16.7 step 2 and 16.8), and package
	// dialog has 200 s by itself for an INVITE on behalf of another. Until
	// the first provisional response timer B stands in for it.
	C time.Duration

	// D is how long an INVITE client acknowledges retransmissions of a final
	// response other than a 2xx. Zero means 64*T1, but at least 32 s, because
	// the T1 of the server is not known.
	D time.Duration

	// F is how long a non-INVITE client waits for a final response.
	// Zero means 64*T1.
	F time.Duration

	// H is how long an INVITE server waits for the ACK to a final response
	// other than a 2xx. Zero means 64*T1.
	H time.Duration

	// J is how long a non-INVITE server answers retransmissions of the
	// request. Zero means 64*T1. Over a reliable transport, where RFC 3261 has
	// it zero, it is T4 at most: a client whose connection has ended sends its
	// request once more on another.
	J time.Duration

	// L is how long an INVITE server absorbs retransmissions of the INVITE
	// after a 2xx. Zero means 64*T1.
	L time.Duration

	// M is how long an INVITE client waits for further 2xx responses after
	// the first. Zero means 64*T1.
	M time.Duration

	// Trying is how long an INVITE server waits for its user to respond
	// before it sends a 100 (Trying) by itself. Zero means 200 ms, negative
	// means at once (RFC 3261 section 17.2.1).
	Trying time.Duration
}

// withDefaults returns t with every field set. A layer does this once; its
// machines share the result and read it only.
func (t Timers) withDefaults() Timers {
	set := func(field *time.Duration, value time.Duration) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&t.T1, 500*time.Millisecond)
	set(&t.T2, 4*time.Second)
	set(&t.T4, 5*time.Second)
	set(&t.B, 64*t.T1)
	t.C = max(t.C, 0)
	set(&t.D, max(64*t.T1, 32*time.Second))
	set(&t.F, 64*t.T1)
	set(&t.H, 64*t.T1)
	set(&t.J, 64*t.T1)
	set(&t.L, 64*t.T1)
	set(&t.M, 64*t.T1)
	if t.Trying == 0 {
		t.Trying = 200 * time.Millisecond
	}
	return t
}

// keptFor returns how long a non-INVITE server keeps its final response: timer J.
func (t *Timers) keptFor(reliable bool) time.Duration {
	if reliable {
		return min(t.J, t.T4)
	}
	return t.J
}

// untilT2 returns the time it takes a client's timer E to be reset to T2,
// 3.5 s by default: when a non-INVITE server sends its 100 (Trying), and over
// an unreliable transport may do so (RFC 4320 section 4.1).
func (t *Timers) untilT2() time.Duration {
	e := t.T1
	elapsed := e
	for e < t.T2-e { // 2*e < T2, safe from overflow
		e *= 2
		elapsed += e
	}
	return elapsed
}
