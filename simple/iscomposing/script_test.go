package iscomposing

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/*.txt")

// begin is when each story begins.
var begin = time.Date(2026, 1, 27, 10, 43, 0, 0, time.UTC)

// A machine is one of the two: it is told the words of a line, and returns what to print
// and when to tick.
type machine func(now time.Time, words []string) (says string, next time.Time)

// TestScripts plays the stories in testdata (RFC 3994 sections 3.2 and 3.3). A line is
//
//	# a comment
//	> start [refresh=1s] [idle=1s]   begin, at time zero
//	> typed                          sender: the user types
//	> typing 60s                     sender: the user types every second
//	> sent                           sender: the message is sent
//	> stop                           sender: the peer answers 415
//	> active [60s]                   receiver: a status arrives
//	> idle                           receiver: a status arrives
//	> content                        receiver: a message arrives
//	> wait 60s                       time passes, and the timer is heeded
//	> late 60s                       time passes, and it is not
//	> tick                           the timer fires now
//	   60s  send active              what the machine says, and when
//
// and go test -update writes the lines of the last kind anew.
func TestScripts(t *testing.T) {
	for name, start := range map[string]func(options []string) machine{"sender": newSender, "receiver": newReceiver} {
		t.Run(name, func(t *testing.T) {
			file := "testdata/" + name + ".txt"
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text), start)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			g, w := strings.Split(got, "\n"), strings.Split(string(text), "\n")
			for i := range min(len(g), len(w)) {
				if g[i] != w[i] {
					t.Fatalf("%s:%d: got %q, want %q", file, i+1, g[i], w[i])
				}
			}
			if len(g) != len(w) {
				t.Fatalf("%s: got %d lines, want %d", file, len(g), len(w))
			}
		})
	}
}

// play returns the story with what the machine says.
func play(t *testing.T, script string, start func([]string) machine) string {
	var out strings.Builder
	var m machine
	var now, next time.Time
	tell := func(words ...string) {
		var says string
		says, next = m(now, words)
		if says != "" {
			fmt.Fprintf(&out, "%6s  %s\n", short(now.Sub(begin)), says)
		}
	}
	wait := func(until time.Time) {
		for !next.IsZero() && !next.After(until) {
			now = next
			tell("tick")
		}
		now = until
	}
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			out.WriteString(line)
			continue
		}
		if words[0] != ">" {
			continue
		}
		out.WriteString(line)
		switch words[1] {
		case "start":
			m, now, next = start(words[2:]), begin, time.Time{}
		case "wait":
			wait(now.Add(duration(t, words[2])))
		case "late":
			now = now.Add(duration(t, words[2]))
		case "typing":
			for end := now.Add(duration(t, words[2])); ; wait(now.Add(time.Second)) {
				tell("typed")
				if !now.Before(end) {
					break
				}
			}
		default:
			tell(words[1:]...)
		}
	}
	return out.String()
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// short writes a time in seconds.
func short(d time.Duration) string { return fmt.Sprint(d.Seconds(), "s") }

func newSender(options []string) machine {
	s := new(Sender)
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		d, err := time.ParseDuration(value)
		switch {
		case err == nil && key == "refresh":
			s.Refresh = d
		case err == nil && key == "idle":
			s.Idle = d
		default:
			panic(option)
		}
	}
	return func(now time.Time, words []string) (string, time.Time) {
		var out Output
		switch words[0] {
		case "typed":
			out = s.Typed(now)
		case "sent":
			s.Sent()
		case "stop":
			s.Stop()
		case "tick":
			out = s.Tick(now)
		default:
			panic(words[0])
		}
		switch status := out.Send; {
		case status == nil:
			return "", out.Next
		case status.Active && status.Refresh > 0:
			return "send active, refresh " + short(status.Refresh), out.Next
		case status.Active:
			return "send active", out.Next
		default:
			return "send idle since " + short(status.LastActive.Sub(begin)), out.Next
		}
	}
}

func newReceiver([]string) machine {
	r := new(Receiver)
	return func(now time.Time, words []string) (string, time.Time) {
		var active bool
		var next time.Time
		switch words[0] {
		case "active":
			s := Status{Active: true}
			if len(words) > 1 {
				s.Refresh, _ = time.ParseDuration(words[1])
			}
			active, next = r.Status(now, s)
		case "idle":
			active, next = r.Status(now, Status{})
		case "content":
			r.Content()
			active, next = r.Tick(now)
		case "tick":
			active, next = r.Tick(now)
		default:
			panic(words[0])
		}
		if active {
			return "active until " + short(next.Sub(begin)), next
		}
		return "idle", next
	}
}
