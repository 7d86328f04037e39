package proxy

import "github.com/goparley/parley/sip"

// A responseContext is that of RFC 3261 section 16: the branches of one request,
// which of them to begin, what to pass on, whom to cancel, and what the answer is
// in the end. It does no I/O, reads no clock and knows branches by their number
// alone.
//
// Branches have turns: those of one turn run beside each other, those of the next
// begin when they have all failed.
type responseContext struct {
	invite    bool
	breadth   int // of RFC 5393, that no open branch has
	branches  []branch
	sent      bool // a final response has been passed on
	closed    bool // no branch begins any more
	cancelled bool // by the client
}

type branch struct {
	turn     int
	instance string // of RFC 5626; "" for none
	state    branchState
	breadth  int        // while it is open
	status   sip.Status // its final response; 0: none, or none that counts
	origin   origin     // of that
	gaveUp   bool       // it was told to cancel
}

// origin tells where the final response of a branch comes from.
type origin uint8

const (
	received  origin = iota
	unreached        // there is none: it stands for a fault of the way there
	heldBack         // we are asked to send less, by a server that is overloaded (RFC 7339)
)

type branchState uint8

const (
	waiting branchState = iota
	open
	ended
)

// A step is what the owner of a context has to do after an input.
type step struct {
	start   []int // begin these, with the breadth that they have now
	forward bool  // pass on the response that came in
	cancel  []int // cancel these; they will end with a response all the same
}

// begin starts the first turn.
func (c *responseContext) begin() step {
	var out step
	c.next(&out)
	return out
}

// provisional takes a response of 101 to 199.
func (c *responseContext) provisional(i int) step {
	// None to what is no INVITE (RFC 4320 section 4.1).
	return step{forward: c.invite && !c.sent && c.branches[i].state == open}
}

// further are branches to be added for the targets of a redirection.
type further struct {
	// turns has a number for each, 0 for those that begin now, beside what is
	// open, and 1 and up for those that wait for one another and for these.
	turns []int
	// whole says that all of the redirection is tried: nothing of it counts.
	whole bool
}

// final takes the final response of a branch, or what stands for it: 408 for
// time-out, 503 for a fault of the transport (RFC 3261 sections 16.7 step 6 and
// 16.9). redirected are the branches that take its place, nil for none.
func (c *responseContext) final(i int, status sip.Status, from origin, redirected *further) step {
	var out step
	b := &c.branches[i]
	if b.state != open {
		return out
	}
	b.state = ended
	c.breadth += b.breadth
	b.breadth, b.status, b.origin = 0, status, from
	switch {
	case status.Success():
		// Every 2xx to an INVITE goes up, one to another request (RFC 3261
		// section 16.7 step 5).
		out.forward = c.invite || !c.sent
		c.sent, c.closed = true, true
	case status >= 600:
		c.closed = true // and no final response before all have ended
	case redirected != nil && !c.closed:
		if redirected.whole {
			b.status = 0
		}
		c.add(b.turn, redirected.turns)
	}
	if b := &c.branches[i]; b.instance != "" && from == received && status != sip.StatusRequestTimeout && status != sip.StatusFlowFailed {
		c.skip(b.instance) // it has given its answer (RFC 5626 section 7)
	}
	if c.closed {
		c.stop(&out)
	}
	c.next(&out)
	return out
}

// cancel takes the CANCEL of the client, or the end of whoever runs this.
func (c *responseContext) cancel() step {
	var out step
	c.cancelled, c.closed = true, true
	c.stop(&out)
	c.next(&out)
	return out
}

// expire takes the end of the time in which an answer is of use.
func (c *responseContext) expire() step {
	var out step
	c.closed = true
	c.stop(&out)
	return out
}

// late takes a 2xx to an INVITE of a branch that has ended.
func (c *responseContext) late() step {
	out := step{forward: true}
	c.sent, c.closed = true, true
	c.stop(&out)
	return out
}

// add appends branches that begin in a turn and in others right after it.
func (c *responseContext) add(turn int, turns []int) {
	last := 0
	for _, t := range turns {
		last = max(last, t)
	}
	for i := range c.branches {
		if c.branches[i].turn > turn {
			c.branches[i].turn += last
		}
	}
	for _, t := range turns {
		c.branches = append(c.branches, branch{turn: turn + t})
	}
}

