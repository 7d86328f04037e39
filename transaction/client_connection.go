package transaction

import (
	"fmt"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
)

// joinFlow has the end of a client's connection told to it, and the connection kept
// until then. c.t.mu is held.
func (c *client) joinFlow() {
	if !c.flow.Reliable() {
		return
	}
	on := c.t.byFlow[c.flow]
	if on == nil {
		on = map[*client]struct{}{}
		c.t.byFlow[c.flow] = on
		c.l.ep.Hold(c.flow)
	}
	on[c] = struct{}{}
}

// leaveFlow undoes joinFlow. c.t.mu is held.
func (c *client) leaveFlow() {
	if on := c.t.byFlow[c.flow]; on != nil {
		delete(on, c)
		if len(on) == 0 {
			delete(c.t.byFlow, c.flow)
			c.l.ep.Release(c.flow)
		}
	}
}

// failed tells the transaction that its connection is gone.
//
// The server may have the request all the same. So it goes out again as it was,
// branch and all, on a new connection: a retransmission to a server that has it,
// and news to one that has not. That is done once, if the server has answered at
// all, or if the connection may have been dead for long. An INVITE is not placed
// a second time: its user may be about to give it up. One that rings waits for who
// may connect to where we listen (RFC 3261 section 18.2.2), or has made the connection
// and may make another. Otherwise its answer cannot come any more, and it is cancelled,
// if there is another way to say so than the flow that it was to go by.
func (c *client) failed(f transport.Flow, cause error) {
	c.mu.Lock()
	if f != c.flow || c.moving {
		c.mu.Unlock()
		return // it has left that connection
	}
	c.cause = cause
	event := inTransportError
	switch {
	case c.moves():
		c.mu.Unlock()
		return
	case c.method == sip.INVITE && c.answered && !c.ended && !f.Accepted() && !c.l.ep.Addr(f.Transport()).IsValid():
		event = inCancel
		if !c.over {
			c.over, c.err = true, fmt.Errorf("%w: %w", ErrTransport, cause)
		}
	}
	c.mu.Unlock()
	c.step(input{event: event}, nil)
}

// moves has the request sent again on a new connection, unless that is not to be
// done. c.mu is held.
func (c *client) moves() bool {
	if c.method == sip.INVITE || c.resent || c.ended || !c.target.Addr.IsValid() || !c.reused && !c.answered {
		return false
	}
	c.resent, c.moving = true, true
	go c.resend(c.out, c.target) // ends with the connection being there or not
	return true
}

// resend sends the request again on a new connection. Without one, a server that
// has answered may yet connect to where we listen (RFC 3261 section 18.2.2).
func (c *client) resend(out *sip.Request, target resolve.Target) {
	defer c.l.fence(c.key.branch)
	c.l.bytes.Add(stack)
	defer c.l.bytes.Add(-stack)
	flow, err := c.l.ep.Reconnect(c.l.ctx, out, target)
	waits := false
	if err == nil {
		err = c.move(flow)
	} else {
		waits = c.hasAnswered() && c.l.ep.Addr(target.Transport).IsValid()
	}
	if err != nil && !waits {
		c.mu.Lock()
		c.cause = err
		c.mu.Unlock()
		c.step(input{event: inTransportError}, nil)
	}
}

// move puts the transaction on another connection, and sends the request there.
// From when it has joined it is told of the end of the connection.
func (c *client) move(flow transport.Flow) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t.mu.Lock()
	there := c.t.clients.m[c.key] == c
	if there {
		c.leaveFlow()
		c.flow, c.moving = flow, false
		c.joinFlow()
	}
	c.t.mu.Unlock()
	if !there || c.out == nil {
		return nil // over in the meantime
	}
	return c.l.ep.Send(flow, c.out)
}

// acknowledge sends the ACK of a refusal that has come when the connection of its
// INVITE was gone: to the same target (RFC 3261 section 17.1.1.3). To the server,
// which goes by the branch, one connection is as good as another.
func (c *client) acknowledge(ack *sip.Request, target resolve.Target) {
	defer c.l.fence(c.key.branch)
	c.l.bytes.Add(stack)
	defer c.l.bytes.Add(-stack)
	if flow, err := c.l.ep.Reconnect(c.l.ctx, ack, target); err == nil {
		c.l.ep.Send(flow, ack)
	}
}
