package ua_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// asksSTUN runs a story of an agent behind a NAT, which has the public address that a STUN
// server tells, and of a peer that gets its requests.
func asksSTUN(t *testing.T, run func(t *testing.T, n *siptest.Network, box *siptest.NAT, alice *ua.Agent, got <-chan *sip.Request)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		box := n.NAT("203.0.113.1", nil)
		got := make(chan *sip.Request, 64)
		newPeer(t, n, serverAddr, func(tx *transaction.Server, req *sip.Request) {
			got <- req
			contact, _ := sip.Get[sip.Contact](req)
			tx.Reply(sip.StatusOK, contact, sip.Expires(600))
		})
		newPeer(t, n, "192.0.2.3", nil) // it answers Binding requests, too
		alice, err := ua.New("sip:alice@"+serverAddr, &ua.Config{
			Network: box.Host("10.0.0.2"), Listen: []string{"udp:0.0.0.0:5060"}, Logger: quiet, STUN: "192.0.2.3:5060",
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { alice.Close() })
		run(t, n, box, alice, got)
	})
}

// A laptop behind a NAT moves to another one: what it is bound to is the public address of
// there.
func TestPublicAddressMoves(t *testing.T) {
	asksSTUN(t, func(t *testing.T, _ *siptest.Network, box *siptest.NAT, alice *ua.Agent, got <-chan *sip.Request) {
		if _, err := alice.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if host := contactOf(t, <-got).Host; host != "203.0.113.1" {
			t.Errorf("bound to %s, want 203.0.113.1", host)
		}
		box.Move("203.0.113.2")
		if err := alice.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		if host := contactOf(t, <-got).Host; host != "203.0.113.2" {
			t.Errorf("bound to %s after a move, want 203.0.113.2", host)
		}
	})
}

// A phone that is turned on without a network asks the STUN server when there is one. One
// that does not answer is not waited for at each request.
func TestPublicAddressLater(t *testing.T) {
	asksSTUN(t, func(t *testing.T, n *siptest.Network, box *siptest.NAT, alice *ua.Agent, got <-chan *sip.Request) {
		n.Host("192.0.2.3").Down()
		subscribe := func() (host string, in time.Duration) {
			began := time.Now()
			s, err := alice.Subscribe(t.Context(), bobAtServer, "presence", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			in = time.Since(began).Round(time.Second)
			return contactOf(t, <-got).Host, in
		}
		for i, want := range []time.Duration{3 * time.Second, 0} {
			if host, in := subscribe(); host != "10.0.0.2" || in != want {
				t.Errorf("SUBSCRIBE %d names %s after %v, want 10.0.0.2 after %v", i, host, in, want)
			}
		}
		n.Host("192.0.2.3").Up()
		time.Sleep(30 * time.Second)
		if host, in := subscribe(); host != "203.0.113.1" || in != 0 {
			t.Errorf("SUBSCRIBE names %s after %v, want 203.0.113.1 at once", host, in)
		}
	})
}

const bobAtServer = "sip:bob@" + serverAddr
