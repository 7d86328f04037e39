package ua_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// A laptop without a registrar that keeps flows moves. NetworkChanged binds where it
// is now, and only then removes where it was, and nothing of anybody else.
func TestNetworkChanged(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		withoutFlows(t, s)
		laptop := &movable{Network: s.n.Host("192.0.2.1")}
		alice, reg := s.laptop(laptop, "sip:"+homeAddr)
		other := sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.77"}
		s.bind(other)
		laptop.moved.Store(true)
		time.Sleep(time.Minute) // until the way to the registrar is asked for again
		if err := alice.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		sent := s.sent(sip.REGISTER)[1:] // the first one got 439
		if len(sent) != 3 {
			t.Fatalf("%d REGISTERs, want one before, and two after: the new binding first", len(sent))
		}
		for i, want := range []struct {
			host    string
			expires sip.Expires
		}{{"192.0.2.1", 3600}, {"192.0.2.50", 3600}, {"192.0.2.1", 0}} {
			expires, _ := sip.Get[sip.Expires](sent[i])
			if host := contact(t, sent[i]).URI.Host; host != want.host || expires != want.expires {
				t.Errorf("REGISTER %d binds %s for %d, want %v", i, host, expires, want)
			}
		}
		s.expectBound("192.0.2.50", "192.0.2.77")
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
		s.expectBound("192.0.2.77")
	})
}

// With outbound there is nothing to remove: the new flow takes the place of the old
// one by its reg-id (RFC 5626 section 6), also where the old connection looks alive.
func TestNetworkChangedWithFlows(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.took("", sip.REGISTER)
		if err := alice.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(s.took(homeAddr, sip.REGISTER)); n != 2 {
			t.Errorf("%d REGISTERs, want one for each flow", n)
		}
		s.expectFlows("1 by 192.0.2.11, 2 by 192.0.2.12")
		if !s.reachable() {
			t.Error("not reachable")
		}
	})
}

// There is no network yet when it is said to have changed. The error says so, and
// the agent goes on trying.
func TestNetworkChangedTooEarly(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, OnError: func(error) {}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.down(edge1)
		s.down(edge2)
		if err := alice.NetworkChanged(t.Context()); err == nil {
			t.Error("NetworkChanged() = nil without a network")
		}
		s.n.Host(edge1).Up()
		s.n.Host(edge2).Up()
		if err := alice.NetworkChanged(t.Context()); err != nil {
			t.Errorf("NetworkChanged() = %v", err)
		}
		s.expectFlows("1 by 192.0.2.11, 2 by 192.0.2.12")
	})
}

// An agent that watches sees that another address leads to its registrar, and that
// one does again when there was none.
func TestWatchNetwork(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		withoutFlows(t, s)
		laptop := &movable{Network: s.n.Host("192.0.2.1")}
		s.watch = 10 * time.Second
		s.laptop(laptop, "sip:"+homeAddr)
		time.Sleep(time.Minute)
		s.sent(sip.REGISTER)
		laptop.moved.Store(true)
		time.Sleep(time.Minute)
		s.expectBound("192.0.2.50")
		if n := len(s.sent(sip.REGISTER)); n < 2 || n > 2+6 {
			t.Errorf("%d REGISTERs, want one that binds and one that removes", n)
		}
		time.Sleep(10 * time.Minute)
		if n := len(s.sent(sip.REGISTER)); n != 0 {
			t.Errorf("%d REGISTERs while nothing changes", n)
		}
		laptop.away.Store(true)
		time.Sleep(time.Minute)
		laptop.away.Store(false)
		time.Sleep(11 * time.Second)
		if n := len(s.sent(sip.REGISTER)); n != 1 {
			t.Errorf("%d REGISTERs when the network is back, want 1", n)
		}
	})
}

// The network changes again while the REGISTER of the first change is not answered. The
// flow that this has made is of a network that is gone: another one is made.
func TestNetworkChangedTwice(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies[:1]}); err != nil {
			t.Fatal(err)
		}
		ports := func() (ports []string) {
			for _, p := range s.took(edge1, sip.REGISTER) {
				via, err := sip.Get[sip.Via](p.req)
				if err != nil {
					t.Fatal(err)
				}
				port, _ := via.Params.Get("rport")
				ports = append(ports, port)
			}
			return ports
		}
		time.Sleep(time.Minute)
		ports()
		s.set(func(tx *transaction.Server, req *sip.Request) bool {
			time.Sleep(3 * time.Second)
			return false
		})
		first := make(chan error, 1)
		go func() { first <- alice.NetworkChanged(t.Context()) }()
		time.Sleep(time.Second)
		if err := alice.NetworkChanged(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		s.set(nil)
		if got := ports(); len(got) != 2 || got[0] == got[1] {
			t.Errorf("REGISTERs came from ports %v, want two of them", got)
		}
	})
}

// The laptop has sent something just before it moves: the address of then is not what it
// names after that.
func TestNetworkChangedAtOnce(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		withoutFlows(t, s)
		laptop := &movable{Network: s.n.Host("192.0.2.1")}
		alice, _ := s.laptop(laptop, "sip:"+homeAddr)
		laptop.moved.Store(true)
		if err := alice.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.expectBound("192.0.2.50")
	})
}

// The context of NetworkChanged ends: it returns, and the flows are made later.
func TestNetworkChangedGivenUp(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, Expires: 10 * time.Minute, OnError: func(error) {}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.n.Host(edge1).Down()
		s.n.Host(edge2).Down()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := alice.NetworkChanged(ctx); err == nil || time.Since(start) != time.Second {
			t.Errorf("NetworkChanged() = %v after %v", err, time.Since(start))
		}
		s.n.Host(edge1).Up()
		s.n.Host(edge2).Up()
		time.Sleep(9 * time.Minute)
		s.expectFlows("1 by 192.0.2.11, 2 by 192.0.2.12")
	})
}

// What the agent can do with the bindings of all phones of its user: read them, and
// remove them.
func TestBindings(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		s.bind(sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.77"})
		contacts, err := alice.Bindings(t.Context(), nil)
		if err != nil || len(contacts) != 1 || contacts[0].URI.Host != "192.0.2.77" {
			t.Errorf("Bindings() = %v, %v", contacts, err)
		}
		reg, err := alice.Register(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.expectBound("192.0.2.1", "192.0.2.77")
		if err := alice.RemoveBindings(t.Context(), &ua.RegisterOptions{Proxies: proxies}); err != nil {
			t.Errorf("RemoveBindings() = %v", err)
		}
		s.expectBound()
		if err := reg.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		s.expectBound("192.0.2.1")
		s.set(func(tx *transaction.Server, req *sip.Request) bool { tx.Reply(sip.StatusForbidden); return true })
		if _, err := alice.Bindings(t.Context(), nil); err == nil {
			t.Error("Bindings() = nil of a registrar that refuses")
		}
	})
}

// withoutFlows takes what is for outbound out of REGISTERs, as a box on the way may.
func withoutFlows(t *testing.T, s *site) {
	s.set(func(tx *transaction.Server, req *sip.Request) bool {
		if req.Method() == sip.REGISTER && contact(t, req).RegID() > 0 {
			tx.Reply(sip.StatusFirstHopLacksOutboundSupport)
			return true
		}
		return false
	})
}
