package ua

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// NetworkChanged says that the addresses of this machine, or the ways that lead
// from them, may be others now: a laptop has left a building, a phone the Wi-Fi.
// Every registration is made anew from where the agent is, on a new flow, and only
// then is the old binding removed: with outbound the registrar does so itself (RFC
// 5626 section 6), else we do (RFC 3261 section 10.2.2). What fails is tried again as
// any refresh is.
//
// Then, or when that takes longer than 3 seconds, the peers of calls that are up are told
// with an INVITE, and their streams: media comes to the new address from then on.
// Subscriptions are refreshed, and watchers and who has sent a REFER notified, in the
// background: each names the new address. A STUN server is asked again.
//
// NetworkChanged returns when the registrations and the calls are through, or ctx ends,
// and the rest is done in the background. The error says what has failed, and is nil if
// each registration has a new flow and each peer has agreed.
func (a *Agent) NetworkChanged(ctx context.Context) error {
	a.moves.Add(1)
	a.l.Transactions().Endpoint().ForgetRoutes()
	var wg sync.WaitGroup
	regs := a.registrations()
	errs := make([]error, len(regs))
	registered := make(chan struct{})
	t, err := a.begin(func() error { // ends with the transactions, or the agent
		select {
		case <-registered:
		case <-time.After(registerFirst):
		case <-a.ctx.Done():
		}
		a.moveEvents()
		return a.moveCalls(a.ctx)
	})
	for i, r := range regs {
		wg.Go(func() { errs[i] = r.move(ctx) }) // ends with the transactions, or ctx
	}
	wg.Wait()
	close(registered)
	if err == nil {
		err = t.wait(ctx)
	}
	return errors.Join(append(errs, err)...)
}

// registerFirst is for how long the peers of calls and subscriptions are not told that we
// have moved while the registrar is: proxies on the way may refuse what comes from an
// address that is not registered, but a registrar that says nothing is not to cost calls
// their media.
const registerFirst = 3 * time.Second

// move makes new flows. Those that could not be made before are tried, too: what
// was in the way may be so no more.
func (r *Registration) move(ctx context.Context) error {
	r.mu.Lock()
	for _, b := range r.bindings {
		b.moves++
		b.doubted, b.failures = true, 0
	}
	r.mu.Unlock()
	bindings := r.all()
	err := r.renew(ctx, bindings)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil { // the rest is done in the background
		for _, b := range bindings {
			b.schedule(0)
		}
	}
	return fmt.Errorf("register %s: %w", r.a.aor, err)
}
