package flow

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata/flows")

// golden compares the transcript with its file.
func (f *Flow) golden(messages []*message) {
	f.Helper()
	name := filepath.Join("testdata", "flows", fmt.Sprintf("%d-%s.txt", f.story.RFC, f.story.Section))
	got := f.transcript(messages)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			f.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		f.Fatalf("%v; go test -update writes it", err)
	}
	if got != string(want) {
		f.Errorf("%s is not what was sent; go test -update rewrites it\n%s", name, difference(got, string(want)))
	}
}

// difference shows the first lines in which two texts differ.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < min(len(g), len(w)) && g[i] == w[i] {
		i++
	}
	show := func(lines []string) string {
		return strings.Join(lines[min(max(i-3, 0), len(lines)):min(i+7, len(lines))], "\n")
	}
	return fmt.Sprintf("from line %d, got\n%s\nwant\n%s\nall of it:\n%s", i+1, show(g), show(w), got)
}

// transcript shows a flow as RFC 3665 does: the ladder, and below it the
// messages.
func (f *Flow) transcript(messages []*message) string {
	d := f.draw(messages)
	d.details(messages)
	return d.b.String()
}

// numbered is the ladder alone, for what is not as it should be.
func (f *Flow) numbered(messages []*message) string {
	number(messages)
	return f.draw(messages).b.String()
}

// draw draws the ladder.
func (f *Flow) draw(messages []*message) *drawing {
	f.mu.Lock()
	d := &drawing{f: f, began: f.began}
	notes := slices.Clone(f.notes)
	f.mu.Unlock()
	slices.SortStableFunc(notes, func(a, b note) int { return a.at.Compare(b.at) })
	fmt.Fprintf(&d.b, "RFC %d section %s: %s\n\n", f.story.RFC, f.story.Section, f.story.Title)
	d.ladder(messages, notes)
	return d
}

// timeWidth is the width of "   0.000  ".
const timeWidth = 10

// A drawing is a transcript on its way to text.
type drawing struct {
	f     *Flow
	b     strings.Builder
	began time.Time
	cast  []string
	at    []int // the column of each lifeline
	empty bool  // the last line has lifelines alone
}

// ladder draws the lifelines, an arrow for each message, and a line for each
// note, before what is sent in the same moment.
func (d *drawing) ladder(messages []*message, notes []note) {
	d.cast = slices.Clone(d.f.columns)
	for _, m := range messages {
		if _, right := d.ends(m); right == len(d.f.columns) {
			d.cast = append(d.cast, "others")
			break
		}
	}
	d.space(messages)
	line := d.blank(' ')
	for i, name := range d.cast {
		copy(line[max(d.at[i]-len(name)/2, 0):], name)
	}
	d.write(line)
	d.gap()
	for _, m := range messages {
		for len(notes) > 0 && !notes[0].at.After(m.at) {
			d.note(notes[0])
			notes = notes[1:]
		}
		line := d.blank('|')
		copy(line, fmt.Sprintf("%8.3f", m.at.Sub(d.began).Seconds()))
		d.arrow(line, m)
		d.write(line)
		d.empty = false
	}
	for _, n := range notes {
		d.note(n)
	}
	d.gap()
}

// note writes what somebody does, on lines of its own.
func (d *drawing) note(n note) {
	d.gap()
	fmt.Fprintf(&d.b, "%8.3f  %s\n", n.at.Sub(d.began).Seconds(), n.text)
	d.empty = false
	d.gap()
}

// gap writes a line with the lifelines alone, unless there is one.
func (d *drawing) gap() {
	if !d.empty {
		d.write(d.blank('|'))
	}
	d.empty = true
}

// space puts the lifelines far enough apart for names and labels.
func (d *drawing) space(messages []*message) {
	gaps := make([]int, len(d.cast))
	for i := range len(d.cast) - 1 {
		gaps[i] = max((len(d.cast[i])+len(d.cast[i+1]))/2+3, 20)
	}
	// Short arrows first: long ones find room in what those have made.
	for span := 1; span < len(d.cast); span++ {
		for _, m := range messages {
			left, right := d.ends(m)
			if right-left != span {
				continue
			}
			need := len(arrowText(m)) + len("|---  --->|")
			for _, gap := range gaps[left:right] {
				need -= gap
			}
			if need > 0 {
				gaps[right-1] += need
			}
		}
	}
	d.at = []int{timeWidth + len(d.cast[0])/2}
	for i := range len(d.cast) - 1 {
		d.at = append(d.at, d.at[i]+gaps[i])
	}
}

// ends returns the lifelines of an arrow, the left one first.
func (d *drawing) ends(m *message) (left, right int) {
	from, to := d.f.column(m.from), d.f.column(m.to)
	return min(from, to), max(from, to)
}

// arrowText is what stands on an arrow.
func arrowText(m *message) string {
	text := m.what + " " + m.label
	if m.label == "" { // a retransmission that the RFC does not show
		text = m.what + " " + m.first.label + " again"
	}
	if m.msg != nil && hasSDP(m.msg) {
		text += " SDP"
	}
	return strings.TrimSpace(text)
}

// blank is a line with the lifelines.
func (d *drawing) blank(lifeline byte) []byte {
	line := []byte(strings.Repeat(" ", d.at[len(d.at)-1]+20))
	for _, at := range d.at {
		line[at] = lifeline
	}
	return line
}

// arrow draws a message: with "-", or "=" for one on a connection. One that is
// lost ends in an x.
func (d *drawing) arrow(line []byte, m *message) {
	l, r := d.ends(m)
	left, right := d.at[l]+1, d.at[r]
	shaft := byte('-')
	if m.stream {
		shaft = '='
	}
	for i := left; i < right; i++ {
		line[i] = shaft
	}
	head, toRight := right-1, d.f.column(m.from) < d.f.column(m.to)
	if !toRight {
		head = left
	}
	line[head] = map[bool]byte{true: '>', false: '<'}[toRight]
	if m.lost {
		line[head] = 'x'
	}
	text := " " + arrowText(m) + " "
	copy(line[left+(right-left-len(text))/2:], text)
}

func (d *drawing) write(line []byte) {
	d.b.WriteString(strings.TrimRight(string(line), " "))
	d.b.WriteByte('\n')
}

// details writes of each message what the Story shows.
func (d *drawing) details(messages []*message) {
	r := newRenamer()
	for _, m := range messages {
		r.learn(m)
	}
	for _, m := range messages {
		switch {
		case m.label == "":
			continue
		case m.first != nil:
			fmt.Fprintf(&d.b, "\n%s is %s again.\n", m.label, m.first.label)
			continue
		}
		fmt.Fprintf(&d.b, "\n%s %s\n\n", m.label, m)
		start, _, _ := strings.Cut(m.text, "\r\n")
		fmt.Fprintf(&d.b, "    %s\n", r.rename(start))
		for _, name := range d.f.story.Show {
			for _, line := range shown(m.msg, name, r) {
				fmt.Fprintf(&d.b, "    %s\n", line)
			}
		}
	}
}
