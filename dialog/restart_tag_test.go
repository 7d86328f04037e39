package dialog_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A restart that is one: Bob's program rings in one process and answers in the next,
// whose tags are others. The call keeps the tag it had, and Alice can hang up.
func TestRestartKeepsTheTag(t *testing.T) {
	const in = "PARLEY_SNAPSHOT"
	if kept, is := os.LookupEnv(in); is {
		ringOrAnswer(t, kept)
		return
	}
	var tags []string
	kept := ""
	for run := range 3 { // rings, rings again, answers
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRestartKeepsTheTag$")
		cmd.Env = append(os.Environ(), in+"="+kept, fmt.Sprint("PARLEY_RUN=", run))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("run %d: %v\n%s", run, err, out)
		}
		fields := strings.Fields(string(out))
		tags, kept = append(tags, fields[0]), fields[1]
	}
	if tags[1] != tags[0] || tags[2] != tags[0] {
		t.Errorf("the tags are %q, want the same", tags)
	}
}

// ringOrAnswer prints the tag of the response and the snapshot that is left.
func ringOrAnswer(t *testing.T, kept string) {
	answers := os.Getenv("PARLEY_RUN") == "2"
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, aliceAddr)
		cfg := &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if !answers {
				ringing(ctx, in)
				return
			}
			time.Sleep(90 * time.Second) // the 180 of the run before goes out again
			if _, err := in.Accept(); err != nil {
				t.Error(err)
			}
		}}
		var bob *dialog.Layer
		if kept == "" {
			bob = newLayer(t, n, bobAddr, cfg)
			p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "call-1", p.contact()))
		} else {
			data, err := hex.DecodeString(kept)
			if err != nil {
				t.Fatal(err)
			}
			bob, _ = again(t, n, bobAddr, [][]byte{data}, cfg)
		}
		if !answers {
			resp := p.expect("180 INVITE 1").Message
			for _, data := range keep(t, bob) {
				fmt.Printf("%s %x\n", resp.To().Tag(), data)
			}
			return
		}
		rings := p.expect("180 INVITE 1").Message
		resp := p.expect("200 INVITE 1").Message
		if rings.To().Tag() != resp.To().Tag() {
			t.Errorf("it rings with the tag %q and answers with %q", rings.To().Tag(), resp.To().Tag())
		}
		p.send(bobAddr, p.within(resp, sip.ACK, 1))
		p.send(bobAddr, p.within(resp, sip.BYE, 2))
		p.expect("200 BYE 2")
		fmt.Println(resp.To().Tag(), "over")
	})
}