// skip ends what waits for an instance.
func (c *responseContext) skip(instance string) {
	for i := range c.branches {
		if b := &c.branches[i]; b.instance == instance && b.state == waiting {
			b.state = ended
		}
	}
}

// stop cancels what is open and drops what waits.
func (c *responseContext) stop(out *step) {
	for i := range c.branches {
		switch b := &c.branches[i]; {
		case b.state == waiting:
			b.state = ended
		case b.state == open && !b.gaveUp:
			b.gaveUp = true
			out.cancel = append(out.cancel, i)
		}
	}
}

// next begins what may begin: the branches of the turn, one of each instance, as
// far as there is breadth for them (RFC 5393 section 5.3.3). What is too much
// waits for another to end.
func (c *responseContext) next(out *step) {
	turn, found := 0, false
	for i := range c.branches {
		if b := &c.branches[i]; b.state != ended && (!found || b.turn < turn) {
			turn, found = b.turn, true
		}
	}
	if !found || c.closed || c.breadth == 0 {
		return
	}
	for i := range c.branches {
		b := &c.branches[i]
		if b.state == waiting && b.turn == turn && len(out.start) < c.breadth && !c.isBusy(b.instance) {
			b.state = open
			out.start = append(out.start, i)
		}
	}
	if len(out.start) == 0 {
		return
	}
	share, rest := c.breadth/len(out.start), c.breadth%len(out.start)
	for n, i := range out.start {
		b := &c.branches[i]
		b.breadth = share
		if n < rest {
			b.breadth++
		}
		c.breadth -= b.breadth
	}
}

// isBusy reports whether a branch to an instance is open.
func (c *responseContext) isBusy(instance string) bool {
	if instance == "" {
		return false
	}
	for i := range c.branches {
		if b := &c.branches[i]; b.state == open && b.instance == instance {
			return true
		}
	}
	return false
}

// done reports whether all branches have ended.
func (c *responseContext) done() bool {
	for i := range c.branches {
		if c.branches[i].state != ended {
			return false
		}
	}
	return true
}

// best returns the branch whose response is the answer, and the status that it is
// to be given (RFC 3261 section 16.7 step 6). A branch of -1 is none of them. The
// status is 0 if there is nothing to answer: it has been passed on.
func (c *responseContext) best() (int, sip.Status) {
	if c.sent {
		return -1, 0
	}
	best, least := -1, 0
	for i := range c.branches {
		status := c.branches[i].status
		if status == 0 {
			continue
		}
		if r := c.rank(status); best < 0 || r < least {
			best, least = i, r
		}
	}
	switch {
	case c.cancelled && (best < 0 || c.branches[best].status < 600 && c.branches[best].status != sip.StatusRequestTerminated):
		return -1, sip.StatusRequestTerminated
	case best < 0:
		return -1, sip.StatusRequestTimeout
	}
	status := c.branches[best].status
	if status == sip.StatusServiceUnavailable && c.branches[best].origin != heldBack {
		// Who forwards it says to be overloaded itself.
		return -1, sip.StatusServerInternalError
	}
	return best, status
}

// rank orders the final responses that are no 2xx, the best first: 6xx, then by
// class. Within one, those come first that tell the client what to do about it,
// and those last that say nothing of the user.
func (c *responseContext) rank(status sip.Status) int {
	class := int(status) / 100
	if class == 6 {
		class = 0
	}
	order := 2
	switch status {
	case sip.StatusRequestTerminated:
		if c.cancelled {
			return 10 // this is what the client waits for
		}
		order = 3
	case sip.StatusUnauthorized, sip.StatusProxyAuthRequired:
		order = 0
	case sip.StatusUnsupportedMediaType, sip.StatusBadExtension, sip.StatusAddressIncomplete:
		order = 1
	case sip.StatusRequestTimeout, sip.StatusFlowFailed, sip.StatusServiceUnavailable:
		order = 4
	}
	return 10*class + order
}
