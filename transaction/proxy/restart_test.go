package proxy

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// A restarting is a proxy that can be started anew.
type restarting struct {
	s   *scene
	cfg *Config
	key string // FlowKey; "" for a new one each time
	p   *Proxy
}

func (s *scene) restarting(key string, cfg *Config) *restarting {
	r := &restarting{s: s, cfg: cfg, key: key}
	r.start(nil)
	s.Cleanup(func() {
		pass(5 * time.Minute)
		r.p.Close()
	})
	return r
}

// start starts the proxy with what an earlier one has left.
func (r *restarting) start(store [][]byte) {
	r.s.Helper()
	tc, cfg := on(r.s, r.s.net, proxyAddr), *r.cfg
	if r.key != "" {
		tc.FlowKey = []byte(r.key)
	}
	cfg.Transaction = &transaction.Config{Restore: func(l *transaction.Layer) error {
		for _, data := range store {
			if _, err := l.Restore(data, nil); err != nil {
				return err
			}
		}
		return nil
	}}
	var err error
	if r.p, err = Listen(tc, &cfg); err != nil {
		r.s.Fatal(err)
	}
}

// stop ends the proxy and returns what it was at.
func (r *restarting) stop() (store [][]byte) {
	r.p.Close()
	for tx := range r.p.Layer().Servers() {
		if data, err := tx.Snapshot(); err == nil {
			store = append(store, data)
		}
	}
	return store
}

// strict runs a user agent that refuses a request which it has by another branch
// (RFC 3261 section 8.2.2.2). It answers an INVITE with 180 and, after this time,
// with 200.
func (s *scene) strict(name, host string, after time.Duration) {
	s.Helper()
	l, err := transaction.Listen(on(s, s.net, host), &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
		s.note("%s %s", name, req.Method())
		if req.Method() == sip.INVITE {
			tx.Reply(sip.StatusRinging)
		}
		select {
		case <-time.After(after):
			tx.Reply(sip.StatusOK, sip.Contact{URI: uri("sip:" + name + "@" + host)})
		case <-tx.Context().Done():
			s.note("%s cancelled", name)
		}
	}})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { l.Close() })
}

// The proxy is started anew while it rings. The INVITE that it forwards once more is
// a retransmission to the callees, and what they say from then on reaches the
// caller.
func TestRestartWhileItRings(t *testing.T) {
	for _, test := range []struct {
		name  string
		to    []Target
		noted []string
	}{
		{"one", at("sip:bob@" + bobAddr), []string{"bob INVITE"}},
		{"one by TCP", at("sip:bob@" + bobAddr + ";transport=tcp"), []string{"bob INVITE"}},
		{"two at once", at("sip:carol@"+carolAddr, "sip:bob@"+bobAddr), []string{"bob INVITE", "carol INVITE", "carol cancelled"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				r := s.restarting("a key of both runs", example(to(test.to...)))
				s.strict("bob", bobAddr, 10*time.Second)
				s.strict("carol", carolAddr, time.Minute)
				alice := s.ua(aliceAddr, nil)
				done := make(chan *sip.Response)
				go func() { // ends with the call
					_, last := collect(s.Context(), alice, request(sip.INVITE, aor, by(proxyAddr)))
					done <- last
				}()
				pass(5 * time.Second)
				store := r.stop()
				pass(time.Second)
				r.start(store)
				last := <-done
				if last.Status() != sip.StatusOK {
					s.Errorf("the call ended with %d, want 200", int(last.Status()))
				}
				s.notedAll(test.noted...)
				s.expect(alice, within(sip.BYE, 2, last), "200")
				s.noted("bob BYE")
			})
		})
	}
}

