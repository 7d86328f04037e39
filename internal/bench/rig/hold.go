package rig

import (
	"context"
	"fmt"
	"time"
)

// gone is when no transaction is left after a load.
const gone = 45 * time.Second

// holder is a contender that holds calls.
type holder struct {
	*Contender
	before, fresh, up, after int // bytes of resident memory
	idle, held               Use
	outcome                  chan Outcome
	failed                   chan error // with each outcome
	o                        Outcome
}

// HoldTable has each hold so many calls, and prints what memory they take: with all
// their transactions, when those are gone and the calls are up, and when the calls
// are over, too. A caller calls l.Called.
func HoldTable(ctx context.Context, list []*Contender, l Load, scratch string) error {
	placing := time.Duration(l.N/l.Rate)*time.Second + 3*time.Second
	l.Hold = time.Duration(len(list))*(placing+5*time.Second) + gone + 20*time.Second
	fmt.Printf("\n%d calls at %d a second\n\n", l.N, l.Rate)
	holders := make([]*holder, len(list))
	for i, c := range list {
		h := &holder{Contender: c, outcome: make(chan Outcome, 1), failed: make(chan error, 1)}
		holders[i] = h
		warm := l
		warm.N, warm.Rate, warm.Hold = 200, 200, 0
		if _, err := h.run(ctx, warm, scratch); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	if err := Pause(ctx, gone); err != nil {
		return err
	}
	for _, h := range holders {
		if err := h.begin(ctx, l, scratch, placing); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	if err := Pause(ctx, gone); err != nil {
		return err
	}
	for _, h := range holders {
		var err error
		if h.up, h.held, err = h.holds(); err != nil {
			return err
		}
	}
	for _, h := range holders {
		if err := h.end(l); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	if err := Pause(ctx, gone); err != nil {
		return err
	}
	fmt.Print("| who | at first, MB | KB a call, with transactions | without | afterwards, MB | heap a call, KB | goroutines at first | with the calls | failed |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, h := range holders {
		var err error
		if h.after, _, err = h.holds(); err != nil {
			return err
		}
		kb := func(x int) float64 { return float64(x) / 1024 / float64(l.N) }
		fmt.Printf("| %s | %.1f | %.1f | %.1f | %.1f | %.2f | %d | %d | %d |\n", h.Name, float64(h.before)/1e6, kb(h.fresh-h.before), kb(h.up-h.before),
			float64(h.after)/1e6, kb(h.held.Heap-h.idle.Heap), h.idle.Goroutines, h.held.Goroutines, l.N-h.o.OK)
	}
	return nil
}

// begin has all calls placed.
func (h *holder) begin(ctx context.Context, l Load, scratch string, placing time.Duration) (err error) {
	if h.before, h.idle, err = h.holds(); err != nil {
		return err
	}
	if h.Load != nil {
		if err := h.Order(Orders{To: l.Called, N: l.N, Rate: l.Rate, Keep: true}, &h.o); err != nil {
			return err
		}
	} else {
		go func() { // ends with SIPp
			o, err := h.run(ctx, l, scratch)
			h.outcome <- o
			h.failed <- err
		}()
		if err := Pause(ctx, placing); err != nil {
			return err
		}
	}
	h.fresh, _, err = h.holds()
	return err
}

// end has all calls ended, or waits until they are.
func (h *holder) end(l Load) error {
	if h.Load == nil {
		h.o = <-h.outcome
		return <-h.failed
	}
	var ended Outcome
	if err := h.Order(Orders{End: true, Rate: l.Rate}, &ended); err != nil {
		return err
	}
	h.o.OK -= ended.Failed
	return nil
}

// holds returns the memory of a contender, tidied up if it is one of ours.
func (h *holder) holds() (resident int, r Use, err error) {
	if r, err = h.Ask(true); err != nil {
		return 0, r, err
	}
	resident, err = h.Memory()
	return resident, r, err
}
