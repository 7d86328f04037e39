package ua

import (
	"context"

	"github.com/goparley/parley/sip"
)

// prack acknowledges a provisional response (RFC 3262 section 4). It does not wait for
// the answer, but other requests of the call do: one with a higher number that overtook
// the PRACK would have the peer refuse it, and then the call.
func (c *Call) prack(edits ...sip.Edit) {
	done := make(chan struct{})
	c.pracking.Store(&done)
	begun := c.a.background(func() { // ends with the transaction
		defer close(done)
		c.s.Do(c.a.ctx, sip.PRACK, edits...)
	})
	if !begun {
		close(done)
	}
}

// afterPRACK waits until the last PRACK is answered. One before that may be under way still.
func (c *Call) afterPRACK(ctx context.Context) error {
	done := c.pracking.Load()
	if done == nil {
		return nil
	}
	select {
	case <-*done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
