package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Orders are what a server is told that is a caller: to place calls, and with Keep
// not to end them until an order has End.
type Orders struct {
	To      string // host and port
	N, Rate int
	Keep    bool
	End     bool
}

// Place places a call and returns what ends it.
type Place func(ctx context.Context, to string) (end func(context.Context) error, err error)

// Follow returns what has calls placed by order, for Serve.
func Follow(place Place) func([]byte) (any, error) {
	var kept []func(context.Context) error
	return func(text []byte) (any, error) {
		var o Orders
		if err := json.Unmarshal(text, &o); err != nil {
			return nil, err
		}
		ctx := context.Background()
		if o.End {
			ends := slices.DeleteFunc(kept, func(end func(context.Context) error) bool { return end == nil }) // it has failed
			kept = nil
			return Pace(ctx, len(ends), o.Rate, func(i int) error { return ends[i](ctx) }), nil
		}
		if o.Keep {
			kept = make([]func(context.Context) error, o.N)
		}
		return Pace(ctx, o.N, o.Rate, func(i int) error {
			end, err := place(ctx, o.To)
			switch {
			case err != nil:
				return err
			case o.Keep:
				kept[i] = end
				return nil
			}
			return end(ctx)
		}), nil
	}
}

// burst is how long those wait for each other that are placed together. What goes to
// sleep each millisecond and wakes up again takes more CPU time by that than by
// calling.
const burst = 10 * time.Millisecond

// Pace runs f for each number below n, so many a second, in goroutines of their own,
// and waits for them. The first errors are printed.
func Pace(ctx context.Context, n, rate int, f func(i int) error) (o Outcome) {
	var all sync.WaitGroup
	var failed atomic.Int64
	tick := time.NewTicker(burst)
	defer tick.Stop()
	began := time.Now()
	begun, last := 0, began
	for begun < n && ctx.Err() == nil {
		<-tick.C
		o.Late = max(o.Late, time.Since(last)-burst)
		last = time.Now()
		for due := int(time.Since(began).Seconds() * float64(rate)); begun < min(due, n); begun++ {
			i := begun
			all.Go(func() {
				if err := f(i); err != nil && failed.Add(1) <= 10 {
					fmt.Fprintf(os.Stderr, "call %d: %v\n", i, err)
				}
			})
		}
	}
	all.Wait()
	o.Failed = int(failed.Load())
	o.OK = begun - o.Failed
	return o
}

// Call is the Load of a Contender that is a caller: it calls l.Called.
func Call(ctx context.Context, p *Process, l Load, _ string) (o Outcome, err error) {
	return o, p.Order(Orders{To: l.Called, N: l.N, Rate: l.Rate}, &o)
}

// CallByHand is that of a Caller which is a contender.
func CallByHand(text []byte) (any, error) {
	var o Orders
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, err
	}
	if o.Keep || o.End {
		return nil, errors.New("keeps no calls")
	}
	c, err := NewCaller(o.To, "INVITE", o.N, nil)
	if err != nil {
		return nil, err
	}
	c.Tick = burst
	if err := c.Run(context.Background(), o.Rate); err != nil {
		return nil, err
	}
	_, _, _, lost := c.Quantiles()
	return Outcome{OK: o.N - lost, Failed: lost}, nil
}
