package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	// maxLifelines bounds the width of a drawing. Further addresses share a
	// lifeline.
	maxLifelines = 20
	others       = "others"

	timeWidth = 10 // "   0.000  "
)

// drawing is a call flow on its way to text.
type drawing struct {
	names []string
	index map[string]int
	at    []int // the column of each lifeline
	width int
}

// draw writes a call flow: a line with the names of the lifelines, and a line
// for each arrow.
func (l *Ladder) draw(b *strings.Builder, arrows []arrow, began time.Time) {
	if len(arrows) == 0 {
		return
	}
	d := &drawing{index: map[string]int{}}
	ends := make([][2]int, len(arrows))
	for i, a := range arrows {
		ends[i] = [2]int{d.lifeline(l, a.from), d.lifeline(l, a.to)}
	}
	d.space(arrows, ends)

	line := d.blank()
	for i, name := range d.names {
		copy(line[max(d.at[i]-len(name)/2, 0):], name)
	}
	writeLine(b, line)
	for i, a := range arrows {
		line := d.blank()
		for _, at := range d.at {
			line[at] = '|'
		}
		copy(line, fmt.Sprintf("%8.3f", a.at.Sub(began).Seconds()))
		d.arrow(line, a, ends[i][0], ends[i][1])
		writeLine(b, line)
	}
}

// lifeline returns the index of the lifeline of an address, which it makes on
// first use.
func (d *drawing) lifeline(l *Ladder, a netip.AddrPort) int {
	name := l.name(a)
	i, ok := d.index[name]
	if !ok && len(d.names) >= maxLifelines-1 {
		name = others
		i, ok = d.index[name]
	}
	if !ok {
		i = len(d.names)
		d.index[name] = i
		d.names = append(d.names, name)
	}
	return i
}

// space puts the lifelines far enough apart for the names and labels.
func (d *drawing) space(arrows []arrow, ends [][2]int) {
	gaps := make([]int, len(d.names)) // to the right of each lifeline
	for i := range len(d.names) - 1 {
		gaps[i] = (len(d.names[i])+len(d.names[i+1]))/2 + 3
	}
	// Short arrows first: long ones find room in what those have made.
	order := make([]int, len(arrows))
	for i := range order {
		order[i] = i
	}
	reach := func(i int) (left, right int) {
		return min(ends[i][0], ends[i][1]), max(ends[i][0], ends[i][1])
	}
	slices.SortStableFunc(order, func(i, j int) int {
		il, ir := reach(i)
		jl, jr := reach(j)
		return ir - il - (jr - jl)
	})
	for _, i := range order {
		left, right := reach(i)
		need := len(arrows[i].label) + len("|- -->|")
		if left == right {
			gaps[left] = max(gaps[left], need)
			continue
		}
		for _, gap := range gaps[left:right] {
			need -= gap
		}
		if need > 0 {
			gaps[right-1] += need
		}
	}
	d.at = make([]int, len(d.names))
	d.at[0] = timeWidth + len(d.names[0])/2
	for i := 1; i < len(d.at); i++ {
		d.at[i] = d.at[i-1] + gaps[i-1]
	}
	last := len(d.names) - 1
	d.width = d.at[last] + max(gaps[last], len(d.names[last])) + 1
}

func (d *drawing) blank() []byte {
	return []byte(strings.Repeat(" ", d.width))
}

// arrow draws from one lifeline to another, with the label in the middle.
func (d *drawing) arrow(line []byte, a arrow, from, to int) {
	if from == to { // to itself
		copy(line[d.at[from]:], "|<> "+a.label)
		return
	}
	left, right := d.at[min(from, to)]+1, d.at[max(from, to)]
	shaft := byte('-')
	if a.stream {
		shaft = '='
	}
	for i := left; i < right; i++ {
		line[i] = shaft
	}
	if from < to {
		line[right-1] = '>'
	} else {
		line[left] = '<'
	}
	label := " " + a.label + " "
	copy(line[left+(right-left-len(label))/2:], label)
}

func writeLine(b *strings.Builder, line []byte) {
	b.WriteString(strings.TrimRight(string(line), " "))
	b.WriteByte('\n')
}
