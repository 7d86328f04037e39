package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goparley/parley/internal/bench/rig"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

// A soak is two agents, of which one calls the other so often and for so long that
// what is lost or leaks would show.
type soak struct {
	time    time.Duration
	rate    int // calls a second
	profile string

	// network returns that of the caller, "127.0.0.1", and of the callee,
	// "127.0.0.2". nil means that of the system.
	network func(host string) transport.Network
}

// lingers is how long transactions are there after the last response, and some
// more.
const lingers = 45 * time.Second

// run places calls and reports how they went. An error says that one failed, or
// that memory did not come back.
func (s soak) run(ctx context.Context) error {
	quiet := slog.New(slog.DiscardHandler)
	var answered, ended atomic.Int64
	callee, err := s.agent("127.0.0.2", ua.Config{Logger: quiet, OnInvite: func(ctx context.Context, in *ua.Invitation) {
		in.Ring(ctx)
		call, err := in.Answer(ctx, &counted{closed: &ended})
		switch {
		case errors.Is(err, ua.ErrHungUp): // before the ACK was here
			answered.Add(1)
		case err != nil:
			fmt.Fprintln(os.Stderr, err)
		case answered.Add(1)%4 == 0: // of some it is the callee who ends them
			call.Hangup(context.WithoutCancel(ctx))
		}
	}})
	if err != nil {
		return err
	}
	defer callee.Close()
	caller, err := s.agent("127.0.0.1", ua.Config{Logger: quiet})
	if err != nil {
		return err
	}
	defer caller.Close()
	target := fmt.Sprintf("sip:callee@%v", callee.Addr("udp"))
	var placed, refused atomic.Int64
	call := func() error {
		placed.Add(1)
		c, err := caller.Invite(ctx, target, &ua.InviteOptions{Streams: []ua.Stream{&counted{closed: &ended}}})
		if errors.Is(err, sip.StatusServiceUnavailable) {
			refused.Add(1)
		}
		if err != nil {
			return err
		}
		return c.Hangup(context.WithoutCancel(ctx))
	}
	// Tables do not get shorter: they are to have their length before, by as many
	// transactions as will be there at once.
	if o := rig.Pace(ctx, s.calls(min(s.time, lingers)), s.rate, func(int) error { return call() }); o.Failed > 0 {
		return failure{o, refused.Load()}
	}
	if err := rig.Pause(ctx, lingers); err != nil {
		return err
	}
	before, cpu := rig.Used(true), cpuTime()
	fmt.Printf("\n%v at %d calls a second, load average %s\n", s.time, s.rate, rig.LoadAverage())
	began := time.Now()
	peak := rig.Use{}
	o := rig.Pace(ctx, s.calls(s.time), s.rate, func(i int) error {
		if i%s.rate == 0 {
			now := rig.Used(false)
			peak.Heap, peak.Goroutines = max(peak.Heap, now.Heap), max(peak.Goroutines, now.Goroutines)
		}
		return call()
	})
	took := time.Since(began)
	cpu = cpuTime() - cpu
	if err := rig.Pause(ctx, lingers); err != nil {
		return err
	}
	after := rig.Used(true)
	if s.profile != "" {
		if err := rig.WriteHeap(s.profile + ".soak.heap"); err != nil {
			return err
		}
	}
	total := o.OK + o.Failed
	fmt.Print("\n| calls | failed | took, s | CPU s for 10,000, both sides | heap before, MB | at most | after | goroutines before | at most | after | clock late at worst, ms |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	fmt.Printf("| %d | %d | %.1f | %.2f | %.1f | %.0f | %.1f | %d | %d | %d | %d |\n", total, o.Failed, took.Seconds(), cpu.Seconds()/float64(total)*10000,
		float64(before.Heap)/1e6, float64(peak.Heap)/1e6, float64(after.Heap)/1e6, before.Goroutines, peak.Goroutines, after.Goroutines, o.Late.Milliseconds())
	switch all := placed.Load(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case o.Failed > 0:
		return failure{o, refused.Load()}
	case answered.Load() != all:
		return fmt.Errorf("%d calls, and the callee has answered %d", all, answered.Load())
	case ended.Load() != 2*all:
		return fmt.Errorf("%d calls, and %d streams were closed", all, ended.Load())
	case after.Heap > before.Heap+1<<20+512*peak.Goroutines: // what the runtime keeps of goroutines that have ended
		return errors.New("memory has not come back")
	case after.Goroutines > before.Goroutines:
		return errors.New("goroutines are left")
	}
	return nil
}

// failure says that calls have failed. Those that were refused were so by overload
// control: for half a second nobody has read what came, which is the machine's doing
// if its clocks were late as well.
type failure struct {
	rig.Outcome
	refused int64
}

func (f failure) Error() string {
	return fmt.Sprintf("%d of %d calls failed, %d of them refused with 503; clocks were up to %v late",
		f.Failed, f.OK+f.Failed, f.refused, f.Late.Round(time.Millisecond))
}

// calls returns how many are placed in a time.
func (s soak) calls(in time.Duration) int { return int(in.Seconds() * float64(s.rate)) }

func (s soak) agent(host string, cfg ua.Config) (*ua.Agent, error) {
	port := ":0"
	if s.network != nil {
		cfg.Network, port = s.network(host), ":5060"
	}
	cfg.Listen = []string{"udp:" + host + port}
	return ua.New("sip:agent@"+host, &cfg)
}

// counted is a voice that counts that it was closed.
type counted struct {
	voice
	closed *atomic.Int64
}

func (c *counted) Close() error {
	c.closed.Add(1)
	return nil
}

// cpuTime returns the CPU time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
