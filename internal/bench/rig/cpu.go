package rig

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// CPUTable has servers answer so many calls each, in turns, and prints what CPU
// time they took.
func CPUTable(ctx context.Context, list []*Contender, l Load, rounds int, late time.Duration, scratch string) error {
	times := make([][]float64, len(list)) // CPU s for 10,000, by round
	marks := make([]time.Duration, len(list))
	bad := make([]int, len(list))
	per := 10000 / float64(l.N)
	warm := l
	warm.N = max(l.N/5, 1)
	for round := -1; round < rounds; round++ { // the first one is to warm up
		for i := range list {
			at := (i + round + len(list)) % len(list) // each has another neighbour before it
			c := list[at]
			now := l
			if round < 0 {
				now = warm
			}
			before, err := c.CPU()
			if err != nil {
				return err
			}
			o, err := c.run(ctx, now, scratch)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			after, err := c.CPU()
			if err != nil {
				return err
			}
			marks[at] = after
			if round < 0 {
				continue
			}
			times[at] = append(times[at], (after-before).Seconds()*per)
			bad[at] += now.N - o.OK + o.Again
			if o.OK != now.N || o.Again > 0 {
				fmt.Fprintf(os.Stderr, "%s: %d of %d ok, %d retransmissions\n", c.Name, o.OK, now.N, o.Again)
			}
		}
	}
	if err := Pause(ctx, late); err != nil { // what waits for timers of 32 s
		return err
	}
	fmt.Printf("\n%d rounds of %d at %d a second, load average %s\n\n", rounds, l.N, l.Rate, LoadAverage())
	fmt.Print("| server | CPU s for 10,000 | of the first | clean-up, s | with it, of the first | rounds | failed or again |\n|---|--:|--:|--:|--:|---|--:|\n")
	var floorLate float64
	for i, c := range list {
		end, err := c.CPU()
		if err != nil {
			return err
		}
		// The rounds and the one to warm up.
		done := float64(rounds*l.N + warm.N)
		clean := (end - marks[i]).Seconds() / done * 10000
		if i == 0 {
			floorLate = clean
		}
		all := make([]float64, rounds)
		for r := range all {
			all[r] = (times[i][r] + clean) / (times[0][r] + floorLate)
		}
		fmt.Printf("| %s | %.3f | %.2f | %.3f | %.2f | %s | %d |\n", c.Name, Median(times[i]), Ratio(times[i], times[0]), clean, Median(all), inFull(times[i]), bad[i])
		if c.in != nil {
			r, err := c.Ask(false)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "%s: heap %.1f MB, %d goroutines, %d collections, %.2f CPU s collecting of %.2f\n", c.Name, float64(r.Heap)/1e6, r.Goroutines, r.Collections, r.Collecting.Seconds(), end.Seconds())
		}
	}
	return nil
}

// inFull returns all values, in the order of the rounds.
func inFull(of []float64) string {
	var b strings.Builder
	for _, x := range of {
		fmt.Fprintf(&b, "%.2f ", x)
	}
	return strings.TrimSpace(b.String())
}

// Ratio returns the median of the ratios within a round.
func Ratio(of, base []float64) float64 {
	all := make([]float64, len(of))
	for i := range of {
		all[i] = of[i] / base[i]
	}
	return Median(all)
}

// Median returns the one in the middle.
func Median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// LoadAverage returns how busy the machine was in the last one and five minutes.
func LoadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:2], " ")
}
