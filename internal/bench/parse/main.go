// Command parse measures what SIP libraries take to parse, read, answer and
// forward the same messages, and prints one table in Markdown.
//
//	make -C parse/c    # the peers in C; see the Makefile for what they need
//	go run ./parse
//	go run ./parse -message invite -peer 'read|parley'
//
// All peers take turns: in every round each has a slice of time, in an order
// that changes, and ratios are medians of the ratios within a round, so that a
// machine that is slower for a while is slower for all. Times are CPU time of
// the process, the collector's threads included. The peers in C run in a process
// of their own, which is asked for one slice at a time.
//
// llhttp, which is a parser of HTTP and sees the same header lines under another
// start line, is measured whatever -peer says, as the base.
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"
)

type config struct {
	rounds   int
	slice    time.Duration
	folder   string
	runner   string
	peers    *regexp.Regexp
	messages []string
}

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 15, "rounds in which all peers take turns")
	slice := flag.Duration("slice", 40*time.Millisecond, "CPU time of a peer in a round")
	folder := flag.String("folder", filepath.Join("..", "..", "sip", "testdata", "messages"), "where the messages are")
	messages := flag.String("message", "invite,register,ok,notify,large", "the messages")
	peers := flag.String("peer", "", "regular expression that work and name of a peer, such as \"read parley Parse\", must match; llhttp is always there")
	runner := flag.String("c", filepath.Join("parse", "c", "cparse"), "the program with the peers in C")
	live := flag.Int("live", 0, "MB of memory in use besides, as a server has: it makes collections as rare as there")
	cpu := flag.String("cpuprofile", "", "write a CPU profile to this file")
	mem := flag.String("memprofile", "", "write a profile of all allocations to this file")
	flag.Parse()
	filter, err := regexp.Compile(*peers)
	if err != nil || *rounds < 1 || *live < 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	cfg := config{*rounds, *slice, *folder, *runner, filter, strings.Split(*messages, ",")}
	held := make([]byte, *live<<20)
	if err := profiled(*cpu, *mem, cfg.measure); err != nil {
		log.Fatal(err)
	}
	runtime.KeepAlive(held)
}

// measure prints the table.
func (c config) measure() error {
	fmt.Printf("%s, GOMAXPROCS %d, %d rounds of %v\n\n", runtime.Version(), runtime.GOMAXPROCS(0), c.rounds, c.slice)
	if _, err := os.Stat(c.runner); err != nil {
		log.Printf("without the peers in C, and so without llhttp and Sofia-SIP: %v", err)
		c.runner = ""
	}
	printHead(os.Stdout)
	for _, name := range c.messages {
		file := filepath.Join(c.folder, name+".sip")
		msg, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		all, err := c.takeTurns(file, msg)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		printRows(os.Stdout, name, len(msg), all)
	}
	return nil
}

// takeTurns measures the chosen peers on one message.
func (c config) takeTurns(file string, msg []byte) ([]series, error) {
	var peers []peer
	if c.runner != "" {
		child, inC, err := startChild(c.runner, file)
		if err != nil {
			return nil, err
		}
		defer child.stop()
		peers = inC
	}
	for _, tasks := range [][]task{referenceTasks(msg), sipgoTasks(msg), parleyTasks(msg)} {
		for _, t := range tasks {
			peers = append(peers, t.peer())
		}
	}
	var all []series
	for _, p := range peers {
		if p.name == llhttp || c.peers.MatchString(string(p.work)+" "+p.name) {
			all = append(all, series{p, make([]sample, c.rounds)})
		}
	}
	for round := range c.rounds {
		for _, i := range rand.Perm(len(all)) {
			var err error
			if all[i].rounds[round], err = all[i].run(c.slice); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// profiled runs f under the profiles whose files are named.
func profiled(cpu, mem string, f func() error) error {
	if cpu != "" {
		out, err := os.Create(cpu)
		if err != nil {
			return err
		}
		defer out.Close()
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if mem == "" {
		return f()
	}
	runtime.MemProfileRate = 512
	if err := f(); err != nil {
		return err
	}
	out, err := os.Create(mem)
	if err != nil {
		return err
	}
	defer out.Close()
	return pprof.Lookup("allocs").WriteTo(out, 0)
}
