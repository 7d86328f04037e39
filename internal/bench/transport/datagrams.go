package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// load says how much is asked of servers of datagrams.
type load struct {
	rounds int
	slice  time.Duration
	ahead  int // requests that are not answered, on each socket
	live   int // MB that each server has in use besides
}

// contender is a server of datagrams.
type contender struct {
	name    string
	role    string
	sockets int
	procs   int // GOMAXPROCS; 0 means as it is
	rport   bool

	*child
	rate []float64 // datagrams a second, in each round
	cost []float64 // CPU seconds of the server for each
}

// datagrams has servers answer as many datagrams as they can, in turns, and
// prints how they did.
func datagrams(ctx context.Context, l load, profile string) error {
	all := []*contender{
		{name: "bare echo", role: "echo", sockets: 1, rport: true},
		{name: "Endpoint", role: "udp", sockets: 1, rport: true},
		{name: "Endpoint, no rport asked", role: "udp", sockets: 1},
		{name: "bare echo, GOMAXPROCS 1", role: "echo", sockets: 1, procs: 1, rport: true},
		{name: "Endpoint, GOMAXPROCS 1", role: "udp", sockets: 1, procs: 1, rport: true},
		{name: "Endpoint, 2 sockets, GOMAXPROCS 1", role: "udp", sockets: 2, procs: 1, rport: true},
		{name: "Endpoint, 2 sockets, GOMAXPROCS 2", role: "udp", sockets: 2, procs: 2, rport: true},
	}
	for i, c := range all {
		name := profile
		if name != "" {
			name = fmt.Sprintf("%s.%d", profile, i)
		}
		var err error
		if c.child, err = startChild(c.role, c.sockets, c.procs, l.live, name); err != nil {
			return err
		}
		defer c.stop()
		c.rate, c.cost = make([]float64, l.rounds), make([]float64, l.rounds)
	}
	for round := -1; round < l.rounds; round++ { // the first one is to warm up
		for i := range all {
			c := all[(i+round+1)%len(all)]
			if err := c.take(ctx, l, round); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	fmt.Printf("\n%d rounds of %v, %d requests under way, %d MB in use besides\n\n", l.rounds, l.slice, peers*l.ahead, l.live)
	fmt.Print("| server | datagrams/s | of the echo's | CPU us each | of the echo's |\n|---|--:|--:|--:|--:|\n")
	base := all[0]
	for _, c := range all {
		if c.role == "echo" {
			base = c
		}
		fmt.Printf("| %s | %.0f | %.2f | %.2f | %.2f |\n", c.name, median(c.rate), ratio(c.rate, base.rate),
			median(c.cost)*1e6, ratio(c.cost, base.cost))
	}
	return nil
}

// take has a server answer for a slice of time.
func (c *contender) take(ctx context.Context, l load, round int) error {
	before, err := c.usage(false)
	if err != nil {
		return err
	}
	began := time.Now()
	n, err := flood(ctx, c.addr, c.rport, l)
	if err != nil {
		return err
	}
	took := time.Since(began)
	after, err := c.usage(false)
	if err != nil || round < 0 {
		return err
	}
	c.rate[round] = float64(n) / took.Seconds()
	c.cost[round] = (after.CPU - before.CPU).Seconds() / float64(n)
	return nil
}

const peers = 8 // sockets of the load

// flood sends requests from several sockets for a time, each so many ahead of
// their answers, and returns how many were answered.
func flood(ctx context.Context, to netip.AddrPort, rport bool, l load) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, l.slice)
	defer cancel()
	results := make(chan int, peers)
	errs := make(chan error, peers)
	for range peers {
		p, err := newPeer(to, rport, l.ahead)
		if err != nil {
			return 0, err
		}
		defer p.close()
		go func() { // ends with ctx
			n, err := p.run(ctx)
			results <- n
			errs <- err
		}()
	}
	answered := 0
	var failed error
	for range peers {
		answered += <-results
		failed = errors.Join(failed, <-errs)
	}
	if failed == nil && answered == 0 {
		failed = errors.New("nothing was answered")
	}
	return answered, failed
}

// ratio returns the median of the ratios within a round.
func ratio(of, base []float64) float64 {
	all := make([]float64, len(of))
	for i := range of {
		all[i] = of[i] / base[i]
	}
	return median(all)
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// optionsText is the OPTIONS of a client at from. Over UDP it asks for rport.
func optionsText(kind string, from, to netip.AddrPort) string {
	return strings.Join([]string{
		"OPTIONS sip:" + to.String() + " SIP/2.0",
		"Via: SIP/2.0/" + strings.ToUpper(kind) + " " + from.String() + ";rport;branch=z9hG4bK776asdhds87w",
		"Max-Forwards: 70",
		"To: <sip:" + to.String() + ">",
		"From: \"Alice\" <sip:alice@example.com>;tag=1928301774",
		"Call-ID: a84b4c76e66710@pc33.example.com",
		"CSeq: 63104 OPTIONS",
		"Contact: <sip:alice@" + from.String() + ">",
		"Accept: application/sdp",
		"User-Agent: ExamplePhone/4.2.1",
		"Content-Length: 0",
		"", "",
	}, "\r\n")
}
