// Command transaction measures servers and proxies on package transaction beside
// other SIP stacks on the same load.
//
//	make -C transaction/c                          # the server on Sofia-SIP
//	go run ./transaction                           # CPU time for calls; -load options
//	go run ./transaction -mode proxy -rate 1000    # the same of proxies
//	go run ./transaction -mode settings            # the same with other settings of the runtime
//	go run ./transaction -mode latency             # response times; -load options
//	go run ./transaction -mode hold -rate 1000     # memory of calls that are up
//	go run ./transaction -mode flood -only parley  # branches of one hash
//	go run ./transaction -mode soak -time 20s      # calls over a bad network, for long; -proxy
//
// Calls come from SIPp; Debian has it in sip-tester, and Kamailio in kamailio. Who
// is not there is left out. Each server is a process of its own on 127.0.0.1,
// which ends with this program, and takes its turn in each round. Its CPU time is
// what the system says of that process.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/goparley/parley/internal/bench/rig"
)

func main() {
	log.SetFlags(0)
	mode := flag.String("mode", "cpu", "cpu, proxy, settings, latency, hold, flood or soak")
	what := flag.String("load", "call", "call or options")
	only := flag.String("only", "", "measure only servers whose names have one of these, divided by commas")
	n := flag.Int("n", 10000, "calls, or requests, of a round")
	rate := flag.Int("rate", 2000, "calls a second")
	rounds := flag.Int("rounds", 3, "rounds in which all servers take turns")
	length := flag.Duration("time", 10*time.Minute, "with -mode soak, how long calls are placed")
	calls := flag.Int("calls", 0, "with -mode soak, calls a second; 0 means half of what callers can place who wait for their answers")
	proxied := flag.Bool("proxy", false, "with -mode soak, have a proxy between caller and callee")
	late := flag.Duration("late", 40*time.Second, "how long to wait for clean-up")
	role := flag.String("serve", "", "be a server of that kind; for the command itself")
	addr := flag.String("addr", "", "address of the server; with -serve")
	profile := flag.String("profile", "", "with -serve, write a CPU profile to a file of that name; with -mode soak, of the heap at the end; else pass it on")
	flag.Parse()
	if flag.NArg() > 0 || *n < 1 || *rate < 1 || *rounds < 1 || *length <= 0 || *calls < 0 {
		flag.Usage()
		os.Exit(2)
	}
	if *role != "" {
		begin := roles[*role]
		if begin == nil {
			log.Fatalf("no server of the kind %q", *role)
		}
		if err := rig.Serve(*role, *addr, *profile, begin, nil); err != nil {
			log.Fatalf("server %s: %v", *role, err)
		}
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	fmt.Printf("%s, %d processors\n", runtime.Version(), runtime.NumCPU())
	if *mode == "soak" {
		if err := (soak{*length, *calls, *proxied, *profile}).run(ctx); err != nil {
			log.Fatal(err)
		}
		return
	}
	scratch, err := os.MkdirTemp("", "bench")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(scratch)
	if err := run(ctx, *mode, *what, *only, *profile, scratch, rig.Load{N: *n, Rate: *rate}, *rounds, *late); err != nil {
		os.RemoveAll(scratch)
		log.Fatal(err)
	}
}

func run(ctx context.Context, mode, what, only, profile, scratch string, l rig.Load, rounds int, late time.Duration) error {
	all := servers(scratch, profile, what == "options")
	switch mode {
	case "cpu", "latency", "hold", "flood":
	case "settings":
		all = append(all[:1], variants(profile)...)
	case "proxy":
		all = proxies(scratch, profile)
		callee, err := newCallee(ctx, scratch)
		if err != nil {
			return err
		}
		defer callee.Stop()
		l.Scenario, l.Callee = "uac-dialog.xml", callee.Addr
	default:
		return fmt.Errorf("no mode %q", mode)
	}
	if what == "options" {
		l.Scenario = "uac-options.xml"
	}
	if l.Scenario != "" {
		if _, err := rig.Unpack(testdata, scratch, l.Scenario, ""); err != nil {
			return err
		}
	}
	list, err := rig.StartAll(ctx, all, only)
	defer rig.StopAll(list)
	if err != nil {
		return err
	}
	method := "INVITE"
	if what == "options" {
		method = "OPTIONS"
	}
	switch mode {
	case "latency":
		return latencyTable(ctx, list, method, l.N, l.Rate, rounds)
	case "hold":
		return rig.HoldTable(ctx, list, l, scratch)
	case "flood":
		return floodTable(ctx, list[0], l.N, l.Rate, rounds)
	}
	return rig.CPUTable(ctx, list, l, rounds, late, scratch)
}
