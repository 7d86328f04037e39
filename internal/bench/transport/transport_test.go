package main

import (
	"os"
	"slices"
	"testing"
	"time"
)

// TestMain is the server when a test starts this program as one.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-serve") {
		main()
		return
	}
	os.Exit(m.Run())
}

// Connections of every transport are held, and each has a goroutine.
func TestHold(t *testing.T) {
	for _, kind := range []string{"tcp", "tls", "ws", "wss"} {
		each, err := hold(t.Context(), kind, 10, "")
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if each.Goroutines < 10 || each.Heap < 10<<10 {
			t.Errorf("%s: 10 connections take %d goroutines and %d bytes of heap, want 10 and more than 10 KB", kind, each.Goroutines, each.Heap)
		}
	}
}

// Servers of datagrams answer, both the bare one and an Endpoint.
func TestTake(t *testing.T) {
	for _, c := range []*contender{
		{role: "echo", sockets: 1, rport: true},
		{role: "udp", sockets: 2, procs: 2},
	} {
		var err error
		if c.child, err = startChild(c.role, c.sockets, c.procs, 1, ""); err != nil {
			t.Fatal(err)
		}
		defer c.stop()
		c.rate, c.cost = make([]float64, 1), make([]float64, 1)
		if err := c.take(t.Context(), load{rounds: 1, slice: 20 * time.Millisecond, ahead: 2}, 0); err != nil {
			t.Fatalf("%s: %v", c.role, err)
		}
		if c.rate[0] <= 0 || c.cost[0] <= 0 {
			t.Errorf("%s: %v datagrams a second at %v s each, want more than none", c.role, c.rate[0], c.cost[0])
		}
	}
}
