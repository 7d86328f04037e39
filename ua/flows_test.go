package ua_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// Two outbound proxies are two flows of one instance, each with a reg-id and a
// Call-ID of its own (RFC 5626 section 4.2.1). Close removes both.
func TestFlowByEachProxy(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s.expectFlows("1 by 192.0.2.11, 2 by 192.0.2.12")
		asked := s.took(homeAddr, sip.REGISTER)
		if len(asked) != 2 {
			t.Fatalf("%d REGISTERs, want 2", len(asked))
		}
		first, second := contact(t, asked[0].req), contact(t, asked[1].req)
		if first.Instance() == "" || first.Instance() != second.Instance() {
			t.Errorf("instances %q and %q, want the same", first.Instance(), second.Instance())
		}
		if asked[0].req.CallID() == asked[1].req.CallID() {
			t.Errorf("both flows have Call-ID %s", asked[0].req.CallID())
		}
		if !s.reachable() {
			t.Error("not reachable")
		}
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
		s.expectFlows("")
	})
}

func contact(t *testing.T, m sip.Message) sip.Contact {
	t.Helper()
	c, err := sip.Get[sip.Contact](m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One of two proxies is away for an hour. Its flow is tried again after 90 s times
// 2^n, for the other one is up (RFC 5626 section 4.5); calls come and go by that. When
// it is back, so is the flow, with the reg-id that it had.
func TestFlowRecoversWhileAnotherIsUp(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		failures := make(chan time.Time, 100)
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, OnError: func(err error) {
			failures <- time.Now()
		}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.down(edge1)
		time.Sleep(time.Second)
		if !s.reachable() {
			t.Error("not reachable by the other flow")
		}
		s.took("", sip.OPTIONS)
		if _, err := alice.Options(t.Context(), "sip:"+homeAddr); err != nil {
			t.Errorf("Options() = %v", err)
		}
		if n := len(s.took(edge2, sip.OPTIONS)); n != 1 {
			t.Errorf("%d requests by the other proxy, want 1", n)
		}
		if err := reg.Err(); err != nil {
			t.Errorf("Err() = %v while a flow is up", err)
		}
		time.Sleep(time.Hour)
		var failed []time.Time
		for range len(failures) {
			failed = append(failed, <-failures)
		}
		if len(failed) < 4 || len(failed) > 8 {
			t.Errorf("%d tries in an hour, want 4 to 8", len(failed))
		}
		for i := 1; i < len(failed); i++ {
			most := min(90*time.Second<<i, 30*time.Minute)
			// To connect takes its time.
			if pause := failed[i].Sub(failed[i-1]); pause < most/2 || pause > most+time.Minute {
				t.Errorf("pause %d is %v, want %v to %v", i, pause, most/2, most)
			}
		}
		s.n.Host(edge1).Up()
		time.Sleep(31 * time.Minute)
		s.expectFlows("1 by 192.0.2.11, 2 by 192.0.2.12")
	})
}

// Both proxies are away: each is tried again after 30 s times 2^n, and the program
// can see that nothing is up.
func TestAllFlowsFail(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, OnError: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.down(edge1)
		s.down(edge2)
		time.Sleep(5 * time.Minute)
		if err := reg.Err(); err == nil {
			t.Error("Err() = nil while no flow is up")
		}
		s.n.Host(edge1).Up()
		s.n.Host(edge2).Up()
		s.took("", sip.REGISTER)
		time.Sleep(16 * time.Minute) // 30 s * 2^5
		s.expectFlows("1 by 192.0.2.11, 2 by 192.0.2.12")
		if err := reg.Err(); err != nil {
			t.Errorf("Err() = %v", err)
		}
	})
}

// The first proxy is away when the agent starts, over TCP or UDP: it registers by the
// second one after a few seconds, and by the first one when that is back.
func TestFirstProxyIsDown(t *testing.T) {
	for _, kind := range []string{"udp", "tcp"} {
		t.Run(kind, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				s.down(edge1)
				alice := s.alice(ua.Config{})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if _, err := alice.Register(ctx, &ua.RegisterOptions{
					Proxies: []string{"sip:" + edge1 + ";transport=" + kind, "sip:" + edge2 + ";transport=" + kind},
					OnError: func(error) {},
				}); err != nil {
					t.Fatal(err)
				}
				s.expectFlows("1 by 192.0.2.12")
				s.n.Host(edge1).Up()
				time.Sleep(4 * time.Minute)
				s.expectFlows("1 by 192.0.2.12, 2 by 192.0.2.11")
			})
		})
	}
}

