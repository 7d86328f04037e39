package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// series is what one peer took, round by round.
type series struct {
	peer
	rounds []sample
}

// column returns one of the figures of all rounds.
func (s series) column(of func(sample) float64) []float64 {
	var v []float64
	for _, r := range s.rounds {
		v = append(v, of(r))
	}
	return v
}

func (s series) ns() []float64 {
	return s.column(func(r sample) float64 { return r.ns })
}

// over returns the median of a / b within each round, so that a machine that
// is faster in one round than in another makes no difference.
func over(a, b series) float64 {
	v := a.ns()
	for i, ns := range b.ns() {
		v[i] /= ns
	}
	return median(v)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

const llhttp = "llhttp, same headers (C)"

// rivals are the libraries whose time is put beside that of all others that do
// the same work.
var rivals = []string{"sofia-sip", "sipgo"}

func printHead(w io.Writer) {
	fmt.Fprintln(w, "| message | bytes | work | peer | ns | least | allocs | bytes | / llhttp | Sofia-SIP / it | sipgo / it |")
	fmt.Fprintln(w, "|---|--:|---|---|--:|--:|--:|--:|--:|--:|--:|")
}

// printRows prints a line for each peer: the median and the least of its rounds,
// its time as a multiple of llhttp's, and that of the rivals as multiples of its
// own.
func printRows(w io.Writer, message string, size int, all []series) {
	find := func(work work, name string) *series {
		for i := range all {
			if all[i].work == work && strings.HasPrefix(all[i].name, name) {
				return &all[i]
			}
		}
		return nil
	}
	base := find(reference, llhttp)
	for _, s := range all {
		ns := s.ns()
		fmt.Fprintf(w, "| %s | %d | %s | %s | %.0f | %.0f | %.0f | %.0f |", message, size, s.work, s.name,
			median(ns), slices.Min(ns),
			median(s.column(func(r sample) float64 { return r.allocs })),
			median(s.column(func(r sample) float64 { return r.bytes })))
		cell := " |"
		if base != nil && s.work != building && s.work != forward {
			cell = fmt.Sprintf(" %.2f |", over(s, *base))
		}
		fmt.Fprint(w, cell)
		for _, rival := range rivals {
			cell := " |"
			if r := find(s.work, rival); r != nil && !strings.HasPrefix(s.name, rival) {
				cell = fmt.Sprintf(" %.1f |", over(*r, s))
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
}
