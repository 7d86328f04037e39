package transaction

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestScriptsAreComplete compares two sets. One is what can happen to the four
// machines: every box of the figures (RFC 3261 figures 5 to 8, RFC 6026), with
// every kind of event, over UDP and over TCP, as a search finds it that starts
// with the request and tries everything everywhere. The other is what the
// scripts in testdata step through. They are to be the same.
func TestScriptsAreComplete(t *testing.T) {
	played := map[pair]bool{}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		playScript(t, file, string(text), func(p pair) { played[p] = true })
	}
	exists := map[pair]bool{}
	for name := range machines {
		for _, reliable := range []bool{false, true} {
			explore(name, reliable, func(p pair) { exists[p] = true })
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(exists), pair.compare) {
		if !played[p] {
			t.Errorf("no script has %v", p)
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(played), pair.compare) {
		if !exists[p] {
			t.Errorf("a script has %v, which the search did not find", p)
		}
	}
	t.Logf("%d pairs of a box and an event", len(exists))
}

// A pair is a box of a figure and what happens to the transaction in it.
type pair struct {
	machine  string
	reliable bool
	box      string
	event    string
}

func (p pair) String() string {
	transport := "UDP"
	if p.reliable {
		transport = "TCP"
	}
	return fmt.Sprintf("%s over %s: %s, %s", p.machine, transport, p.box, p.event)
}

func (p pair) compare(q pair) int { return strings.Compare(p.String(), q.String()) }

// pairOf returns the pair of a machine as it stands and an input.
func pairOf(name string, m machine, now time.Time, in input) pair {
	b, more := insideOf(m)
	return pair{name, b.reliable, boxes[b.state] + more, eventOf(name, b, now, in)}
}

var boxes = map[state]string{
	stateInitial: "Initial", stateCalling: "Calling", stateTrying: "Trying",
	stateProceeding: "Proceeding", stateAccepted: "Accepted", stateCompleted: "Completed",
	stateConfirmed: "Confirmed", stateTerminated: "Terminated",
}

// insideOf returns what the machines have in common, and what one knows beyond
// its box: that tells two boxes apart which the figure draws as one.
func insideOf(m machine) (b *base, more string) {
	var knows bool
	switch m := m.(type) {
	case *inviteClient:
		b, more, knows = &m.base, " (cancelled)", m.cancelled
	case *nonInviteClient:
		b = &m.base
	case *inviteServer:
		b, more, knows = &m.base, " (responded)", m.responded
	case *nonInviteServer:
		b, more, knows = &m.base, " (silent)", m.silent
	}
	if !knows || b.state != stateCalling && b.state != stateProceeding && b.state != stateCompleted ||
		more == " (responded)" && b.state == stateCompleted || more == " (cancelled)" && b.state == stateCompleted {
		more = ""
	}
	return b, more
}

// eventOf names the kind of an input: what the machines may tell apart.
func eventOf(name string, b *base, now time.Time, in input) string {
	switch in.event {
	case inStart:
		return "start"
	case inRequest:
		return "request"
	case inACK:
		return "ack"
	case inCancel:
		return "cancel"
	case inAbandon:
		return "abandon"
	case inTransportError:
		return "transport error"
	case inTimer:
		switch {
		case due(now, b.deadline):
			return "timer: the end of the state"
		case due(now, b.resend):
			return "timer: time to send"
		}
		return "timer: nothing is due"
	}
	return kindOf(name, in.status)
}

// kindOf names the kind of a response: what has an arrow of its own in the
// figure of that machine.
func kindOf(name string, status int) string {
	switch {
	case !validStatus(status):
		return "a status that is none"
	case status == 100 && (name == "client_invite" || name == "server_noninvite"):
		return "100"
	case status == 408 && name == "server_noninvite":
		return "408"
	case status < 200:
		return "1xx"
	case name == "client_noninvite", name == "server_noninvite":
		return "200-699"
	case status < 300:
		return "2xx"
	}
	return "300-699"
}

// explore tries everything everywhere: it begins with the request, and gives
// each box that it comes to every input, at once and when its timers are due.
// Boxes are the same if their pairs are, and the same timers run.
func explore(name string, reliable bool, found func(pair)) {
	type standing struct {
		m   machine
		now time.Time
	}
	var open []standing
	seen := map[string]bool{}
	reach := func(m machine, now time.Time) {
		b, more := insideOf(m)
		id := fmt.Sprint(boxes[b.state], more, b.deadline.IsZero(), b.resend.IsZero(), b.timers.C, b.timers.Trying)
		if !seen[id] {
			seen[id] = true
			open = append(open, standing{m, now})
		}
	}
	for _, timers := range []Timers{{}, {C: time.Minute}, {Trying: -1}} {
		reach(machines[name](timers, reliable), epoch)
	}
	for len(open) > 0 {
		at := open[0]
		open = open[1:]
		b, _ := insideOf(at.m)
		try := func(now time.Time, in input) {
			m := copyOf(at.m)
			found(pairOf(name, m, now, in))
			m.step(now, in)
			reach(m, now)
		}
		if b.state == stateInitial {
			try(at.now, input{event: inStart})
			continue
		}
		for _, in := range inputs[name[:6]] {
			try(at.now, in)
		}
		for _, when := range []time.Time{at.now, b.resend, b.deadline} {
			if !when.IsZero() {
				try(when, input{event: inTimer})
			}
		}
	}
}

// inputs are what happens to a machine besides time.
var inputs = map[string][]input{
	"client": append(statusInputs(inResponse), input{event: inCancel}, input{event: inTransportError}, input{event: inAbandon}),
	"server": append(statusInputs(inRespond), input{event: inRequest}, input{event: inACK}, input{event: inTransportError}, input{event: inAbandon}),
}

func statusInputs(e event) (list []input) {
	for _, status := range []int{0, 100, 180, 200, 408, 486} {
		list = append(list, input{e, status})
	}
	return list
}

// Before the request there is no transaction: whatever an owner does wrong,
// nothing is sent, delivered or started.
func TestNothingBeforeStart(t *testing.T) {
	for name, create := range machines {
		m := create(Timers{}, false)
		for _, in := range append(inputs[name[:6]], input{event: inTimer}) {
			if in.event == inAbandon {
				continue
			}
			if out := m.step(epoch, in); out != (output{}) {
				t.Errorf("%s: step(%+v) before inStart = %+v, want nothing", name, in, out)
			}
		}
	}
}

func copyOf(m machine) machine {
	switch m := m.(type) {
	case *inviteClient:
		c := *m
		return &c
	case *nonInviteClient:
		c := *m
		return &c
	case *inviteServer:
		c := *m
		return &c
	case *nonInviteServer:
		c := *m
		return &c
	}
	return nil
}
