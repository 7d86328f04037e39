package ua_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Three agents call each other and do with their calls what chance says, on networks that lose,
// double and shuffle, and give up when chance says. Whatever comes of it: every stream is called
// in turn and closed once, and in the end nothing is left.
func TestStorm(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{
					Seed: seed, Loss: 0.1, Delay: 20 * time.Millisecond, Jitter: 50 * time.Millisecond, Duplicate: 0.05, Reorder: 0.1,
				})
				w := &storm{t: t, chance: rand.New(rand.NewPCG(seed, 1))}
				addrs := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}
				var agents []*ua.Agent
				for _, addr := range addrs {
					agents = append(agents, newAgent(t, n, addr, "sip:x@"+addr, ua.Config{
						OnInvite: w.invited, OnRefer: w.referred,
						OnStream: func(context.Context, *ua.Call, *sdp.Media) ua.Stream {
							if w.odds(4) {
								return nil
							}
							return w.stream()
						},
					}))
				}
				for range 12 {
					from, to := w.n(3), w.n(3)
					w.wg.Go(func() { w.place(agents[from], "sip:x@"+addrs[to], addrs[w.n(3)]) }) // ends with its call
				}
				w.wg.Wait()
				time.Sleep(3 * time.Hour) // subscriptions, and calls that nobody has hung up
				synctest.Wait()
				w.mu.Lock()
				defer w.mu.Unlock()
				for i, s := range w.streams {
					s.told()
					s.check(t, fmt.Sprint("stream ", i), "", true)
				}
				for i, a := range agents {
					if calls, dialogs, others := a.Left(); calls+dialogs+others != 0 {
						t.Errorf("agent %d has %d calls, %d dialogs and %d others left", i, calls, dialogs, others)
					}
				}
			})
		})
	}
}

type storm struct {
	t  *testing.T
	wg sync.WaitGroup

	mu      sync.Mutex
	chance  *rand.Rand
	streams []*fakeStream
}

func (w *storm) n(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chance.IntN(n)
}

func (w *storm) odds(n int) bool { return w.n(n) == 0 }

// while returns how long something takes: mostly no time, sometimes minutes.
func (w *storm) while() time.Duration {
	return [...]time.Duration{0, 10, 100, 1000, 5000, 40_000}[w.n(6)] * time.Millisecond
}

func (w *storm) stream() *fakeStream {
	s := newStream(w.t)
	slow := func(ctx context.Context) error {
		if w.odds(10) {
			select {
			case <-time.After(w.while()):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if w.odds(40) {
			return fmt.Errorf("broken")
		}
		return nil
	}
	s.onOffer, s.onAnswer, s.onUpdate = slow, slow, slow
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams = append(w.streams, s)
	return s
}

func (w *storm) options() *ua.InviteOptions {
	opts := &ua.InviteOptions{NoOffer: w.odds(4), OnProvisional: func(c *ua.Call, _ *sip.Response) {
		time.Sleep(w.while())
		switch {
		case c == nil:
		case w.odds(10):
			c.Hangup(context.Background())
		case w.odds(5):
			c.Hold(w.soon())
		}
	}}
	for range 1 + w.n(2) {
		s := w.stream()
		if w.odds(2) {
			opts.Streams = append(opts.Streams, s)
		} else {
			opts.Streams = append(opts.Streams, &stormFork{s, w})
		}
	}
	return opts
}

// stormFork is a stream that can be forked.
type stormFork struct {
	*fakeStream
	w *storm
}

func (s *stormFork) Fork(ctx context.Context) (ua.Stream, error) {
	if s.w.odds(10) {
		return nil, fmt.Errorf("broken")
	}
	f := s.w.stream()
	f.described = true
	return f, nil
}

// soon returns a context that ends some time.
func (w *storm) soon() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(w.while()+time.Millisecond, cancel)
	return ctx
}

func (w *storm) place(a *ua.Agent, target, third string) {
	time.Sleep(w.while())
	ctx := context.Background()
	if w.odds(4) {
		ctx = w.soon()
	}
	if call, err := a.Invite(ctx, target, w.options()); err == nil {
		w.live(call, third)
	}
}

// live does this and that with a call, and hangs up mostly.
func (w *storm) live(call *ua.Call, third string) {
	var own []ua.Stream
	for range w.n(6) {
		ctx := context.Background()
		if w.odds(3) {
			ctx = w.soon()
		}
		switch w.n(7) {
		case 0:
			call.Hold(ctx)
		case 1:
			call.Resume(ctx)
		case 2:
			call.Renegotiate(ctx)
		case 3:
			s := w.stream()
			if call.Add(ctx, s) == nil {
				own = append(own, s)
			}
		case 4:
			if len(own) > 0 {
				call.Remove(ctx, own[0])
				own = own[1:]
			}
		case 5:
			call.Transfer(ctx, "sip:x@"+third, nil)
		default:
			time.Sleep(w.while())
		}
	}
	call.Hangup(w.soon())
}

func (w *storm) invited(ctx context.Context, in *ua.Invitation) {
	if w.odds(8) {
		return
	}
	if w.odds(2) {
		in.Ring(ctx)
	}
	if w.odds(3) {
		time.Sleep(w.while())
	}
	early := false
	if w.odds(2) {
		err := in.Progress(ctx, w.stream(), w.stream())
		early = err == nil
	}
	if w.odds(3) {
		time.Sleep(w.while())
	}
	switch w.n(8) {
	case 0:
		in.Reject(ctx, sip.StatusBusyHere)
		return
	case 1:
		in.Reject(ctx, 302, sip.Contact{URI: sip.URI{Scheme: "sip", User: "x", Host: "192.0.2.3"}})
		return
	case 2:
		return
	}
	var streams []ua.Stream
	if !early {
		streams = append(streams, w.stream(), w.stream())
	}
	if call, err := in.Answer(ctx, streams...); err == nil {
		w.live(call, "192.0.2.2")
	}
}

func (w *storm) referred(ctx context.Context, r *ua.Referral) {
	if w.odds(4) {
		r.Reject(sip.StatusForbidden)
		return
	}
	if call, err := r.Invite(ctx, w.options()); err == nil {
		w.live(call, "192.0.2.1")
	}
}
