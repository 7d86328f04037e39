package ua_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Nothing holds on to a registration that was closed, or that the registrar has
// ended: no timer, keepalive or flow, and not the agent, which lives on.
func TestRegistrationIsForgotten(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		var gone []weak.Pointer[ua.Registration]
		for i := range 20 {
			reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, OnError: func(error) {}})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if i%2 == 0 {
				reg.ToldEnded("rejected", 0)
			} else if err := reg.Close(); err != nil {
				t.Error(err)
			}
			gone = append(gone, weak.Make(reg))
		}
		time.Sleep(time.Minute) // the transactions are over
		left := len(gone)
		for range 10 {
			runtime.GC()
			left = 0
			for _, p := range gone {
				if p.Value() != nil {
					left++
				}
			}
		}
		if left > 1 { // what the stack of this function may still name
			t.Errorf("%d of %d registrations are held on to", left, len(gone))
		}
	})
}

// An agent that was closed is not kept until the next look at the network.
func TestWatchedNetworkIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		gone := func() weak.Pointer[ua.Agent] {
			a, err := ua.New("sip:alice@a.example", &ua.Config{
				Network: n.Host("192.0.2.1"), Listen: []string{"udp:192.0.2.1:5060"}, Logger: quiet, WatchNetwork: 24 * time.Hour,
			})
			if err != nil {
				t.Fatal(err)
			}
			a.Close()
			return weak.Make(a)
		}()
		time.Sleep(time.Hour)
		for range 10 {
			runtime.GC()
		}
		if gone.Value() != nil {
			t.Error("the agent is held on to")
		}
	})
}