// The caller gives up after the restart, and the callee stops to ring.
func TestCancelAfterRestart(t *testing.T) {
	play(t, func(s *scene) {
		r := s.restarting("a key of both runs", example(to(at("sip:bob@"+bobAddr)...)))
		s.strict("bob", bobAddr, time.Minute)
		ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
		defer cancel()
		done := make(chan string)
		alice := s.ua(aliceAddr, nil)
		go func() { // ends with the call
			got, _ := collect(ctx, alice, request(sip.INVITE, aor, by(proxyAddr)))
			done <- got
		}()
		pass(5 * time.Second)
		r.start(r.stop())
		if got := <-done; got != "180 180 487" {
			s.Errorf("responses %q, want 180 180 487", got)
		}
		s.noted("bob INVITE", "bob cancelled")
	})
}

// The caller gives up before the restart, and the CANCEL is lost, or waits for the
// callee to say something: it is sent after the restart, when the callee says that it
// rings.
func TestRestartOfCancelled(t *testing.T) {
	t.Run("lost", func(t *testing.T) {
		play(t, func(s *scene) {
			r := s.restarting("a key of both runs", example(to(at("sip:bob@"+bobAddr)...)))
			s.strict("bob", bobAddr, time.Minute)
			ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
			defer cancel()
			done := make(chan string)
			alice := s.ua(aliceAddr, nil)
			go func() { // ends with the call
				got, _ := collect(ctx, alice, request(sip.INVITE, aor, by(proxyAddr)))
				done <- got
			}()
			pass(4900 * time.Millisecond)
			px, bob := s.net.Host(proxyAddr), s.net.Host(bobAddr)
			s.net.Cut(px, bob)
			pass(200 * time.Millisecond)
			store := r.stop()
			s.net.Mend(px, bob)
			r.start(store)
			if got := <-done; got != "180 180 487" {
				s.Errorf("responses %q, want 180 180 487", got)
			}
			s.noted("bob INVITE", "bob cancelled")
		})
	})
	t.Run("before it rings", func(t *testing.T) {
		play(t, func(s *scene) {
			r := s.restarting("a key of both runs", example(to(at("sip:bob@"+bobAddr)...)))
			bob, alice := s.wire(bobAddr), s.wire(aliceAddr)
			alice.send(request(sip.INVITE, aor))
			first := bob.request(sip.INVITE)
			pass(time.Second)
			alice.send(request(sip.CANCEL, aor, sip.CSeq{Seq: 1, Method: sip.CANCEL}))
			pass(100 * time.Millisecond)
			r.start(r.stop())
			pass(time.Second)
			bob.send(first.Reply(sip.StatusRinging))
			for {
				req, ok := bob.next().(*sip.Request)
				if !ok {
					s.Fatal("no CANCEL")
				}
				if req.Via().Branch() != first.Via().Branch() {
					s.Errorf("%s has the branch %s, want %s", req.Method(), req.Via().Branch(), first.Via().Branch())
				}
				if req.Method() == sip.CANCEL {
					return
				}
			}
		})
	})
}

// A search is cancelled and goes on after the restart with all of its targets, to cancel
// them: not with the first alone, who has declined.
func TestRestartOfCancelledSearch(t *testing.T) {
	play(t, func(s *scene) {
		r := s.restarting("a key of both runs", example(to(
			Target{URI: uri("sip:carol@" + carolAddr), Q: 1}, Target{URI: uri("sip:bob@" + bobAddr), Q: 0.5})))
		alice, bob, carol := s.wire(aliceAddr), s.wire(bobAddr), s.wire(carolAddr)
		alice.send(request(sip.INVITE, aor))
		carol.send(carol.request(sip.INVITE).Reply(sip.StatusBusyHere))
		first := bob.request(sip.INVITE)
		alice.send(request(sip.CANCEL, aor, sip.CSeq{Seq: 1, Method: sip.CANCEL}))
		pass(100 * time.Millisecond)
		r.start(r.stop())
		bob.send(first.Reply(sip.StatusRinging))
		for {
			req, ok := bob.next().(*sip.Request)
			if !ok {
				s.Fatal("no CANCEL")
			}
			if req.Method() == sip.CANCEL && req.Via().Branch() == first.Via().Branch() {
				return
			}
		}
	})
}

