package sip

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestAnomalies puts each anomaly in each position of an INVITE and compares
// what becomes of it, as a datagram and on a stream, with the verdicts that
// testdata/anomalies keeps, one a line, and by position for a reader. Its README
// says how to judge them.
func TestAnomalies(t *testing.T) {
	var table, summary strings.Builder
	table.WriteString("number\tposition\tanomaly\tas a datagram\ton a stream\n")
	total, here := map[string][]string{}, map[string][]string{}
	cases := anomalyCases()
	if len(cases) != 2551 {
		t.Fatalf("%d anomalies, want 2551", len(cases))
	}
	for i, c := range cases {
		datagram, stream := datagramVerdict(t, c.text), streamVerdict(t, c.text)
		fmt.Fprintf(&table, "%d\t%s\t%s\t%s\t%s\n", c.number, c.position, c.anomaly, datagram, stream)

		here[datagram] = append(here[datagram], c.anomaly)
		total[datagram] = append(total[datagram], c.anomaly)
		if stream != "same" {
			here["on a stream "+stream] = append(here["on a stream "+stream], c.anomaly)
		}
		total["on a stream "+stream] = append(total["on a stream "+stream], c.anomaly)
		if i+1 == len(cases) || cases[i+1].position != c.position {
			fmt.Fprintf(&summary, "\n%s\n", c.position)
			for _, verdict := range byCount(here) {
				fmt.Fprintf(&summary, "%5d  %s: %s\n", len(here[verdict]), verdict, strings.Join(here[verdict], " "))
			}
			clear(here)
		}
	}
	var counts strings.Builder
	for _, verdict := range byCount(total) {
		fmt.Fprintf(&counts, "%5d  %s\n", len(total[verdict]), verdict)
	}
	golden(t, "anomalies/verdicts.tsv", table.String())
	golden(t, "anomalies/summary.txt", counts.String()+summary.String())
}

// byCount returns the verdicts, the most frequent first.
func byCount(verdicts map[string][]string) []string {
	return slices.SortedFunc(maps.Keys(verdicts), func(a, b string) int {
		return cmp.Or(len(verdicts[b])-len(verdicts[a]), strings.Compare(a, b))
	})
}

// golden compares text with a file of testdata, line by line.
func golden(t *testing.T, name, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, want := strings.Split(text, "\n"), strings.Split(readFile(t, name), "\n")
	if len(got) != len(want) {
		t.Errorf("%s: %d lines, want %d", name, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s:%d: %s\nwant %s", name, i+1, got[i], want[i])
		}
	}
}

// datagramVerdict is what becomes of a datagram: "ok" and the header fields
// that their types refuse, or the status of the answer and what it names.
func datagramVerdict(t *testing.T, text string) string {
	t.Helper()
	m, err := ParseBytes([]byte(text))
	return verdictOf(t, m, err)
}

// streamVerdict is what becomes of the text on a stream, a valid request behind
// it: "same" as the datagram if the request behind it is read, too.
func streamVerdict(t *testing.T, text string) string {
	t.Helper()
	next := framed(1, "")
	got := streamVerdicts(t, strings.NewReader(text+next), next)
	if got == datagramVerdict(t, text)+" | next" {
		return "same"
	}
	return got
}