// A phone is woken whose connection has died in its sleep, of which it was not told:
// the refresh goes by a new one after 10 s.
func TestRefreshByDeadConnection(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{Proxy: "sip:" + homeAddr + ";transport=tcp"})
		reg, err := alice.Register(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var before atomic.Value // the connection
		s.set(func(tx *transaction.Server, req *sip.Request) bool {
			before.CompareAndSwap(nil, tx.Flow())
			if tx.Flow() == before.Load() {
				time.Sleep(time.Minute) // nothing comes back in time
			}
			return false
		})
		time.Sleep(10 * time.Minute)
		start := time.Now()
		if err := reg.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("Refresh took %v, want 10s", took)
		}
		time.Sleep(time.Minute)
		s.set(nil)
		if !s.reachable() {
			t.Error("not reachable")
		}
	})
}

// 439 to a refresh: the proxy is another one now, that cannot keep flows.
func TestProxyLacksOutboundLater(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		alice := s.alice(ua.Config{})
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Expires: 2 * time.Minute, OnError: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		withoutFlows(t, s)
		time.Sleep(10 * time.Minute)
		if reg.Err() != nil {
			t.Errorf("Err() = %v", reg.Err())
		}
		s.expectFlows("0 by 192.0.2.1")
	})
}

// A registrar that keeps no flows gets one REGISTER, by the first proxy, and when
// that is gone by the second one: not a binding by each (RFC 5626 section 4.2.1).
func TestRegistrarKeepsNoFlows(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		s.set(func(tx *transaction.Server, req *sip.Request) bool {
			if req.Method() != sip.REGISTER {
				return false
			}
			tx.Reply(sip.StatusOK, contact(t, req), sip.Expires(600))
			return true
		})
		alice := s.alice(ua.Config{})
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, OnError: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if n, m := len(s.took(edge1, sip.REGISTER)), len(s.took(edge2, sip.REGISTER)); n != 1 || m != 0 {
			t.Errorf("%d REGISTERs by the first proxy and %d by the second, want 1 and 0", n, m)
		}
		s.down(edge1)
		time.Sleep(2 * time.Minute)
		if m := len(s.took(edge2, sip.REGISTER)); m != 1 {
			t.Errorf("%d REGISTERs by the second proxy, want 1", m)
		}
		if err := reg.Err(); err != nil {
			t.Errorf("Err() = %v", err)
		}
		s.took("", sip.OPTIONS)
		if _, err := alice.Options(t.Context(), "sip:"+homeAddr); err != nil || len(s.took(edge2, sip.OPTIONS)) != 1 {
			t.Errorf("Options() = %v, want it by the second proxy", err)
		}
	})
}

// 439 of one proxy has the other one asked; where none can keep flows, there is one
// binding without (RFC 5626 section 4.2.1).
func TestProxiesLackOutbound(t *testing.T) {
	for name, test := range map[string]struct {
		lack []string
		want string
	}{
		"one":  {[]string{edge1}, "1 by 192.0.2.12"},
		"both": {[]string{edge1, edge2}, "0 by 192.0.2.11"},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				s.set(func(tx *transaction.Server, req *sip.Request) bool {
					path, _ := sip.Get[sip.Path](req)
					lacks := false
					for _, addr := range test.lack {
						lacks = lacks || path.URI.Host == addr
					}
					if req.Method() == sip.REGISTER && lacks && contact(t, req).RegID() > 0 {
						tx.Reply(sip.StatusFirstHopLacksOutboundSupport)
						return true
					}
					return false
				})
				alice := s.alice(ua.Config{})
				if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, OnError: func(error) {}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour - time.Minute)
				s.expectFlows(test.want)
			})
		})
	}
}

// A wrong password is wrong by every proxy.
func TestRefusalIsFinal(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		s.set(func(tx *transaction.Server, req *sip.Request) bool { tx.Reply(sip.StatusForbidden); return true })
		alice := s.alice(ua.Config{})
		_, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies})
		if !errors.Is(err, sip.StatusForbidden) {
			t.Errorf("Register() = %v, want 403", err)
		}
		if n := len(s.took(homeAddr, sip.REGISTER)); n != 1 {
			t.Errorf("%d REGISTERs, want 1", n)
		}
	})
}

// A proxy falls silent, and nothing tells of it. The request that finds out goes by
// the other one after its timeout, those after it at once, and the flow is known to
// be down when its REGISTER is not answered either.
func TestRequestsGoByAnotherFlow(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		overUDP := []string{"sip:" + edge1, "sip:" + edge2}
		alice := s.alice(ua.Config{})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: overUDP, OnError: func(error) {}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		s.n.Host(edge1).Down()
		for i, want := range []time.Duration{32 * time.Second, 0, 0} {
			start := time.Now()
			if _, err := alice.Options(t.Context(), "sip:"+homeAddr); err != nil {
				t.Errorf("Options() = %v", err)
			}
			if took := time.Since(start); took < want || took > want+time.Second {
				t.Errorf("request %d took %v, want %v", i, took, want)
			}
		}
		s.n.Host(edge1).Up()
		time.Sleep(10 * time.Minute)
		s.took("", sip.OPTIONS)
		if _, err := alice.Options(t.Context(), "sip:"+homeAddr); err != nil || len(s.took(edge1, sip.OPTIONS)) != 1 {
			t.Errorf("Options() = %v, want it by the first proxy, which is back", err)
		}
	})
}

