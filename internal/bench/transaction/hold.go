package main

import (
	"context"
	"fmt"
	"time"
)

// holdTable has servers hold so many calls, and prints what memory they take:
// with all their transactions, when those are gone and the calls are up, and when
// the calls are over, too.
func holdTable(ctx context.Context, list []*contender, l load, scratch string) error {
	const gone = 45 * time.Second // for transactions
	l.hold = gone + time.Duration(l.n/l.rate)*time.Second + 20*time.Second
	fmt.Printf("\n%d calls at %d a second\n\n", l.n, l.rate)
	fmt.Print("| server | at first, MB | KB a call, with transactions | without | afterwards, MB | heap a call, KB | goroutines | failed |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range list {
		warm := load{n: 200, rate: 200}
		if _, err := c.run(ctx, warm, scratch); err != nil {
			return err
		}
		before, idle, err := c.holds()
		if err != nil {
			return err
		}
		done := make(chan outcome, 1)
		failed := make(chan error, 1)
		go func() { // ends with SIPp
			o, err := c.run(ctx, l, scratch)
			done <- o
			failed <- err
		}()
		if err := pause(ctx, time.Duration(l.n/l.rate)*time.Second+3*time.Second); err != nil {
			return err
		}
		fresh, held, err := c.holds()
		if err != nil {
			return err
		}
		if err := pause(ctx, gone); err != nil {
			return err
		}
		up, _, err := c.holds()
		if err != nil {
			return err
		}
		o := <-done
		if err := <-failed; err != nil {
			return err
		}
		if err := pause(ctx, gone); err != nil {
			return err
		}
		after, _, err := c.holds()
		if err != nil {
			return err
		}
		kb := func(x int) float64 { return float64(x) / 1024 / float64(l.n) }
		fmt.Printf("| %s | %.1f | %.1f | %.1f | %.1f | %.1f | %d | %d |\n", c.name, float64(before)/1e6, kb(fresh-before), kb(up-before),
			float64(after)/1e6, kb(held.Heap-idle.Heap), held.Goroutines, l.n-o.ok)
	}
	return nil
}

// holds returns the memory of a server, tidied up if it is one of ours.
func (c *contender) holds() (resident int, r runtimeUse, err error) {
	if r, err = c.ask(true); err != nil {
		return 0, r, err
	}
	resident, err = c.memory()
	return resident, r, err
}
