package ua

import (
	"context"
	"errors"
	"sync"
)

// moveCalls has the peer of each call learn where we are now, after NetworkChanged, and the
// streams where media is to come: with an INVITE, which goes out from the new address (RFC
// 3261 section 14.1).
func (a *Agent) moveCalls(ctx context.Context) error {
	a.mu.Lock()
	var calls []*Call
	for c := range a.calls {
		if c.answered.Load() {
			calls = append(calls, c)
		}
	}
	a.mu.Unlock()
	errs := make([]error, len(calls))
	var wg sync.WaitGroup
	for i, c := range calls {
		wg.Go(func() { // ends with the transaction, or ctx
			defer a.fence()
			errs[i] = errPanic
			errs[i] = c.move(ctx)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *Call) move(ctx context.Context) error {
	c.a.discover(ctx)
	own, err := c.s.Relocate(ctx)
	if err != nil {
		return err
	}
	c.s.SetContact(c.a.contact(own, true, isAnonymous(c.s.Local().URI)))
	if err := c.m.reachedAt(ctx, own.URI); err != nil {
		return err
	}
	return c.Renegotiate(ctx)
}
