package differential

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/disputes.txt anew")

// Every dispute about a message of the library's testdata, and about a plain
// message that is spoiled in some place, was judged, and they are no more and no
// fewer than testdata/disputes.txt says.
func TestDisputes(t *testing.T) {
	const golden = "testdata/disputes.txt"
	all := corpus(t)
	all["spoiled"] = spoiled()
	var sections []string
	for _, folder := range slices.Sorted(maps.Keys(all)) {
		sections = append(sections, report(t, folder, all[folder]))
	}
	got := strings.Join(sections, "\n\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the disputes are\n%s\nwant those of %s (go test -update takes them as they are)", got, golden)
	}
}

// report judges the texts and counts the disputes of each class.
func report(t *testing.T, folder string, texts []string) string {
	count := map[string]int{}
	disputed := 0
	for _, text := range texts {
		disputes := judge(text)
		if len(disputes) > 0 {
			disputed++
		}
		for _, d := range disputes {
			if d.class == nil {
				t.Errorf("not judged: %v\n%q", d, text)
				continue
			}
			count[fmt.Sprintf("%-6s  %s", d.class.right, d.class.name)]++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d messages, %d disputed\n", folder, len(texts), disputed)
	for _, class := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&b, "%5d  %s\n", count[class], class)
	}
	return strings.TrimSpace(b.String())
}

// Parley takes what the grammar takes, refuses what it refuses, and reads the
// same in it.
func TestParleyIsByTheGrammar(t *testing.T) {
	all := corpus(t)
	all["spoiled"] = spoiled()
	for folder, texts := range all {
		for _, text := range texts {
			if err := againstGrammar(text); err != nil {
				t.Errorf("%s: %v\n%q", folder, err, text)
			}
		}
	}
}

// FuzzAgainstSipgo puts a piece of a message into some place of another and
// looks for a dispute that nobody has judged.
func FuzzAgainstSipgo(f *testing.F) {
	for _, texts := range corpus(f) {
		for _, text := range texts {
			f.Add(text, uint16(0), uint8(0), uint8(0))
		}
	}
	f.Fuzz(func(t *testing.T, text string, at uint16, cut, piece uint8) {
		start := int(at) % (len(text) + 1)
		text = text[:start] + pieces[int(piece)%len(pieces)] + text[min(start+int(cut), len(text)):]
		for _, d := range judge(text) {
			if d.class == nil {
				t.Errorf("not judged: %v\nby the grammar %q, broken are %q\n%q", d, d.law.reading[d.fact], d.law.faults, text)
			}
		}
		if err := againstGrammar(text); err != nil {
			t.Errorf("%v\n%q", err, text)
		}
	})
}
