package main

import (
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/bench/rig"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// TestMain is a callee or a caller when a test starts this program as one.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-serve") {
		main()
		return
	}
	os.Exit(m.Run())
}

// Each of our callees is called by each of our callers, and by one without a stack.
// Calls that are kept are there until they are ended.
func TestCallersAndCallees(t *testing.T) {
	start := func(c *rig.Contender) *rig.Process {
		addr, err := rig.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Begin(c.Name, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Stop(); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		})
		return p
	}
	order := func(p *rig.Process, o rig.Orders, ok int) {
		var got rig.Outcome
		if err := p.Order(o, &got); err != nil || got.OK != ok || got.Failed != 0 {
			t.Errorf("%+v, %v for %+v, want %d ok", got, err, o, ok)
		}
	}
	all := callees("")
	all = all[:len(all)-1] // without that in C
	for i, caller := range callers("") {
		p := start(caller)
		for _, callee := range all {
			if i > 0 && callee.Name == "floor" {
				continue // that nobody can have a dialog with: it has one tag for all
			}
			t.Log(caller.Name, callee.Name)
			to := start(callee)
			order(p, rig.Orders{To: to.Addr, N: 20, Rate: 200}, 20)
			if i == 0 {
				continue // keeps none
			}
			order(p, rig.Orders{To: to.Addr, N: 20, Rate: 200, Keep: true}, 20)
			order(p, rig.Orders{End: true, Rate: 200}, 20)
			order(p, rig.Orders{End: true, Rate: 200}, 0)
		}
	}
}

// A soak of half a minute on a network that loses and delays some: no call fails,
// and nothing is left of them.
func TestSoak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Seed: 1, Loss: 0.01, Delay: time.Millisecond, Jitter: time.Millisecond, Queue: 1 << 10})
		s := soak{time: 30 * time.Second, rate: 20, network: func(host string) transport.Network { return n.Host(host) }}
		if err := s.run(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
