package differential

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// dispute is one thing in which the two disagree.
type dispute struct {
	text string
	law  *law

	ourError, theirError     error  // one of them refuses the message
	fact                     fact   // or both take it and read this differently
	ourReading, theirReading string // as these

	class *class // the first that holds; nil if none does
}

func (d *dispute) String() string {
	switch {
	case d.ourError != nil:
		return fmt.Sprintf("Parley refuses it: %v", d.ourError)
	case d.theirError != nil:
		return fmt.Sprintf("sipgo refuses it: %v", d.theirError)
	}
	return fmt.Sprintf("%s is %q to Parley and %q to sipgo", d.fact, d.ourReading, d.theirReading)
}

// value returns the value of the first line of the header field that the fact is
// in, "" if it is in none.
func (d *dispute) value() string {
	name, _, _ := strings.Cut(strings.ToLower(string(d.fact)), " ")
	if values := d.law.all(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// judge reads the text with both and returns what they disagree in.
func judge(text string) (disputes []*dispute) {
	ours, ourError := readParley(text)
	theirs, theirError := readSIPGo(text)
	if ourError != nil && theirError != nil {
		return nil
	}
	law := readByGrammar(text)
	if ourError != nil || theirError != nil {
		disputes = append(disputes, &dispute{ourError: ourError, theirError: theirError})
	} else {
		for _, f := range facts(ours, theirs) {
			if ours[f] != theirs[f] && !(ours[contact] == broken && strings.HasPrefix(string(f), "Contact ")) {
				disputes = append(disputes, &dispute{fact: f, ourReading: ours[f], theirReading: theirs[f]})
			}
		}
	}
	for _, d := range disputes {
		d.text, d.law = text, law
		if i := slices.IndexFunc(classes, func(c class) bool { return c.holds(d) }); i >= 0 {
			d.class = &classes[i]
		}
	}
	return disputes
}

// facts returns what either of two readings says something about, in order.
func facts(a, b reading) []fact {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// againstGrammar says where Parley does not do what the grammar says, whatever
// sipgo does.
func againstGrammar(text string) error {
	ours, err := readParley(text)
	law := readByGrammar(text)
	switch {
	case err == nil && len(law.faults) > 0:
		return fmt.Errorf("taken by Parley, and by the grammar these are broken: %q", law.faults)
	case err != nil && len(law.faults) == 0 && !law.large:
		return fmt.Errorf("refused by Parley, and by the grammar nothing is broken: %w", err)
	case err == nil:
		for _, f := range facts(ours, law.reading) {
			if ours[f] != law.reading[f] {
				return fmt.Errorf("%s is %q to Parley and %q by the grammar", f, ours[f], law.reading[f])
			}
		}
	}
	return nil
}
