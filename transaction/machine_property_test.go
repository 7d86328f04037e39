package transaction

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

// TestAnySequence throws inputs at the machines in any order, sensible or not,
// and checks what must hold all the same: see playAnything.
func TestAnySequence(t *testing.T) {
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 3261))
		data := make([]byte, r.IntN(80))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		if err := playAnything(data); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func FuzzMachines(f *testing.F) {
	f.Add([]byte("\x00an INVITE client"))
	f.Add([]byte("\x01a client of any other method"))
	f.Add([]byte("\x02an INVITE server"))
	f.Add([]byte("\x03a server of any other method"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := playAnything(data); err != nil {
			t.Fatal(err)
		}
	})
}

var statuses = []int{-1, 0, 99, 100, 101, 180, 183, 199, 200, 202, 299, 300, 302, 401, 407, 408, 486, 487, 500, 503, 603, 699, 700, 1 << 30}

// playAnything plays data on the machine that its first byte chooses. It
// checks every step, that an early timer is harmless, and that in the end the
// user can make the transaction terminate.
func playAnything(data []byte) error {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	names := []string{"client_invite", "client_noninvite", "server_invite", "server_noninvite"}
	choice := next()
	name, reliable := names[choice%4], choice&4 != 0
	timers := Timers{Trying: time.Duration(choice&8) * -time.Second, C: time.Duration(choice>>7) * time.Second}
	w := watcher{
		machine:  machines[name](timers, reliable),
		name:     name,
		reliable: reliable,
		now:      epoch,
	}
	if choice&16 == 0 {
		w.step(input{event: inStart})
	}
	for len(data) > 0 && w.err == nil {
		in := input{event: event(next() % int(inAbandon+1))}
		switch in.event {
		case inResponse, inRespond:
			in.status = statuses[next()%len(statuses)]
		case inTimer:
			w.pass(time.Duration(next()) * 50 * time.Millisecond)
		case inAbandon:
			if next()%4 != 0 { // or few would grow old
				continue
			}
		}
		w.step(in)
	}
	w.drain(choice)
	return w.err
}

// A watcher is the owner of a machine that believes nothing.
type watcher struct {
	machine     machine
	name        string
	reliable    bool
	now         time.Time
	last        output
	err         error // the first thing that was wrong
	started     time.Time
	provisional bool // client: a 1xx was delivered
	final       bool // a final response was delivered, or accepted from the user
	requests    int  // client: sent
	cancels     int  // client: sent
}

// pass lets time go by, with the timer firing early, on time or late.
func (w *watcher) pass(d time.Duration) {
	if next := w.last.next; !next.IsZero() && w.now.Before(next) {
		before := w.last
		w.step(input{event: inTimer})
		if want := (output{next: next}); w.err == nil && w.last != want {
			w.err = fmt.Errorf("%s: an early timer gives %+v, want %+v", w.name, w.last, want)
		}
		w.last = before
	}
	w.now = w.now.Add(d)
}

// drain has the user end the transaction in one of its ways, and lets the
// timers do the rest.
func (w *watcher) drain(choice int) {
	w.step(input{event: inStart}) // for one that did not begin
	switch {
	case choice&32 != 0:
		w.step(input{event: inAbandon})
	case w.name == "client_invite" && choice&64 != 0:
		w.step(input{event: inCancel})
	case w.name == "client_invite":
		w.step(input{event: inResponse, status: 487})
	case w.name == "client_noninvite": // ends by itself
	case choice&64 != 0:
		w.step(input{event: inRespond, status: 200})
	default:
		w.step(input{event: inRespond, status: 408})
	}
	for range 100 {
		if w.err != nil || w.last.terminated {
			return
		}
		if w.last.next.IsZero() {
			w.err = fmt.Errorf("%s: never terminates", w.name)
			return
		}
		w.now = w.last.next
		w.step(input{event: inTimer})
	}
	w.err = fmt.Errorf("%s: still alive after 100 timers", w.name)
}

func (w *watcher) step(in input) {
	if w.err != nil {
		return
	}
	if in.event == inStart && w.started.IsZero() {
		w.started = w.now
	}
	out := w.machine.step(w.now, in)
	err := checkStep(w.now, w.last, in, out)
	if err == nil {
		err = w.check(in, out)
	}
	if err != nil {
		w.err = fmt.Errorf("%s, reliable %v, %v: %+v gives %+v: %w", w.name, w.reliable, w.now.Sub(epoch), in, out, err)
	}
	w.last = out
}

// check holds the promises that span several steps.
func (w *watcher) check(in input, out output) error {
	switch w.name {
	case "client_invite", "client_noninvite":
		return w.checkClient(in, out)
	}
	return w.checkServer(in, out)
}

func (w *watcher) checkClient(in input, out output) error {
	class := in.status / 100
	switch out.send {
	case sendRequest:
		w.requests++
		if w.reliable && w.requests > 1 {
			return errors.New("a retransmission over a reliable transport")
		}
		if w.final {
			return errors.New("the request after its final response")
		}
		if w.requests > 11 { // at 0 s, 0.5 s, 1.5 s, 3.5 s, 7.5 s ... 31.5 s
			return errors.New("too many requests")
		}
	case sendACK:
		if in.event != inResponse || class < 3 || class > 6 {
			return errors.New("an ACK to no failure")
		}
	case sendCancel:
		w.cancels++
		if w.name != "client_invite" || w.cancels > 1 || w.final {
			return errors.New("a CANCEL too many")
		}
		if !w.provisional && !out.deliver {
			return errors.New("a CANCEL before any provisional response")
		}
	case sendResponse, sendTrying:
		return errors.New("a client that responds")
	}
	if !out.deliver {
		return nil
	}
	if in.event != inResponse || !validStatus(in.status) {
		return errors.New("delivers what is no response")
	}
	if w.final && (class != 2 || w.name != "client_invite") {
		return errors.New("delivers after the final response")
	}
	w.provisional = w.provisional || class == 1
	w.final = w.final || class > 1
	return nil
}

