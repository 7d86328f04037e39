package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// What is compared must be the same work: the parsers read the same, and the
// requests that they forward have the same edits.
func TestPeersDoTheSame(t *testing.T) {
	for _, name := range []string{"invite", "register", "ok", "notify", "large"} {
		msg, err := os.ReadFile(filepath.Join("..", "..", "..", "sip", "testdata", "messages", name+".sip"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[work]int{reading: readParley(sip.ParseBytes(msg))}
		const added = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKabcdefg;rport\r\n" +
			"Record-Route: <sip:192.0.2.1;lr>\r\n" + "Route: <sip:198.51.100.1;lr>\r\n"
		want[forward] = len(msg) + len(added)
		for _, task := range append(sipgoTasks(msg), parleyTasks(msg)...) {
			got := task.once()
			if w, is := want[task.work]; got == 0 || is && got != w {
				t.Errorf("%s: %s %s = %d, want %d", name, task.work, task.name, got, w)
			}
		}
	}
}

// The median of the ratios of each round is not the ratio of the medians: here
// the machine is half as fast in every second round.
func TestRatioWithinARound(t *testing.T) {
	fast := series{peer{reading, "sipgo", nil}, []sample{{ns: 10}, {ns: 20}, {ns: 10}, {ns: 20}}}
	slow := series{peer{reading, "other", nil}, []sample{{ns: 30}, {ns: 60}, {ns: 30}, {ns: 60}}}
	if got := over(slow, fast); got != 3 {
		t.Errorf("over() = %v, want 3", got)
	}
	var out bytes.Buffer
	printRows(&out, "invite", 1210, []series{fast, slow})
	if got, want := strings.Split(out.String(), "\n")[1], "| invite | 1210 | read | other | 45 | 30 | 0 | 0 | | | 0.3 |"; got != want {
		t.Errorf("printRows() = %q, want %q", got, want)
	}
}

func TestTaskThatFails(t *testing.T) {
	broken := task{reading, "broken", func() int { return 0 }}
	if _, err := broken.peer().run(time.Millisecond); err == nil {
		t.Error("a peer that fails was measured")
	}
}