// With the random key that is the default, the INVITE that is forwarded after the
// restart is another one to the callee, who refuses it as merged. That ends the
// call for the caller.
func TestRestartWithAnotherKey(t *testing.T) {
	play(t, func(s *scene) {
		r := s.restarting("", example(to(at("sip:bob@"+bobAddr)...)))
		s.strict("bob", bobAddr, time.Minute)
		alice := s.ua(aliceAddr, nil)
		done := make(chan string)
		go func() { // ends with the call
			got, _ := collect(s.Context(), alice, request(sip.INVITE, aor, by(proxyAddr)))
			done <- got
		}()
		pass(5 * time.Second)
		r.start(r.stop())
		if got := <-done; got != "180 482" {
			s.Errorf("responses %q, want 180 482", got)
		}
	})
}

// A message whose answer was under way is not delivered twice.
func TestRestartWithMessage(t *testing.T) {
	play(t, func(s *scene) {
		r := s.restarting("a key of both runs", example(to(at("sip:bob@"+bobAddr)...)))
		s.strict("bob", bobAddr, time.Second)
		alice := s.ua(aliceAddr, nil)
		done := make(chan string)
		go func() { // ends with the answer
			got, _ := collect(s.Context(), alice, request(sip.MESSAGE, aor, by(proxyAddr)))
			done <- got
		}()
		pass(900 * time.Millisecond)
		store := r.stop()
		pass(time.Second) // bob's answer comes, and nobody is there
		r.start(store)
		if got := <-done; got != "200" {
			s.Errorf("responses %q, want 200", got)
		}
		s.noted("bob MESSAGE")
	})
}

// A proxy that has crashed has left nothing: an INVITE that the caller sends again
// goes on with the branch that it had.
func TestRestartAfterACrash(t *testing.T) {
	play(t, func(s *scene) {
		r := s.restarting("a key of both runs", example(to(at("sip:bob@"+bobAddr)...)))
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		alice.send(request(sip.INVITE, aor))
		first := bob.request(sip.INVITE)
		r.p.Close()
		r.start(nil)
		alice.send(request(sip.INVITE, aor))
		if again := bob.request(sip.INVITE); again.Via().Branch() != first.Via().Branch() {
			s.Errorf("branch %s after %s, want the same", again.Via().Branch(), first.Via().Branch())
		}
	})
}

