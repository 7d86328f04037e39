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

// Every dispute about a message of the library's testdata was judged, and they
// are no more and no fewer than testdata/disputes.txt says.
func TestDisputes(t *testing.T) {
	const golden = "testdata/disputes.txt"
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(text), "\n\n") {
		folder, _, _ := strings.Cut(section, ":")
		sections[folder] = strings.TrimSpace(section)
	}
	for folder, texts := range corpus(t) {
		got, want := report(t, folder, texts), sections[folder]
		if got != want && !*update {
			t.Errorf("disputes about %s are\n%s\nwant\n%s\n(go test -update takes them as they are)", folder, got, want)
		}
		sections[folder] = got
	}
	if *update {
		all := strings.Join(slices.Sorted(maps.Values(sections)), "\n\n") + "\n"
		if err := os.WriteFile(golden, []byte(all), 0o666); err != nil {
			t.Fatal(err)
		}
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
	for folder, texts := range corpus(t) {
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

// pieces are what parsers stumble over.
var pieces = []string{
	"", " ", "\t", "\r\n ", "\r\n", "\r", "\n", ";", "=", ":", ",", "@", "/", "?", "&", "<", ">", "*",
	`"`, `\`, `\"`, `"a;b=c"`, `"a, b" `, "[", "]", "[::1]", "[::ffff:192.0.2.1]", "::", "%", "%41", "%3b", "%zz",
	"\x00", "\x0b", "\x7f", "\xff", "\u00e9", "0", "65535", "65536", "4294967296", "_", "-", ".", "'", "(", "{", "|", "$",
	"sip:", "SIPS:", "tel:+1;x=%61", "urn:a:b", "sip:a:b@c:5060", "sip:c?a=b", "<sip:a@b;lr>", "SIP", "SIP/2.0", "SIP/2.0/UDP h",
	"tag", ";TAG=1", ";tag=1", ";branch=z", ";lr", `;x="a;tag=b"`, "INVITE", "invite",
	"Via: SIP/2.0/UDP h\r\n", "v: SIP/2.0/UDP h, SIP/2.0/UDP i\r\n", "From: sip:a@b\r\n", "Contact: *\r\n", "m: <sip:a@b>\r\n",
	"Content-Length: 0\r\n", "l:5\r\n", "Route: <sip:x;lr>\r\n", "Max-Forwards: 256\r\n", "\r\n\r\n",
}