func (w *watcher) checkServer(in input, out output) error {
	invite := w.name == "server_invite"
	early := w.now.Sub(w.started) < 3500*time.Millisecond
	refused := errors.Is(out.err, ErrCompleted) || errors.Is(out.err, ErrStatus)
	switch out.send {
	case sendRequest, sendACK, sendCancel:
		return errors.New("a server that requests")
	case sendTrying:
		if w.final {
			return errors.New("a 100 after the final response")
		}
		if early && !invite {
			return errors.New("a 100 to a non-INVITE request too early")
		}
	case sendResponse:
		if in.event == inRespond && !validStatus(in.status) {
			return errors.New("sends what is no response")
		}
		if in.event == inRespond && !invite && (100 < in.status && in.status < 200 || in.status == 408) {
			return errors.New("sends what RFC 4320 forbids")
		}
		if in.event == inRespond && in.status == 100 && early && !invite && !w.reliable {
			return errors.New("sends the user's 100 to a non-INVITE request too early")
		}
		if in.event == inTimer && w.reliable {
			return errors.New("a retransmission over a reliable transport")
		}
	}
	switch {
	case refused && in.event != inRespond:
		return errors.New("refuses what was not given")
	case refused && out.send != sendNothing:
		return errors.New("sends what it refuses")
	case out.deliver && in.event != inStart && !(invite && in.event == inACK && w.final):
		return errors.New("delivers a retransmission")
	}
	w.final = w.final || in.event == inRespond && out.err == nil && in.status >= 200 && !w.started.IsZero()
	return nil
}

// lives are four ordinary transactions, in full.
var lives = map[string][]struct {
	wait time.Duration
	in   input
}{
	"client_invite": {
		{0, input{event: inStart}},
		{500 * time.Millisecond, input{event: inTimer}},
		{100 * time.Millisecond, input{event: inResponse, status: 180}},
		{time.Second, input{event: inCancel}},
		{100 * time.Millisecond, input{event: inResponse, status: 487}},
		{32 * time.Second, input{event: inTimer}},
	},
	"client_noninvite": {
		{0, input{event: inStart}},
		{500 * time.Millisecond, input{event: inTimer}},
		{100 * time.Millisecond, input{event: inResponse, status: 200}},
		{5 * time.Second, input{event: inTimer}},
	},
	"server_invite": {
		{0, input{event: inStart}},
		{200 * time.Millisecond, input{event: inTimer}},
		{time.Second, input{event: inRespond, status: 486}},
		{500 * time.Millisecond, input{event: inTimer}},
		{100 * time.Millisecond, input{event: inACK}},
		{5 * time.Second, input{event: inTimer}},
	},
	"server_noninvite": {
		{0, input{event: inStart}},
		{100 * time.Millisecond, input{event: inRespond, status: 200}},
		{400 * time.Millisecond, input{event: inRequest}},
		{32 * time.Second, input{event: inTimer}},
	},
}

// A quartet has room for a machine of each kind.
type quartet struct {
	inviteClient    inviteClient
	nonInviteClient nonInviteClient
	inviteServer    inviteServer
	nonInviteServer nonInviteServer
}

// live begins the transaction of that name anew in m, and plays it.
func live(name string, m *quartet, timers *Timers) output {
	var one machine
	switch name {
	case "client_invite":
		m.inviteClient = newInviteClient(timers, false)
		one = &m.inviteClient
	case "client_noninvite":
		m.nonInviteClient = newNonInviteClient(timers, false)
		one = &m.nonInviteClient
	case "server_invite":
		m.inviteServer = newInviteServer(timers, false)
		one = &m.inviteServer
	case "server_noninvite":
		m.nonInviteServer = newNonInviteServer(timers, false)
		one = &m.nonInviteServer
	}
	var out output
	now := epoch
	for _, life := range lives[name] {
		now = now.Add(life.wait)
		out = one.step(now, life.in)
	}
	return out
}

func TestStepAllocatesNothing(t *testing.T) {
	timers := Timers{}.withDefaults()
	var m quartet
	for name := range lives {
		if out := live(name, &m, &timers); !out.terminated {
			t.Errorf("%s: last output = %+v, want terminated", name, out)
		}
		if got := testing.AllocsPerRun(100, func() { live(name, &m, &timers) }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

// A live transaction is to be below 1 KB in all; the machine is a tenth of it.
func TestMachineSize(t *testing.T) {
	sizes := map[string]uintptr{
		"inviteClient":    unsafe.Sizeof(inviteClient{}),
		"nonInviteClient": unsafe.Sizeof(nonInviteClient{}),
		"inviteServer":    unsafe.Sizeof(inviteServer{}),
		"nonInviteServer": unsafe.Sizeof(nonInviteServer{}),
	}
	for name, size := range sizes {
		if size > 100 {
			t.Errorf("Sizeof(%s) = %d, want at most 100", name, size)
		}
	}
}

// BenchmarkStep measures a step, as the mean of an ordinary transaction.
func BenchmarkStep(b *testing.B) {
	timers := Timers{}.withDefaults()
	var m quartet
	for name, steps := range lives {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				live(name, &m, &timers)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(steps)), "ns/step")
		})
	}
}
