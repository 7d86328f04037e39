package ua_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Hundreds of calls of each kind, and nothing of them is left: neither a goroutine nor memory.
func TestNothingIsLeft(t *testing.T) {
	const count = 100
	hangup := func(t *testing.T, c *ua.Call, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, test := range []struct {
		name   string
		target string
		place  func(t *testing.T, alice *ua.Agent, target string)
	}{
		{"answered", "answer", func(t *testing.T, alice *ua.Agent, target string) {
			c, err := alice.Invite(t.Context(), target, streams(newStream(t)))
			hangup(t, c, err)
		}},
		{"hung up by the callee", "hangup", func(t *testing.T, alice *ua.Agent, target string) {
			c, err := alice.Invite(t.Context(), target, streams(newStream(t)))
			if err != nil {
				t.Fatal(err)
			}
			<-c.Done()
		}},
		{"refused", "busy", func(t *testing.T, alice *ua.Agent, target string) {
			alice.Invite(t.Context(), target, streams(newStream(t)))
		}},
		{"cancelled", "ring", func(t *testing.T, alice *ua.Agent, target string) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			opts := streams(newStream(t))
			opts.OnProvisional = func(*ua.Call, *sip.Response) { cancel() }
			alice.Invite(ctx, target, opts)
		}},
		{"early media", "progress", func(t *testing.T, alice *ua.Agent, target string) {
			c, err := alice.Invite(t.Context(), target, streams(newStream(t)))
			hangup(t, c, err)
		}},
		{"early media, and left", "left", func(t *testing.T, alice *ua.Agent, target string) {
			alice.Invite(t.Context(), target, streams(newStream(t)))
		}},
		{"no offer", "answer", func(t *testing.T, alice *ua.Agent, target string) {
			opts := streams(newStream(t))
			opts.NoOffer = true
			c, err := alice.Invite(t.Context(), target, opts)
			hangup(t, c, err)
		}},
		{"redirected", "moved", func(t *testing.T, alice *ua.Agent, target string) {
			c, err := alice.Invite(t.Context(), target, streams(newStream(t)))
			hangup(t, c, err)
		}},
		{"held, and a stream added", "answer", func(t *testing.T, alice *ua.Agent, target string) {
			c, err := alice.Invite(t.Context(), target, streams(newStream(t)))
			if err != nil {
				t.Fatal(err)
			}
			s := newStream(t)
			for _, err := range []error{c.Hold(t.Context()), c.Add(t.Context(), s), c.Remove(t.Context(), s)} {
				if err != nil {
					t.Error(err)
				}
			}
			hangup(t, c, nil)
		}},
		{"transferred", "answer", func(t *testing.T, alice *ua.Agent, target string) {
			c, err := alice.Invite(t.Context(), target, streams(newStream(t)))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Transfer(t.Context(), "sip:hangup@192.0.2.3", nil); err != nil {
				t.Error(err)
			}
			<-c.Done()
		}},
		{"replaced", "answer", func(t *testing.T, alice *ua.Agent, target string) {
			c, err := alice.Invite(t.Context(), target, streams(newStream(t)))
			if err != nil {
				t.Fatal(err)
			}
			opts := streams(newStream(t))
			opts.Header = []sip.Edit{c.Replaces()}
			d, err := alice.Invite(t.Context(), target, opts)
			hangup(t, d, err)
			<-c.Done()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				onInvite := func(ctx context.Context, in *ua.Invitation) {
					s := newStream(t)
					switch user := in.Request().URI().User; user {
					case "busy":
						in.Reject(ctx, sip.StatusBusyHere)
					case "ring":
						in.Ring(ctx)
						<-ctx.Done()
					case "moved":
						in.Reject(ctx, 302, sip.Contact{URI: sip.URI{Scheme: "sip", User: "answer", Host: "192.0.2.3"}})
					case "left":
						in.Progress(ctx, s)
					case "progress":
						in.Progress(ctx, s)
						in.Answer(ctx)
					default:
						if call, err := in.Answer(ctx, s); err == nil && user == "hangup" {
							call.Hangup(context.Background())
						}
					}
				}
				var agents []*ua.Agent
				for _, addr := range []string{"192.0.2.2", "192.0.2.3"} {
					agents = append(agents, newAgent(t, n, addr, "sip:bob@b.example", ua.Config{
						OnInvite: onInvite,
						OnStream: (&addTakers{t: t}).takeOne,
						OnRefer:  func(ctx context.Context, r *ua.Referral) { r.Invite(ctx, streams(newStream(t))) },
					}))
				}
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				agents = append(agents, alice)
				settle := func() (heap uint64, goroutines int) {
					time.Sleep(2 * time.Hour) // until no transaction and no subscription is left
					synctest.Wait()
					runtime.GC()
					runtime.GC()
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					return m.HeapAlloc, goroutine.Count()
				}
				target := "sip:" + test.target + "@192.0.2.2"
				for range count { // tables grow to their size
					test.place(t, alice, target)
				}
				heap, goroutines := settle()
				for range count {
					test.place(t, alice, target)
				}
				after, goroutinesAfter := settle()
				if goroutinesAfter > goroutines {
					t.Errorf("%d goroutines are left of %d calls", goroutinesAfter-goroutines, count)
				}
				// The runtime and the tables keep something, too: a call that is left has 4 KB.
				if left := (int(after) - int(heap)) / count; left > 2048 {
					t.Errorf("%d bytes are left of each call", left)
				}
				for _, a := range agents {
					if calls, dialogs, others := a.Left(); calls+dialogs+others != 0 {
						t.Errorf("there are %d calls, %d dialogs and %d others left", calls, dialogs, others)
					}
				}
			})
		})
	}
}

// takeOne is take without a memory.
func (x *addTakers) takeOne(context.Context, *ua.Call, *sdp.Media) ua.Stream { return newStream(x.t) }
