package ua_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// An agent that has everything is shut down: calls that it placed and took, what it watches
// and who watches it, what it has published, and its registration end one after the other. A
// peer that does not answer the BYE any more takes its share of the time and no more.
func TestShutdownInOrder(t *testing.T) {
	for _, test := range []struct {
		name string
		dead bool
	}{{"everybody answers", false}, {"the peer of the calls is gone", true}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const aliceAddr = "192.0.2.1"
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
				newPeer(t, n, registrarAddr, func(tx *transaction.Server, req *sip.Request) {
					expires, _ := sip.Get[sip.Expires](req)
					if req.Method() == sip.REGISTER {
						contact, _ := sip.Get[sip.Contact](req)
						tx.Reply(sip.StatusOK, contact.WithExpires(uint32(expires)))
						return
					}
					tx.Reply(sip.StatusOK, expires, sip.SIPETag("x"))
				})
				calls := make(chan *ua.Call, 2)
				takes := func() ua.Config {
					return ua.Config{OnInvite: answerWith(calls, newStream(t)), Notifiers: []*ua.Notifier{ua.NewNotifier(&mood{}, nil)}}
				}
				bob := newAgent(t, n, "192.0.2.2", "sip:bob@192.0.2.2", takes())
				alice := newAgent(t, n, aliceAddr, "sip:alice@"+registrarAddr, takes())

				_, err := alice.Register(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err = alice.Publish(t.Context(), "presence", sip.Body{Type: "text/plain", Content: "x"}, nil); err != nil {
					t.Fatal(err)
				}
				for _, side := range []struct {
					a      *ua.Agent
					target string
				}{{alice, bobURI}, {bob, "sip:alice@" + aliceAddr}} {
					s, err := side.a.Subscribe(t.Context(), side.target, "mood", nil)
					if err != nil {
						t.Fatal(err)
					}
					next(t, s)
					if _, err := side.a.Invite(t.Context(), side.target, streams(newStream(t))); err != nil {
						t.Fatal(err)
					}
					<-calls
				}
				time.Sleep(time.Minute)

				var mu sync.Mutex
				var sent, seen []string // the methods of Alice's requests, and which they are
				n.SetFilter(func(p siptest.Packet) siptest.Verdict {
					m, err := sip.Parse(string(p.Data))
					req, ok := m.(*sip.Request)
					if err != nil || !ok || p.From.Addr().String() != aliceAddr {
						return siptest.Verdict{}
					}
					mu.Lock()
					defer mu.Unlock()
					if branch := req.Via().Branch(); !slices.Contains(seen, branch) {
						seen = append(seen, branch)
						sent = append(sent, string(req.Method()))
					}
					return siptest.Verdict{Drop: test.dead && req.Method() == sip.BYE}
				})
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if err := alice.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) != test.dead {
					t.Errorf("Shutdown() = %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				if len(sent) == 6 {
					slices.Sort(sent[2:4]) // the subscriptions of either side end together
				}
				if got, want := strings.Join(sent, " "), "BYE BYE NOTIFY SUBSCRIBE PUBLISH REGISTER"; got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		})
	}
}

// A REFER that comes while an agent shuts down, or that the program accepts only then, gets 503:
// nobody would be told what comes of it.
func TestReferWhileShuttingDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newPeer(t, n, registrarAddr, func(tx *transaction.Server, req *sip.Request) {
			expires, _ := sip.Get[sip.Expires](req)
			if expires == 0 {
				time.Sleep(5 * time.Second)
			}
			contact, _ := sip.Get[sip.Contact](req)
			tx.Reply(sip.StatusOK, contact.WithExpires(uint32(expires)))
		})
		accepted := make(chan error, 2)
		bob := newAgent(t, n, "192.0.2.2", "sip:bob@"+registrarAddr, ua.Config{OnRefer: func(_ context.Context, r *ua.Referral) {
			time.Sleep(2 * time.Second)
			accepted <- r.Accept()
		}})
		if _, err := bob.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		stranger := newPeer(t, n, "192.0.2.9", func(tx *transaction.Server, req *sip.Request) { t.Errorf("a %s came", req.Method()) })
		refer := func(when time.Duration) {
			time.Sleep(when)
			resp, err := stranger.Do(t.Context(), request(sip.REFER, bobURI, contactAt("192.0.2.9"), sip.ReferTo{URI: mustURI(carolURI)}))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := sip.Get[sip.RetryAfter](resp); resp.Status() != 503 || err != nil {
				t.Errorf("the REFER got %v, want 503 with Retry-After", resp)
			}
		}
		go refer(0)
		go refer(2 * time.Second)
		time.Sleep(time.Second)
		shutDown(t, bob)
		if err := <-accepted; !errors.Is(err, ua.ErrClosed) || len(accepted) > 0 {
			t.Errorf("Accept() = %v, and once more %d times, want ErrClosed", err, len(accepted))
		}
	})
}

// Shutdown begins while the 200 to a REFER is on its way: who has sent it is told of the end.
func TestShutdownCrossesReferral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var bob *ua.Agent
		down := make(chan struct{})
		cfg := ua.Config{OnRefer: func(_ context.Context, r *ua.Referral) {
			if err := r.Accept(); !errors.Is(err, ua.ErrClosed) {
				t.Errorf("Accept() = %v, want ErrClosed", err)
			}
		}}
		cfg.Trace = &transport.Trace{Sent: func(m transport.TraceMessage) {
			if _, ok := m.Message.(*sip.Response); ok {
				go func() { // ends with Shutdown
					shutDown(t, bob)
					close(down)
				}()
				over, cancel := context.WithCancel(t.Context())
				cancel()
				for _, err := bob.Options(over, carolURI); !errors.Is(err, ua.ErrClosed); _, err = bob.Options(over, carolURI) {
					runtime.Gosched() // until it has begun
				}
			}
		}}
		bob = newAgent(t, n, "192.0.2.2", "sip:bob@b.example", cfg)
		var told []string
		stranger := newPeer(t, n, "192.0.2.9", func(tx *transaction.Server, req *sip.Request) {
			state, _ := req.Value("Subscription-State")
			told = append(told, state)
			tx.Reply(sip.StatusOK)
		})
		resp, err := stranger.Do(t.Context(), request(sip.REFER, bobURI, contactAt("192.0.2.9"), sip.ReferTo{URI: mustURI(carolURI)}))
		if err != nil || resp.Status() != 200 {
			t.Errorf("the REFER got %v, %v", resp, err)
		}
		<-down
		if got, want := strings.Join(told, ", "), "terminated;reason=noresource"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}
