package ua

import (
	"context"
	"sync"
	"time"
)

// Shutdown takes no new calls and no REFERs (503 with Retry-After) and gives up calls that ring. Then it
// hangs up, ends the subscriptions of either side, removes what is published, and last
// the registrations, for which the registrar may want what went before by their flows;
// it waits until all that is done and closes the sockets. Watchers are told to come again, and
// who has sent a REFER that no more will be told of it. What waits for a peer, a Transfer say,
// ends with ErrClosed.
//
// Each of the four waits for the one before, but for no more than its share of the time
// until the deadline of ctx: a peer that is gone takes nobody else's. When ctx ends
// first the rest is cut off, and the error is that of ctx. Later calls wait for the first.
//
// It waits for callbacks and streams, too: one that wants the agent to shut down says so from
// another goroutine.
func (a *Agent) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	if closed := a.closed; closed != nil {
		a.mu.Unlock()
		select {
		case <-closed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	a.closed = make(chan struct{})
	defer close(a.closed)
	farewells := a.farewells(ctx)
	if a.watching != nil {
		a.watching.Stop()
	}
	a.mu.Unlock()
	a.end()
	ended := make(chan struct{})
	go func() { // ends with what the agent does, or soon after ctx: closing cuts that off
		var wg sync.WaitGroup
		for i, all := range farewells {
			inTurn(ctx, &wg, all, len(farewells)-i)
		}
		wg.Wait()
		a.tasks.Wait()
		close(ended)
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	a.part()
	if closeErr := a.l.Shutdown(ctx); err == nil {
		err = closeErr
	}
	return err
}

// farewells returns what ends calls, subscriptions, publications and registrations, in this
// order. It is called with a.mu held.
func (a *Agent) farewells(ctx context.Context) [4][]func() {
	var calls, subs, pubs, regs []func()
	for c := range a.calls {
		if c.answered.Load() { // others end with a.ctx
			calls = append(calls, func() { c.Hangup(ctx) }) // ends with the transaction of the BYE, or ctx
		}
	}
	for _, s := range a.subs.close() {
		subs = append(subs, func() { s.close(ctx) }) // with the last NOTIFY, or ctx
	}
	subs = append(subs, a.dismiss) // with the transactions of the NOTIFYs, or when the sockets are closed
	for _, r := range a.referrals {
		subs = append(subs, func() { r.dismiss(ctx) }) // with the transaction of the NOTIFY, or ctx
	}
	for p := range a.pubs {
		pubs = append(pubs, p.remove) // with its transactions
	}
	for _, r := range a.regs {
		regs = append(regs, func() { r.close(ctx) }) // with the transaction, or ctx
	}
	return [4][]func(){calls, subs, pubs, regs}
}

// inTurn begins all of these, in wg, and waits until they are done, or have had their share of
// the time that there is, of which so many are to have one.
func inTurn(ctx context.Context, wg *sync.WaitGroup, all []func(), shares int) {
	if len(all) == 0 {
		return
	}
	var these sync.WaitGroup
	for _, f := range all {
		these.Go(f)
	}
	done := make(chan struct{})
	wg.Go(func() { // ends with them
		these.Wait()
		close(done)
	})
	over := ctx.Done()
	if deadline, ok := ctx.Deadline(); ok {
		limited, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(shares))
		defer cancel()
		over = limited.Done()
	}
	select {
	case <-done:
	case <-over:
	}
}