// So does a call, and a REFER, each once: the one that finds out after its timeout, the
// next one at once.
func TestCallsGoByAnotherFlow(t *testing.T) {
	for name, begin := range map[string]func(*ua.Agent, context.Context) error{
		"INVITE": func(a *ua.Agent, ctx context.Context) error {
			_, err := a.Invite(ctx, "sip:bob@"+homeAddr, nil)
			return err
		},
		"REFER": func(a *ua.Agent, ctx context.Context) error {
			return a.Refer(ctx, "sip:bob@"+homeAddr, "sip:carol@"+homeAddr, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				s.set(func(tx *transaction.Server, req *sip.Request) bool {
					if req.Method() != sip.Method(name) {
						return false
					}
					tx.Reply(sip.StatusBusyHere)
					return true
				})
				alice := s.alice(ua.Config{})
				overUDP := []string{"sip:" + edge1, "sip:" + edge2}
				if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: overUDP, OnError: func(error) {}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				s.n.Host(edge1).Down()
				for i, want := range []time.Duration{32 * time.Second, 0} {
					start := time.Now()
					if err := begin(alice, t.Context()); !errors.Is(err, sip.StatusBusyHere) {
						t.Errorf("call %d: %v, want 486", i, err)
					}
					if took := time.Since(start); took < want || took > want+time.Second {
						t.Errorf("call %d took %v, want %v", i, took, want)
					}
					if n := len(s.took(edge2, sip.Method(name))); n != 1 {
						t.Errorf("call %d: %d requests by the other proxy, want 1", i, n)
					}
				}
			})
		})
	}
}

// A call that rings by the one flow when its connection ends does not ring by the other
// one, too.
func TestCallThatRingsKeepsItsFlow(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		s.set(func(tx *transaction.Server, req *sip.Request) bool {
			if req.Method() != sip.INVITE {
				return false
			}
			tx.Reply(sip.StatusRinging)
			time.Sleep(10 * time.Second)
			tx.Reply(sip.StatusServiceUnavailable)
			return true
		})
		alice := s.alice(ua.Config{})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, OnError: func(error) {}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if _, err := alice.Invite(t.Context(), "sip:bob@"+homeAddr, nil); err == nil {
			t.Error("Invite() = nil, want an error")
		}
		if n := len(s.sent(sip.INVITE)); n != 1 {
			t.Errorf("%d INVITEs, want 1", n)
		}
	})
}

// A Route of the program's is where the request goes first, whatever the registration has;
// and so it is if the program wants none.
func TestRouteOfTheProgram(t *testing.T) {
	home := sip.Route{URI: sip.URI{Scheme: "sip", Host: homeAddr, Params: ";lr"}}
	for name, route := range map[string]sip.Edit{"another": sip.List(home), "none": sip.Del("Route")} {
		t.Run(name, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				alice := s.alice(ua.Config{})
				if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				header := []sip.Edit{route}
				alice.Do(ctx, sip.OPTIONS, "sip:"+homeAddr, header...)
				alice.Subscribe(ctx, "sip:bob@"+homeAddr, "presence", &ua.SubscribeOptions{Header: header})
				alice.Invite(ctx, "sip:bob@"+homeAddr, &ua.InviteOptions{Header: header})
				alice.Refer(ctx, "sip:bob@"+homeAddr, "sip:carol@"+homeAddr, &ua.TransferOptions{Header: header})
				for _, method := range []sip.Method{sip.OPTIONS, sip.SUBSCRIBE, sip.INVITE, sip.REFER} {
					if n, m := len(s.took(homeAddr, method)), len(s.took("", method)); n != 1 || m != 0 {
						t.Errorf("%s: %d came to where the program says, and %d to another proxy; want 1 and 0", method, n, m)
					}
				}
			})
		})
	}
}

// A refresh goes by the connection of its flow, whatever else has been opened to the
// proxy (RFC 5626 section 4.2.2). A connection that has ended is replaced.
func TestRefreshKeepsToItsFlow(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		came := make(chan transport.Flow, 10)
		s.set(func(tx *transaction.Server, req *sip.Request) bool {
			if req.Method() == sip.REGISTER {
				came <- tx.Flow()
			}
			return false
		})
		alice := s.alice(ua.Config{Proxy: "sip:" + homeAddr + ";transport=tcp"})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Expires: 5 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		first := <-came
		time.Sleep(9 * time.Minute)
		if n := len(came); n != 2 {
			t.Fatalf("%d refreshes, want 2", n)
		}
		for range 2 {
			if flow := <-came; flow != first {
				t.Errorf("a refresh came by %v, want %v", flow, first)
			}
		}
		s.n.Host(homeAddr).Reset()
		time.Sleep(time.Second)
		if len(came) != 1 || !s.reachable() {
			t.Errorf("%d REGISTERs by a new connection, want 1", len(came))
		}
	})
}
