package transaction

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/*.txt")

// TestScripts plays the stories in testdata, each file for the machine that
// its name begins with. A line is
//
//	# a comment
//	> start udp [T1=1s ...]   begin a transaction, at time zero
//	> 180                     client: a response arrives; server: its user gives one
//	> request                 server: the request again
//	> ack                     server: an ACK
//	> cancel                  client: the user gives up
//	> abandon                 the transaction is dropped
//	> transport error         the last message could not be sent
//	> wait 600ms              time passes, timers fire when due
//	> stall 600ms             time passes, and no timer fires
//	> timer                   the timer fires now, due or not
//	   500ms  send request    what the machine says, and when
//
// and go test -update writes the lines of the last kind anew.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob() = %v, %v, want scripts", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playScript(t, file, string(text), func(pair) {})
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			compareLines(t, file, got, string(text))
		})
	}
}

// compareLines reports the first line that differs.
func compareLines(t *testing.T, file, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s:%d: got %q, want %q", file, i+1, g[i], w[i])
		}
	}
	t.Fatalf("%s: got %d lines, want %d", file, len(g), len(w))
}

// playScript returns the script with the output lines that the machine gives,
// or what wrap makes of it. seen, which may be nil, is told of each step.
func playScript(t *testing.T, file, script string, seen func(pair), wrap ...func(machine) machine) string {
	t.Helper()
	var out strings.Builder
	var p *player
	for i, line := range strings.Split(strings.TrimSuffix(script, "\n"), "\n") {
		command, ok := strings.CutPrefix(line, "> ")
		if !ok {
			if line == "" || strings.HasPrefix(line, "#") {
				fmt.Fprintln(&out, line)
			}
			continue
		}
		fmt.Fprintln(&out, line)
		if args, ok := strings.CutPrefix(command, "start "); ok {
			p = startPlayer(t, file, args, &out, seen, wrap...)
			continue
		}
		if p == nil {
			t.Fatalf("%s:%d: %q before start", file, i+1, command)
		}
		if err := p.do(command); err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
	}
	return out.String()
}

// A player plays one story: a machine, its timer and the time.
type player struct {
	t       *testing.T
	log     *strings.Builder
	seen    func(pair)
	name    string // of the machine
	machine machine
	start   time.Time
	now     time.Time
	last    output
}

func startPlayer(t *testing.T, file, args string, log *strings.Builder, seen func(pair), wrap ...func(machine) machine) *player {
	t.Helper()
	transport, settings, _ := strings.Cut(args, " ")
	var timers Timers
	for _, setting := range strings.Fields(settings) {
		if err := timers.set(setting); err != nil {
			t.Fatalf("%s: start %s: %v", file, args, err)
		}
	}
	name := filepath.Base(file)
	p := &player{t: t, log: log, seen: seen, start: epoch, now: epoch}
	for prefix, create := range machines {
		if strings.HasPrefix(name, prefix) {
			p.name = prefix
			p.machine = create(timers, transport == "tcp")
		}
	}
	if p.machine == nil {
		t.Fatalf("%s: no machine of that name", file)
	}
	for _, wrap := range wrap {
		p.machine = wrap(p.machine)
	}
	p.step(input{event: inStart})
	return p
}

var epoch = time.Date(2002, time.June, 1, 12, 0, 0, 0, time.UTC)

var machines = map[string]func(timers Timers, reliable bool) machine{
	"client_invite": func(timers Timers, reliable bool) machine {
		timers = timers.withDefaults()
		t := newInviteClient(&timers, reliable)
		return &t
	},
	"client_noninvite": func(timers Timers, reliable bool) machine {
		timers = timers.withDefaults()
		t := newNonInviteClient(&timers, reliable)
		return &t
	},
	"server_invite": func(timers Timers, reliable bool) machine {
		timers = timers.withDefaults()
		t := newInviteServer(&timers, reliable)
		return &t
	},
	"server_noninvite": func(timers Timers, reliable bool) machine {
		timers = timers.withDefaults()
		t := newNonInviteServer(&timers, reliable)
		return &t
	},
}

// set takes a setting such as "T1=1s".
func (t *Timers) set(setting string) error {
	name, value, _ := strings.Cut(setting, "=")
	d, err := time.ParseDuration(value)
	if err != nil {
		return err
	}
	fields := map[string]*time.Duration{
		"T1": &t.T1, "T2": &t.T2, "T4": &t.T4, "B": &t.B, "C": &t.C, "D": &t.D, "F": &t.F,
		"H": &t.H, "J": &t.J, "L": &t.L, "M": &t.M, "Trying": &t.Trying,
	}
	field := fields[name]
	if field == nil {
		return fmt.Errorf("no timer %q", name)
	}
	*field = d
	return nil
}

var events = map[string]event{
	"request":         inRequest,
	"ack":             inACK,
	"cancel":          inCancel,
	"abandon":         inAbandon,
	"timer":           inTimer,
	"transport error": inTransportError,
}

func (p *player) do(command string) error {
	if event, ok := events[command]; ok {
		p.step(input{event: event})
		return nil
	}
	if status, err := strconv.Atoi(command); err == nil {
		event := inResponse
		if strings.HasPrefix(p.name, "server") {
			event = inRespond
		}
		p.step(input{event: event, status: status})
		return nil
	}
	verb, arg, _ := strings.Cut(command, " ")
	d, err := time.ParseDuration(arg)
	if err != nil {
		return fmt.Errorf("unknown command %q", command)
	}
	end := p.now.Add(d)
	switch verb {
	case "wait":
		for due(end, p.last.next) {
			p.now = p.last.next
			p.step(input{event: inTimer})
		}
		p.now = end
	case "stall":
		p.now = end
	default:
		return fmt.Errorf("unknown command %q", command)
	}
	return nil
}

var sends = map[sendKind]string{
	sendRequest:  "send request",
	sendACK:      "send ACK",
	sendCancel:   "send CANCEL",
	sendResponse: "send response",
	sendTrying:   "send 100",
}

// step gives the machine an input and logs what it says.
func (p *player) step(in input) {
	p.t.Helper()
	if p.seen != nil {
		p.seen(pairOf(p.name, p.machine, p.now, in))
	}
	out := p.machine.step(p.now, in)
	var says []string
	if out.send != sendNothing {
		says = append(says, sends[out.send])
	}
	if out.deliver {
		says = append(says, "deliver")
	}
	if out.err != nil {
		says = append(says, "error: "+strings.TrimPrefix(out.err.Error(), "transaction: "))
	}
	if out.terminated && !p.last.terminated {
		says = append(says, "terminated")
	}
	if len(says) > 0 {
		fmt.Fprintf(p.log, "%8v  %s\n", p.now.Sub(p.start), strings.Join(says, ", "))
	}
	if err := checkStep(p.now, p.last, in, out); err != nil {
		p.t.Errorf("%v after step(%v, %v): %v", p.now.Sub(p.start), in, out, err)
	}
	p.last = out
}

// checkStep reports what no step of any machine may do.
func checkStep(now time.Time, before output, in input, out output) error {
	switch {
	case !out.next.IsZero() && out.next.Before(now):
		return fmt.Errorf("next is %v before now", now.Sub(out.next))
	case out.terminated && !out.next.IsZero():
		return errors.New("terminated, with a timer")
	case before.terminated && !out.terminated:
		return errors.New("alive again")
	case before.terminated && (out.send != sendNothing || out.deliver):
		return errors.New("active after termination")
	case before.terminated && out.err != nil && (in.event != inRespond || out.err != ErrCompleted):
		return errors.New("an error after termination")
	}
	return nil
}

func TestTimersDefaults(t *testing.T) {
	tests := []struct {
		name      string
		got, want time.Duration
	}{
		{"T1", Timers{}.withDefaults().T1, 500 * time.Millisecond},
		{"T2", Timers{}.withDefaults().T2, 4 * time.Second},
		{"T4", Timers{}.withDefaults().T4, 5 * time.Second},
		{"B", Timers{}.withDefaults().B, 32 * time.Second},
		{"Trying", Timers{}.withDefaults().Trying, 200 * time.Millisecond},
		{"B of a long T1", Timers{T1: time.Second}.withDefaults().B, 64 * time.Second},
		{"C", Timers{}.withDefaults().C, 0},
		{"C of a negative one", Timers{C: -1}.withDefaults().C, 0},
		{"D of a long T1", Timers{T1: time.Second}.withDefaults().D, 64 * time.Second},
		{"D of a short T1", Timers{T1: 10 * time.Millisecond}.withDefaults().D, 32 * time.Second},
		{"F as set", Timers{F: time.Second}.withDefaults().F, time.Second},
		{"L of a negative one", Timers{L: -1}.withDefaults().L, 32 * time.Second},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("%s = %v, want %v", test.name, test.got, test.want)
		}
	}
}

// The default is the 3.5 s that RFC 4321 section 1.2 speaks of.
func TestTimersUntilT2(t *testing.T) {
	tests := []struct {
		timers Timers
		want   time.Duration
	}{
		{Timers{}, 3500 * time.Millisecond},
		{Timers{T1: time.Second}, 3 * time.Second},
		{Timers{T1: time.Second, T2: 5 * time.Second}, 7 * time.Second},
		{Timers{T1: 4 * time.Second}, 4 * time.Second},
		{Timers{T1: 5 * time.Second}, 5 * time.Second},
		{Timers{T2: 1 << 62}, (1<<34 - 1) * 500 * time.Millisecond},
	}
	for _, test := range tests {
		timers := test.timers.withDefaults()
		if got := timers.untilT2(); got != test.want {
			t.Errorf("untilT2() with T1 %v, T2 %v = %v, want %v", timers.T1, timers.T2, got, test.want)
		}
	}
}
