package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/internal/bench/rig"
)

// TestMain is the server when a test starts this program as one.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-serve") {
		main()
		return
	}
	os.Exit(m.Run())
}

// The servers of this program answer calls and other requests.
func TestServersAnswer(t *testing.T) {
	for _, role := range []string{"floor", "parley", "sipgo"} {
		for _, method := range []string{"INVITE", "OPTIONS"} {
			addr, err := rig.FreeAddr()
			if err != nil {
				t.Fatal(err)
			}
			p, err := rig.StartRole(role, addr, nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := rig.NewCaller(addr, method, 20, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Run(t.Context(), 500); err != nil {
				t.Error(err)
			}
			if _, _, _, lost := c.Quantiles(); lost != 0 {
				t.Errorf("%s: %d of 20 %s without a response, want none", role, lost, method)
			}
			if spent, err := p.CPU(); err != nil || spent <= 0 {
				t.Errorf("%s: %v CPU time, %v, want some", role, spent, err)
			}
			if err := p.Stop(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Branches that are made to have one hash have, and differ.
func TestCollisions(t *testing.T) {
	step := func(h uint32, b byte) uint32 { return (h ^ uint32(b)) * 16777619 }
	hash := func(text string) uint32 {
		h := uint32(2166136261)
		for i := range len(text) {
			h = step(h, text[i])
		}
		return h
	}
	c := collide(step, 2166136261, 4)
	seen := map[string]bool{}
	for i := range 16 {
		branch := c.branch(i)
		seen[branch] = true
		if got, want := hash(branch), hash(c.branch(0)); got != want {
			t.Errorf("branch %d has hash %#x, want %#x", i, got, want)
		}
	}
	if got := len(seen); got != 16 {
		t.Errorf("%d branches, want 16", got)
	}
}

// Calls over a network that loses some datagrams are all completed, by a proxy
// too.
func TestCallsComplete(t *testing.T) {
	for _, s := range []soak{{}, {proxied: true}} {
		cfg := s.network()
		cfg.Loss = 0.01
		stage, err := s.build(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			stage.begin(t.Context())
		}
		finished := make(chan struct{})
		go func() { // ends with the calls
			stage.all.Wait()
			close(finished)
		}()
		select {
		case <-finished:
		case <-time.After(30 * time.Second):
			t.Fatal("calls have not ended")
		}
		if failed, served := stage.failed.Load(), stage.served.Load(); failed != 0 || served != 50 {
			t.Errorf("%d calls failed and %d ended, want 0 and 50", failed, served)
		}
		if err := stage.close(); err != nil {
			t.Error(err)
		}
	}
}
