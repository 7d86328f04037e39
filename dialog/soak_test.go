package dialog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// 300 calls on a network that loses, doubles and reorders. Each is answered and
// changed; half are ended by the callee. All end cleanly on both sides, and
// after five minutes nothing is left.
func TestSoak(t *testing.T) {
	const calls = 300
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{
					Seed: 1, Delay: 30 * time.Millisecond, Jitter: 20 * time.Millisecond,
					// With twice the loss it happens that all seven tries of one INVITE of
					// the 600 are for nothing, which is the network's right.
					Loss: 0.05, Duplicate: 0.05, Reorder: 0.05,
				})
				var begun, ended, atBob atomic.Int32
				onEnd := func(s *dialog.Session) {
					ended.Add(1)
					if err := s.Err(); !errors.Is(err, dialog.ErrBye) && !errors.Is(err, dialog.ErrEnded) {
						t.Errorf("a call ended with %v", err)
					}
				}
				bob := newLayer(t, n, bobAddr, &dialog.Config{
					OnInvite: func(_ context.Context, in *dialog.Invitation) {
						in.Provisional(sip.StatusRinging)
						time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
						_, err := in.Accept()
						if err != nil {
							// With its ACK lost, and the 200s that ask for it
							// too, the call may be ended in the meantime.
							if !errors.Is(err, dialog.ErrBye) {
								t.Errorf("Accept() = %v", err)
							}
							return
						}
						if in.Re() {
							return
						}
						if begun.Add(1)%2 == 0 {
							time.Sleep(30 * time.Second)
							in.Session().Bye(t.Context())
							atBob.Add(1)
						}
					},
					OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
					OnEnd:     onEnd,
				})
				alice := newLayer(t, n, aliceAddr, &dialog.Config{OnEnd: onEnd})
				var all sync.WaitGroup
				for i := range calls {
					all.Go(func() { // ends with the call
						time.Sleep(time.Duration(i) * 20 * time.Millisecond)
						s := call(t, alice, "sip:bob@"+bobAddr+";transport="+transport, fmt.Sprint(i))
						for range 20 {
							resp, err := s.Invite(t.Context(), nil)
							if err != nil {
								t.Errorf("re-INVITE: %v", err)
								break
							}
							if resp.Status() == sip.StatusOK {
								s.Ack(t.Context())
								break
							}
							time.Sleep(s.RetryDelay())
						}
						if _, err := s.Do(t.Context(), sip.INFO); err != nil {
							t.Errorf("INFO: %v", err)
						}
						select {
						case <-s.Done():
						case <-time.After(60 * time.Second):
							if err := s.Bye(t.Context()); err != nil {
								t.Errorf("BYE: %v", err)
							}
						}
					})
				}
				all.Wait()
				time.Sleep(5 * time.Minute)
				if got := ended.Load(); got != 2*calls {
					t.Errorf("%d ends, want %d", got, 2*calls)
				}
				if got := atBob.Load(); got != calls/2 {
					t.Errorf("Bob ended %d calls, want %d", got, calls/2)
				}
				wantEmpty(t, alice, bob)
				for _, l := range []*dialog.Layer{alice, bob} {
					ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
					if err := l.Transactions().Shutdown(ctx); err != nil {
						t.Errorf("something is still under way: %v", err)
					}
					cancel()
				}
			})
		})
	}
}

// An idle call is a session in a table on either side: no goroutine, no timer,
// no message.
func TestMemoryOfIdleCall(t *testing.T) {
	const calls = 1000
	const limit = 1200 // bytes for each side of a call
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) { in.Accept() }})
		alice := newLayer(t, n, aliceAddr, nil)
		// What an INVITE may carry, and no session keeps.
		body := sip.Body{Type: "application/sdp", Content: string(make([]byte, 4000))}
		routes := sip.Add(sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: bobAddr, Params: ";lr"}})
		round := func(name string) (open []*dialog.Session) {
			for i := range calls {
				open = append(open, call(t, alice, "sip:bob@"+bobAddr+";transport=tcp", fmt.Sprint(name, i), body, routes))
			}
			time.Sleep(5 * time.Minute)
			return open
		}
		heap := func() uint64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		// The tables, those of the layers below too, keep the size they had.
		for _, s := range round("first-") {
			s.Bye(t.Context())
		}
		time.Sleep(5 * time.Minute)
		goroutines := goroutine.Count()
		before := heap()
		open := round("second-")
		each := (int64(heap()) - int64(before)) / (2 * calls)
		t.Logf("%d bytes for each side of an idle call", each)
		if each > limit {
			t.Errorf("%d bytes for each side of an idle call, want at most %d", each, limit)
		}
		if got := goroutine.Count(); got > goroutines+calls/100 { // connections come and go
			t.Errorf("%d goroutines with %d calls, %d before", got, calls, goroutines)
		}
		for _, l := range []*dialog.Layer{alice, bob} {
			if sessions, invites := l.Left(); sessions != calls || invites != 0 {
				t.Errorf("%d sessions and %d INVITEs, want %d and 0", sessions, invites, calls)
			}
		}
		runtime.KeepAlive(open)
	})
}

