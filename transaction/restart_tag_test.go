package transaction

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Restarts that are ones: each run of Bob's program is a process, with tags of its
// own. The first has not said any yet, and his call keeps that of the second.
func TestRestartKeepsTheTag(t *testing.T) {
	const in = "PARLEY_SNAPSHOT"
	if kept, is := os.LookupEnv(in); is {
		ringOnce(t, kept)
		return
	}
	var tag, kept string
	for run := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRestartKeepsTheTag$")
		cmd.Env = append(os.Environ(), in+"="+kept)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("run %d: %v\n%s", run, err, out)
		}
		fields := strings.Fields(string(out))
		if run > 1 && fields[0] != tag {
			t.Errorf("run %d rings with the tag %q, want %q", run, fields[0], tag)
		}
		tag, kept = fields[0], fields[1]
	}
}

// ringOnce has Bob ring, with a call that is new or restored, and prints the tag of
// his 180 and the snapshot.
func ringOnce(t *testing.T, kept string) {
	story(t, func(t *testing.T, n *siptest.Network) {
		first, said := kept == "", ""
		ring := func(tx *Server, _ *sip.Request) {
			if said = tx.Tag(); !first {
				tx.Reply(sip.StatusRinging)
			}
			<-tx.Context().Done()
		}
		cfg := &Config{Handler: ring}
		if kept != "" {
			data, err := hex.DecodeString(kept)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Restore = restoring([][]byte{data}, ring)
		}
		alice := newPhone(t, n, aliceAddr)
		bob := listen(t, n.Host(bobAddr), cfg)
		want := "180"
		if first {
			alice.send(aRequest(sip.INVITE, 1))
			want = "100"
		}
		m, err := sip.Parse(alice.receive(want))
		if err != nil {
			t.Fatal(err)
		}
		if tag := m.To().Tag(); !first && tag != said {
			t.Errorf("it rings with the tag %q, and Tag() = %q", tag, said)
		}
		for _, data := range snapshots(t, bob) {
			fmt.Printf("%s %x\n", said, data)
		}
	})
}