// Each fork of a request has branches of its own, and so has each request, each
// target and each node.
func TestSeed(t *testing.T) {
	newServer := func(key string, edits ...sip.Edit) (s *Server) {
		play(t, func(sc *scene) {
			tc := on(sc, sc.net, proxyAddr)
			tc.FlowKey = []byte(key)
			p, err := Listen(tc, &Config{Handler: func(tx *Server, req *sip.Request) {
				s = tx
				tx.Reply(sip.StatusNotFound)
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			alice := sc.wire(aliceAddr)
			alice.send(request(sip.MESSAGE, aor, edits...))
			alice.response(sip.StatusNotFound)
		})
		return s
	}
	const key = "a key of both runs"
	s, out := newServer(key), &Target{URI: uri("sip:bob@" + bobAddr)}
	seed := s.seed(1, out)
	if again := newServer(key).seed(1, out); again != seed {
		t.Errorf("the seed is %s and, after a restart, %s", seed, again)
	}
	for name, other := range map[string]string{
		"the next fork":   s.seed(2, out),
		"another target":  s.seed(1, &Target{URI: uri("sip:carol@" + bobAddr)}),
		"another route":   s.seed(1, &Target{URI: out.URI, Route: []sip.Route{{URI: uri("sip:192.0.2.9;lr")}}}),
		"another call":    newServer(key, sip.CallID("2")).seed(1, out),
		"another request": newServer(key, sip.CSeq{Seq: 2, Method: sip.MESSAGE}).seed(1, out),
		"another key":     newServer("another key of 16 bytes").seed(1, out),
		"no key":          newServer("").seed(1, out),
	} {
		if other == seed {
			t.Errorf("%s has the same seed", name)
		}
	}
}

// Nodes that share a key have marks of their own: a request that one sends to the
// other as it came is no loop. The order in which a machine names its addresses is
// none of the node's.
func TestBranchKey(t *testing.T) {
	key := []byte("a key of all nodes")
	one := (&self{lasting: []string{"192.0.2.3", "192.0.2.9"}, ports: []int{5060}}).branches()
	if (&self{lasting: []string{"192.0.2.9", "192.0.2.3"}, ports: []int{5060}}).branches() != one {
		t.Error("the key depends on the order of addresses")
	}
	if (&self{lasting: []string{"192.0.2.4"}, ports: []int{5060}}).branches() == one {
		t.Error("another node has the same key")
	}
	play(t, func(s *scene) {
		for host, next := range map[string][]Target{proxyAddr: at("sip:bob@example.com;maddr=192.0.2.4"), "192.0.2.4": at("sip:bob@" + bobAddr)} {
			tc := on(s, s.net, host)
			tc.FlowKey = key
			p, err := Listen(tc, example(to(next...)))
			if err != nil {
				s.Fatal(err)
			}
			defer p.Close()
		}
		s.phone("bob", bobAddr, 200)
		s.expect(s.ua(aliceAddr, nil), request(sip.MESSAGE, aor, by(proxyAddr)), "200")
	})
}

// A node whose socket is bound to all addresses has the key that it had when some of
// the machine have come or gone that say nothing of it; other machines have others.
func TestBranchKeyOfWildcard(t *testing.T) {
	of := func(prefixes ...string) string {
		s := &self{ports: []int{5060}}
		var addrs []net.Addr
		for _, p := range prefixes {
			ip, ipNet, err := net.ParseCIDR(p)
			if err != nil {
				t.Fatal(err)
			}
			addrs = append(addrs, &net.IPNet{IP: ip, Mask: ipNet.Mask})
		}
		if s.addInterfaces(addrs); len(s.names) != len(addrs) {
			t.Errorf("of %q we are %q", prefixes, s.names)
		}
		return s.branches()
	}
	one := of("127.0.0.1/8", "192.0.2.3/24", "2001:db8::3/64")
	if of("127.0.0.1/8", "::1/128", "fe80::1/64", "169.254.1.1/16", "192.0.2.3/24", "2001:db8::3/64", "2001:db8::5eed/64") != one {
		t.Error("addresses that come and go change the key")
	}
	if of("127.0.0.1/8", "192.0.2.4/24", "2001:db8::3/64") == one {
		t.Error("another machine has the same key")
	}
	if of("::1/128", "2001:db8::3/64") == of("::1/128", "2001:db8::4/64") {
		t.Error("another machine of IPv6 alone has the same key")
	}
}

// Without a transaction there is nothing to write down: the answer to what an
// earlier run has forwarded goes up, and a retransmission has the same branch.
func TestRestartWithoutState(t *testing.T) {
	play(t, func(s *scene) {
		r := s.restarting("a key of both runs", &Config{Stateless: func(*sip.Request, Arrival) (Target, bool) {
			return Target{URI: uri("sip:bob@" + bobAddr)}, true
		}})
		alice, bob := s.wire(aliceAddr), s.wire(bobAddr)
		alice.send(request(sip.INVITE, aor))
		first := bob.request(sip.INVITE)
		r.start(r.stop())
		bob.send(first.Reply(sip.StatusRinging))
		alice.response(sip.StatusRinging)
		alice.send(request(sip.INVITE, aor))
		if again := bob.request(sip.INVITE); again.Via().Branch() != first.Via().Branch() {
			s.Errorf("branch %s after %s, want the same", again.Via().Branch(), first.Via().Branch())
		}
	})
}