// Real goroutines do everything at once to the same calls: the race detector
// watches, and OnEnd comes once for each call.
func TestEverythingAtOnce(t *testing.T) {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: time.Millisecond, Duplicate: 0.2, Reorder: 0.1})
	timers := transaction.Timers{T1: 5 * time.Millisecond}
	var mu sync.Mutex
	ends := map[*dialog.Session]int{}
	onEnd := func(s *dialog.Session) {
		mu.Lock()
		defer mu.Unlock()
		ends[s]++
	}
	cfg := dialog.Config{
		OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			in.Provisional(sip.StatusRinging)
			s := in.Session()
			if in.Re() {
				in.Accept(session)
				return
			}
			switch rand.IntN(8) {
			case 6:
				in.Reliable(sip.StatusSessionProgress, session)
				s.Do(ctx, sip.UPDATE, session)
				in.Accept()
			case 7:
				go in.Reliable(sip.StatusSessionProgress) // ends with the final response
				s.Snapshot()
				in.Accept(session)
				s.Do(ctx, sip.NOTIFY, event("refer"), state("terminated"))
			case 0:
				in.Reject(sip.StatusBusyHere)
			case 1:
				go s.Bye(context.Background()) // ends with its transaction
				in.Accept()
			case 2:
				go in.Reject(sip.StatusDecline) // ends at once
				in.Accept()
			case 3:
				<-ctx.Done()
			default:
				if _, err := in.Accept(); err == nil {
					s.Invite(ctx, nil)
					s.Ack(ctx)
					s.Bye(ctx)
				}
			}
		},
		OnRequest:    func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
		OnEnd:        onEnd,
		SessionTimer: &dialog.SessionTimer{},
		Transaction:  transaction.Config{Timers: timers, Logger: discard},
	}
	alice, bob := newLayer(t, n, aliceAddr, &cfg), newLayer(t, n, bobAddr, &cfg)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() { // ends with the call
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+rand.IntN(100))*time.Millisecond)
			defer cancel()
			invite := newInvite(t, "sip:bob@"+bobAddr, fmt.Sprint(i), session, sip.Supported{sip.Option100rel})
			s, _, err := alice.Invite(ctx, invite, func(s *dialog.Session, _ *sip.Response) {
				go s.Do(ctx, sip.PRACK, session) // ends with ctx
				go s.Do(ctx, sip.UPDATE, session)
			})
			if err != nil || s == nil {
				return
			}
			var parts sync.WaitGroup
			for _, part := range []func(){
				func() { s.Ack(ctx) },
				func() { s.Ack(ctx); s.Invite(ctx, nil); s.Ack(ctx) },
				func() { s.Do(ctx, sip.INFO) },
				func() { s.Do(ctx, sip.UPDATE, session); s.Snapshot(); s.Do(ctx, sip.UPDATE) },
				func() { s.Do(ctx, sip.REFER, referTo("sip:carol@c.example")); s.Relocate(ctx) },
				func() { s.Do(ctx, sip.SUBSCRIBE, event("x")); s.Target() },
				func() { s.Do(ctx, sip.OPTIONS); s.Bye(ctx) },
				func() { s.Bye(ctx); s.Err() },
			} {
				parts.Go(part)
			}
			parts.Wait()
			<-s.Done()
		})
	}
	all.Wait()
	alice.Close()
	bob.Close()
	mu.Lock()
	defer mu.Unlock()
	for s, n := range ends {
		if n != 1 {
			t.Errorf("OnEnd was called %d times for %+v", n, s.ID())
		}
		select {
		case <-s.Done():
		default:
			t.Errorf("OnEnd was called before Done of %+v was closed", s.ID())
		}
	}
	if len(ends) == 0 {
		t.Error("no call came about")
	}
}
