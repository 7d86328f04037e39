package main

import (
	"context"
	"fmt"

	"github.com/goparley/parley/internal/bench/rig"
	"time"
)

// latencyTable has servers answer at a fixed rate, in turns, and prints how long
// they took, the medians of all rounds.
func latencyTable(ctx context.Context, list []*rig.Contender, method string, n, rate, rounds int) error {
	type quantiles struct{ p50, p99, p999 []float64 }
	all := make([]quantiles, len(list))
	lost := make([]int, len(list))
	for round := -1; round < rounds; round++ { // the first one is to warm up
		for i := range list {
			at := (i + round + len(list)) % len(list)
			c, err := rig.NewCaller(list[at].Addr, method, n, nil)
			if err != nil {
				return err
			}
			if err := c.Run(ctx, rate); err != nil {
				return fmt.Errorf("%s: %w", list[at].Name, err)
			}
			if round < 0 {
				continue
			}
			p50, p99, p999, none := c.Quantiles()
			q := &all[at]
			q.p50, q.p99, q.p999 = append(q.p50, us(p50)), append(q.p99, us(p99)), append(q.p999, us(p999))
			lost[at] += none
		}
	}
	fmt.Printf("\n%d rounds of %d %s at %d a second, load average %s\n\n", rounds, n, method, rate, rig.LoadAverage())
	fmt.Print("| server | p50, us | p99 | p999 | without a response |\n|---|--:|--:|--:|--:|\n")
	for i, c := range list {
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %d |\n", c.Name, rig.Median(all[i].p50), rig.Median(all[i].p99), rig.Median(all[i].p999), lost[i])
	}
	return nil
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
