package transaction

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/snapshot"
	"github.com/goparley/parley/sip"
)

// restarting is a server machine that is written down and read again before
// every step.
type restarting struct {
	t    testing.TB
	m    machine
	last *sip.Response // what its owner keeps
}

func (r *restarting) step(now time.Time, in input) output {
	r.t.Helper()
	if b, _ := stateOf(r.m); b.state != stateInitial && b.state != stateTerminated {
		r.restart(now)
	}
	out := r.m.step(now, in)
	_, invite := r.m.(*inviteServer)
	switch {
	case out.terminated:
		r.last = nil
	case out.send == sendTrying:
		r.last = request(sip.INVITE, bobURI).Reply(sip.StatusTrying)
	case out.send == sendResponse && in.event == inRespond:
		r.last = request(sip.INVITE, bobURI).Reply(sip.Status(in.status))
		if invite && r.last.Status().Success() {
			r.last = nil
		}
	}
	return out
}

func (r *restarting) restart(now time.Time) {
	r.t.Helper()
	var w snapshot.Writer
	writeMachine(&w, now, r.m)
	b, _ := stateOf(r.m)
	var fresh machine
	if _, invite := r.m.(*inviteServer); invite {
		m := newInviteServer(b.timers, b.reliable)
		fresh = &m
	} else {
		m := newNonInviteServer(b.timers, b.reliable)
		fresh = &m
	}
	reader, err := snapshot.Open(w.Seal('m', 1), 'm', 1)
	if err != nil {
		r.t.Fatal(err)
	}
	readMachine(reader, now, fresh, r.last)
	if err := reader.Close(); err != nil {
		r.t.Fatalf("machine %+v with %v cannot be read: %v", r.m, r.last, err)
	}
	r.m = fresh
}

// The scripts of both server machines give the same when the machine is written
// down and read again before every step: in every state, with timers early, late
// and stopped.
func TestScriptsOfRestoredMachines(t *testing.T) {
	files, err := filepath.Glob("testdata/server_*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob() = %v, %v, want scripts", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playScript(t, file, string(text), nil, func(m machine) machine { return &restarting{t: t, m: m} })
			compareLines(t, file, got, string(text))
		})
	}
}

// So do inputs in any order.
func TestAnySequenceOfRestoredMachines(t *testing.T) {
	seen := map[state]int{}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 12))
		name := []string{"server_invite", "server_noninvite"}[r.IntN(2)]
		reliable, timers := r.IntN(3) == 0, Timers{Trying: time.Duration(r.IntN(2)) * -time.Second}
		plain := machines[name](timers, reliable)
		restored := &restarting{t: t, m: machines[name](timers, reliable)}
		now := epoch
		for i := range 40 {
			in := input{event: inStart}
			if i > 0 {
				in.event = []event{inRequest, inACK, inRespond, inTimer, inTimer, inTimer, inTransportError}[r.IntN(7)]
				now = now.Add(time.Duration(r.IntN(4000)) * time.Millisecond)
			}
			if in.event == inRespond {
				in.status = statuses[r.IntN(len(statuses))]
			}
			b, _ := stateOf(restored.m)
			seen[b.state]++
			want := plain.step(now, in)
			if got := restored.step(now, in); got != want {
				t.Fatalf("seed %d, step %d: a restored %s gives %+v to %v, want %+v", seed, i, name, got, in, want)
			}
		}
	}
	for _, s := range []state{stateTrying, stateProceeding, stateAccepted, stateCompleted, stateConfirmed} {
		if seen[s] < 100 {
			t.Errorf("%d steps were made in state %d, want many in each", seen[s], s)
		}
	}
}

// What no machine can be in is refused, and a timer never runs for longer than
// the Layer's own.
func TestReadMachineRefuses(t *testing.T) {
	timers := Timers{}.withDefaults()
	ringing, busy := request(sip.INVITE, bobURI).Reply(180), request(sip.INVITE, bobURI).Reply(486)
	read := func(m machine, last *sip.Response, write func(w *snapshot.Writer)) error {
		var w snapshot.Writer
		write(&w)
		r, err := snapshot.Open(w.Seal('m', 1), 'm', 1)
		if err != nil {
			t.Fatal(err)
		}
		readMachine(r, epoch, m, last)
		return r.Close()
	}
	is := func(state state, flag bool, deadline, resend time.Duration) func(w *snapshot.Writer) {
		return func(w *snapshot.Writer) {
			w.Uint(uint64(state))
			w.Bool(flag)
			for _, d := range []time.Duration{deadline, resend} {
				w.Bool(d != 0)
				if d != 0 {
					w.Duration(d)
				}
			}
			w.Duration(0)
		}
	}
	for _, test := range []struct {
		name     string
		invite   bool
		reliable bool
		last     *sip.Response
		write    func(w *snapshot.Writer)
	}{
		{"not begun", true, false, nil, is(stateInitial, false, 0, 0)},
		{"over", true, false, nil, is(stateTerminated, false, 0, 0)},
		{"of a client", true, false, nil, is(stateCalling, false, 0, 0)},
		{"INVITE in Trying", true, false, nil, is(stateTrying, false, 0, 1)},
		{"a response that is none", true, false, nil, is(stateProceeding, true, 0, 0)},
		{"a final one while proceeding", true, false, busy, is(stateProceeding, true, 0, 0)},
		{"no 100 due", true, false, nil, is(stateProceeding, false, 0, 0)},
		{"Proceeding with an end", true, false, ringing, is(stateProceeding, true, 1, 0)},
		{"no end to Completed", true, false, busy, is(stateCompleted, true, 0, 1)},
		{"Completed with a 180", true, false, ringing, is(stateCompleted, true, 1, 1)},
		{"timer G on a connection", true, true, busy, is(stateCompleted, true, 1, 1)},
		{"Confirmed on a connection", true, true, busy, is(stateConfirmed, true, 1, 0)},
		{"Accepted with a refusal", true, false, busy, is(stateAccepted, true, 1, 0)},
		{"no end to Accepted", true, false, nil, is(stateAccepted, true, 0, 0)},
		{"other method in Confirmed", false, false, busy, is(stateConfirmed, false, 1, 0)},
		{"no end to Completed on a connection", false, true, busy, is(stateCompleted, false, 0, 0)},
		{"Completed with no response", false, false, nil, is(stateCompleted, false, 1, 0)},
		{"silent in Trying", false, false, nil, is(stateTrying, true, 0, 1)},
	} {
		name := map[bool]string{true: "server_invite", false: "server_noninvite"}[test.invite]
		if err := read(machines[name](timers, test.reliable), test.last, test.write); err == nil {
			t.Errorf("%s: there was no error", test.name)
		}
	}

	m := machines["server_invite"](timers, false)
	if err := read(m, busy, is(stateCompleted, true, 1000*time.Hour, 1000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w := player{t: t, log: new(strings.Builder), machine: m, name: "server_invite", start: epoch, now: epoch}
	w.step(input{event: inTimer})
	if err := w.do("wait 1m"); err != nil {
		t.Fatal(err)
	}
	if got := w.log.String(); !strings.HasSuffix(got, "     32s  error: timed out, terminated\n") || strings.Count(got, "\n") > 20 {
		t.Errorf("with timers of a thousand hours and no interval it says\n%swant some responses, and the end after 32 s", got)
	}
}
