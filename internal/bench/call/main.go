// Command call measures what calls cost that are placed and answered by packages ua
// and dialog, beside other stacks on the same load.
//
//	make -C call/c                   # the server on Sofia-SIP's nua
//	go run ./call                    # all that follows, in about 15 minutes
//	go run ./call -mode callees      # CPU time of those that answer
//	go run ./call -mode callers      # CPU time of those that call
//	go run ./call -mode hold         # memory of calls that are up, of either side
//	go run ./call -mode soak -time 60s -rate 500
//
// Callees are called by SIPp, and callers call SIPp; Debian has it in sip-tester. Who
// is not there is left out. Each is a process of its own on 127.0.0.1, which ends
// with this program, and takes its turn in each round. Its CPU time is what the
// system says of that process. A soak is two agents in this process, on sockets of
// the system; it fails if a call does, or if memory or goroutines do not come back.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/goparley/parley/internal/bench/rig"
)

func main() {
	log.SetFlags(0)
	mode := flag.String("mode", "all", "callees, callers, hold, soak or all")
	only := flag.String("only", "", "measure only those whose names have one of these, divided by commas")
	n := flag.Int("n", 10000, "calls of a round, or to hold")
	rate := flag.Int("rate", 0, "calls a second; 0 means 2000, to hold 1000, and 500 for a soak")
	rounds := flag.Int("rounds", 5, "rounds in which all take turns")
	length := flag.Duration("time", time.Minute, "with -mode soak, how long calls are placed")
	late := flag.Duration("late", 40*time.Second, "how long to wait for clean-up")
	role := flag.String("serve", "", "be a callee or a caller of that kind; for the command itself")
	addr := flag.String("addr", "", "where it listens; with -serve")
	profile := flag.String("profile", "", "write profiles of those of this program, of CPU time and of the heap with calls that are up, to files whose names begin so")
	flag.Parse()
	if flag.NArg() > 0 || *n < 1 || *rate < 0 || *rounds < 1 || *length <= 0 || !slices.Contains([]string{"callees", "callers", "hold", "soak", "all"}, *mode) {
		flag.Usage()
		os.Exit(2)
	}
	if *role != "" {
		r, ok := roles[*role]
		if !ok {
			log.Fatalf("nobody of the kind %q", *role)
		}
		if err := rig.Serve(*role, *addr, *profile, r.begin, r.order); err != nil {
			log.Fatalf("%s: %v", *role, err)
		}
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	fmt.Printf("%s, %d processors\n", runtime.Version(), runtime.NumCPU())
	b := bench{only: *only, profile: *profile, n: *n, rate: *rate, rounds: *rounds, late: *late}
	if err := b.run(ctx, *mode, *length); err != nil {
		log.Fatal(err)
	}
}

// bench is what the flags say.
type bench struct {
	only, profile string
	n, rate       int
	rounds        int
	late          time.Duration
	scratch       string
}

func (b bench) run(ctx context.Context, mode string, length time.Duration) (err error) {
	if b.scratch, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.scratch)
	for _, each := range []struct {
		mode string
		run  func() error
	}{
		{"callees", func() error { return b.cpu(ctx, callees(b.profile)) }},
		{"callers", func() error { return b.cpu(ctx, callers(b.profile)) }},
		{"hold", func() error { return b.hold(ctx) }},
		{"soak", func() error { return soak{time: length, rate: b.orRate(500), profile: b.profile}.run(ctx) }},
	} {
		if mode != each.mode && mode != "all" {
			continue
		}
		if err := each.run(); err != nil {
			return fmt.Errorf("%s: %w", each.mode, err)
		}
	}
	return nil
}

func (b bench) orRate(rate int) int {
	if b.rate != 0 {
		return b.rate
	}
	return rate
}

func (b bench) cpu(ctx context.Context, all []*rig.Contender) error {
	called, err := newCalled(ctx)
	if err != nil {
		return err
	}
	defer called.Stop()
	list, err := rig.StartAll(ctx, all, b.only)
	defer rig.StopAll(list)
	if err != nil {
		return err
	}
	return rig.CPUTable(ctx, list, rig.Load{N: b.n, Rate: b.orRate(2000), Called: called.Addr}, b.rounds, b.late, b.scratch)
}

// hold measures callees and callers together, as most of the time is waiting.
func (b bench) hold(ctx context.Context) error {
	called, err := newCalled(ctx)
	if err != nil {
		return err
	}
	defer called.Stop()
	var all []*rig.Contender
	for _, c := range append(callees(b.profile), callers(b.profile)...) {
		if c.Name != "floor" && c.Name != "by hand" { // who keep nothing
			all = append(all, c)
		}
	}
	list, err := rig.StartAll(ctx, all, b.only)
	defer rig.StopAll(list)
	if err != nil {
		return err
	}
	return rig.HoldTable(ctx, list, rig.Load{N: b.n, Rate: b.orRate(1000), Called: called.Addr}, b.scratch)
}

// newCalled starts SIPp for callers to call.
func newCalled(ctx context.Context) (*rig.Process, error) {
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	p, err := rig.SIPpServer("SIPp", addr, "-sn", "uas")
	if err != nil {
		return nil, err
	}
	if err := rig.Answers(ctx, addr); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}
